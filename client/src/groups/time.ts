import { SkerryError } from "../../../core/wire/errors.ts";
import type { Runtime } from "../runtime.ts";

/** Runs `work` with a signal that is aborted after `ms` (never, where it is undefined), then throws `timed_out`; or with the caller's signal. */
export async function within<T>(
  runtime: Runtime,
  ms: number | undefined,
  signal: AbortSignal | undefined,
  detail: string,
  work: (signal: AbortSignal | undefined) => Promise<T>,
): Promise<T> {
  if (ms === undefined) return work(signal);
  const limit = new AbortController();
  const cancel = runtime.timer(ms, () => limit.abort(new SkerryError("timed_out", detail)));
  try {
    return await work(signal === undefined ? limit.signal : AbortSignal.any([signal, limit.signal]));
  } finally {
    cancel();
  }
}

import { ERRORS, errorOf } from "../../../core/wire/errors.ts";
import type { Connection } from "./connections.ts";

export type Poll = { wake(): void; stop(): void };

const MAX_WAIT = 5_000;
/** How long the server may fail to answer before the page says so: one lost request is no news. */
const TOLERATED = 1;

/**
 * Asks again and again, `every()` milliseconds after the last answer, only while the tab is seen. What can be retried
 * is, later each time; anything else ends it. `wake` asks at once.
 */
export function poll(ask: (signal: AbortSignal) => Promise<void>, every: () => number, onState: (connection: Connection) => void): Poll {
  const stop = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let asking = false;
  let failures = 0;

  const round = async () => {
    if (asking || stop.signal.aborted || document.hidden) return;
    clearTimeout(timer);
    asking = true;
    let wait: number | null;
    try {
      await ask(stop.signal);
      failures = 0;
      wait = every();
      onState({ state: "live" });
    } catch (thrown) {
      if (stop.signal.aborted) return;
      wait = failed(thrown);
    } finally {
      asking = false;
    }
    if (wait !== null) timer = setTimeout(round, wait);
  };
  const failed = (thrown: unknown): number | null => {
    const error = errorOf(thrown);
    if (!ERRORS[error.code].retryable) {
      onState({ state: "refused", detail: error.message });
      return null;
    }
    failures++;
    if (failures > TOLERATED) onState({ state: "waiting", detail: `${error.message} Trying again.` });
    return Math.max((error.retryAfter ?? 0) * 1000, Math.min(MAX_WAIT, 500 * 2 ** failures));
  };

  const seen = () => void round();
  document.addEventListener("visibilitychange", seen);
  addEventListener("online", seen);
  onState({ state: "connecting" });
  void round();
  return {
    wake: seen,
    stop() {
      stop.abort();
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", seen);
      removeEventListener("online", seen);
    },
  };
}

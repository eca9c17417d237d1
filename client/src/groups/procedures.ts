import type { Procedure, Step, StepAnswer, Watched } from "../../../core/consensus/kv/concurrency.ts";
import {
  KvError,
  type Operation,
  type OperationResult,
  type RangeRequest,
  type RangeResponse,
  type WatchCreate,
  type WatchEvent,
} from "../../../core/consensus/kv/types.ts";
import { readEvent } from "../../../core/consensus/socket/answers.ts";
import { errorOfKv } from "../../../core/consensus/socket/errors.ts";
import type { WatchPayload } from "../../../core/consensus/socket/watches.ts";
import { SkerryError } from "../../../core/wire/errors.ts";
import { parsePosition } from "../../../core/wire/resume.ts";
import type { Subscription } from "./subscription.ts";

/** What the procedures of locks and elections are carried out with. */
export type ProcedureHost = {
  write(operation: Operation, signal: AbortSignal | undefined): Promise<OperationResult>;
  read(request: RangeRequest, signal: AbortSignal | undefined): Promise<RangeResponse>;
  watch(create: WatchCreate): Subscription;
};

/**
 * Carries out a procedure; yields what it emits and returns what it returns. Once the signal is aborted, or the reader goes
 * away, what the procedure wants cleaned up is done, whoever waits.
 */
export async function* steps<R, T>(host: ProcedureHost, procedure: Procedure<R, T>, signal?: AbortSignal): AsyncGenerator<T, R, void> {
  const watching = new Watching(host);
  let failed = false;
  let finished = false;
  try {
    signal?.throwIfAborted();
    let step = procedure.next(undefined);
    for (;;) {
      if (step.done) {
        finished = true;
        return step.value;
      }
      if (step.value.step === "emit") {
        yield step.value.value;
        step = procedure.next(undefined);
        continue;
      }
      let answer: StepAnswer;
      try {
        // What cleans up is not to be given up because the caller has.
        answer = await perform(host, step.value, watching, failed ? undefined : signal);
      } catch (error) {
        if (failed) throw error;
        failed = true;
        step = procedure.throw(error);
        continue;
      }
      step = procedure.next(answer);
    }
  } catch (error) {
    throw error instanceof KvError ? errorOfKv(error) : error;
  } finally {
    watching.close();
    if (!finished && !failed) await cleanUp(host, procedure, watching);
  }
}

/** Carries out a procedure that emits nothing. */
export async function carryOut<R>(host: ProcedureHost, procedure: Procedure<R>, signal?: AbortSignal): Promise<R> {
  const run = steps(host, procedure, signal);
  for (;;) {
    const { value, done } = await run.next();
    if (done) return value;
  }
}

async function cleanUp<R, T>(host: ProcedureHost, procedure: Procedure<R, T>, watching: Watching): Promise<void> {
  try {
    let step = procedure.throw(new SkerryError("bad_request", "The caller went away."));
    while (!step.done && step.value.step !== "emit") step = procedure.next(await perform(host, step.value, watching, undefined));
  } catch {
    // It ends by throwing what it was told.
  }
}

async function perform<T>(
  host: ProcedureHost,
  step: Exclude<Step<T>, { step: "emit" }>,
  watching: Watching,
  signal: AbortSignal | undefined,
): Promise<StepAnswer> {
  switch (step.step) {
    case "write":
      return host.write(step.operation, signal);
    case "read":
      return host.read(step.request, signal);
    case "watch":
      return watching.next(step.create, step.resume, signal);
    default:
      return step satisfies never;
  }
}

/** The watch of a procedure: it has one at a time. */
class Watching {
  readonly #host: ProcedureHost;
  #subscription: Subscription | null = null;

  constructor(host: ProcedureHost) {
    this.#host = host;
  }

  async next(create: WatchCreate, resume: boolean, signal: AbortSignal | undefined): Promise<Watched | null> {
    signal?.throwIfAborted();
    if (!resume || this.#subscription === null) {
      this.close();
      this.#subscription = this.#host.watch(create);
    }
    const subscription = this.#subscription;
    const abort = () => subscription.fail(signal?.reason);
    signal?.addEventListener("abort", abort, { once: true });
    try {
      const events: WatchEvent[] = [];
      for (;;) {
        const item = await subscription.next();
        if (item === null) throw new SkerryError("unavailable", "The watch was ended.");
        const { events: given, more } = item.payload as WatchPayload;
        events.push(...given.map(readEvent));
        if (!more && events.length > 0) return { events, revision: parsePosition(item.position)?.at ?? 0 };
      }
    } catch (error) {
      this.close();
      // What happened is to be read again.
      if (error instanceof SkerryError && error.code === "revision_compacted") return null;
      throw error;
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  close(): void {
    this.#subscription?.close();
    this.#subscription = null;
  }
}

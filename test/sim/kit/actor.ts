import type { Actor, Kernel } from "./kernel.ts";

export type Outcome<T> = { ok: true; value: T } | { ok: false; error: unknown };

/**
 * Code that runs in turns and may be killed between them. JavaScript cannot be stopped, so a dead actor is frozen
 * instead: the promises it awaits are never settled, its storage refuses, and what it still says is not sent.
 */
export class Process implements Actor {
  alive = true;
  /** Promises the simulation owes this process; an object that waits for one is not idle. */
  waiting = 0;
  readonly label: string;
  readonly kernel: Kernel;
  #outbox: (() => void)[] = [];

  constructor(kernel: Kernel, label: string) {
    this.kernel = kernel;
    this.label = label;
  }

  /** Something the outside may see, held back until the turn has committed (the platform's output gate). */
  emit(effect: () => void): void {
    if (!this.alive) return;
    this.#outbox.push(effect);
    this.kernel.touch(this);
  }

  flush(): void {
    const effects = this.#outbox;
    this.#outbox = [];
    for (const effect of effects) effect();
  }

  /** A promise that is settled in a turn of this process; `start` gets what settles it, which may be called at any time. */
  owe<T>(label: string, start: (settle: (outcome: Outcome<T>) => void) => void): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.waiting++;
      let settled = false;
      start((outcome) => {
        if (settled) return;
        settled = true;
        this.kernel.after(0, label, this, () => {
          this.waiting--;
          if (outcome.ok) resolve(outcome.value);
          else reject(outcome.error);
        });
      });
    });
  }

  kill(): void {
    this.alive = false;
    this.#outbox = [];
  }

  endTurn(): void {
    this.flush();
  }
}

/**
 * The error a caller sees when an object was reset under it, or a message was lost: the platform's, with its flags. Without a
 * stack, which is of the kit alone and takes more time than all the rest of a lost message.
 */
export function interrupted(message: string): Error {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  const error = Object.assign(new Error(message), { retryable: true, remote: true });
  Error.stackTraceLimit = stackTraceLimit;
  return error;
}

/** An error as it arrives on the other side of a call: a plain `Error` with its name, message and own properties. */
export function remoteError(thrown: unknown): unknown {
  if (!(thrown instanceof Error)) return structuredClone(thrown);
  const { name, message, stack, cause: _, ...own } = thrown as Error & Record<string, unknown>;
  const error = Object.assign(new Error(message), structuredClone(own), { remote: true });
  Object.defineProperty(error, "name", { value: thrown.name ?? name, configurable: true });
  // Where it was thrown is what one wants to see when a scenario fails.
  if (thrown.stack !== undefined) Object.defineProperty(error, "stack", { value: stack ?? thrown.stack, configurable: true });
  return error;
}

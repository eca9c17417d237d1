import { SkerryError } from "../wire/errors.ts";
import type { Participant } from "./port.ts";

/**
 * The open transactions of one medium, and what to put back in memory when one aborts. All journals of one medium
 * share a scope: a transaction begun through one of them may change any of them.
 */
export class TransactionScope {
  /** One map a level, outermost first: each participant's restore, taken at its first change within the level. */
  readonly #levels: Map<Participant, () => void>[] = [];

  /** How many transactions are open, one within the other. */
  get depth(): number {
    return this.#levels.length;
  }

  enlist(participant: Participant): void {
    const level = this.#levels.at(-1);
    if (level !== undefined && !level.has(participant)) level.set(participant, participant.capture());
  }

  /** Runs `run` as one level; `atomically` is the medium's own transaction. */
  run<T>(atomically: (body: () => T) => T, run: () => T): T {
    const level = new Map<Participant, () => void>();
    this.#levels.push(level);
    let done: T;
    try {
      done = atomically(() => {
        const value = run();
        if (isPromise(value))
          throw new SkerryError("internal", "A transaction must not be asynchronous: other events would run inside it.");
        return value;
      });
    } catch (error) {
      this.#levels.pop();
      for (const restore of [...level.values()].reverse()) restore();
      throw error;
    }
    this.#levels.pop();
    const outer = this.#levels.at(-1);
    if (outer !== undefined) for (const [participant, restore] of level) if (!outer.has(participant)) outer.set(participant, restore);
    return done;
  }
}

function isPromise(value: unknown): boolean {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}

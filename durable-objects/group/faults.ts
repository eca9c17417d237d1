import { SkerryError } from "../../core/wire/errors.ts";

/** What to break; what is left out stays as it is. `cut`: replicas that are neither called nor heard. `delay` in ms, `drop` 0 to 1. */
export type FaultPlan = { hang?: boolean; cut?: number[]; delay?: number; drop?: number; place?: string };
/** What is broken now. */
export type ActiveFaults = Required<Omit<FaultPlan, "place">>;

/**
 * Faults on purpose, for development alone: they are taken only where the deployment's variable `SKERRY_FAULTS` is 1, and live in
 * memory, so that an eviction heals them.
 */
export class Faults {
  #hung: { promise: Promise<void>; end: () => void } | null = null;
  #cut = new Set<number>();
  #delay = 0;
  #drop = 0;

  set({ hang, cut, delay, drop }: FaultPlan): void {
    if (hang === true && this.#hung === null) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#hung = { promise, end: resolve };
    } else if (hang === false) {
      this.#hung?.end();
      this.#hung = null;
    }
    if (cut !== undefined) this.#cut = new Set(cut);
    if (delay !== undefined) this.#delay = delay;
    if (drop !== undefined) this.#drop = drop;
  }

  /** Anything at all is broken: otherwise nothing here needs to be awaited. */
  get active(): boolean {
    return this.#hung !== null || this.#cut.size > 0 || this.#delay > 0 || this.#drop > 0;
  }

  /** What is broken now; null: nothing. */
  get plan(): ActiveFaults | null {
    if (!this.active) return null;
    return { hang: this.hung, cut: [...this.#cut].sort((a, b) => a - b), delay: this.#delay, drop: this.#drop };
  }

  get hung(): boolean {
    return this.#hung !== null;
  }

  /** Waits for the end of a hang. */
  async pass(): Promise<void> {
    await this.#hung?.promise;
  }

  /** Before a call to a peer. Rejects where the call is lost. */
  async before(peer: number): Promise<void> {
    if (this.#isLost(peer)) throw lost();
    if (this.#delay > 0) await scheduler.wait(this.#delay);
  }

  /** Before a call of a peer is served; rejects where it does not arrive. */
  async admit(peer: number): Promise<void> {
    await this.pass();
    if (this.#isLost(peer)) throw lost();
  }

  #isLost(peer: number): boolean {
    return this.#cut.has(peer) || (this.#drop > 0 && Math.random() < this.#drop);
  }
}

function lost(): SkerryError {
  return new SkerryError("unavailable", "The call was lost, as a fault port was told.", { retryAfter: 0 });
}

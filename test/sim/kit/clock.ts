/**
 * The clock that one object reads: off by so much, standing still, leaping. Time itself, and with it every timer and alarm,
 * goes on evenly whatever the clock says.
 */
export class ObjectClock {
  /** Milliseconds that it is ahead of the time. */
  offset = 0;
  /** What it shows while it stands still. */
  #frozenAt: number | null = null;

  /** Shows this at `time`; integers for integers. */
  read(time: number): number {
    return this.#frozenAt ?? time + this.offset;
  }

  get frozen(): boolean {
    return this.#frozenAt !== null;
  }

  /** Stands still from now on. */
  freeze(time: number): void {
    this.#frozenAt ??= this.read(time);
  }

  /** Goes on, right at once: what it missed it leaps over. */
  thaw(): void {
    this.#frozenAt = null;
  }

  /** Leaps, back where `ms` is negative. */
  jump(ms: number): void {
    this.offset += ms;
    if (this.#frozenAt !== null) this.#frozenAt += ms;
  }
}

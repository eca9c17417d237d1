import type { Runtime } from "../runtime.ts";

/** Time that passes when the test says so, and timers that fall due with it. */
export class VirtualTime {
  now = 1_000_000;
  readonly #timers: { at: number; run: () => void }[] = [];

  /** The part of a client's surroundings that is time and chance. */
  runtime(): Pick<Runtime, "now" | "timer" | "random" | "uuid" | "online"> {
    let uuids = 0;
    return {
      now: () => this.now,
      random: () => 1,
      uuid: () => `uuid-${uuids++}`,
      online: () => () => {},
      timer: (ms, run) => {
        const timer = { at: this.now + ms, run };
        this.#timers.push(timer);
        return () => {
          const index = this.#timers.indexOf(timer);
          if (index >= 0) this.#timers.splice(index, 1);
        };
      },
    };
  }

  /** Lets everything run that waits for no timer. */
  async settle(): Promise<void> {
    for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
  }

  /** Lets time pass, and runs what falls due in it, in order. */
  async elapse(ms: number): Promise<void> {
    const end = this.now + ms;
    for (;;) {
      await this.settle();
      const due = this.#timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.#timers.splice(this.#timers.indexOf(due), 1);
      this.now = Math.max(this.now, due.at);
      due.run();
    }
    this.now = end;
  }
}

const LOOK_MS = 100;

/** How long at most nothing ran on this machine, as a timer sees it: a virtual machine may be paused for seconds. */
export class Stalls {
  /** Milliseconds. */
  longest = 0;
  #last = performance.now();
  readonly #timer: NodeJS.Timeout;

  constructor() {
    this.#timer = setInterval(() => {
      const now = performance.now();
      this.longest = Math.max(this.longest, now - this.#last - LOOK_MS);
      this.#last = now;
    }, LOOK_MS);
  }

  forget(): void {
    this.longest = 0;
  }

  end(): void {
    clearInterval(this.#timer);
  }
}

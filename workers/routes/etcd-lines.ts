/** How long a stream may be silent before something is written, if only to find out whether anybody is there. Milliseconds. */
const SILENCE_MS = 600_000;
const encoder = new TextEncoder();

/**
 * An answer that comes line by line. The runtime tells of a client that went away when something is written to him, so a long
 * silence is broken by a line that means nothing.
 */
export class Lines {
  readonly readable: ReadableStream<Uint8Array>;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #silence: () => string;
  readonly #gone: () => void;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #over = false;
  #bytes = 0;
  /** Called once when the answer is over, however it ended, with the bytes that were written. */
  onOver: (bytes: number) => void = () => {};

  /**
   * @param silence what breaks a silence.
   * @param gone called once, when the client went away.
   */
  constructor(silence: () => string, gone: () => void, silenceMs = SILENCE_MS) {
    const { readable, writable } = new IdentityTransformStream();
    this.readable = readable;
    this.#writer = writable.getWriter();
    this.#silence = silence;
    this.#gone = gone;
    this.#writer.closed.catch(() => this.#lost());
    this.#wait(silenceMs);
  }

  /** Resolves once the client has taken it, or went away. */
  async write(line: string): Promise<void> {
    if (this.#over) return;
    const bytes = encoder.encode(line);
    this.#bytes += bytes.byteLength;
    try {
      await this.#writer.write(bytes);
    } catch {
      this.#lost();
    }
  }

  /** Ends the answer, after a last line if there is one. */
  async end(line = ""): Promise<void> {
    if (this.#over) return;
    if (line !== "") await this.write(line);
    this.#stop();
    // Who went away meanwhile misses nothing.
    await this.#writer.close().catch(() => {});
  }

  #wait(ms: number): void {
    this.#timer = setTimeout(() => {
      void this.write(this.#silence());
      this.#wait(ms);
    }, ms);
  }

  #lost(): void {
    if (this.#over) return;
    this.#stop();
    this.#gone();
  }

  #stop(): void {
    this.#over = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.onOver(this.#bytes);
  }
}

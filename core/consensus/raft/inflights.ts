/**
 * Append messages under way to one follower: a window bounded by messages and by bytes. The bound in bytes is soft: the
 * message that reaches it is still sent.
 */
export class Inflights {
  readonly #maxMessages: number;
  readonly #maxBytes: number;
  /** Rings that grow by need up to `maxMessages`: a host may have thousands of nodes. */
  #indices: number[] = [];
  #sizes: number[] = [];
  #start = 0;
  #bytes = 0;
  count = 0;

  constructor(maxMessages: number, maxBytes: number) {
    this.#maxMessages = maxMessages;
    this.#maxBytes = maxBytes;
  }

  full(): boolean {
    return this.count >= this.#maxMessages || this.#bytes >= this.#maxBytes;
  }

  /** A message whose last entry is `index` leaves. Indices ascend. */
  add(index: number, bytes: number): void {
    if (this.count === this.#indices.length) this.#grow();
    const at = (this.#start + this.count) % this.#indices.length;
    this.#indices[at] = index;
    this.#sizes[at] = bytes;
    this.count++;
    this.#bytes += bytes;
  }

  /** The follower has everything up to `index`. */
  freeTo(index: number): void {
    while (this.count > 0 && this.#indices[this.#start]! <= index) {
      this.#bytes -= this.#sizes[this.#start]!;
      this.#start = (this.#start + 1) % this.#indices.length;
      this.count--;
    }
    if (this.count === 0) this.#start = 0;
  }

  reset(): void {
    this.#start = 0;
    this.#bytes = 0;
    this.count = 0;
  }

  #grow(): void {
    const old = this.#indices.length;
    const size = Math.min(this.#maxMessages, Math.max(4, old * 2));
    const indices = new Array<number>(size).fill(0);
    const sizes = new Array<number>(size).fill(0);
    for (let i = 0; i < this.count; i++) {
      const at = (this.#start + i) % old;
      indices[i] = this.#indices[at]!;
      sizes[i] = this.#sizes[at]!;
    }
    this.#indices = indices;
    this.#sizes = sizes;
    this.#start = 0;
  }
}

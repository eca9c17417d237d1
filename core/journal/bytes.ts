import { corrupt } from "./errors.ts";

/** Bytes that {@link Writer.varint} takes for `value`, a non-negative safe integer: seven bits a byte, low ones first. */
export function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) size++;
  return size;
}

/** Writes into a buffer of known size. */
export class Writer {
  readonly bytes: Uint8Array<ArrayBuffer>;
  at = 0;

  constructor(size: number) {
    this.bytes = new Uint8Array(size);
  }

  varint(value: number): void {
    let rest = value;
    while (rest >= 128) {
      this.bytes[this.at++] = (rest % 128) | 128;
      rest = Math.floor(rest / 128);
    }
    this.bytes[this.at++] = rest;
  }

  u32(value: number): void {
    for (let shift = 0; shift < 32; shift += 8) this.bytes[this.at++] = (value >>> shift) & 255;
  }

  raw(bytes: Uint8Array): void {
    this.bytes.set(bytes, this.at);
    this.at += bytes.length;
  }

  /** What was written, without a copy. */
  done(): Uint8Array<ArrayBuffer> {
    return this.bytes.subarray(0, this.at);
  }
}

/** Reads what a {@link Writer} wrote; throws `corrupt`, naming `what`, where the bytes end early or make no sense. */
export class Reader {
  readonly bytes: Uint8Array;
  readonly #what: string;
  at = 0;

  constructor(bytes: Uint8Array, what: string) {
    this.bytes = bytes;
    this.#what = what;
  }

  varint(): number {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = this.bytes[this.at++];
      if (byte === undefined || factor > 2 ** 49) throw corrupt(`${this.#what} has a malformed number.`);
      value += (byte & 127) * factor;
      if (byte < 128) break;
    }
    if (!Number.isSafeInteger(value)) throw corrupt(`${this.#what} has a number beyond 2^53.`);
    return value;
  }

  u32(): number {
    const bytes = this.raw(4);
    return (bytes[0]! | (bytes[1]! << 8) | (bytes[2]! << 16) | (bytes[3]! << 24)) >>> 0;
  }

  /** The next `length` bytes, as a view. */
  raw(length: number): Uint8Array {
    const start = this.at;
    this.at += length;
    if (this.at > this.bytes.length) throw corrupt(`${this.#what} ends early.`);
    return this.bytes.subarray(start, this.at);
  }

  /** Everything that is left, as a view. */
  rest(): Uint8Array {
    return this.raw(this.bytes.length - this.at);
  }

  end(): void {
    if (this.at !== this.bytes.length) throw corrupt(`${this.#what} has bytes after its end.`);
  }
}

import { CertificateError, MAX_ID_BYTES } from "./types.ts";

const encoder = new TextEncoder();

/** Grows as it is written; numbers are big-endian. */
export class ByteWriter {
  readonly #parts: Uint8Array[] = [];

  u8(value: number): this {
    return this.raw(Uint8Array.of(value));
  }

  u16(value: number): this {
    return this.raw(Uint8Array.of(value >>> 8, value & 255));
  }

  /** A safe integer as eight bytes. */
  u64(value: number): this {
    const bytes = new Uint8Array(8);
    let rest = value;
    for (let i = 7; i >= 0; i--) {
      bytes[i] = rest % 256;
      rest = Math.floor(rest / 256);
    }
    return this.raw(bytes);
  }

  /** UTF-8 after its length. */
  text(value: string): this {
    const bytes = encoder.encode(value);
    return this.u16(bytes.length).raw(bytes);
  }

  raw(bytes: Uint8Array): this {
    this.#parts.push(bytes);
    return this;
  }

  done(): Uint8Array<ArrayBuffer> {
    const all = new Uint8Array(this.#parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of this.#parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }
}

/** Reads what a {@link ByteWriter} wrote and nothing else: one value has one spelling. Throws `malformed`. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  u8(): number {
    return this.raw(1)[0] as number;
  }

  u16(): number {
    const [high, low] = this.raw(2) as unknown as [number, number];
    return high * 256 + low;
  }

  u64(): number {
    const value = this.raw(8).reduce((sum, byte) => sum * 256 + byte, 0);
    if (!Number.isSafeInteger(value)) throw new CertificateError("malformed", "A number is beyond 2^53.");
    return value;
  }

  text(): string {
    const bytes = this.raw(this.u16());
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      throw new CertificateError("malformed", "A text is not UTF-8.");
    }
  }

  /** The next `length` bytes, as a copy. */
  raw(length: number): Uint8Array<ArrayBuffer> {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new CertificateError("malformed", "The bytes end early.");
    const part = new Uint8Array(this.#bytes.subarray(this.#at, end));
    this.#at = end;
    return part;
  }

  end(): void {
    if (this.#at !== this.#bytes.length) throw new CertificateError("malformed", "Bytes follow the end.");
  }
}

/** The order of bytes; UTF-16 order, JavaScript's own, is another one. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) if (a[i] !== b[i]) return (a[i] as number) - (b[i] as number);
  return a.length - b.length;
}

export function compareText(a: string, b: string): number {
  return a === b ? 0 : compareBytes(encoder.encode(a), encoder.encode(b));
}

/** Throws `malformed` unless `id` is well-formed text of 1 to {@link MAX_ID_BYTES} bytes. */
export function checkId(what: string, id: string): void {
  const length = typeof id === "string" && id.isWellFormed() ? encoder.encode(id).length : 0;
  if (length < 1 || length > MAX_ID_BYTES) throw new CertificateError("malformed", `${what} has 1 to ${MAX_ID_BYTES} bytes of UTF-8.`);
}

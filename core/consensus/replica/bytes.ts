/** Up to 2^28 bytes, more than a message may have. */
const LENGTH_BYTES = 4;

/** Writes into a buffer that grows; read it back with the journal's `Reader`, whose numbers and lengths it writes. */
export class ByteWriter {
  #bytes = new Uint8Array(512);
  #at = 0;

  u8(value: number): void {
    this.#room(1)[this.#at++] = value;
  }

  /** A non-negative safe integer: seven bits a byte, low ones first. */
  varint(value: number): void {
    const bytes = this.#room(8);
    let rest = value;
    while (rest >= 128) {
      bytes[this.#at++] = (rest % 128) | 128;
      rest = Math.floor(rest / 128);
    }
    bytes[this.#at++] = rest;
  }

  raw(bytes: Uint8Array): void {
    this.#room(bytes.length).set(bytes, this.#at);
    this.#at += bytes.length;
  }

  /** Bytes and their length. */
  block(bytes: Uint8Array): void {
    this.varint(bytes.length);
    this.raw(bytes);
  }

  /** What `write` writes, with its length before it. */
  nested(write: () => void): void {
    const start = this.#at;
    this.#room(LENGTH_BYTES);
    this.#at += LENGTH_BYTES;
    write();
    // A number may be longer than it need be: then its place can be kept free before it is known.
    let length = this.#at - start - LENGTH_BYTES;
    for (let i = 0; i < LENGTH_BYTES - 1; i++) {
      this.#bytes[start + i] = (length & 127) | 128;
      length >>>= 7;
    }
    this.#bytes[start + LENGTH_BYTES - 1] = length;
  }

  /** ASCII text and its length. */
  ascii(text: string): void {
    this.varint(text.length);
    const bytes = this.#room(text.length);
    for (let i = 0; i < text.length; i++) bytes[this.#at++] = text.charCodeAt(i) & 127;
  }

  /** What was written, without a copy; write nothing more. */
  done(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#at);
  }

  #room(size: number): Uint8Array {
    if (this.#at + size > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#at + size));
      grown.set(this.#bytes.subarray(0, this.#at));
      this.#bytes = grown;
    }
    return this.#bytes;
  }
}

export function asciiOf(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte & 127);
  return text;
}

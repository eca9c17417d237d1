import { corrupt } from "../../journal/errors.ts";
import type { ByteString } from "./types.ts";

/** Characters that `String.fromCharCode` takes at once without growing the stack much. */
const CHUNK = 4096;
/** Characters from which on a call of the encoder pays. */
const LONG = 64;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Writes into a buffer that grows. One writer may serve many messages: {@link take} copies what was written and starts over. */
export class BinaryWriter {
  #bytes = new Uint8Array(1024);
  #at = 0;

  get length(): number {
    return this.#at;
  }

  u8(value: number): void {
    this.#room(1)[this.#at++] = value;
  }

  /** A non-negative safe integer: seven bits a byte, low ones first. */
  varint(value: number): void {
    if (!(Number.isSafeInteger(value) && value >= 0)) throw new RangeError(`${value} is no unsigned integer`);
    const bytes = this.#room(8);
    let rest = value;
    while (rest >= 128) {
      bytes[this.#at++] = (rest % 128) | 128;
      rest = Math.floor(rest / 128);
    }
    bytes[this.#at++] = rest;
  }

  /** An integer of either sign: the first byte has the sign and six bits. Beyond 2^53 it is written as the last safe one: no revision is near either. */
  integer(value: number): void {
    if (!Number.isInteger(value)) throw new RangeError(`${value} is no integer`);
    const sign = value < 0 ? 64 : 0;
    const size = Math.min(Math.abs(value), Number.MAX_SAFE_INTEGER);
    this.u8((size < 64 ? 0 : 128) | sign | (size % 64));
    if (size >= 64) this.varint(Math.floor(size / 64));
  }

  /** 64 bits, low bytes first. */
  int64(value: bigint): void {
    const bytes = this.#room(8);
    const low = Number(BigInt.asUintN(32, value));
    const high = Number(BigInt.asUintN(32, value >> 32n));
    for (let shift = 0; shift < 32; shift += 8) bytes[this.#at++] = low >>> shift;
    for (let shift = 0; shift < 32; shift += 8) bytes[this.#at++] = high >>> shift;
  }

  /** A byte string and its length. Throws RangeError for a character past U+00FF. */
  text(value: ByteString): void {
    this.varint(value.length);
    this.tail(value, 0);
  }

  /** The bytes of `value` from `from` on, without a length. */
  tail(value: ByteString, from: number): void {
    if (from === 0 && value.length >= LONG && this.#ascii(value)) return;
    const bytes = this.#room(value.length - from);
    let at = this.#at;
    let seen = 0;
    for (let i = from; i < value.length; i++) {
      const code = value.charCodeAt(i);
      seen |= code;
      bytes[at++] = code;
    }
    if (seen > 255) throw new RangeError("a byte string has a character past U+00FF");
    this.#at = at;
  }

  /** Writes `value` if it is ASCII, much faster than character by character. */
  #ascii(value: ByteString): boolean {
    const end = this.#at + value.length;
    const room = this.#room(value.length).subarray(this.#at, end);
    if (encoder.encodeInto(value, room).read !== value.length) return false;
    this.#at = end;
    return true;
  }

  /** Any string, by its UTF-16 code units. */
  string(value: string): void {
    this.varint(value.length);
    for (let i = 0; i < value.length; i++) this.varint(value.charCodeAt(i));
  }

  u32(value: number): void {
    const bytes = this.#room(4);
    for (let shift = 0; shift < 32; shift += 8) bytes[this.#at++] = value >>> shift;
  }

  take(): Uint8Array<ArrayBuffer> {
    const taken = this.#bytes.slice(0, this.#at);
    this.#at = 0;
    return taken;
  }

  /** Forgets what was written, after an error in mid-message. */
  clear(): void {
    this.#at = 0;
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

/** Reads what a {@link BinaryWriter} wrote; throws `corrupt`, naming `what`, where the bytes end early or make no sense. */
export class BinaryReader {
  readonly #bytes: Uint8Array;
  readonly #what: string;
  #at = 0;

  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = bytes;
    this.#what = what;
  }

  u8(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw this.fault("ends early");
    return byte;
  }

  varint(): number {
    let byte = this.u8();
    if (byte < 128) return byte;
    let value = byte & 127;
    for (let factor = 128; byte >= 128; factor *= 128) {
      if (factor > 2 ** 49) throw this.fault("has a malformed number");
      byte = this.u8();
      value += (byte & 127) * factor;
    }
    if (!Number.isSafeInteger(value) || byte === 0) throw this.fault("has a malformed number");
    return value;
  }

  integer(): number {
    const first = this.u8();
    const size = (first & 63) + (first & 128 ? this.varint() * 64 : 0);
    if (!Number.isSafeInteger(size) || (first & 128 && size < 64) || (first & 64 && size === 0)) throw this.fault("has a malformed number");
    return first & 64 ? -size : size;
  }

  int64(): bigint {
    const low = this.u32();
    const high = this.u32();
    return low === 0 && high === 0 ? 0n : BigInt.asIntN(64, (BigInt(high) << 32n) | BigInt(low));
  }

  u32(): number {
    const at = this.#skip(4);
    const bytes = this.#bytes;
    return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
  }

  text(): ByteString {
    return this.tail(this.varint());
  }

  /** A byte string of `length`. */
  tail(length: number): ByteString {
    const start = this.#skip(length);
    const end = start + length;
    if (length >= LONG) {
      const text = decoder.decode(this.#bytes.subarray(start, end));
      // As many characters as bytes: all are ASCII, or stand for bytes that are no UTF-8.
      if (text.length === length && !text.includes("\ufffd")) return text;
    }
    if (length <= CHUNK) return String.fromCharCode.apply(null, this.#bytes.subarray(start, end) as unknown as number[]);
    let value = "";
    for (let at = start; at < end; at += CHUNK) {
      value += String.fromCharCode.apply(null, this.#bytes.subarray(at, Math.min(at + CHUNK, end)) as unknown as number[]);
    }
    return value;
  }

  string(): string {
    const length = this.count();
    let value = "";
    for (let i = 0; i < length; i++) {
      const unit = this.varint();
      if (unit > 0xffff) throw this.fault("has a malformed string");
      value += String.fromCharCode(unit);
    }
    return value;
  }

  /** A number of things that take at least a byte each: never more than there are bytes left, so nothing huge is ever allocated. */
  count(): number {
    const count = this.varint();
    if (count > this.#bytes.length - this.#at) throw this.fault("ends early");
    return count;
  }

  /** An index below `limit`. */
  choice(limit: number): number {
    const value = this.u8();
    if (value >= limit) throw this.fault("has an unknown choice");
    return value;
  }

  done(): void {
    if (this.#at !== this.#bytes.length) throw this.fault("has bytes past its end");
  }

  fault(how: string): Error {
    return corrupt(`${this.#what} ${how}.`);
  }

  #skip(length: number): number {
    const start = this.#at;
    if (length > this.#bytes.length - start) throw this.fault("ends early");
    this.#at = start + length;
    return start;
  }
}

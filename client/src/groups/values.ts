import { prefixEnd } from "../../../core/consensus/kv/concurrency.ts";
import type { ByteString, KeyValue } from "../../../core/consensus/kv/types.ts";

/** A key or a value: text, which is stored as UTF-8, or bytes. */
export type Bytes = string | Uint8Array;
/** Keys: one, all that begin with `prefix` ("": all keys), or those from `from` up to, without, `to` (without end where it is left out). */
export type Span = Bytes | { prefix: Bytes } | { from: Bytes; to?: Bytes };

const ASCII = /^[\0-\x7f]*$/;
const PIECE = 8192;

export function byteString(value: Bytes): ByteString {
  if (typeof value === "string" && ASCII.test(value)) return value;
  const bytes = typeof value === "string" ? new TextEncoder().encode(value) : value;
  let text = "";
  for (let i = 0; i < bytes.length; i += PIECE)
    text += String.fromCharCode.apply(null, bytes.subarray(i, i + PIECE) as unknown as number[]);
  return text;
}

export function bytesOf(bytes: ByteString): Uint8Array<ArrayBuffer> {
  const array = new Uint8Array(bytes.length);
  for (let i = 0; i < bytes.length; i++) array[i] = bytes.charCodeAt(i);
  return array;
}

/** What is no UTF-8 shows as U+FFFD. */
export function textOf(bytes: ByteString): string {
  return ASCII.test(bytes) ? bytes : new TextDecoder().decode(bytesOf(bytes));
}

/** A span as the store's requests have it. */
export function rangeOf(span: Span): { key: ByteString; rangeEnd: ByteString } {
  if (typeof span === "string" || span instanceof Uint8Array) return { key: byteString(span), rangeEnd: "" };
  if ("prefix" in span) {
    const prefix = byteString(span.prefix);
    // "\0" is the first of all keys, and as an end it means that there is none.
    return prefix === "" ? { key: "\0", rangeEnd: "\0" } : { key: prefix, rangeEnd: prefixEnd(prefix) };
  }
  return { key: byteString(span.from) || "\0", rangeEnd: span.to === undefined ? "\0" : byteString(span.to) };
}

/** Node's console calls it to show an object; others know nothing of it. */
const INSPECT = Symbol.for("nodejs.util.inspect.custom");

/** A key with its value, as it was at a revision. */
export class Entry {
  readonly #kv: KeyValue;

  constructor(kv: KeyValue) {
    this.#kv = kv;
  }

  /** The key as text. */
  get key(): string {
    return textOf(this.#kv.key);
  }

  get keyBytes(): Uint8Array<ArrayBuffer> {
    return bytesOf(this.#kv.key);
  }

  /** The value as text. */
  get text(): string {
    return textOf(this.#kv.value);
  }

  get bytes(): Uint8Array<ArrayBuffer> {
    return bytesOf(this.#kv.value);
  }

  /** The value as what its JSON says. Throws SyntaxError. */
  json<T = unknown>(): T {
    return JSON.parse(this.text) as T;
  }

  /** The revision that made the key: 0 for what is deleted. */
  get createRevision(): number {
    return this.#kv.createRevision;
  }

  /** The revision that wrote this value. */
  get modRevision(): number {
    return this.#kv.modRevision;
  }

  /** Writes since the key was made, this one included. */
  get version(): number {
    return this.#kv.version;
  }

  /** The lease that the key ends with; null: it stays. */
  get lease(): string | null {
    return this.#kv.lease === 0n ? null : String(this.#kv.lease);
  }

  /** What `JSON.stringify` makes of it, and what Node's console shows. */
  toJSON() {
    const { key, text, createRevision, modRevision, version, lease } = this;
    return { key, text, createRevision, modRevision, version, lease };
  }

  [INSPECT]() {
    return this.toJSON();
  }
}

export function entryOrNull(kv: KeyValue | null | undefined): Entry | null {
  return kv === null || kv === undefined ? null : new Entry(kv);
}

import { fromBase64, toBase64 } from "../etcd/base64.ts";
import type { ByteString } from "../kv/types.ts";
import { wrong } from "./reading.ts";

/** Bytes as JSON carries them: a character a byte (U+0000 to U+00FF), or base64 where that is shorter. Both are read, whatever is shorter. */
export type JsonBytes = string | { base64: string };

const PLAIN = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;
const BEYOND_BYTES = /[^\0-\xff]/;
/** What `{"base64":""}` takes more than `""`. */
const BASE64_OVERHEAD = 11;

export function writeBytes(bytes: ByteString): JsonBytes {
  if (PLAIN.test(bytes) || jsonLength(bytes) <= Math.ceil(bytes.length / 3) * 4 + BASE64_OVERHEAD) return bytes;
  return { base64: toBase64(bytes) };
}

/** Throws `bad_request`. */
export function readBytes(value: unknown, name: string): ByteString {
  if (typeof value === "string") {
    if (BEYOND_BYTES.test(value)) throw wrong(name, "a string whose characters are bytes (text is encoded as UTF-8 first)", value);
    return value;
  }
  if (typeof value === "object" && value !== null && "base64" in value && typeof value.base64 === "string") {
    try {
      return fromBase64(value.base64);
    } catch {
      throw wrong(name, "base64 with the standard alphabet and padding", value.base64);
    }
  }
  throw wrong(name, 'a string, or {"base64": "…"}', value);
}

/** Bytes of UTF-8 that `JSON.stringify` makes of a string, quotes not counted. */
function jsonLength(bytes: ByteString): number {
  let length = bytes.length;
  for (let i = 0; i < bytes.length; i++) {
    const code = bytes.charCodeAt(i);
    if (code >= 0x80) length += 1;
    else if (code < 0x20) length += code === 8 || code === 9 || code === 10 || code === 12 || code === 13 ? 1 : 5;
    else if (code === 0x22 || code === 0x5c) length += 1;
  }
  return length;
}

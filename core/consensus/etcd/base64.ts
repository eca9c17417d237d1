import type { ByteString } from "../kv/types.ts";

/**
 * RFC 4648 base64, standard alphabet with padding, from and to {@link ByteString}s: how the JSON mapping of protobuf carries
 * `bytes`. Reading takes what Go's `encoding/json` takes: line breaks anywhere, any bits after the last byte; no base64url.
 */

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const PAD = 61; // "="
const NOT = 255;
/** The character codes of the alphabet, and their inverse ({@link NOT} for every other code below 128). */
const CODES = new Uint8Array([...ALPHABET].map((char) => char.charCodeAt(0)));
const VALUES = new Uint8Array(128).fill(NOT);
for (let value = 0; value < 64; value++) VALUES[CODES[value] as number] = value;

/** What one call of `String.fromCharCode` gets; far below the number of arguments that engines allow. */
const PIECE = 8_190;
const scratch = new Uint8Array(PIECE + 2);

/** Not base64: `at` is the byte of the text (as UTF-8) that Go's decoder names. */
export class Base64Error extends Error {
  readonly at: number;
  constructor(at: number) {
    super(`illegal base64 data at input byte ${at}`);
    this.name = "Base64Error";
    this.at = at;
  }
}

export function toBase64(bytes: ByteString): string {
  let text = "";
  let used = 0;
  const whole = bytes.length - (bytes.length % 3);
  for (let i = 0; i < whole; i += 3) {
    const word = (bytes.charCodeAt(i) << 16) | (bytes.charCodeAt(i + 1) << 8) | bytes.charCodeAt(i + 2);
    scratch[used] = CODES[word >> 18] as number;
    scratch[used + 1] = CODES[(word >> 12) & 63] as number;
    scratch[used + 2] = CODES[(word >> 6) & 63] as number;
    scratch[used + 3] = CODES[word & 63] as number;
    used += 4;
    if (used > PIECE - 4) {
      text += flush(used);
      used = 0;
    }
  }
  if (used > 0) text += flush(used);
  if (bytes.length - whole === 1) {
    const word = bytes.charCodeAt(whole);
    text += `${ALPHABET[word >> 2]}${ALPHABET[(word & 3) << 4]}==`;
  } else if (bytes.length - whole === 2) {
    const word = (bytes.charCodeAt(whole) << 8) | bytes.charCodeAt(whole + 1);
    text += `${ALPHABET[word >> 10]}${ALPHABET[(word >> 4) & 63]}${ALPHABET[(word & 15) << 2]}=`;
  }
  return text;
}

/** Throws {@link Base64Error}. */
export function fromBase64(text: string): ByteString {
  // All but the last group have four characters of the alphabet, unless somebody broke the text into lines.
  const body = text.length - (text.length % 4 === 0 ? 4 : text.length % 4);
  let bytes = "";
  let used = 0;
  for (let i = 0; i < body; i += 4) {
    const word = group(text, i);
    if (word < 0) return fromLines(text);
    scratch[used] = word >> 16;
    scratch[used + 1] = (word >> 8) & 255;
    scratch[used + 2] = word & 255;
    used += 3;
    if (used === PIECE) {
      bytes += flush(used);
      used = 0;
    }
  }
  if (used > 0) bytes += flush(used);
  return text.length > 0 ? bytes + fromLines(text, Math.max(body, 0)) : bytes;
}

/** Four characters as 24 bits; negative where one is not of the alphabet. */
function group(text: string, at: number): number {
  const [a, b, c, d] = [valueAt(text, at), valueAt(text, at + 1), valueAt(text, at + 2), valueAt(text, at + 3)];
  return (a | b | c | d) > 63 ? -1 : (a << 18) | (b << 12) | (c << 6) | d;
}

function valueAt(text: string, at: number): number {
  const code = text.charCodeAt(at);
  return code < 128 ? (VALUES[code] as number) : NOT;
}

function flush(used: number): string {
  return String.fromCharCode.apply(null, scratch.subarray(0, used) as unknown as number[]);
}

/** Character by character, from a group's beginning on: the last group, line breaks, and what exactly is wrong. */
function fromLines(text: string, from = 0): ByteString {
  const bytes: string[] = [];
  let word = 0;
  let have = 0;
  for (let at = from; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (isBreak(code)) continue;
    const value = valueAt(text, at);
    if (value !== NOT) {
      word = (word << 6) | value;
      if (++have === 4) {
        bytes.push(String.fromCharCode(word >> 16, (word >> 8) & 255, word & 255));
        word = 0;
        have = 0;
      }
      continue;
    }
    if (code !== PAD || have < 2) throw new Base64Error(at);
    endOfPadding(text, at, have);
    bytes.push(have === 2 ? String.fromCharCode(word >> 4) : String.fromCharCode(word >> 10, (word >> 2) & 255));
    return bytes.join("");
  }
  // The text ended within a group: the decoder names where that group began, line breaks not counted.
  if (have > 0) throw new Base64Error(text.length - have);
  return bytes.join("");
}

/** After the first "=": the second where the group has two characters, and then nothing but line breaks. */
function endOfPadding(text: string, first: number, have: number): void {
  let at = skipBreaks(text, first + 1);
  if (have === 2) {
    if (at === text.length) throw new Base64Error(text.length);
    if (text.charCodeAt(at) !== PAD) throw new Base64Error(at - 1);
    at = skipBreaks(text, at + 1);
  }
  if (at < text.length) throw new Base64Error(at);
}

function skipBreaks(text: string, from: number): number {
  let at = from;
  while (at < text.length && isBreak(text.charCodeAt(at))) at++;
  return at;
}

function isBreak(code: number): boolean {
  return code === 10 || code === 13;
}

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/** Arguments of one call. */
const PIECE = 8_192;
const VALUES = new Map([...ALPHABET].map((char, value) => [char, value]));

/** RFC 4648 base64url without padding (ECMAScript alone has none yet). */
export function toBase64Url(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += PIECE) text += String.fromCharCode(...bytes.subarray(i, i + PIECE));
  return latin1ToBase64Url(text);
}

/** The same of characters up to U+00FF, each a byte. */
export function latin1ToBase64Url(text: string): string {
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** The inverse of {@link toBase64Url}; null for any text it never makes, so that bytes have one spelling. */
export function fromBase64Url(text: string): Uint8Array<ArrayBuffer> | null {
  const bytes = new Uint8Array(Math.floor((text.length * 3) / 4));
  let word = 0;
  let bits = 0;
  let length = 0;
  for (const char of text) {
    const value = VALUES.get(char);
    if (value === undefined) return null;
    word = ((word << 6) | value) & 0xffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes[length++] = (word >> bits) & 255;
    }
  }
  return text.length % 4 === 1 || (word & ((1 << bits) - 1)) !== 0 ? null : bytes;
}

/**
 * JSON as etcd's gateway reads it, which is Go's `encoding/json`: one value at the beginning of the text, whatever follows; 64-bit
 * integers keep all their digits; and what is wrong is said in the same words. The platform's `JSON.parse` reads the common case;
 * {@link Scanner} reads the rest.
 */

/** A number that is not a short integer, by its text. */
export class RawNumber {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** A string with escapes: what it says, and how it was written (the gateway reads enums and quoted numbers unescaped). */
export class RawString {
  readonly text: string;
  readonly raw: string;
  constructor(text: string, raw: string) {
    this.text = text;
    this.raw = raw;
  }
}

export type Json = null | boolean | number | string | RawNumber | RawString | Json[] | { [name: string]: Json };

/** Text that is not JSON. */
export class JsonError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "JsonError";
  }
}

/** Go allows 10,000, which is more than this stack does. */
export const MAX_DEPTH = 1_000;

/** Escapes, and numbers of 16 digits or with a fraction or exponent: those that `JSON.parse` would not leave as they are. */
const NEEDS_SCANNER = /\\|[:,[\s]-?(?:\d{16}|\d+[.eE])/;

/**
 * The first value of a text; undefined where there is none (nothing but white space). Throws {@link JsonError}.
 */
export function parseFirst(text: string): Json | undefined {
  if (!NEEDS_SCANNER.test(text)) {
    try {
      return JSON.parse(text) as Json;
    } catch {
      // Perhaps something follows the value; else the scanner says what is wrong.
    }
  }
  return new Scanner(text).first();
}

/** The one value of a text, with nothing after it. Throws {@link JsonError}. */
export function parseWhole(text: string): Json {
  return new Scanner(text).whole();
}

/** What Go calls a kind of JSON value. */
export function kindOf(value: Json): "null" | "bool" | "number" | "string" | "array" | "object" {
  if (value === null) return "null";
  if (typeof value === "boolean") return "bool";
  if (typeof value === "number" || value instanceof RawNumber) return "number";
  if (typeof value === "string" || value instanceof RawString) return "string";
  return Array.isArray(value) ? "array" : "object";
}

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const PLAIN = /^-?\d{1,15}$/;
const LITERALS = { t: { word: "true", value: true }, f: { word: "false", value: false }, n: { word: "null", value: null } } as const;
/** Where a space is wrong: within numbers, words and escapes. */
const WITHIN = /numeric literal|in literal|escape/;
const ESCAPES: Record<string, string> = { b: "\b", f: "\f", n: "\n", r: "\r", t: "\t", "\\": "\\", "/": "/", '"': '"' };

class Scanner {
  readonly #text: string;
  #at = 0;
  #depth = 0;
  /** Go's stream decoder says of every text that ends too early that it does; its plain one takes the end for a space first. */
  #plain = false;

  constructor(text: string) {
    this.#text = text;
  }

  first(): Json | undefined {
    this.#space();
    return this.#at === this.#text.length ? undefined : this.#value("looking for beginning of value");
  }

  whole(): Json {
    this.#plain = true;
    this.#space();
    const value = this.#value("looking for beginning of value");
    this.#space();
    if (this.#at < this.#text.length) throw this.#wrong("after top-level value");
    return value;
  }

  #value(context: string): Json {
    const char = this.#text[this.#at];
    switch (char) {
      case "{":
        return this.#object();
      case "[":
        return this.#array();
      case '"':
        return this.#string();
      case "t":
      case "f":
      case "n":
        return this.#literal(LITERALS[char].word, LITERALS[char].value);
      default:
        if (char === "-" || (char !== undefined && char >= "0" && char <= "9")) return this.#number();
        throw this.#wrong(context);
    }
  }

  #object(): Json {
    const members: { [name: string]: Json } = Object.create(null);
    this.#enter();
    this.#space();
    if (this.#text[this.#at] === "}") return this.#leave(members);
    for (;;) {
      this.#space();
      if (this.#text[this.#at] !== '"') throw this.#wrong("looking for beginning of object key string");
      const name = this.#string();
      this.#space();
      if (this.#text[this.#at] !== ":") throw this.#wrong("after object key");
      this.#at++;
      this.#space();
      members[typeof name === "string" ? name : name.text] = this.#value("looking for beginning of value");
      this.#space();
      const char = this.#text[this.#at];
      if (char === "}") return this.#leave(members);
      if (char !== ",") throw this.#wrong("after object key:value pair");
      this.#at++;
    }
  }

  #array(): Json {
    const items: Json[] = [];
    this.#enter();
    this.#space();
    if (this.#text[this.#at] === "]") return this.#leave(items);
    for (;;) {
      this.#space();
      items.push(this.#value("looking for beginning of value"));
      this.#space();
      const char = this.#text[this.#at];
      if (char === "]") return this.#leave(items);
      if (char !== ",") throw this.#wrong("after array element");
      this.#at++;
    }
  }

  #enter(): void {
    this.#at++;
    if (++this.#depth > MAX_DEPTH) throw new JsonError("exceeded max depth");
  }

  #leave<T extends Json>(value: T): T {
    this.#at++;
    this.#depth--;
    return value;
  }

  #string(): string | RawString {
    const from = ++this.#at;
    let text = "";
    let plain = from;
    for (;;) {
      const char = this.#text[this.#at];
      if (char === '"') {
        const raw = this.#text.slice(from, this.#at);
        const end = this.#text.slice(plain, this.#at);
        this.#at++;
        return plain === from ? raw : new RawString(text + end, raw);
      }
      if (char === undefined || char < " ") throw this.#wrong("in string literal");
      if (char === "\\") {
        text += this.#text.slice(plain, this.#at) + this.#escape();
        plain = this.#at;
      } else this.#at++;
    }
  }

  #escape(): string {
    this.#at++;
    const char = this.#text[this.#at];
    if (char === "u") {
      for (let i = 0; i < 4; i++) {
        this.#at++;
        if (!/[0-9a-fA-F]/.test(this.#text[this.#at] ?? "")) throw this.#wrong("in \\u hexadecimal character escape");
      }
      this.#at++;
      return String.fromCharCode(Number.parseInt(this.#text.slice(this.#at - 4, this.#at), 16));
    }
    const said = char === undefined ? undefined : ESCAPES[char];
    if (said === undefined) throw this.#wrong("in string escape code");
    this.#at++;
    return said;
  }

  #number(): number | RawNumber {
    NUMBER.lastIndex = this.#at;
    const text = NUMBER.exec(this.#text)?.[0];
    if (text === undefined) {
      this.#at++;
      throw this.#wrong("in numeric literal");
    }
    this.#at += text.length;
    // What the number could have gone on with, it must go on with.
    const char = this.#text[this.#at];
    if (char === "." && !/[.eE]/.test(text)) {
      this.#at++;
      throw this.#wrong("after decimal point in numeric literal");
    }
    if ((char === "e" || char === "E") && !/[eE]/.test(text)) {
      this.#at += /[+-]/.test(this.#text[this.#at + 1] ?? "") ? 2 : 1;
      throw this.#wrong("in exponent of numeric literal");
    }
    return PLAIN.test(text) ? Number(text) : new RawNumber(text);
  }

  #literal(word: string, value: boolean | null): Json {
    for (let i = 1; i < word.length; i++) {
      this.#at++;
      if (this.#text[this.#at] !== word[i]) throw this.#wrong(`in literal ${word} (expecting '${word[i]}')`);
    }
    this.#at++;
    return value;
  }

  #space(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (code !== 32 && code !== 10 && code !== 13 && code !== 9) return;
      this.#at++;
    }
  }

  #wrong(context: string): JsonError {
    if (this.#at >= this.#text.length) {
      if (!this.#plain) return new JsonError("unexpected EOF");
      return new JsonError(WITHIN.test(context) ? `invalid character ' ' ${context}` : "unexpected end of JSON input");
    }
    return new JsonError(`invalid character ${quoted(this.#text, this.#at)} ${context}`);
  }
}

/** A byte in Go's single quotes. The text is UTF-8 to Go, so of a character beyond ASCII it names the first byte. */
function quoted(text: string, at: number): string {
  const char = String.fromCodePoint(text.codePointAt(at) as number);
  if (char === "'") return "'\\''";
  if (char === '"') return "'\"'";
  const byte = new TextEncoder().encode(char)[0] as number;
  const named: Record<number, string> = { 7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r", 92: "\\\\" };
  if (named[byte] !== undefined) return `'${named[byte]}'`;
  return byte < 32 || byte === 127 ? `'\\x${byte.toString(16).padStart(2, "0")}'` : `'${String.fromCharCode(byte)}'`;
}

/**
 * The values of a text that has several, one after another: the requests of a stream. Where one is not JSON, those before it
 * come first, and then the {@link JsonError} is thrown.
 */
export function* parseStream(text: string): Generator<Json> {
  let rest = text;
  for (;;) {
    const end = endOfValue(rest);
    const value = parseFirst(rest.slice(0, end));
    if (value === undefined) return;
    yield value;
    rest = rest.slice(end);
  }
}

/** Where the first object or array of a text ends; all of it where that cannot be told by its brackets. */
function endOfValue(text: string): number {
  let depth = 0;
  let inString = false;
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (inString) {
      if (char === "\\") at++;
      else if (char === '"') inString = false;
    } else if (char === '"') inString = true;
    else if (char === "{" || char === "[") depth++;
    else if ((char === "}" || char === "]") && --depth <= 0) return at + 1;
  }
  return text.length;
}

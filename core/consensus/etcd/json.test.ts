import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Json, JsonError, MAX_DEPTH, parseFirst, parseStream, parseWhole, RawNumber, RawString } from "./json.ts";

/** As `JSON.parse` gives it. */
function plain(value: Json | undefined): unknown {
  if (value instanceof RawNumber) return Number(value.text);
  if (value instanceof RawString) return value.text;
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, plain(each)]));
}

describe("JSON", () => {
  it("[EJ1] reads what JSON.parse reads, by either way, and ignores what follows", () => {
    fc.assert(
      fc.property(fc.json(), fc.constantFrom("", " ", "x", "{", '"'), (text, tail) => {
        const value = JSON.parse(text);
        // A top-level number goes on into what follows, so it must not.
        const after = typeof value === "number" ? ` ${tail}` : tail;
        expect(plain(parseFirst(text + after))).toEqual(value);
        expect(plain(parseWhole(text))).toEqual(value);
        // White space before it changes nothing, and neither does the scanner.
        expect(plain(parseFirst(`\n\t ${text} \\`))).toEqual(value);
      }),
    );
  });

  it("[EJ1] white space alone is no value", () => {
    expect(parseFirst("")).toBeUndefined();
    expect(parseFirst(" \r\n\t")).toBeUndefined();
  });

  it("[EJ2] an integer keeps all its digits, a number its spelling, a string with escapes both readings", () => {
    expect(parseFirst('{"ID":9223372036854775807}')).toEqual({ ID: new RawNumber("9223372036854775807") });
    expect(parseFirst('[1.0,1e2,-0,12,"\\u0033","a\\/b"]')).toEqual([
      new RawNumber("1.0"),
      new RawNumber("1e2"),
      -0,
      12,
      new RawString("3", "\\u0033"),
      new RawString("a/b", "a\\/b"),
    ]);
  });

  it("[EJ3] a real etcd 3.4.23's words for what is wrong", () => {
    for (const [text, message] of [
      ["{", "unexpected EOF"],
      ['{"key":"Zm9v"', "unexpected EOF"],
      ['{"key":"Zm9v', "unexpected EOF"],
      ["nul", "unexpected EOF"],
      ["hello", "invalid character 'h' looking for beginning of value"],
      ['{"key":"Zm9v",}', "invalid character '}' looking for beginning of object key string"],
      ['{"key" "Zm9v"}', "invalid character '\"' after object key"],
      ['{key:"Zm9v"}', "invalid character 'k' looking for beginning of object key string"],
      ["{'key':'Zm9v'}", "invalid character '\\'' looking for beginning of object key string"],
      ['{"key":"Zm9v\\x"}', "invalid character 'x' in string escape code"],
      ['{"key":01}', "invalid character '1' after object key:value pair"],
      ['{"key":-}', "invalid character '}' in numeric literal"],
      ['{"key":1.}', "invalid character '}' after decimal point in numeric literal"],
      ['{"key":1e}', "invalid character '}' in exponent of numeric literal"],
      ['{"key":trux}', "invalid character 'x' in literal true (expecting 'e')"],
      ['{"key":[1 2]}', "invalid character '2' after array element"],
      ['{"key":[1,]}', "invalid character ']' looking for beginning of value"],
      ['{"key":"a\nb"}', "invalid character '\\n' in string literal"],
      ['{"key":"\\u12x4"}', "invalid character 'x' in \\u hexadecimal character escape"],
    ] as const) {
      expect(() => parseFirst(text), text).toThrow(new JsonError(message));
    }
    for (const text of ["", '"a', "{", "[1,"]) expect(() => parseWhole(text), text).toThrow(new JsonError("unexpected end of JSON input"));
    expect(() => parseWhole("-")).toThrow(new JsonError("invalid character ' ' in numeric literal"));
    expect(() => parseWhole("tru")).toThrow(new JsonError("invalid character ' ' in literal true (expecting 'e')"));
    expect(() => parseWhole("3 4")).toThrow(new JsonError("invalid character '4' after top-level value"));
  });

  it("[EJ3] any text is read or refused with one kind of error", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'{}[]:,"\\u0e1-+.tfn  a'), maxLength: 14 }), (text) => {
        let truth: unknown;
        try {
          truth = JSON.parse(text);
        } catch {
          expect(() => parseWhole(text)).toThrow(JsonError);
          return;
        }
        expect(plain(parseWhole(text))).toEqual(truth);
      }),
      { numRuns: 2_000 },
    );
  });

  it("[EJ4] depth is bounded", () => {
    const nested = (depth: number) => `${"[".repeat(depth)}${"]".repeat(depth)}`;
    expect(() => parseWhole(nested(MAX_DEPTH))).not.toThrow();
    expect(() => parseWhole(nested(MAX_DEPTH + 1))).toThrow(new JsonError("exceeded max depth"));
    expect(() => parseWhole("[".repeat(1_000_000))).toThrow(JsonError);
  });

  it("[EJ5] a stream gives each value, and those before a bad one", () => {
    fc.assert(
      fc.property(fc.array(fc.dictionary(fc.string(), fc.jsonValue())), fc.constantFrom("", "\n", " "), (values, between) => {
        const text = values.map((value) => JSON.stringify(value)).join(between);
        expect([...parseStream(text)].map(plain)).toEqual(values.map((value) => JSON.parse(JSON.stringify(value))));
      }),
    );
    const stream = parseStream('{"ID":"7"}{"ID":}{"ID":"8"}');
    expect(stream.next().value).toEqual({ ID: "7" });
    expect(() => stream.next()).toThrow(new JsonError("invalid character '}' looking for beginning of value"));
  });
});

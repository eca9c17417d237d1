import { Buffer } from "node:buffer";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Base64Error, fromBase64, toBase64 } from "./base64.ts";

const latin1 = (bytes: Uint8Array) => Buffer.from(bytes).toString("latin1");

describe("base64", () => {
  it("[EB1] is what Node's base64 is, for any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const text = Buffer.from(bytes).toString("base64");
        expect(toBase64(latin1(bytes))).toBe(text);
        expect(fromBase64(text)).toBe(latin1(bytes));
      }),
    );
  });

  it("[EB1] at the sizes at which pieces meet", () => {
    for (const size of [0, 1, 2, 3, 6_138, 6_139, 6_140, 6_141, 6_142, 6_143, 6_144, 8_189, 8_190, 8_191, 16_380, 16_381, 1_572_864]) {
      const bytes = new Uint8Array(size).map((_, i) => (i * 7 + (i >> 8)) & 255);
      const text = Buffer.from(bytes).toString("base64");
      expect(toBase64(latin1(bytes)) === text).toBe(true);
      expect(fromBase64(text) === latin1(bytes)).toBe(true);
    }
  });

  it("[EB2] line breaks may stand anywhere", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.array(fc.tuple(fc.nat(), fc.constantFrom("\n", "\r", "\r\n"))), (bytes, breaks) => {
        let text = Buffer.from(bytes).toString("base64");
        for (const [at, said] of breaks) text = text.slice(0, at % (text.length + 1)) + said + text.slice(at % (text.length + 1));
        expect(fromBase64(text)).toBe(latin1(bytes));
      }),
    );
  });

  it("[EB3] what a real etcd 3.4.23 refuses, at the byte that it names", () => {
    for (const [text, at] of [
      ["Zm9", 0],
      ["Zm9vYQ", 4],
      ["Zm9v-_", 4],
      ["Zm9 v", 3],
      ["Zm9v=", 4],
      ["Zg=", 3],
      ["Zg==x", 4],
      ["=", 0],
      ["Z", 0],
      ["é", 0],
    ] as const) {
      expect(() => fromBase64(text), text).toThrow(new Base64Error(at));
    }
    expect(fromBase64("Zm9=")).toBe("fo");
  });

  it("[EB3] any text either reads, and then as Node reads it, or is refused at a byte of it", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom("Z", "g", "9", "+", "/", "=", "-", "_", " ", "\n", "é"), maxLength: 12 }), (text) => {
        let read: string;
        try {
          read = fromBase64(text);
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(Base64Error);
          expect((thrown as Base64Error).at).toBeGreaterThanOrEqual(0);
          expect((thrown as Base64Error).at).toBeLessThanOrEqual(text.length);
          return;
        }
        expect(read).toBe(Buffer.from(text, "base64").toString("latin1"));
        expect(text).toMatch(/^[A-Za-z0-9+/=\r\n]*$/);
      }),
    );
  });
});

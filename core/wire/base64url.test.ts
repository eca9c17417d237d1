import fc from "fast-check";
import { expect, it } from "vitest";
import { fromBase64Url, toBase64Url } from "./base64url.ts";

it("equals the platform's own encoding", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      const text = Buffer.from(bytes).toString("base64url");
      expect(toBase64Url(bytes)).toBe(text);
      expect(fromBase64Url(text)).toEqual(new Uint8Array(bytes));
    }),
  );
});

it("reads no second spelling of the same bytes, and no other letters", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(..."AQgw-_9z+/= "), maxLength: 9 }), (text) => {
      const bytes = fromBase64Url(text);
      if (bytes !== null) expect(toBase64Url(bytes)).toBe(text);
      else expect(Buffer.from(Buffer.from(text, "base64url")).toString("base64url")).not.toBe(text);
    }),
    { numRuns: 1000 },
  );
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { errorOf } from "../wire/errors.ts";
import { Reader, varintSize, Writer } from "./bytes.ts";

const codeOf = (run: () => unknown) => {
  try {
    run();
    return "none";
  } catch (error) {
    return errorOf(error).code;
  }
};

describe("numbers and bytes", () => {
  it("come back as they went in, in the size foretold", () => {
    const number = fc.oneof(
      fc.maxSafeNat(),
      fc.nat(300),
      fc.integer({ min: 0, max: 52 }).map((n) => 2 ** n),
    );
    fc.assert(
      fc.property(number, fc.nat(2 ** 32 - 1), fc.uint8Array(), (value, word, bytes) => {
        const writer = new Writer(varintSize(value) + 4 + bytes.length);
        writer.varint(value);
        writer.u32(word);
        writer.raw(bytes);
        expect(writer.at).toBe(writer.bytes.length);
        const reader = new Reader(writer.done(), "It");
        expect([reader.varint(), reader.u32(), [...reader.rest()]]).toEqual([value, word, [...bytes]]);
        reader.end();
      }),
    );
  });

  it("that are malformed are reported as corrupt", () => {
    expect(codeOf(() => new Reader(new Uint8Array([0x80]), "It").varint())).toBe("corrupt");
    expect(codeOf(() => new Reader(new Uint8Array(9).fill(0xff), "It").varint())).toBe("corrupt");
    expect(codeOf(() => new Reader(new Uint8Array([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]), "It").varint())).toBe("corrupt");
    expect(codeOf(() => new Reader(new Uint8Array(3), "It").raw(4))).toBe("corrupt");
    expect(codeOf(() => new Reader(new Uint8Array(3), "It").u32())).toBe("corrupt");
    expect(codeOf(() => new Reader(new Uint8Array(3), "It").end())).toBe("corrupt");
  });
});

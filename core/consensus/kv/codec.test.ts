import fc from "fast-check";
import { expect, it } from "vitest";
import { command } from "../../../test/contract/kv-arbitrary.ts";
import { errorOf } from "../../wire/errors.ts";
import { decodeCommand, decodeCommands, encodeCommand, encodeCommands } from "./codec.ts";
import type { Command, Operation, RequestOp } from "./types.ts";

const integer = fc.maxSafeInteger();
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array).toString("latin1")),
  fc.constant("a".repeat(5000)),
  fc.constant("\xff".repeat(9000)),
);
/** Values over the whole range of the types. */
const wide: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({
    op: fc.constant("put" as const),
    request: fc.record({
      key: bytes,
      value: bytes,
      lease: int64,
      prevKv: fc.boolean(),
      ignoreValue: fc.boolean(),
      ignoreLease: fc.boolean(),
    }),
  }),
  fc.record({ op: fc.constant("compact" as const), request: fc.record({ revision: integer }) }),
  fc.record({ op: fc.constant("leaseGrant" as const), request: fc.record({ id: int64, ttl: integer }) }),
  fc.record({ op: fc.constant("leaseRenew" as const), request: fc.record({ ids: fc.array(int64) }) }),
);
const anyCommand: fc.Arbitrary<Command> = fc.oneof(
  command,
  fc.record({
    operation: wide,
    at: integer,
    session: fc.option(fc.record({ client: fc.string({ unit: "binary" }), seq: fc.maxSafeNat(), ack: fc.maxSafeNat() }), { nil: null }),
  }),
);

/** The code of the error that `read` throws; what is no error of ours is thrown on. */
function codeOf(read: () => unknown): string | null {
  try {
    read();
    return null;
  } catch (error) {
    expect(error).toHaveProperty("code");
    return errorOf(error).code;
  }
}

it("[KC1] every command reads back as it was, alone and among others", () => {
  fc.assert(
    fc.property(anyCommand, (each) => {
      expect(decodeCommand(encodeCommand(each))).toEqual(each);
    }),
    { numRuns: 1000 },
  );
  fc.assert(
    fc.property(fc.array(anyCommand, { maxLength: 5 }), (all) => {
      expect(decodeCommands(encodeCommands(all))).toEqual(all);
    }),
  );
});

it("[KC2] bytes that are no command are corrupt; what reads as one has no other spelling", () => {
  const noise = fc.uint8Array({ maxLength: 60 }).map((tail) => Uint8Array.of(1, ...tail));
  const damaged = fc.tuple(command, fc.nat(), fc.nat(255), fc.nat(3)).map(([each, at, byte, how]) => {
    const encoded = encodeCommand(each);
    const place = at % encoded.length;
    if (how === 0) return encoded.subarray(0, place);
    if (how === 1) return Uint8Array.of(...encoded, byte);
    encoded[place] = how === 2 ? byte : encoded[place]! ^ (1 << (byte % 8));
    return encoded;
  });
  fc.assert(
    fc.property(fc.oneof(noise, damaged), (input) => {
      let read: Command | null = null;
      const code = codeOf(() => {
        read = decodeCommand(input);
      });
      if (code === null) expect(Buffer.from(encodeCommand(read!)).equals(input)).toBe(true);
      else expect(["corrupt", "newer_format"]).toContain(code);
      expect([null, "corrupt", "newer_format"]).toContain(codeOf(() => decodeCommands(input)));
    }),
    { numRuns: 4000 },
  );
});

it("[KC2] a later version says so; no version is corrupt", () => {
  expect(codeOf(() => decodeCommand(Uint8Array.of(2, 0)))).toBe("newer_format");
  expect(codeOf(() => decodeCommand(Uint8Array.of(0, 0)))).toBe("corrupt");
  expect(codeOf(() => decodeCommand(new Uint8Array()))).toBe("corrupt");
});

it("[KC2] neither deep nesting nor a huge count takes the reader down", () => {
  let nested: RequestOp = { op: "deleteRange", request: { key: "k", rangeEnd: "", prevKv: false } };
  for (let depth = 0; depth < 128; depth++) nested = { op: "txn", request: { compare: [], success: [nested], failure: [] } };
  const deepest: Command = { operation: nested as Operation, at: 0, session: null };
  expect(decodeCommand(encodeCommand(deepest))).toEqual(deepest);
  const deeper: RequestOp = { op: "txn", request: { compare: [], success: [nested], failure: [] } };
  expect(codeOf(() => decodeCommand(encodeCommand({ ...deepest, operation: deeper as Operation })))).toBe("corrupt");
  expect(codeOf(() => decodeCommand(Uint8Array.of(1, 6, 0, 255, 255, 255, 255, 127)))).toBe("corrupt");
});

it("[KC1] a character that is no byte and a number that is no integer are refused, and the next command is unharmed", () => {
  const put = (value: string, at = 0): Command => ({
    operation: { op: "put", request: { key: "k", value, lease: 0n, prevKv: false, ignoreValue: false, ignoreLease: false } },
    at,
    session: null,
  });
  const fine = encodeCommand(put("v"));
  expect(() => encodeCommand(put("\u0100"))).toThrow(RangeError);
  expect(() => encodeCommand(put(`${"a".repeat(100)}\u20ac`))).toThrow(RangeError);
  expect(() => encodeCommand(put("v", 0.5))).toThrow(RangeError);
  expect(encodeCommand(put("v"))).toEqual(fine);
  for (const [given, kept] of [
    [2 ** 63, Number.MAX_SAFE_INTEGER],
    [-(2 ** 63), Number.MIN_SAFE_INTEGER],
  ] as const) {
    const compact = (revision: number): Command => ({ operation: { op: "compact", request: { revision } }, at: 0, session: null });
    expect(decodeCommand(encodeCommand(compact(given)))).toEqual(compact(kept));
  }
  // Version, operation, time, flags, key, value.
  expect([...fine]).toEqual([1, 0, 0, 0, 1, 107, 1, 118]);
});

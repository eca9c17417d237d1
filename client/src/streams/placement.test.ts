import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { partitionOf } from "../../../core/streams/partition.ts";
import { pointer } from "../../../core/streams/records.ts";
import { Placement, textOf } from "./placement.ts";

const place = (key: string | null, record: unknown, partitions = 8) => new Placement({ partitions, key }).place(textOf(record), record);

describe("placement", () => {
  it("sends each record where the server, which sees only its JSON, finds the key", () => {
    const key = fc.oneof(
      fc.string({ unit: "binary", maxLength: 80 }),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.boolean(),
      fc.date({ noInvalidDate: true }),
    );
    fc.assert(
      fc.property(key, fc.jsonValue(), (value, more) => {
        const record = { more, a: { "b/~": value } };
        const { partition, text } = place("/a/b~1~0", record);
        expect(partition).toBe(partitionOf(String(pointer("/a/b~1~0")(JSON.parse(text))), 8));
      }),
    );
  });

  it("reads the key as it is sent: of a Date, of a class with a JSON form of its own, of a number that JSON rewrites", () => {
    const at = new Date(86_400_000);
    expect(place("/at", { at }).partition).toBe(partitionOf("1970-01-02T00:00:00.000Z", 8));
    expect(place("/id", { toJSON: () => ({ id: "real" }), id: "hidden" }).partition).toBe(partitionOf("real", 8));
    expect(place("/nested/id", { nested: { toJSON: () => ({ id: "deep" }) } }).partition).toBe(partitionOf("deep", 8));
    expect(place("/n", { n: -0 }).partition).toBe(partitionOf("0", 8));
    expect(place("/0", ["first"]).partition).toBe(partitionOf("first", 8));
  });

  it("leaves open where records go that have no key", () => {
    expect(place(null, { any: 1 }).partition).toBeNull();
  });

  it.each([
    ["no key", "/id", {}, /no key: the topic reads it at "\/id"/],
    ["a key that is null", "/id", { id: null }, /no key/],
    ["a key that JSON makes null", "/id", { id: Number.NaN }, /no key/],
    ["a key of the prototype", "/toString", {}, /no key/],
    ["a key too long", "/id", { id: "é".repeat(129) }, /longer than 256 bytes/],
  ])("refuses %s", (_, path, record, sentence) => {
    expect(() => place(path, record)).toThrow(sentence);
  });

  it("refuses what is not JSON", () => {
    const cycle: { self?: unknown } = {};
    cycle.self = cycle;
    for (const record of [undefined, () => {}, Symbol("s"), 1n, cycle]) expect(() => textOf(record)).toThrow(/The record is not JSON/);
  });

  it("never takes a record for smaller than it is where it is stored", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 60 }), fc.string({ unit: "binary" }), (id, text) => {
        const record = { id, text };
        const { bytes } = place("/id", record);
        const alone = { k: [id], t: [1_795_449_134_000], v: [record] };
        const twice = { k: [id, id], t: [1_795_449_134_000, 1_795_449_134_000], v: [record, record] };
        const size = (batch: object) => new TextEncoder().encode(JSON.stringify(batch)).length;
        expect(bytes).toBeGreaterThanOrEqual(size(twice) - size(alone));
      }),
    );
  });
});

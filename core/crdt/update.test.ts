import fc from "fast-check";
import { describe, expect, it } from "vitest";
import * as Y from "yjs";
import { SkerryError } from "../wire/errors.ts";
import {
  addDeletes,
  clocksOf,
  type DeleteSet,
  decodeVector,
  EMPTY_UPDATE,
  encodeDeletes,
  encodeVector,
  mergeTree,
  scanUpdate,
  withoutKnown,
} from "./update.ts";

/** An editing step on one of a few documents that now and then exchange what they have. */
type Step = { doc: number; what: number; at: number; text: string };
const step: fc.Arbitrary<Step> = fc.record({
  doc: fc.nat(2),
  what: fc.nat(11),
  at: fc.nat(40),
  text: fc.string({ unit: "grapheme", minLength: 1, maxLength: 4 }),
});

/** Every kind of content that Yjs can encode, and deletions. Returns the documents and each update they emitted. */
function edit(steps: Step[]): { docs: Y.Doc[]; updates: Uint8Array[] } {
  const updates: Uint8Array[] = [];
  const docs = [0, 1, 2].map((index) => {
    const doc = new Y.Doc();
    doc.clientID = 1000 + index;
    doc.on("update", (update, origin) => origin === "peer" || updates.push(update));
    return doc;
  });
  for (const { doc: index, what, at, text } of steps) {
    const doc = docs[index]!;
    const note = doc.getText("note");
    const list = doc.getArray<unknown>("list");
    const map = doc.getMap<unknown>("map");
    const xml = doc.getXmlFragment("xml");
    const place = at % (list.length + 1);
    if (what === 0) note.insert(at % (note.length + 1), text);
    else if (what === 1 && note.length > 0) note.delete(at % note.length, 1);
    else if (what === 2) note.applyDelta([{ retain: at % (note.length + 1) }, { insert: text, attributes: { bold: true } }]);
    else if (what === 3) note.insertEmbed(at % (note.length + 1), { image: text });
    else if (what === 4) list.insert(place, [text, at, null, true, { deep: [text, at / 3, 2n ** 40n, undefined] }]);
    else if (what === 5) list.insert(place, [new Uint8Array([at, 255]), new Y.Doc({ guid: text })]);
    else if (what === 6 && list.length > 0) list.delete(at % list.length, 1);
    else if (what === 7) map.set(text, new Y.Map([[text, at]]));
    else if (what === 8) map.set(String(at % 3), text);
    else if (what === 9) map.delete(String(at % 3));
    else if (what === 10) xml.insert(0, [new Y.XmlElement("p"), new Y.XmlText(text), new Y.XmlHook("hook") as never]);
    else for (const peer of docs) if (peer !== doc) Y.applyUpdate(peer, Y.encodeStateAsUpdate(doc), "peer");
  }
  return { docs, updates };
}

const steps = fc.array(step, { minLength: 1, maxLength: 40 });

describe("scanning updates", () => {
  it("[UP1] agrees with Yjs on what an update holds, for every kind of content", () => {
    fc.assert(
      fc.property(steps, (script) => {
        const { docs, updates } = edit(script);
        for (const update of [...updates, ...docs.map((doc) => Y.encodeStateAsUpdate(doc)), Y.mergeUpdates([EMPTY_UPDATE, ...updates])]) {
          const scan = scanUpdate(update);
          const { from, to } = Y.parseUpdateMeta(update);
          expect(new Map([...scan.structs].map(([client, ranges]) => [client, ranges[0]![0]]))).toEqual(from);
          expect(new Map([...scan.structs].map(([client, ranges]) => [client, ranges.at(-1)![1]]))).toEqual(to);
          expect(Y.decodeStateVector(encodeVector(clocksOf(scan)))).toEqual(Y.decodeStateVector(Y.encodeStateVectorFromUpdate(update)));
          expect(scan.empty).toBe(update.length === 2);
        }
      }),
      { numRuns: 60 },
    );
  });

  it("[UP2] whatever it accepts, Yjs can decode, merge, diff and apply; whatever it refuses is bad_frame", () => {
    let accepted = 0;
    const damage = fc.array(fc.tuple(fc.nat(), fc.oneof(fc.nat(255), fc.nat(8))), { minLength: 1, maxLength: 2 });
    fc.assert(
      fc.property(steps, damage, fc.nat(15), (script, changes, cut) => {
        const { docs } = edit(script);
        const good = Y.encodeStateAsUpdate(docs[0]!);
        const bytes = good.slice(0, good.length - (cut === 0 ? changes[0]![0] % good.length : 0));
        for (const [at, value] of changes) if (bytes.length > 0) bytes[at % bytes.length] = value;
        try {
          scanUpdate(bytes);
        } catch (error) {
          expect((error as SkerryError).code).toBe("bad_frame");
          return;
        }
        accepted++;
        const doc = new Y.Doc();
        Y.applyUpdate(doc, Y.encodeStateAsUpdate(docs[1]!));
        Y.applyUpdate(doc, bytes);
        scanUpdate(Y.encodeStateAsUpdate(doc));
        const merged = Y.mergeUpdates([bytes, good]);
        scanUpdate(merged);
        Y.diffUpdate(merged, Y.encodeStateVector(docs[1]!));
      }),
      { numRuns: Number(process.env.FUZZ ?? 800) },
    );
    expect(accepted).toBeGreaterThan(50);
  });

  it("[UP2] never throws anything but bad_frame on random bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        try {
          scanUpdate(bytes);
          Y.applyUpdate(new Y.Doc(), bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(SkerryError);
        }
      }),
      { numRuns: 3_000 },
    );
  });

  it.each([
    ["a struct that refers to a later one of its client", [1, 1, 7, 0, 0x84, 7, 5, 1, 97, 0]],
    ["an item without length", [1, 1, 7, 0, 4, 1, 1, 97, 0, 0]],
    ["a client named twice", [2, 1, 7, 0, 0, 1, 1, 7, 1, 0, 1, 0]],
    ["clients in ascending order", [2, 1, 6, 0, 0, 1, 1, 7, 0, 0, 1, 0]],
    ["a type that does not exist", [1, 1, 7, 0, 7, 1, 1, 97, 9, 0]],
    ["bytes after the end", [0, 0, 0]],
    ["no bytes at all", []],
  ])("[UP2] refuses %s", (_what, bytes) => {
    expect(() => scanUpdate(new Uint8Array(bytes))).toThrow(expect.objectContaining({ code: "bad_frame" }));
  });

  it("[UP3] refuses a frame full of subdocuments before any of them exists", () => {
    const doc = new Y.Doc();
    doc.getArray("list").insert(
      0,
      Array.from({ length: 1_001 }, () => new Y.Doc({ guid: "g" })),
    );
    expect(() => scanUpdate(Y.encodeStateAsUpdate(doc))).toThrow(/subdocuments/);
  });
});

describe("trimming updates", () => {
  it("[UP4] leaves exactly what is new: nothing of what is known, and nothing lost", () => {
    fc.assert(
      fc.property(steps, steps, (before, after) => {
        const known = edit(before).docs[0]!;
        const merged = Y.encodeStateAsUpdate(known);
        const summary = scanUpdate(merged);
        const later = new Y.Doc();
        later.clientID = 2000;
        Y.applyUpdate(later, merged);
        for (const { at, text } of after) {
          later.getText("note").insert(at % (later.getText("note").length + 1), text);
          if (at % 3 === 0) later.getText("note").delete(0, 1);
        }
        const update = Y.encodeStateAsUpdate(later);
        const fresh = withoutKnown(update, scanUpdate(update), clocksOf(summary), summary.deletes);
        expect(withoutKnown(merged, summary, clocksOf(summary), summary.deletes)).toBeNull();
        const rebuilt = new Y.Doc();
        Y.applyUpdate(rebuilt, merged);
        Y.applyUpdate(rebuilt, fresh!);
        expect(rebuilt.getText("note").toString()).toBe(later.getText("note").toString());
        const rest = scanUpdate(fresh!);
        for (const [client, ranges] of rest.structs) expect(ranges[0]![0]).toBeGreaterThanOrEqual(clocksOf(summary).get(client) ?? 0);
        // Adding what is left to what was known gives all, and it overlaps nothing of it.
        const sum: DeleteSet = new Map(
          [...summary.deletes].map(([client, ranges]) => [client, [...ranges.map(([a, b]): [number, number] => [a, b])]]),
        );
        const size = (set: DeleteSet) => [...set.values()].flat().reduce((total, [from, to]) => total + to - from, 0);
        const knownSize = size(sum);
        addDeletes(sum, rest.deletes);
        expect(size(sum)).toBe(knownSize + size(rest.deletes));
      }),
      { numRuns: 60 },
    );
  });
});

describe("merging and vectors", () => {
  it("[UP5] a tree merge is the same document as a flat one", () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 60, maxLength: 200 }), (script) => {
        const { updates } = edit(script);
        const [tree, flat] = [mergeTree(updates), Y.mergeUpdates([EMPTY_UPDATE, ...updates])].map((update) => {
          const doc = new Y.Doc();
          Y.applyUpdate(doc, update);
          return Y.encodeStateAsUpdate(doc);
        });
        expect(tree).toEqual(flat);
      }),
      { numRuns: 15 },
    );
    expect(mergeTree([])).toEqual(EMPTY_UPDATE);
  });

  it("[UP4] adding deletions, in any order, is the same as having them all at once", () => {
    const range = fc.tuple(fc.nat(2), fc.nat(60), fc.integer({ min: 1, max: 9 }));
    fc.assert(
      fc.property(fc.array(range, { maxLength: 40 }), (ranges) => {
        const one = new Map<number, Set<number>>();
        const sum: DeleteSet = new Map();
        for (const [client, from, length] of ranges) {
          addDeletes(sum, new Map([[client, [[from, from + length]]]]));
          const clocks = one.get(client) ?? new Set();
          for (let clock = from; clock < from + length; clock++) clocks.add(clock);
          one.set(client, clocks);
        }
        // Read back from bytes, what was added is already in normal form, and holds exactly those clocks.
        expect(scanUpdate(new Uint8Array([0, ...encodeDeletes(sum)])).deletes).toEqual(sum);
        for (const [client, found] of sum) {
          expect(new Set(found.flatMap(([from, to]) => Array.from({ length: to - from }, (_, i) => from + i)))).toEqual(one.get(client));
        }
      }),
    );
  });

  it("reads back the vectors and delete sets that it writes, and refuses others", () => {
    const clocks = new Map([
      [5, 1],
      [2 ** 45, 2 ** 40],
    ]);
    expect(decodeVector(encodeVector(clocks))).toEqual(clocks);
    expect(() => decodeVector(new Uint8Array([3, 1]))).toThrow(expect.objectContaining({ code: "bad_frame" }));
    expect(() => decodeVector(new Uint8Array([0, 0]))).toThrow(expect.objectContaining({ code: "bad_frame" }));
    const deletes: DeleteSet = new Map([
      [
        9,
        [
          [1, 3],
          [7, 8],
        ],
      ],
    ]);
    expect(scanUpdate(new Uint8Array([0, ...encodeDeletes(deletes)])).deletes).toEqual(deletes);
  });
});

import fc from "fast-check";
import { expect, it } from "vitest";
import { OrderedIndex } from "./ordered.ts";

type Entry = { key: string; live: boolean };
const KEYS = Array.from({ length: 3000 }, (_, i) => ((i * 7919) % 3000).toString(36).padStart(3, "0"));

/** Runs of insertions, deletions and changes over thousands of keys, in random and in key order, so that blocks split and join. */
const step = fc.record({
  op: fc.constantFrom("add" as const, "add" as const, "delete" as const, "toggle" as const),
  from: fc.nat(KEYS.length - 1),
  count: fc.integer({ min: 1, max: 700 }),
  ordered: fc.boolean(),
});

it("[KV1] entries come in the order of keys, and live ones are counted, whatever was added, deleted and changed", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), fc.array(fc.tuple(fc.nat(2999), fc.nat(3000)), { maxLength: 6 }), (steps, ranges) => {
      let index = new OrderedIndex<Entry>();
      const model = new Map<string, Entry>();
      for (const { op, from, count, ordered } of steps) {
        const keys = Array.from({ length: count }, (_, i) => KEYS[(from + i) % KEYS.length]!);
        if (ordered) keys.sort();
        for (const key of keys) {
          const entry = model.get(key);
          if (op === "add" && entry === undefined) {
            const added = { key, live: key.charCodeAt(2) % 2 === 0 };
            model.set(key, added);
            index.add(added);
          } else if (op === "delete") {
            model.delete(key);
            index.delete(key);
          } else if (op === "toggle" && entry !== undefined) {
            entry.live = !entry.live;
            index.liveChanged(entry);
          }
        }
      }
      const sorted = [...model.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
      for (let twice = 0; twice < 2; twice++) {
        expect([...index]).toEqual(sorted);
        expect(index.size).toBe(sorted.length);
        for (const [a, b] of ranges) {
          const start = KEYS[a]!;
          const end = b === 3000 ? null : KEYS[b]!;
          const wanted = sorted.filter(({ key }) => key >= start && (end === null || key < end));
          const seen: Entry[] = [];
          index.visit(start, end, (entry) => {
            seen.push(entry);
            return undefined;
          });
          expect(seen).toEqual(wanted);
          expect(index.countLive(start, end)).toBe(wanted.filter(({ live }) => live).length);
          expect(index.get(start)).toBe(model.get(start));
          const [first] = wanted;
          index.visit(start, end, (entry) => {
            expect(entry).toBe(first);
            return false;
          });
        }
        index = OrderedIndex.fromSorted(sorted);
      }
    }),
    { numRuns: 60 },
  );
});

it("[KV1] blocks that were emptied are joined, and count what they had", () => {
  const index = new OrderedIndex<Entry>();
  const all = Array.from({ length: 2000 }, (_, i) => ({ key: String(i).padStart(4, "0"), live: i % 3 === 0 }));
  for (const entry of all) index.add(entry);
  const left = all.filter((_, i) => i % 10 === 0);
  for (const entry of all) if (!left.includes(entry)) index.delete(entry.key);
  expect([...index]).toEqual(left);
  for (const [start, end] of [
    ["", null],
    ["0015", "1234"],
  ] as const) {
    const wanted = left.filter(({ key, live }) => live && key >= start && (end === null || key < end));
    expect(index.countLive(start, end)).toBe(wanted.length);
  }
});

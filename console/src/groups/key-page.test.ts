import type { Entry, GroupEvent } from "@skerry/client/groups";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { change, compareKeys, type KeyPage, nextKey, prefixEnd } from "./key-page.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const SIZE = 3;

/** What a store of keys says, one write after the other. */
type Model = Map<string, { create: number; mod: number; version: number }>;

const entryOf = (key: string, { create, mod, version }: { create: number; mod: number; version: number }): Entry =>
  ({ key, keyBytes: bytes(key), createRevision: create, modRevision: mod, version }) as unknown as Entry;

function read(model: Model, from: string, revision: number): KeyPage {
  const keys = [...model.keys()].sort();
  const after = keys.filter((key) => key >= from);
  return {
    from: bytes(from),
    entries: after.slice(0, SIZE).map((key) => entryOf(key, model.get(key)!)),
    count: keys.length,
    more: after.length > SIZE,
    revision,
    readAt: revision,
  };
}

describe("a page of keys", () => {
  const write = fc.record({ put: fc.boolean(), key: fc.constantFrom("a", "b", "c", "d", "e", "f", "g", "h", "i") });

  it("shows, after any writes, what reading it again would show of the same keys", () => {
    fc.assert(
      fc.property(
        fc.array(write, { maxLength: 20 }),
        fc.array(write, { maxLength: 30 }),
        fc.constantFrom("", "c", "f"),
        (before, after, from) => {
          const model: Model = new Map();
          let revision = 1;
          const apply = ({ put, key }: { put: boolean; key: string }): GroupEvent[] => {
            const known = model.get(key);
            if (!put && known === undefined) return [];
            revision++;
            if (!put) {
              model.delete(key);
              return [{ type: "delete", key, entry: entryOf(key, { create: 0, mod: revision, version: 0 }), previous: null }];
            }
            const next = { create: known?.create ?? revision, mod: revision, version: (known?.version ?? 0) + 1 };
            model.set(key, next);
            return [{ type: "put", key, entry: entryOf(key, next), previous: null }];
          };
          for (const each of before) apply(each);
          let page = read(model, from, revision);
          for (const each of after) {
            const events = apply(each);
            if (events.length > 0) page = change(page, revision, events, SIZE);
          }
          expect(page.count).toBe(model.size);
          expect(page.revision).toBe(revision);
          // What it shows is there, in order, without a gap, and as it is now.
          const there = [...model.keys()].sort().filter((key) => key >= from);
          const shown = page.entries.map(({ key }) => key);
          expect(shown).toEqual(there.slice(0, shown.length));
          expect(page.entries.map(({ modRevision }) => modRevision)).toEqual(shown.map((key) => model.get(key)!.mod));
          if (!page.more) expect(shown).toEqual(there);
          expect(shown.length).toBeLessThanOrEqual(2 * SIZE);
        },
      ),
    );
  });

  it("compares keys by their bytes, and knows where a prefix ends", () => {
    expect(compareKeys(bytes("a"), bytes("a"))).toBe(0);
    expect(compareKeys(bytes("a"), nextKey(bytes("a")))).toBeLessThan(0);
    expect(compareKeys(new Uint8Array([0xff]), bytes("z"))).toBeGreaterThan(0);
    expect(prefixEnd(bytes("ab"))).toEqual(bytes("ac"));
    expect(prefixEnd(new Uint8Array([1, 0xff, 0xff]))).toEqual(new Uint8Array([2]));
    expect(prefixEnd(new Uint8Array([0xff]))).toBeNull();
    expect(prefixEnd(new Uint8Array())).toBeNull();
  });
});

import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { expect, it } from "vitest";
import { command, KEYS, operation, rangeRequest } from "../../../test/contract/kv-arbitrary.ts";
import { KvModel } from "../../../test/contract/kv-model.ts";
import { LEASE_BYTES } from "./lease-table.ts";
import { KEY_BYTES, VERSION_BYTES } from "./mvcc.ts";
import { type Applied, isReadOnly, KvStore } from "./store.ts";
import { type Command, KvError, type RangeRequest } from "./types.ts";

const ALL: RangeRequest = {
  key: "\0",
  rangeEnd: "\0",
  limit: 0,
  revision: 0,
  sortOrder: "none",
  sortTarget: "key",
  serializable: false,
  keysOnly: false,
  countOnly: false,
  minModRevision: 0,
  maxModRevision: 0,
  minCreateRevision: 0,
  maxCreateRevision: 0,
};

const said = (applied: Applied) => applied.error?.message ?? applied.result?.response;

/** As `toEqual`, and faster where they are equal. */
function same(actual: unknown, wanted: unknown): void {
  if (!isDeepStrictEqual(actual, wanted)) expect(actual).toEqual(wanted);
}

/** What `read` gives, or the message of its error. */
function attempt<T>(read: () => T): T | string {
  try {
    return read();
  } catch (error) {
    if (error instanceof KvError) return error.message;
    throw error;
  }
}

/** Everything that can be read of the store is as in the model. */
function compare(store: KvStore, model: KvModel): void {
  expect(store.revision).toBe(model.revision);
  expect(store.compactRevision).toBe(model.compacted);
  for (let revision = -1; revision <= model.revision + 1; revision++) {
    const request = { ...ALL, revision };
    same(
      attempt(() => store.range(request)),
      attempt(() => model.range(request)),
    );
    // A count that is not that of what was visited.
    for (const some of [
      { ...request, limit: 2 },
      { ...request, key: "aa", rangeEnd: "c", countOnly: true },
    ]) {
      same(
        attempt(() => store.range(some)),
        attempt(() => model.range(some)),
      );
    }
    same(
      attempt(() => everything(store, revision, "\0", "\0")),
      attempt(() => model.history(revision, "\0", "\0")),
    );
  }
  for (const key of KEYS)
    same(
      attempt(() => everything(store, 3, key, "")),
      attempt(() => model.history(3, key, "")),
    );
  expect(store.leases().map(({ id, ...rest }) => [id, rest])).toEqual([...model.leases].sort(([a], [b]) => (a < b ? -1 : 1)));
  for (const { id } of store.leases()) expect(store.leaseKeys(id)).toEqual(model.keysOf(id));
}

/** History in pages of one event. */
function everything(store: KvStore, revision: number, key: string, rangeEnd: string) {
  const events = [];
  for (let from = revision; from <= store.revision; ) {
    const page = store.eventsFrom(from, key, rangeEnd, 1);
    expect(page.next).toBeGreaterThan(from);
    events.push(...page.events);
    from = page.next;
  }
  return events;
}

it("[KV1, KV2, KV4, KV5, KV6] every answer, revision and history is that of a list of full maps", () => {
  fc.assert(
    fc.property(
      fc.array(operation, { maxLength: 30, size: "max" }),
      fc.array(rangeRequest, { maxLength: 12, size: "max" }),
      (operations, ranges) => {
        const store = new KvStore();
        const model = new KvModel();
        for (const [i, each] of operations.entries()) {
          const before = model.revision;
          const request: Command = { operation: each, at: i * 1000, session: null };
          if (each.op === "txn" && isReadOnly(each.request) && attempt(() => store.check(each)) === undefined) {
            expect(attempt(() => store.readTxn(each.request))).toEqual(new KvModelView(model).apply(request));
          }
          const applied = store.apply(request);
          same(said(applied), model.apply(request));
          expect(applied.revision).toBe(model.revision);
          same(
            applied.events,
            model.events.filter(({ kv }) => kv.modRevision > before),
          );
        }
        compare(store, model);
        for (const request of ranges) {
          if (request.key !== "")
            same(
              attempt(() => store.range(request)),
              attempt(() => model.range(request)),
            );
        }
      },
    ),
    { numRuns: 300 },
  );
});

/** The model for one reading transaction: it changes nothing. */
class KvModelView {
  readonly #model: KvModel;
  constructor(model: KvModel) {
    this.#model = model;
  }
  apply(request: Command): unknown {
    const before = this.#model.revision;
    const answer = this.#model.apply(request);
    expect(this.#model.revision).toBe(before);
    return answer;
  }
}

it("[KV8, KV9] a store restored at any point has the same bytes, digest and size, and goes on the same", () => {
  fc.assert(
    fc.property(fc.array(command, { maxLength: 30, size: "max" }), fc.nat(30), fc.integer({ min: 1, max: 300 }), (commands, at, chunk) => {
      const one = new KvStore({ maxSessions: 2 });
      const other = new KvStore({ maxSessions: 2 });
      let restored: KvStore | null = null;
      for (const [i, each] of commands.entries()) {
        if (i === at) {
          const pieces = [...one.snapshotChunks(chunk)];
          expect(pieces.slice(0, -1).every(({ length }) => length === chunk)).toBe(true);
          expect(Buffer.concat(pieces).equals(one.snapshot())).toBe(true);
          restored = KvStore.restore(Buffer.concat(pieces));
        }
        const applied = one.apply(each);
        same(other.apply(each), applied);
        if (restored !== null) same(restored.apply(each), applied);
      }
      for (const same of [other, restored, KvStore.restore(one.snapshot())]) {
        if (same === null) continue;
        expect(Buffer.from(same.snapshot()).equals(one.snapshot())).toBe(true);
        expect(same.digest()).toBe(one.digest());
        expect(same.bytes).toBe(one.bytes);
        expect(same.range(ALL)).toEqual(one.range(ALL));
      }
    }),
    { numRuns: 200 },
  );
});

it("[KV6, KV10] the size is that of what can be read, and compaction gives the rest back", () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 40, size: "max" }), (operations) => {
      const store = new KvStore();
      for (const each of operations) store.apply({ operation: each, at: 0, session: null });
      const compacted = store.apply({ operation: { op: "compact", request: { revision: store.revision } }, at: 0, session: null });
      if (compacted.error !== undefined) return;
      const { kvs } = store.range(ALL);
      const versions = new Map(kvs.map((kv) => [kv.key, kv]));
      // Deletions made exactly at the compaction are still history.
      const deleted = store.eventsFrom(store.revision, "\0", "\0").events.filter(({ kv }) => !versions.has(kv.key));
      const keys = [...versions.keys(), ...deleted.map(({ kv }) => kv.key)];
      const bytes = keys.reduce((sum, key) => sum + KEY_BYTES + key.length + VERSION_BYTES + (versions.get(key)?.value.length ?? 0), 0);
      const leases = store.leases().length * LEASE_BYTES + store.leases().reduce((sum, { id }) => sum + 48 * store.leaseKeys(id).length, 0);
      expect(store.bytes).toBe(bytes + leases);
      expect(store.keys).toBe(keys.length);
    }),
    { numRuns: 200 },
  );
});

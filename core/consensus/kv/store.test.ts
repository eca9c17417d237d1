import { describe, expect, it } from "vitest";
import { KvStore } from "./store.ts";
import type { Compare, Operation, PutRequest, RangeRequest, RequestOp, TxnRequest } from "./types.ts";

const put = (key: string, value = "", more: Partial<PutRequest> = {}): RequestOp & { op: "put" } => ({
  op: "put",
  request: { key, value, lease: 0n, prevKv: false, ignoreValue: false, ignoreLease: false, ...more },
});
const del = (key: string, rangeEnd = ""): RequestOp & { op: "deleteRange" } => ({
  op: "deleteRange",
  request: { key, rangeEnd, prevKv: false },
});
const rangeOf = (more: Partial<RangeRequest> = {}): RangeRequest => ({
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
  ...more,
});
const get = (more: Partial<RangeRequest> = {}): RequestOp & { op: "range" } => ({ op: "range", request: rangeOf(more) });
const txn = (request: Partial<TxnRequest>): RequestOp & { op: "txn" } => ({
  op: "txn",
  request: { compare: [], success: [], failure: [], ...request },
});
const grant = (id: bigint, ttl = 60): Operation => ({ op: "leaseGrant", request: { id, ttl } });
const compact = (revision: number): Operation => ({ op: "compact", request: { revision } });

function storeOf(
  ...operations: Operation[]
): KvStore & { do(operation: Operation, at?: number): unknown; keysAt(revision: number): string[] } {
  const store = new KvStore();
  const more = {
    do(operation: Operation, at = 0) {
      const applied = store.apply({ operation, at, session: null });
      return applied.error?.message ?? applied.result?.response;
    },
    keysAt: (revision: number) => store.range(rangeOf({ revision })).kvs.map(({ key, version }) => `${key}${version}`),
  };
  const all = Object.assign(store, more);
  for (const operation of operations) all.do(operation);
  return all;
}

describe("revisions", () => {
  it("[KV1] rise with what changes a key, by one", () => {
    const store = storeOf();
    expect(store.revision).toBe(1);
    expect(store.do(put("a"))).toEqual({ header: { revision: 2 }, prevKv: null });
    expect(store.do(del("none"))).toEqual({ header: { revision: 2 }, deleted: 0, prevKvs: [] });
    expect(store.do(txn({ success: [put("b"), put("c"), del("a")] }))).toMatchObject({ header: { revision: 3 } });
    expect(store.do(txn({ success: [del("a")] }))).toMatchObject({ header: { revision: 3 } });
    for (const each of [grant(1n), compact(2), { op: "leaseRevoke", request: { id: 1n } } as const]) {
      expect(store.do(each)).toMatchObject({ header: { revision: 3 } });
    }
    expect(store.do(del("b", "d"))).toMatchObject({ header: { revision: 4 }, deleted: 2 });
    store.do(put("b"));
    store.do(put("b"));
    expect(store.range(rangeOf()).kvs).toEqual([{ key: "b", createRevision: 5, modRevision: 6, version: 2, value: "", lease: 0n }]);
  });

  it("[KV2, KV6] can be read back to the last compaction", () => {
    const store = storeOf(put("a"), put("b"), put("a"), del("b"), put("b"));
    expect([2, 3, 4, 5, 6, 0, -7].map((revision) => store.keysAt(revision))).toEqual([
      ["a1"],
      ["a1", "b1"],
      ["a2", "b1"],
      ["a2"],
      ["a2", "b1"],
      ["a2", "b1"],
      ["a2", "b1"],
    ]);
    expect(store.do(compact(4))).toEqual({ header: { revision: 6 } });
    expect(store.keysAt(4)).toEqual(["a2", "b1"]);
    expect(() => store.keysAt(3)).toThrow("required revision has been compacted");
    expect(() => store.keysAt(7)).toThrow("required revision is a future revision");
    expect(store.do(compact(4))).toBe("etcdserver: mvcc: required revision has been compacted");
    expect(store.do(compact(7))).toBe("etcdserver: mvcc: required revision is a future revision");
    const fresh = storeOf();
    expect(fresh.do(compact(-1))).toBe("etcdserver: mvcc: required revision has been compacted");
    expect(fresh.do(compact(0))).toEqual({ header: { revision: 1 } });
    expect(fresh.do(compact(0))).toBe("etcdserver: mvcc: required revision has been compacted");
  });

  it("[KV6] says what to compact to so that some remain, not at every change", () => {
    const store = storeOf();
    const proposed = [];
    for (let i = 0; i < 100; i++) {
      store.do(put("a"));
      const revision = store.compactionFor(10);
      if (revision === null) continue;
      proposed.push(revision);
      store.do(compact(revision));
      expect(store.revision - store.compactRevision).toBe(10);
    }
    expect(proposed).toEqual([11, 21, 31, 41, 51, 61, 71, 81, 91]);
  });
});

describe("ranges", () => {
  const store = storeOf(...["s0", "s1", "s2", "s3"].map((key, i) => put(key, `v${9 - i}`)), put("s3", "w"), put("s0", "v0"));
  const keys = (more: Partial<RangeRequest>) => store.range(rangeOf(more)).kvs.map(({ key }) => key);

  it("[KV2] are sorted, then limited; without an order the first keys are sorted", () => {
    expect(keys({ sortOrder: "descend" })).toEqual(["s3", "s2", "s1", "s0"]);
    expect(keys({ sortOrder: "ascend", sortTarget: "value", limit: 2 })).toEqual(["s0", "s2"]);
    expect(keys({ sortOrder: "descend", sortTarget: "version" })).toEqual(["s0", "s3", "s1", "s2"]);
    expect(keys({ sortOrder: "ascend", sortTarget: "version" })).toEqual(["s1", "s2", "s0", "s3"]);
    expect(keys({ sortTarget: "value", limit: 2 })).toEqual(["s0", "s2"]);
    expect(keys({ sortTarget: "value", limit: 1 })).toEqual(["s0"]);
    expect(keys({ sortTarget: "mod", limit: 1 })).toEqual(["s1"]);
  });

  it("[KV2] count everything, whatever is left out", () => {
    const { kvs, more, count } = store.range(rangeOf({ limit: 1, minModRevision: 6, keysOnly: true }));
    expect([kvs, more, count]).toEqual([[{ key: "s0", createRevision: 2, modRevision: 7, version: 2, value: "", lease: 0n }], true, 4]);
    expect(store.range(rangeOf({ countOnly: true, limit: 1 }))).toEqual({ header: { revision: 7 }, kvs: [], more: false, count: 4 });
    expect(store.range(rangeOf({ limit: 4 })).more).toBe(false);
    expect(store.range(rangeOf({ key: "s1", rangeEnd: "" })).count).toBe(1);
    expect(store.range(rangeOf({ key: "s3", rangeEnd: "s0" })).count).toBe(0);
    expect(keys({ maxModRevision: 5, minCreateRevision: 4 })).toEqual(["s2"]);
    expect(keys({ maxCreateRevision: 3 })).toEqual(["s0", "s1"]);
  });
});

describe("transactions", () => {
  const compare = (more: object): Compare => ({ result: "equal", target: "version", key: "a", rangeEnd: "", value: 0, ...more }) as Compare;
  const holds = (store: ReturnType<typeof storeOf>, more: object) => store.readTxn(txn({ compare: [compare(more)] }).request).succeeded;

  it("[KV4] compare one key, all keys of a range, and keys that are not there", () => {
    const store = storeOf(grant(5n), put("a", "x", { lease: 5n }), put("a", "y", { lease: 5n }), put("b", "y"));
    expect(holds(store, { value: 2 })).toBe(true);
    expect(holds(store, { result: "greater", value: 2 })).toBe(false);
    expect(holds(store, { target: "create", value: 2 })).toBe(true);
    expect(holds(store, { target: "mod", result: "less", value: 4 })).toBe(true);
    expect(holds(store, { target: "value", result: "notEqual", value: "x" })).toBe(true);
    expect(holds(store, { target: "lease", value: 5n })).toBe(true);
    expect(holds(store, { rangeEnd: "c", target: "value", value: "y" })).toBe(true);
    expect(holds(store, { rangeEnd: "c", target: "lease", value: 5n })).toBe(false);
    expect(holds(store, { key: "none", value: 0 })).toBe(true);
    expect(holds(store, { key: "none", target: "lease", result: "less", value: 1n })).toBe(true);
    for (const result of ["equal", "notEqual", "less", "greater"]) {
      expect(holds(store, { key: "none", target: "value", result, value: "" })).toBe(false);
    }
    expect(holds(store, { key: "n", rangeEnd: "\0", result: "less", value: 1 })).toBe(true);
  });

  it("[KV4] decide everything by what was before, and show each operation what came before it", () => {
    const store = storeOf(put("a", "1"));
    const inner = txn({ compare: [compare({ value: 1 })], success: [get({ key: "a", rangeEnd: "" }), put("b")], failure: [put("never")] });
    expect(store.do(txn({ success: [get({ key: "a", rangeEnd: "" }), put("a", "2", { prevKv: true }), inner, del("zzz")] }))).toEqual({
      header: { revision: 3 },
      succeeded: true,
      responses: [
        {
          op: "range",
          response: { header: { revision: 2 }, more: false, count: 1, kvs: [expect.objectContaining({ value: "1", version: 1 })] },
        },
        { op: "put", response: { header: { revision: 3 }, prevKv: expect.objectContaining({ value: "1" }) } },
        {
          op: "txn",
          response: {
            header: { revision: 0 },
            succeeded: true,
            responses: [
              {
                op: "range",
                response: { header: { revision: 3 }, more: false, count: 1, kvs: [expect.objectContaining({ value: "2", version: 2 })] },
              },
              { op: "put", response: { header: { revision: 3 }, prevKv: null } },
            ],
          },
        },
        { op: "deleteRange", response: { header: { revision: 3 }, deleted: 0, prevKvs: [] } },
      ],
    });
  });

  it("[KV4] happen wholly or not at all", () => {
    const store = storeOf(put("a"));
    const before = store.digest();
    const faults: [RequestOp, string][] = [
      [put("b", "", { lease: 9n }), "etcdserver: requested lease not found"],
      [put("b", "", { ignoreValue: true }), "etcdserver: key not found"],
      [put("b", "", { ignoreLease: true }), "etcdserver: key not found"],
      [put("b", "", { ignoreValue: true, lease: 9n }), "etcdserver: key not found"],
      [get({ revision: 3 }), "etcdserver: mvcc: required revision is a future revision"],
      [get({ revision: -5 }), "etcdserver: mvcc: required revision has been compacted"],
      [put("a"), "etcdserver: duplicate key given in txn request"],
      [put("", "x"), "etcdserver: key is not provided"],
    ];
    for (const [fault, message] of faults) {
      expect(store.do(txn({ success: [put("a", "x"), txn({ success: [fault] })] }))).toBe(message);
      expect(store.digest()).toBe(before);
    }
    // Puts are checked before ranges, and alone the lease before the key.
    expect(store.do(txn({ success: [get({ revision: 9 }), put("b", "", { lease: 9n })] }))).toBe("etcdserver: requested lease not found");
    expect(store.do(put("b", "", { ignoreValue: true, lease: 9n }))).toBe("etcdserver: requested lease not found");
    expect(store.do(txn({ failure: [put("b", "", { lease: 9n })] }))).toMatchObject({ succeeded: true });
  });

  it("[KV4] that only read need no log, others do", () => {
    const store = storeOf(put("a"));
    expect(store.readTxn(txn({ success: [get({ limit: 1 })] }).request)).toMatchObject({
      header: { revision: 2 },
      responses: [{ op: "range" }],
    });
    expect(() => store.readTxn(txn({ success: [txn({})] }).request)).toThrow(TypeError);
    expect(() => store.readTxn(txn({ failure: [put("a")] }).request)).toThrow(TypeError);
    expect(() => store.readTxn(txn({ success: [get({ revision: 9 })] }).request)).toThrow("future revision");
  });
});

describe("leases", () => {
  it("[KV7] have a TTL within bounds and an id of their own", () => {
    const store = storeOf();
    expect(store.do(grant(7n, -1), 1000)).toEqual({ header: { revision: 1 }, id: 7n, ttl: 2 });
    expect(store.do(grant(-8n, 9_000_000_000))).toMatchObject({ id: -8n, ttl: 9_000_000_000 });
    expect(store.do(grant(9n, 9_000_000_001))).toBe("etcdserver: too large lease TTL");
    expect(store.do(grant(7n))).toBe("etcdserver: lease already exists");
    expect(store.do(grant(0n))).toBe("etcdserver: requested lease not found");
    expect(store.leases()).toEqual([
      { id: -8n, ttl: 9_000_000_000, renewedAt: 0 },
      { id: 7n, ttl: 2, renewedAt: 1000 },
    ]);
    store.do({ op: "leaseRenew", request: { ids: [7n, 99n] } }, 900);
    expect(store.lease(7n)).toEqual({ id: 7n, ttl: 2, renewedAt: 900 });
    expect(store.lease(99n)).toBeUndefined();
  });

  it("[KV7] have the keys of their last puts, and take them along in one revision, in order", () => {
    const store = storeOf(grant(1n), grant(2n));
    for (const key of ["c", "a", "b", "d", "e"]) store.do(put(key, "", { lease: 1n }));
    store.do(put("b", "", { lease: 2n }));
    store.do(put("d"));
    store.do(put("a", "kept", { ignoreLease: true }));
    store.do(del("e"));
    expect(store.leaseKeys(1n)).toEqual(["a", "c"]);
    expect(store.leaseKeys(2n)).toEqual(["b"]);
    const revoked = store.apply({ operation: { op: "leaseRevoke", request: { id: 1n } }, at: 0, session: null });
    expect(revoked.events.map(({ type, kv }) => [type, kv.key, kv.modRevision])).toEqual([
      ["delete", "a", 11],
      ["delete", "c", 11],
    ]);
    expect(revoked.result?.response.header.revision).toBe(11);
    expect(store.leaseKeys(1n)).toEqual([]);
    expect(store.do({ op: "leaseRevoke", request: { id: 1n } })).toBe("etcdserver: requested lease not found");
    expect(store.do(put("x", "", { lease: 1n }))).toBe("etcdserver: requested lease not found");
    expect(store.keysAt(0)).toEqual(["b2", "d2"]);
  });
});

it("[KV9] a state machine given what should never have been proposed refuses it and goes on", () => {
  const store = storeOf(put("a"));
  const before = store.digest();
  expect(store.do(txn({ success: [del("\0", "\0"), put("a", "", { ignoreValue: true })] }))).toBe(
    "etcdserver: duplicate key given in txn request",
  );
  expect(store.do(put(""))).toBe("etcdserver: key is not provided");
  expect(store.do(put("a", "x", { ignoreValue: true }))).toBe("etcdserver: value is provided");
  expect(store.digest()).toBe(before);
  // What was within another replica's limits is applied.
  expect(store.do(txn({ success: Array.from({ length: 200 }, (_, i) => put(`k${i}`)) }))).toMatchObject({ succeeded: true });
});

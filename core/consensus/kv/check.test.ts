import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { txnRequest } from "../../../test/contract/kv-arbitrary.ts";
import { doublyWritten } from "../../../test/contract/kv-model.ts";
import { overlaps } from "./overlap.ts";
import { requestBytes } from "./size.ts";
import { KvStore } from "./store.ts";
import { GRPC_CODES, KvError, type Operation, type RequestOp, type TxnRequest } from "./types.ts";

const put = (key: string, value = "", more = {}): RequestOp & { op: "put" } => ({
  op: "put",
  request: { key, value, lease: 0n, prevKv: false, ignoreValue: false, ignoreLease: false, ...more },
});
const del = (key: string, rangeEnd = ""): RequestOp => ({ op: "deleteRange", request: { key, rangeEnd, prevKv: false } });
const txn = (success: RequestOp[], failure: RequestOp[] = [], compare: TxnRequest["compare"] = []): RequestOp & { op: "txn" } => ({
  op: "txn",
  request: { compare, success, failure },
});
const compareOf = (key: string) => ({ result: "equal" as const, target: "version" as const, key, rangeEnd: "", value: 0 });

function refusal(operation: Operation, store = new KvStore()): [number, string] | null {
  try {
    store.check(operation);
    return null;
  } catch (error) {
    if (error instanceof KvError) return [error.grpc, error.message];
    throw error;
  }
}

describe("what a server refuses before it proposes", () => {
  const { invalidArgument, resourceExhausted } = GRPC_CODES;

  it("[KV3] says what is wrong in etcd's words and codes", () => {
    expect(refusal(put(""))).toEqual([invalidArgument, "etcdserver: key is not provided"]);
    expect(refusal({ op: "deleteRange", request: { key: "", rangeEnd: "\0", prevKv: false } })?.[1]).toBe(
      "etcdserver: key is not provided",
    );
    expect(refusal(put("a", "v", { ignoreValue: true }))).toEqual([invalidArgument, "etcdserver: value is provided"]);
    expect(refusal(put("a", "", { ignoreLease: true, lease: 3n }))).toEqual([invalidArgument, "etcdserver: lease is provided"]);
    expect(refusal(txn([], [], [compareOf("")]))).toEqual([invalidArgument, "etcdserver: key is not provided"]);
    expect(refusal(txn([put("a"), put("a")]))).toEqual([invalidArgument, "etcdserver: duplicate key given in txn request"]);
    expect(refusal(put("a", "v"))).toBeNull();
    expect(refusal(txn([put("a")], [put("a")]))).toBeNull();
  });

  it("[KV3] counts a transaction's operations by its longest list, and gives a nested one what is left", () => {
    const many = (n: number) => Array.from({ length: n }, (_, i) => put(`k${i}`));
    const tooMany = [invalidArgument, "etcdserver: too many operations in txn request"];
    expect(refusal(txn(many(128)))).toBeNull();
    expect(refusal(txn(many(129)))).toEqual(tooMany);
    expect(refusal(txn([], many(129)))).toEqual(tooMany);
    expect(
      refusal(
        txn(
          [],
          [],
          Array.from({ length: 129 }, () => compareOf("a")),
        ),
      ),
    ).toEqual(tooMany);
    expect(refusal(txn([txn(many(127))]))).toBeNull();
    expect(refusal(txn([txn(many(128))]))).toEqual(tooMany);
    // The number is looked at before the keys.
    expect(refusal(txn([...many(128), put("")]))).toEqual(tooMany);
    const custom = new KvStore({ maxOps: 2 });
    expect(refusal(txn(many(3)), custom)).toEqual(tooMany);
  });

  it("[KV3] refuses a request that is too large, by the size that etcd would send it in", () => {
    const limit = 1.5 * 2 ** 20;
    const fitting = put("k", "v".repeat(limit - requestBytes(put("k", "v".repeat(1_000_000))) + 1_000_000));
    expect(requestBytes(fitting)).toBe(limit);
    expect(refusal(fitting)).toBeNull();
    expect(refusal(put("k", `${fitting.request.value}v`))).toEqual([invalidArgument, "etcdserver: request is too large"]);
    expect(refusal(txn([put("a", fitting.request.value)]))?.[1]).toBe("etcdserver: request is too large");
  });

  it("[KV10] refuses what would grow the store past its quota, before anything else, and nothing that shrinks it", () => {
    const store = new KvStore({ quotaBytes: 1000 });
    const noSpace = [resourceExhausted, "etcdserver: mvcc: database space exceeded"];
    expect(refusal(put("a", "v".repeat(500)), store)).toBeNull();
    expect(refusal(put("", "v".repeat(1000)), store)).toEqual(noSpace);
    store.apply({ operation: put("a", "v".repeat(900)), at: 0, session: null });
    expect(refusal(put("a", ""), store)).toEqual(noSpace);
    expect(refusal(txn([del("b")], [txn([put("a")])]), store)).toEqual(noSpace);
    expect(refusal({ op: "leaseGrant", request: { id: 1n, ttl: 5 } }, store)).toEqual(noSpace);
    expect(refusal(txn([del("a")]), store)).toBeNull();
    expect(refusal({ op: "deleteRange", request: { key: "a", rangeEnd: "", prevKv: false } }, store)).toBeNull();
    expect(refusal({ op: "compact", request: { revision: 2 } }, store)).toBeNull();
    const roomy = new KvStore({ quotaBytes: 10_000 });
    expect(() => roomy.check(put("a"), 9900)).toThrow("space exceeded");
  });

  it("[KV3] counts an operation as protocol buffers do", () => {
    // Field by field: key 1+1+1, value 1+1+3, lease 1+1, three flags 2 each, behind tag and length, in an entry of 14.
    expect(requestBytes(put("k", "vvv", { lease: 5n, prevKv: true, ignoreValue: true, ignoreLease: true }))).toBe(14 + 2 + 3 + 5 + 2 + 6);
    expect(requestBytes(put("k", "v", { lease: -1n }))).toBe(14 + 2 + 3 + 3 + 11);
    expect(requestBytes(txn([], [], [compareOf("k")]))).toBe(14 + 2 + 2 + 3 + 2);
  });
});

describe("[KV4] a key is written once in a transaction", () => {
  it("whatever the order and nesting of its puts and deletions", () => {
    const duplicates: RequestOp[][] = [
      [put("a"), put("a")],
      [put("a"), del("a")],
      [del("a", "c"), put("b")],
      // etcd forgets those without an end, and nested ones by their order.
      [del("a", "\0"), put("b")],
      [del("\0", "\0"), put("b", "", { ignoreValue: true })],
      [txn([put("a")]), txn([del("a")])],
      [txn([del("a")]), txn([put("a")])],
      [txn([put("a")]), txn([], [put("a")])],
      [txn([put("a")], [del("a")]), txn([del("a")])],
      [put("a"), txn([txn([], [del("\0", "b")])])],
      [txn([put("a"), put("a")])],
    ];
    for (const ops of duplicates) expect(overlaps(ops), JSON.stringify(ops, replacer)).toBe(true);
    const fine: RequestOp[][] = [
      [],
      [put("a"), put("b"), del("c")],
      [del("a", "c"), del("b"), del("\0", "\0")],
      [txn([put("a")], [del("a")])],
      [txn([put("a")], [put("a")]), del("b", "\0")],
      [put("b"), del("c", "\0"), del("a", "b"), del("z", "a")],
    ];
    for (const ops of fine) expect(overlaps(ops), JSON.stringify(ops, replacer)).toBe(false);
  });

  it("as a comparison of every two operations finds it", () => {
    fc.assert(
      fc.property(txnRequest, ({ success, failure, compare }) => {
        const wanted = doublyWritten({ success, failure, compare });
        expect(overlaps(success) || overlaps(failure)).toBe(wanted);
      }),
      { numRuns: 3000 },
    );
  });
});

function replacer(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? String(value) : value;
}

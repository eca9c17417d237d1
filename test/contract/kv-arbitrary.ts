import fc from "fast-check";
import type { Command, Compare, Operation, RangeRequest, RequestOp, TxnRequest } from "../../core/consensus/kv/types.ts";

/** A few keys that are near each other, so that ranges, prefixes and repetitions happen. */
export const KEYS = ["a", "a\0", "aa", "ab", "b", "b/1", "c", "\xff", "\xff\xff"];
const key = fc.constantFrom(...KEYS);
const anyKey = fc.oneof({ arbitrary: key, weight: 30 }, { arbitrary: fc.constant(""), weight: 1 });
const rangeEnd = fc.oneof(
  { arbitrary: fc.constant(""), weight: 4 },
  { arbitrary: fc.constantFrom("\0", "\0", "b", "c", "b0", "\xff"), weight: 4 },
);
const value = fc.constantFrom("", "x", "y", "z\xfe\x00");
const lease = fc.constantFrom(0n, 0n, 0n, 1n, 2n, -3n);
const revision = fc.oneof({ arbitrary: fc.constant(0), weight: 3 }, { arbitrary: fc.integer({ min: -2, max: 25 }), weight: 1 });
const seldom = fc.nat(9).map((n) => n === 0);

const bounds = fc.record({ minModRevision: revision, maxModRevision: revision, minCreateRevision: revision, maxCreateRevision: revision });
const unbounded = fc.constant({ minModRevision: 0, maxModRevision: 0, minCreateRevision: 0, maxCreateRevision: 0 });
const selection = fc.record({
  key: anyKey,
  rangeEnd,
  limit: fc.constantFrom(0, 0, 1, 2, 3, -1),
  revision,
  sortOrder: fc.constantFrom("none" as const, "ascend" as const, "descend" as const),
  sortTarget: fc.constantFrom("key" as const, "version" as const, "create" as const, "mod" as const, "value" as const),
  serializable: fc.boolean(),
  keysOnly: seldom,
  countOnly: seldom,
});
export const rangeRequest: fc.Arbitrary<RangeRequest> = fc
  .tuple(selection, fc.oneof({ arbitrary: unbounded, weight: 3 }, { arbitrary: bounds, weight: 1 }))
  .map(([request, filters]) => ({ ...request, ...filters }));

const put = fc
  .record({
    key: anyKey,
    value,
    lease,
    prevKv: fc.boolean(),
    ignoreValue: seldom,
    ignoreLease: seldom,
    valid: fc.constantFrom(true, true, false),
  })
  .map(({ valid, ...request }) => {
    if (valid && request.ignoreValue) request.value = "";
    if (valid && request.ignoreLease) request.lease = 0n;
    return { op: "put" as const, request };
  });
const deleteRange = fc.record({
  op: fc.constant("deleteRange" as const),
  request: fc.record({ key: anyKey, rangeEnd, prevKv: fc.boolean() }),
});
const range = fc.record({ op: fc.constant("range" as const), request: rangeRequest });
const result = fc.constantFrom("equal" as const, "notEqual" as const, "greater" as const, "less" as const);
const compare: fc.Arbitrary<Compare> = fc.oneof(
  fc.record({
    result,
    key: anyKey,
    rangeEnd,
    target: fc.constantFrom("version" as const, "create" as const, "mod" as const),
    value: fc.integer({ min: -1, max: 8 }),
  }),
  fc.record({ result, key, rangeEnd, target: fc.constant("value" as const), value }),
  fc.record({ result, key, rangeEnd, target: fc.constant("lease" as const), value: lease }),
);

export const txnRequest: fc.Arbitrary<TxnRequest> = fc.letrec<{ txn: TxnRequest; op: RequestOp }>((tie) => ({
  op: fc.oneof(
    { maxDepth: 3, depthIdentifier: "txn" },
    { arbitrary: put, weight: 5 },
    { arbitrary: deleteRange, weight: 2 },
    { arbitrary: range, weight: 2 },
    { arbitrary: fc.record({ op: fc.constant("txn" as const), request: tie("txn") }), weight: 2 },
  ),
  txn: fc.record({
    compare: fc.array(compare, { maxLength: 2 }),
    success: fc.array(tie("op"), { maxLength: 3, depthIdentifier: "txn" }),
    failure: fc.array(tie("op"), { maxLength: 3, depthIdentifier: "txn" }),
  }),
})).txn;

export const operation: fc.Arbitrary<Operation> = fc.oneof(
  { arbitrary: put, weight: 12 },
  { arbitrary: deleteRange, weight: 4 },
  { arbitrary: fc.record({ op: fc.constant("txn" as const), request: txnRequest }), weight: 10 },
  {
    arbitrary: fc.record({ op: fc.constant("compact" as const), request: fc.record({ revision: fc.integer({ min: -1, max: 25 }) }) }),
    weight: 2,
  },
  {
    arbitrary: fc.record({
      op: fc.constant("leaseGrant" as const),
      request: fc.record({ id: lease, ttl: fc.constantFrom(-1, 1, 5, 60, 9_000_000_000, 9_000_000_001) }),
    }),
    weight: 3,
  },
  { arbitrary: fc.record({ op: fc.constant("leaseRevoke" as const), request: fc.record({ id: lease }) }), weight: 2 },
  {
    arbitrary: fc.record({ op: fc.constant("leaseRenew" as const), request: fc.record({ ids: fc.array(lease, { maxLength: 3 }) }) }),
    weight: 1,
  },
);

const session = fc.record({
  client: fc.constantFrom("one", "two", "drei \u20ac"),
  seq: fc.nat(12),
  ack: fc.constantFrom(0, 0, 0, 1, 2, 5),
});
export const command: fc.Arbitrary<Command> = fc.record({
  operation,
  at: fc.nat(100_000),
  session: fc.oneof({ arbitrary: fc.constant(null), weight: 3 }, { arbitrary: session, weight: 1 }),
});

export function commandOf(operation: Operation, at = 0): Command {
  return { operation, at, session: null };
}

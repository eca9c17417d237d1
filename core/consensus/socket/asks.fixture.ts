import fc from "fast-check";
import type { Compare, KeyValue, Operation, RangeRequest, RequestOp, ResponseOp } from "../kv/types.ts";
import type { Ask, Told } from "../replica/types.ts";
import type { Answered } from "./answers.ts";

/** Arbitrary requests and answers of a group. */
export const bytes = fc.oneof(
  fc.string({ maxLength: 12 }).map((text) => text.replace(/[^\0-\xff]/g, "?")),
  fc.uint8Array({ maxLength: 40 }).map((array) => String.fromCharCode(...array)),
  fc.constantFrom("", "\0", "\x7f\x80", '"\\', "jobs/7"),
);
const natural = fc.oneof(fc.nat(), fc.constantFrom(0, Number.MAX_SAFE_INTEGER));
export const int64 = fc.oneof(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.constant(0n));

const range: fc.Arbitrary<RangeRequest> = fc.record({
  key: bytes,
  rangeEnd: bytes,
  limit: natural,
  revision: natural,
  sortOrder: fc.constantFrom("none", "ascend", "descend"),
  sortTarget: fc.constantFrom("key", "version", "create", "mod", "value"),
  serializable: fc.boolean(),
  keysOnly: fc.boolean(),
  countOnly: fc.boolean(),
  minModRevision: natural,
  maxModRevision: natural,
  minCreateRevision: natural,
  maxCreateRevision: natural,
});
const put = fc.record({
  key: bytes,
  value: bytes,
  lease: int64,
  prevKv: fc.boolean(),
  ignoreValue: fc.boolean(),
  ignoreLease: fc.boolean(),
});
const deleteRange = fc.record({ key: bytes, rangeEnd: bytes, prevKv: fc.boolean() });
const compare: fc.Arbitrary<Compare> = fc
  .tuple(
    fc.record({
      key: bytes,
      rangeEnd: bytes,
      result: fc.constantFrom("equal" as const, "greater" as const, "less" as const, "notEqual" as const),
    }),
    fc.oneof(
      fc.record({ target: fc.constantFrom("version" as const, "create" as const, "mod" as const), value: natural }),
      fc.record({ target: fc.constant("value" as const), value: bytes }),
      fc.record({ target: fc.constant("lease" as const), value: int64 }),
    ),
  )
  .map(([base, rest]) => ({ ...base, ...rest }) as Compare);
const { op } = fc.letrec<{ op: RequestOp }>((tie) => ({
  op: fc.oneof(
    { maxDepth: 3 },
    fc.record({ op: fc.constant("range" as const), request: range }),
    fc.record({ op: fc.constant("put" as const), request: put }),
    fc.record({ op: fc.constant("deleteRange" as const), request: deleteRange }),
    fc.record({
      op: fc.constant("txn" as const),
      request: fc.record({
        compare: fc.array(compare, { maxLength: 3 }),
        success: fc.array(tie("op"), { maxLength: 3 }),
        failure: fc.array(tie("op"), { maxLength: 3 }),
      }),
    }),
  ),
}));
const operation: fc.Arbitrary<Operation> = fc.oneof(
  op.filter(({ op }) => op !== "range") as fc.Arbitrary<Operation>,
  fc.record({ op: fc.constant("compact" as const), request: fc.record({ revision: natural }) }),
  fc.record({ op: fc.constant("leaseGrant" as const), request: fc.record({ id: int64, ttl: fc.integer() }) }),
  fc.record({ op: fc.constant("leaseRevoke" as const), request: fc.record({ id: int64 }) }),
);
const session = fc.option(
  fc
    .tuple(fc.stringMatching(/^[!-~]{1,64}$/), fc.nat(), fc.integer({ min: 1, max: 2000 }))
    .map(([client, ack, more]) => ({ client, ack, seq: ack + more })),
);

export const ask: fc.Arbitrary<Ask> = fc.oneof(
  fc.record({
    ask: fc.constant("range" as const),
    request: range,
    read: fc.oneof(
      fc.constantFrom({ level: "linearizable" as const }, { level: "session" as const }, { level: "stale" as const }),
      fc.record({ level: fc.constant("bounded" as const), ms: fc.nat() }),
    ),
    after: natural,
  }),
  fc.record(
    { ask: fc.constant("write" as const), operation, session, demand: fc.constant("quorum" as const) },
    { requiredKeys: ["ask", "operation", "session"] },
  ),
  fc.record({ ask: fc.constant("leaseKeepAlive" as const), id: int64 }),
  fc.record({ ask: fc.constant("leaseTimeToLive" as const), id: int64, keys: fc.boolean() }),
  fc.constant({ ask: "leases" as const }),
  fc.constant({ ask: "status" as const }),
  fc.record({ ask: fc.constant("transfer" as const), to: natural }),
);

const header = fc.record({ revision: natural });
export const kv: fc.Arbitrary<KeyValue> = fc.record({
  ...{ key: bytes, value: bytes, createRevision: natural, modRevision: natural, version: natural, lease: int64 },
});
const rangeResponse = fc.record({ header, kvs: fc.array(kv, { maxLength: 4 }), more: fc.boolean(), count: natural });
const putResponse = fc.record({ header, prevKv: fc.option(kv) });
const deleteResponse = fc.record({ header, deleted: natural, prevKvs: fc.array(kv, { maxLength: 3 }) });
const grant = fc.record({ header, id: int64, ttl: fc.integer() });
const { response } = fc.letrec<{ response: ResponseOp }>((tie) => ({
  response: fc.oneof(
    { maxDepth: 3 },
    fc.record({ op: fc.constant("range" as const), response: rangeResponse }),
    fc.record({ op: fc.constant("put" as const), response: putResponse }),
    fc.record({ op: fc.constant("deleteRange" as const), response: deleteResponse }),
    fc.record({
      op: fc.constant("txn" as const),
      response: fc.record({ header, succeeded: fc.boolean(), responses: fc.array(tie("response"), { maxLength: 3 }) }),
    }),
  ),
}));
const conf = fc.constant({ voters: [1, 2, 3], learners: [4], votersOutgoing: [], learnersNext: [], autoLeave: false });
const told: fc.Arbitrary<Told> = fc.oneof(
  fc.record({ told: fc.constant("range" as const), response: rangeResponse }),
  fc.record({
    told: fc.constant("write" as const),
    result: fc.oneof(
      response.filter(({ op }) => op !== "range") as fc.Arbitrary<Extract<ResponseOp, { op: "put" }>>,
      fc.record({ op: fc.constantFrom("compact" as const, "leaseRevoke" as const), response: fc.record({ header }) }),
      fc.record({ op: fc.constant("leaseGrant" as const), response: grant }),
    ),
  }),
  fc.record({ told: fc.constant("leaseKeepAlive" as const), response: grant }),
  fc.record({
    told: fc.constant("leaseTimeToLive" as const),
    response: fc.record({ header, id: int64, ttl: fc.integer(), grantedTtl: fc.integer(), keys: fc.array(bytes, { maxLength: 3 }) }),
  }),
  fc.record({ told: fc.constant("leases" as const), response: fc.record({ header, ids: fc.array(int64, { maxLength: 4 }) }) }),
  fc.record({
    told: fc.constant("status" as const),
    response: fc.record({
      ...{ header, id: natural, leader: natural, role: fc.constantFrom("follower" as const, "leader" as const), term: natural },
      ...{ index: natural, applied: natural, committed: natural, bytes: natural, conf, incarnation: natural },
    }),
  }) as unknown as fc.Arbitrary<Told>,
  fc.constant({ told: "transfer" as const }),
);
export const answered: fc.Arbitrary<Answered> = fc.record({
  reply: fc.constant("ok" as const),
  value: told,
  ...{ term: natural, revision: natural, index: natural, placement: fc.constantFrom("measured" as const, "simulated" as const) },
  achieved: fc.constantFrom("single", "quorum", "linearizable", "bounded", "session", "stale"),
});

import { z } from "@hono/zod-openapi";

/** The messages of etcd's v3 API as OpenAPI shows them. The codec in core/consensus/etcd is what reads and prints them. */

const Bytes = z.string().openapi({ format: "byte", description: "Base64.", example: "Zm9v" });
/** Read as base64, or as an array of bytes. `null` is what is not given, of every field. */
const BytesIn = z
  .union([z.string(), z.array(z.number().int().min(0).max(255).nullable())])
  .nullish()
  .openapi({ description: "Base64.", example: "Zm9v" });
/** Read as a number or as text; printed as text. */
const Int64In = z.union([z.string(), z.number().int()]).nullish().openapi({ example: "0" });
const Flag = z.boolean().nullish();
/** By name, or by its number. */
const Choice = (...names: [string, ...string[]]) => z.union([z.enum(names), z.number().int()]).nullish();
const List = <T extends z.ZodType>(item: T) => z.array(item.nullable()).nullish();
const Int64 = z.string().openapi({ example: "1" });
const message = <T extends z.ZodRawShape>(shape: T) => z.looseObject(shape);

export const Header = message({
  cluster_id: Int64.optional(),
  member_id: Int64.optional(),
  revision: Int64.optional(),
  raft_term: Int64.optional(),
}).openapi("EtcdHeader");

const KeyValue = message({
  key: Bytes.optional(),
  create_revision: Int64.optional(),
  mod_revision: Int64.optional(),
  version: Int64.optional(),
  value: Bytes.optional(),
  lease: Int64.optional(),
}).openapi("EtcdKeyValue");

const span = {
  key: BytesIn,
  range_end: BytesIn.openapi({ description: "Exclusive; `AA==` (a zero byte): all keys from `key` on. Left out: the one key." }),
};

const Range = message({
  ...span,
  limit: Int64In,
  revision: Int64In.openapi({ description: "0: the present." }),
  sort_order: Choice("NONE", "ASCEND", "DESCEND"),
  sort_target: Choice("KEY", "VERSION", "CREATE", "MOD", "VALUE"),
  serializable: z
    .boolean()
    .nullish()
    .openapi({ description: "Any replica's word will do, as long as it has what `Skerry-Context` names." }),
  keys_only: Flag,
  count_only: Flag,
  min_mod_revision: Int64In,
  max_mod_revision: Int64In,
  min_create_revision: Int64In,
  max_create_revision: Int64In,
}).openapi("EtcdRange", { example: { key: "Zm9v" } });
const RangeAnswer = message({
  header: Header,
  kvs: z.array(KeyValue).optional(),
  more: z.boolean().optional(),
  count: Int64.optional(),
}).openapi("EtcdRangeAnswer");

const Put = message({
  key: BytesIn,
  value: BytesIn,
  lease: Int64In,
  prev_kv: Flag,
  ignore_value: Flag,
  ignore_lease: Flag,
}).openapi("EtcdPut", { example: { key: "Zm9v", value: "YmFy" } });
const PutAnswer = message({ header: Header, prev_kv: KeyValue.optional() }).openapi("EtcdPutAnswer");

const DeleteRange = message({ ...span, prev_kv: Flag }).openapi("EtcdDeleteRange", { example: { key: "Zm9v" } });
const DeleteRangeAnswer = message({
  header: Header,
  deleted: Int64.optional(),
  prev_kvs: z.array(KeyValue).optional(),
}).openapi("EtcdDeleteRangeAnswer");

const Compare = message({
  result: Choice("EQUAL", "GREATER", "LESS", "NOT_EQUAL"),
  target: Choice("VERSION", "CREATE", "MOD", "VALUE", "LEASE"),
  ...span,
  version: Int64In,
  create_revision: Int64In,
  mod_revision: Int64In,
  value: BytesIn,
  lease: Int64In,
}).openapi("EtcdCompare");
const Op = message({
  request_range: Range.nullish(),
  request_put: Put.nullish(),
  request_delete_range: DeleteRange.nullish(),
  request_txn: z.looseObject({}).nullish().openapi({ description: "A transaction within." }),
}).openapi("EtcdRequestOp", { description: "Exactly one of its members." });
const Txn = message({
  compare: List(Compare),
  success: List(Op).openapi({ description: "What is done where all comparisons hold." }),
  failure: List(Op),
}).openapi("EtcdTxn", {
  example: {
    compare: [{ key: "Zm9v", target: "CREATE", create_revision: "0" }],
    success: [{ request_put: { key: "Zm9v", value: "YmFy" } }],
    failure: [{ request_range: { key: "Zm9v" } }],
  },
});
const TxnAnswer = message({
  header: Header,
  succeeded: z.boolean().optional(),
  responses: z.array(z.looseObject({})).optional(),
}).openapi("EtcdTxnAnswer");

const HeaderAnswer = message({ header: Header }).openapi("EtcdAnswer");
const Nothing = z.looseObject({}).openapi("EtcdNothing", { example: {} });
const LeaseId = message({ ID: Int64In }).openapi("EtcdLeaseId", { example: { ID: "7" } });
const LeaseAnswer = message({ header: Header, ID: Int64.optional(), TTL: Int64.optional() }).openapi("EtcdLease");
const LeaderKey = message({
  name: BytesIn,
  key: BytesIn,
  rev: Int64In,
  lease: Int64In,
}).openapi("EtcdLeaderKey");
const LeaderAnswer = message({ header: Header, kv: KeyValue }).openapi("EtcdLeader");
const Named = message({ name: BytesIn }).openapi("EtcdName", { example: { name: "Zm9v" } });

export type Documented = { summary: string; request: z.ZodType; answer: z.ZodType; streams?: string };

const timeToLive: Documented = {
  summary: "How long a lease has to live, and its keys",
  request: message({ ID: Int64In, keys: Flag }).openapi("EtcdTimeToLive", { example: { ID: "7" } }),
  answer: message({
    header: Header,
    ID: Int64.optional(),
    TTL: Int64.optional(),
    grantedTTL: Int64.optional(),
    keys: z.array(Bytes).optional(),
  }).openapi("EtcdTimeToLiveAnswer"),
};
const revoke: Documented = { summary: "Revoke a lease, and with it the keys attached to it", request: LeaseId, answer: HeaderAnswer };
const leases: Documented = {
  summary: "All leases",
  request: Nothing,
  answer: message({ header: Header, leases: z.array(LeaseId).optional() }).openapi("EtcdLeases"),
};

/** Every route of the gateway, by its path below `/v3/`. */
export const DOCUMENTED: Record<string, Documented> = {
  "kv/range": { summary: "Read keys", request: Range, answer: RangeAnswer },
  "kv/put": { summary: "Write a key", request: Put, answer: PutAnswer },
  "kv/deleterange": { summary: "Delete keys", request: DeleteRange, answer: DeleteRangeAnswer },
  "kv/txn": { summary: "Compare, then do one thing or the other, all at once", request: Txn, answer: TxnAnswer },
  "kv/compaction": {
    summary: "Forget the history before a revision",
    request: message({ revision: Int64In, physical: Flag }).openapi("EtcdCompaction", {
      example: { revision: 1 },
    }),
    answer: HeaderAnswer,
  },
  "lease/grant": {
    summary: "Grant a lease",
    request: message({
      TTL: Int64In.openapi({ description: "Seconds; at least 2 are granted." }),
      ID: Int64In,
    }).openapi("EtcdLeaseGrant", { example: { TTL: 60 } }),
    answer: LeaseAnswer,
  },
  "lease/revoke": revoke,
  "kv/lease/revoke": revoke,
  "lease/timetolive": timeToLive,
  "kv/lease/timetolive": timeToLive,
  "lease/leases": leases,
  "kv/lease/leases": leases,
  "lease/keepalive": {
    summary: "Keep leases alive",
    request: LeaseId,
    answer: message({ result: LeaseAnswer }).openapi("EtcdKeepAlive"),
    streams: "Any number of requests in one body, one after another; a line for each.",
  },
  watch: {
    summary: "Watch keys",
    request: message({
      create_request: message({
        ...span,
        start_revision: Int64In,
        progress_notify: Flag,
        filters: List(z.union([z.enum(["NOPUT", "NODELETE"]), z.number().int()])),
        prev_kv: Flag,
        watch_id: Int64In,
        fragment: Flag,
      }).nullish(),
      cancel_request: message({ watch_id: Int64In }).nullish(),
      progress_request: z.looseObject({}).nullish(),
    }).openapi("EtcdWatch", { example: { create_request: { key: "Zm9v" } } }),
    answer: message({ result: z.looseObject({}) }).openapi("EtcdWatchAnswer"),
    streams: "Any number of requests in one body, one after another; then a line for every answer, until the client goes away.",
  },
  "lock/lock": {
    summary: "Take a lock, or wait for it",
    request: message({ name: BytesIn, lease: Int64In }).openapi("EtcdLock", { example: { name: "Zm9v" } }),
    answer: message({ header: Header, key: Bytes }).openapi("EtcdLocked"),
    streams: "Who waits gets white space until the lock is his. Who goes away waits no longer.",
  },
  "lock/unlock": {
    summary: "Give a lock up",
    request: message({ key: BytesIn }).openapi("EtcdUnlock", { example: { key: "Zm9v" } }),
    answer: HeaderAnswer,
  },
  "election/campaign": {
    summary: "Stand for election, and wait to be elected",
    request: message({ name: BytesIn, lease: Int64In, value: BytesIn }).openapi("EtcdCampaign", {
      example: { name: "Zm9v", value: "YmFy" },
    }),
    answer: message({ header: Header, leader: LeaderKey }).openapi("EtcdCampaigned"),
    streams: "Who waits gets white space until he is elected. Who goes away stands no longer.",
  },
  "election/proclaim": {
    summary: "Proclaim another value, as the leader",
    request: message({ leader: LeaderKey.nullish(), value: BytesIn }).openapi("EtcdProclaim"),
    answer: HeaderAnswer,
  },
  "election/leader": { summary: "Who leads", request: Named, answer: LeaderAnswer },
  "election/observe": {
    summary: "Follow an election",
    request: Named,
    answer: message({ result: LeaderAnswer }).openapi("EtcdObserved"),
    streams: "A line for every leader, and for every value that he proclaims, until the client goes away.",
  },
  "election/resign": {
    summary: "Give leadership up",
    request: message({ leader: LeaderKey.nullish() }).openapi("EtcdResign"),
    answer: HeaderAnswer,
  },
  "maintenance/status": {
    summary: "A replica's own word",
    request: Nothing,
    answer: message({ header: Header, version: z.string(), leader: Int64.optional(), raftTerm: Int64.optional() }).openapi("EtcdStatus"),
  },
  "cluster/member/list": {
    summary: "The replicas of the group",
    request: Nothing,
    answer: message({ header: Header, members: z.array(z.looseObject({})) }).openapi("EtcdMembers"),
  },
  "auth/authenticate": {
    summary: "Find out whether a token is good",
    request: message({ name: z.string().nullish(), password: z.string().nullish() }).openapi("EtcdAuthenticate", {
      description: "The password is a token of Skerry's, or the admin key; the name says nothing.",
      example: { name: "ada", password: "eyJ…" },
    }),
    answer: message({ header: Header, token: z.string() }).openapi("EtcdAuthenticated"),
  },
};

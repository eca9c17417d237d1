import { GRPC_CODES, KvError } from "./types.ts";

const { unknown, invalidArgument, notFound, resourceExhausted, failedPrecondition, outOfRange } = GRPC_CODES;

/** etcd's refusals: gRPC code and text (v3rpc's error table, release 3.4), which stock clients compare word for word. */
const REFUSALS = {
  emptyKey: [invalidArgument, "etcdserver: key is not provided"],
  keyNotFound: [invalidArgument, "etcdserver: key not found"],
  valueProvided: [invalidArgument, "etcdserver: value is provided"],
  leaseProvided: [invalidArgument, "etcdserver: lease is provided"],
  tooManyOps: [invalidArgument, "etcdserver: too many operations in txn request"],
  duplicateKey: [invalidArgument, "etcdserver: duplicate key given in txn request"],
  compacted: [outOfRange, "etcdserver: mvcc: required revision has been compacted"],
  futureRevision: [outOfRange, "etcdserver: mvcc: required revision is a future revision"],
  noSpace: [resourceExhausted, "etcdserver: mvcc: database space exceeded"],
  leaseNotFound: [notFound, "etcdserver: requested lease not found"],
  leaseExists: [failedPrecondition, "etcdserver: lease already exists"],
  leaseTtlTooLarge: [outOfRange, "etcdserver: too large lease TTL"],
  requestTooLarge: [invalidArgument, "etcdserver: request is too large"],
  // Of the lock and election services, which etcd answers as plain errors.
  sessionExpired: [unknown, "mutex: session is expired"],
  electionNotLeader: [unknown, "election: not leader"],
  electionNoLeader: [unknown, "election: no leader"],
  leaderMissing: [unknown, '"leader" field must be provided'],
} as const;

export type Refusal = keyof typeof REFUSALS;

/** The error to throw or to answer with. */
export function refusal(name: Refusal): KvError {
  const [grpc, message] = REFUSALS[name];
  return new KvError(grpc, message);
}

/** Whether this command happened is forgotten: it was acknowledged, or too many came after it. */
export function sequencePassed(seq: number, floor: number): KvError {
  return new KvError(failedPrecondition, `skerry: sequence ${seq} of this session has passed; it remembers what came after ${floor}`);
}

/** The session was evicted, and with it whether its commands happened. The client must begin a new one. */
export function sessionUnknown(): KvError {
  return new KvError(failedPrecondition, "skerry: this session is not known any more; begin a new one");
}

/** The command happened, but its answer was too large to remember. */
export function answerForgotten(revision: number): KvError {
  return new KvError(
    failedPrecondition,
    `skerry: this request took effect by revision ${revision}; its answer was too large to be kept for a retry`,
  );
}

/**
 * What is asked of the key-value state machine and what it answers: the messages of etcd's v3 API (rpc.proto), with
 * their defaults, in our notation. Keys and values are {@link ByteString}s; revisions, versions and TTLs are integers
 * below 2^53; lease ids are 64-bit, so bigint, 0n for none.
 */

/**
 * Bytes as a string, one character (U+0000 to U+00FF) a byte: compares in byte order, serves as a key of a Map, takes one
 * byte a character in memory, and is what `atob` gives and `btoa` takes.
 */
export type ByteString = string;

export type KeyValue = { key: ByteString; createRevision: number; modRevision: number; version: number; value: ByteString; lease: bigint };
/** The revision of the store when the answer was made. */
export type Header = { revision: number };

/** `rangeEnd`: "" is the one key, "\0" all keys from `key` on, otherwise exclusive. `limit` 0: none. `revision` 0: the present. */
export type RangeRequest = {
  key: ByteString;
  rangeEnd: ByteString;
  limit: number;
  revision: number;
  sortOrder: "none" | "ascend" | "descend";
  sortTarget: "key" | "version" | "create" | "mod" | "value";
  serializable: boolean;
  keysOnly: boolean;
  countOnly: boolean;
  minModRevision: number;
  maxModRevision: number;
  minCreateRevision: number;
  maxCreateRevision: number;
};
/** `count` is of the whole range, whatever `limit` is. */
export type RangeResponse = { header: Header; kvs: KeyValue[]; more: boolean; count: number };

export type PutRequest = { key: ByteString; value: ByteString; lease: bigint; prevKv: boolean; ignoreValue: boolean; ignoreLease: boolean };
export type PutResponse = { header: Header; prevKv: KeyValue | null };
export type DeleteRangeRequest = { key: ByteString; rangeEnd: ByteString; prevKv: boolean };
export type DeleteRangeResponse = { header: Header; deleted: number; prevKvs: KeyValue[] };

export type CompareResult = "equal" | "greater" | "less" | "notEqual";
export type Compare = { result: CompareResult; key: ByteString; rangeEnd: ByteString } & (
  | { target: "version" | "create" | "mod"; value: number }
  | { target: "value"; value: ByteString }
  | { target: "lease"; value: bigint }
);
export type RequestOp =
  | { op: "range"; request: RangeRequest }
  | { op: "put"; request: PutRequest }
  | { op: "deleteRange"; request: DeleteRangeRequest }
  | { op: "txn"; request: TxnRequest };
export type ResponseOp =
  | { op: "range"; response: RangeResponse }
  | { op: "put"; response: PutResponse }
  | { op: "deleteRange"; response: DeleteRangeResponse }
  | { op: "txn"; response: TxnResponse };
export type TxnRequest = { compare: Compare[]; success: RequestOp[]; failure: RequestOp[] };
export type TxnResponse = { header: Header; succeeded: boolean; responses: ResponseOp[] };

export type CompactRequest = { revision: number };
/** `id` 0n: the proposer must have chosen one before the command is made (the state machine has no randomness). `ttl` in seconds. */
export type LeaseGrantRequest = { id: bigint; ttl: number };
export type LeaseGrantResponse = { header: Header; id: bigint; ttl: number };
export type LeaseRevokeRequest = { id: bigint };

/** Everything that changes the state goes through the log as one of these. */
export type Operation =
  | { op: "put"; request: PutRequest }
  | { op: "deleteRange"; request: DeleteRangeRequest }
  | { op: "txn"; request: TxnRequest }
  | { op: "compact"; request: CompactRequest }
  | { op: "leaseGrant"; request: LeaseGrantRequest }
  | { op: "leaseRevoke"; request: LeaseRevokeRequest }
  /** The leases' holders were heard at `Command.at`: how renewals survive the leader's memory. Answers nothing. */
  | { op: "leaseRenew"; request: { ids: bigint[] } };

/**
 * What makes a retry of the same `(client, seq)` answer what the first attempt answered, without happening twice. A client numbers
 * its commands 1, 2, 3… and may have up to {@link MAX_PIPELINE} of them under way, in any order; `ack` says that it has the
 * answers of all up to there, so that they are forgotten. Refused, and never applied again: a `seq` at or below the client's
 * `ack`, one whose answer was pushed out by {@link MAX_PIPELINE} later ones, and one with an `ack` over 0 of a client that is not
 * known (any more).
 */
export type Session = { client: string; seq: number; ack: number };
/** Answers that are remembered for one client. */
export const MAX_PIPELINE = 1024;

/** One entry of the log. `at`: the proposer's clock, Unix milliseconds, for leases alone. */
export type Command = { operation: Operation; at: number; session: Session | null };

export type OperationResult =
  | { op: "put"; response: PutResponse }
  | { op: "deleteRange"; response: DeleteRangeResponse }
  | { op: "txn"; response: TxnResponse }
  | { op: "compact"; response: { header: Header } }
  | { op: "leaseGrant"; response: LeaseGrantResponse }
  | { op: "leaseRevoke"; response: { header: Header } }
  | { op: "leaseRenew"; response: { header: Header } };

export type WatchEvent = { type: "put" | "delete"; kv: KeyValue; prevKv: KeyValue | null };
/** `startRevision` 0: from now on. `filters`: kinds of events to leave out. */
export type WatchCreate = {
  key: ByteString;
  rangeEnd: ByteString;
  startRevision: number;
  progressNotify: boolean;
  filters: ("noPut" | "noDelete")[];
  prevKv: boolean;
  fragment: boolean;
};

/** gRPC's status codes, as the JSON gateway shows them. */
export const GRPC_CODES = {
  unknown: 2,
  invalidArgument: 3,
  notFound: 5,
  alreadyExists: 6,
  resourceExhausted: 8,
  failedPrecondition: 9,
  outOfRange: 11,
  unavailable: 14,
} as const;

/** An error of etcd's, with its code and its exact message: what a stock client switches on. */
export class KvError extends Error {
  readonly grpc: number;
  constructor(grpc: number, message: string) {
    super(message);
    this.name = "KvError";
    this.grpc = grpc;
  }
}

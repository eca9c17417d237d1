import {
  type CompactRequest,
  type Compare,
  type CompareResult,
  type DeleteRangeRequest,
  GRPC_CODES,
  KvError,
  type PutRequest,
  type RangeRequest,
  type RequestOp,
  type TxnRequest,
} from "../kv/types.ts";
import { bigint64, bool, bytes, enumOf, field, int64, list, type Message, message, nested } from "./fields.ts";
import type { Json } from "./json.ts";

/**
 * The requests of etcd's service KV, read from JSON. Fields are read in the order of the .proto, so that of several wrong ones
 * the same is named. All throw what `isUnreadable` knows, or a `KvError`.
 */

const ORDERS = ["none", "ascend", "descend"] as const;
const TARGETS = ["key", "version", "create", "mod", "value"] as const;
const RESULTS: readonly CompareResult[] = ["equal", "greater", "less", "notEqual"];
const COMPARED = ["version", "create", "mod", "value", "lease"] as const;

/** Deeper than any transaction that makes sense; etcd has no bound of its own but its stack. */
export const MAX_TXN_DEPTH = 32;

export function readRange(of: Message): RangeRequest {
  return {
    key: bytes(of, "key"),
    rangeEnd: bytes(of, "range_end", "rangeEnd"),
    limit: int64(of, "limit"),
    revision: int64(of, "revision"),
    sortOrder: sortOption(of, "sort_order", "sortOrder", "etcdserverpb.RangeRequest_SortOrder", ["NONE", "ASCEND", "DESCEND"], ORDERS),
    sortTarget: sortOption(
      of,
      "sort_target",
      "sortTarget",
      "etcdserverpb.RangeRequest_SortTarget",
      ["KEY", "VERSION", "CREATE", "MOD", "VALUE"],
      TARGETS,
    ),
    serializable: bool(of, "serializable"),
    keysOnly: bool(of, "keys_only", "keysOnly"),
    countOnly: bool(of, "count_only", "countOnly"),
    minModRevision: int64(of, "min_mod_revision", "minModRevision"),
    maxModRevision: int64(of, "max_mod_revision", "maxModRevision"),
    minCreateRevision: int64(of, "min_create_revision", "minCreateRevision"),
    maxCreateRevision: int64(of, "max_create_revision", "maxCreateRevision"),
  };
}

/** A number that no sort has: etcd 3.5 refuses it so; 3.4 takes the order for none, and dies of the target. */
function sortOption<T>(of: Message, name: string, camel: string, type: string, names: readonly string[], options: readonly T[]): T {
  const option = options[enumOf(field(of, name, camel), type, names)];
  if (option === undefined) throw new KvError(GRPC_CODES.invalidArgument, "etcdserver: invalid sort option");
  return option;
}

export function readPut(of: Message): PutRequest {
  return {
    key: bytes(of, "key"),
    value: bytes(of, "value"),
    lease: bigint64(of, "lease"),
    prevKv: bool(of, "prev_kv", "prevKv"),
    ignoreValue: bool(of, "ignore_value", "ignoreValue"),
    ignoreLease: bool(of, "ignore_lease", "ignoreLease"),
  };
}

export function readDeleteRange(of: Message): DeleteRangeRequest {
  return { key: bytes(of, "key"), rangeEnd: bytes(of, "range_end", "rangeEnd"), prevKv: bool(of, "prev_kv", "prevKv") };
}

export function readCompact(of: Message): CompactRequest {
  const request = { revision: int64(of, "revision") };
  // `physical`: whether to wait until the space is free. Here a compaction is done when it is answered.
  bool(of, "physical");
  return request;
}

export function readTxn(of: Message, depth = 0): TxnRequest {
  if (depth > MAX_TXN_DEPTH) throw new KvError(GRPC_CODES.invalidArgument, "etcdserver: too many operations in txn request");
  return {
    compare: list(of, "compare", readCompare),
    success: list(of, "success", (item) => readOp(item, depth)),
    failure: list(of, "failure", (item) => readOp(item, depth)),
  };
}

function readCompare(item: Json): Compare {
  const of = message(item);
  const result = RESULTS[enumOf(field(of, "result"), "etcdserverpb.Compare_CompareResult", ["EQUAL", "GREATER", "LESS", "NOT_EQUAL"])];
  const target =
    COMPARED[enumOf(field(of, "target"), "etcdserverpb.Compare_CompareTarget", ["VERSION", "CREATE", "MOD", "VALUE", "LEASE"])];
  const key = bytes(of, "key");
  const rangeEnd = bytes(of, "range_end", "rangeEnd");
  // Of a union only one member counts; one that the target does not mean is read (it may be wrong), and is as if it were not there.
  const version = int64(of, "version");
  const created = int64(of, "create_revision", "createRevision");
  const modified = int64(of, "mod_revision", "modRevision");
  const value = bytes(of, "value");
  const lease = bigint64(of, "lease");
  // 3.4 takes any number for "true".
  if (result === undefined || target === undefined) throw new KvError(GRPC_CODES.invalidArgument, "etcdserver: invalid comparison");
  switch (target) {
    case "version":
      return { result, target, key, rangeEnd, value: version };
    case "create":
      return { result, target, key, rangeEnd, value: created };
    case "mod":
      return { result, target, key, rangeEnd, value: modified };
    case "value":
      return { result, target, key, rangeEnd, value };
    case "lease":
      return { result, target, key, rangeEnd, value: lease };
  }
}

function readOp(item: Json, depth: number): RequestOp {
  const of = message(item);
  const range = nested(of, "request_range", "requestRange");
  if (range !== undefined) return { op: "range", request: readRange(range) };
  const put = nested(of, "request_put", "requestPut");
  if (put !== undefined) return { op: "put", request: readPut(put) };
  const deleteRange = nested(of, "request_delete_range", "requestDeleteRange");
  if (deleteRange !== undefined) return { op: "deleteRange", request: readDeleteRange(deleteRange) };
  const txn = nested(of, "request_txn", "requestTxn");
  if (txn !== undefined) return { op: "txn", request: readTxn(txn, depth + 1) };
  // An operation that is none: so etcd says it.
  throw new KvError(GRPC_CODES.invalidArgument, "etcdserver: key not found");
}

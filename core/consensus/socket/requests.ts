import { SkerryError } from "../../wire/errors.ts";
import type { Right } from "../../wire/grant.ts";
import type { Compare, CompareResult, Operation, PutRequest, RangeRequest, RequestOp, Session, TxnRequest } from "../kv/types.ts";
import { type Ask, type Hint, NO_HINT, type ReadLevel } from "../replica/types.ts";
import { readBytes, writeBytes } from "./bytes.ts";
import { MAX_HOLD_SECONDS } from "./holds.ts";
import { choice, flag, int64, list, type Members, members, natural, only, wrong } from "./reading.ts";

/** A transaction within a transaction within…: what the stack must bear. */
const MAX_NESTING = 16;
const MAX_CLIENT = 64;

const ORDERS = ["none", "ascend", "descend"] as const;
const TARGETS = ["key", "version", "create", "mod", "value"] as const;
const RESULTS: readonly CompareResult[] = ["equal", "greater", "less", "notEqual"];
const READS = ["range", "leaseTimeToLive", "leases", "status"] as const;
const WRITES = ["put", "deleteRange", "txn", "compact", "leaseGrant", "leaseRevoke"] as const;
const KINDS = [...READS, ...WRITES, "leaseKeepAlive", "transfer"] as const;

/** What a caller needs on the group for a request. */
export function rightFor(ask: Ask): Right {
  if (ask.ask === "transfer" || ask.ask === "reconfigure") return "admin";
  if (ask.ask === "write" || ask.ask === "leaseKeepAlive") return "write";
  return "read";
}

/** A request as the payload of a call: JSON, without what has its default. See SPEC.md, rules GC. */
export function writeAsk(ask: Ask): Members {
  switch (ask.ask) {
    case "range": {
      const { read, after } = ask;
      const level = read.level === "bounded" ? { bounded: read.ms } : read.level;
      return { range: writeRange(ask.request), ...(level !== "linearizable" && { level }), ...(after > 0 && { after }) };
    }
    case "write": {
      const { session, demand } = ask;
      const once = session === null ? {} : { session: [session.client, session.seq, session.ack] };
      return { ...writeOperation(ask.operation), ...once, ...(demand !== undefined && { demand }) };
    }
    case "leaseKeepAlive":
      return { leaseKeepAlive: { id: String(ask.id) } };
    case "leaseTimeToLive":
      return { leaseTimeToLive: { id: String(ask.id), ...(ask.keys && { keys: true }) } };
    case "leases":
      return { leases: {} };
    case "status":
      return { status: {} };
    case "transfer":
      return { transfer: { to: ask.to } };
    case "reconfigure":
      throw new SkerryError("internal", "Members change through the route that keeps the directory in step.");
    default:
      return ask satisfies never;
  }
}

/** What the caller knows of the leader: a call's member `silent` names the one that did not answer it. Throws `bad_request`. */
export function readHint(payload: unknown): Hint {
  const { silent } = members(payload, "call");
  return silent === undefined ? NO_HINT : { silent: natural(silent, "silent") };
}

/** Seconds after the end of this socket that a lease which is kept alive on it may live, from a call's member `hold`; null: nothing is held. Throws `bad_request`. */
export function readHold(payload: unknown): number | null {
  const { hold, leaseKeepAlive } = members(payload, "call");
  if (hold === undefined) return null;
  if (typeof hold !== "number" || !(hold >= 0 && hold <= MAX_HOLD_SECONDS) || leaseKeepAlive === undefined)
    throw wrong("hold", `a number of seconds from 0 to ${MAX_HOLD_SECONDS}, beside leaseKeepAlive`, hold);
  return hold;
}

/** The caller's `Skerry-Context` beside a read at the level `session`; null: none. Throws `bad_request`. */
export function readContext(payload: unknown): string | null {
  const { context, range, level } = members(payload, "call");
  if (context === undefined) return null;
  if (typeof context !== "string" || range === undefined || level !== "session")
    throw wrong("context", 'a Skerry-Context token, beside a range at the level "session"', context);
  return context;
}

/** The inverse of {@link writeAsk}; throws `bad_request` with a sentence that names the member. */
export function readAsk(payload: unknown): Ask {
  const call = members(payload, "call");
  const [kind, request] = only(call, "call", KINDS);
  switch (kind) {
    case "range":
      return { ask: "range", request: readRange(request), read: readLevel(call.level), after: natural(call.after, "after") };
    case "leaseKeepAlive":
      return { ask: "leaseKeepAlive", id: int64(request.id, "id") };
    case "leaseTimeToLive":
      return { ask: "leaseTimeToLive", id: int64(request.id, "id"), keys: flag(request.keys, "keys") };
    case "leases":
      return { ask: "leases" };
    case "status":
      return { ask: "status" };
    case "transfer":
      return { ask: "transfer", to: natural(request.to, "to") };
    default: {
      const demand = call.demand === undefined ? {} : { demand: choice(call.demand, "demand", ["quorum"], "quorum") };
      return {
        ask: "write",
        operation: readOperation(kind as (typeof WRITES)[number], request),
        session: readSession(call.session),
        ...demand,
      };
    }
  }
}

function writeOperation(operation: Operation): Members {
  switch (operation.op) {
    case "put":
    case "deleteRange":
    case "txn":
      return writeOp(operation);
    case "compact":
      return { compact: { revision: operation.request.revision } };
    case "leaseGrant":
      return { leaseGrant: { ttl: operation.request.ttl, ...(operation.request.id !== 0n && { id: String(operation.request.id) }) } };
    case "leaseRevoke":
      return { leaseRevoke: { id: String(operation.request.id) } };
    case "leaseRenew":
      throw new SkerryError("internal", "Renewals are the leader's own to log.");
    default:
      return operation satisfies never;
  }
}

function readOperation(kind: (typeof WRITES)[number], request: Members): Operation {
  switch (kind) {
    case "compact":
      return { op: "compact", request: { revision: natural(request.revision, "revision") } };
    case "leaseGrant": {
      if (!Number.isSafeInteger(request.ttl)) throw wrong("ttl", "a whole number of seconds", request.ttl);
      return { op: "leaseGrant", request: { id: int64(request.id, "id"), ttl: request.ttl as number } };
    }
    case "leaseRevoke":
      return { op: "leaseRevoke", request: { id: int64(request.id, "id") } };
    default:
      return readOp(kind, request, 0) as Operation;
  }
}

function readSession(value: unknown): Session | null {
  if (value === undefined || value === null) return null;
  const [client, seq, ack, more] = Array.isArray(value) ? value : [];
  const named = typeof client === "string" && client.length > 0 && client.length <= MAX_CLIENT && /^[\x21-\x7e]+$/.test(client);
  if (!named || !Number.isSafeInteger(seq) || seq < 1 || !Number.isSafeInteger(ack) || ack < 0 || ack >= seq || more !== undefined)
    throw wrong(
      "session",
      `[client, seq, ack]: 1 to ${MAX_CLIENT} visible ASCII characters, a number from 1 and a lower one from 0`,
      value,
    );
  return { client, seq, ack };
}

function readLevel(value: unknown): ReadLevel {
  if (typeof value === "object" && value !== null)
    return { level: "bounded", ms: natural((value as Members).bounded, "bounded", Number.NaN) };
  return { level: choice(value, "level", ["linearizable", "session", "stale"], "linearizable") };
}

function writeOp(op: RequestOp): Members {
  switch (op.op) {
    case "range":
      return { range: writeRange(op.request) };
    case "put": {
      const { key, value, lease, prevKv, ignoreValue, ignoreLease } = op.request;
      const attached = lease === 0n ? {} : { lease: String(lease) };
      const given = ignoreValue ? { ignoreValue, ...(value !== "" && { value: writeBytes(value) }) } : { value: writeBytes(value) };
      return { put: { key: writeBytes(key), ...given, ...attached, ...(prevKv && { prevKv }), ...(ignoreLease && { ignoreLease }) } };
    }
    case "deleteRange": {
      const { key, rangeEnd, prevKv } = op.request;
      return { deleteRange: { ...writeSpan(key, rangeEnd), ...(prevKv && { prevKv }) } };
    }
    case "txn": {
      const { compare, success, failure } = op.request;
      return {
        txn: {
          compare: compare.map(writeCompare),
          success: success.map(writeOp),
          ...(failure.length > 0 && { failure: failure.map(writeOp) }),
        },
      };
    }
    default:
      return op satisfies never;
  }
}

function readOp(kind: string, request: Members, depth: number): RequestOp {
  switch (kind) {
    case "put":
      return { op: "put", request: readPut(request) };
    case "deleteRange":
      return { op: "deleteRange", request: { ...readSpan(request), prevKv: flag(request.prevKv, "prevKv") } };
    case "txn":
      return { op: "txn", request: readTxn(request, depth + 1) };
    default:
      return { op: "range", request: readRange(request) };
  }
}

function readPut(request: Members): PutRequest {
  const [ignoreValue, ignoreLease] = [flag(request.ignoreValue, "ignoreValue"), flag(request.ignoreLease, "ignoreLease")];
  const value = request.value === undefined && ignoreValue ? "" : readBytes(request.value, "value");
  return {
    ...{ key: readBytes(request.key, "key"), value, lease: int64(request.lease, "lease") },
    ...{ prevKv: flag(request.prevKv, "prevKv"), ignoreValue, ignoreLease },
  };
}

function readTxn(request: Members, depth: number): TxnRequest {
  if (depth > MAX_NESTING) throw new SkerryError("bad_request", `A transaction is nested at most ${MAX_NESTING} deep.`);
  const ops = (value: unknown, name: string) =>
    list(value, name).map((each) => readOp(...only(each, name, ["range", "put", "deleteRange", "txn"]), depth));
  return {
    compare: list(request.compare, "compare").map(readCompare),
    success: ops(request.success, "success"),
    failure: ops(request.failure, "failure"),
  };
}

function writeCompare(compare: Compare): Members {
  const { target, result, key, rangeEnd, value } = compare;
  const held = target === "value" ? writeBytes(compare.value) : target === "lease" ? String(value) : value;
  return { ...writeSpan(key, rangeEnd), [target]: held, ...(result !== "equal" && { is: result }) };
}

function readCompare(given: unknown): Compare {
  const compare = members(given, "compare");
  const base = { result: choice(compare.is, "is", RESULTS, "equal"), ...readSpan(compare) };
  const targets = (["version", "create", "mod", "value", "lease"] as const).filter((each) => compare[each] !== undefined);
  const [target] = targets;
  if (target === undefined || targets.length > 1) throw wrong("compare", "an object with one of version, create, mod, value, lease", given);
  if (target === "value") return { ...base, target, value: readBytes(compare.value, "value") };
  if (target === "lease") return { ...base, target, value: int64(compare.lease, "lease") };
  return { ...base, target, value: natural(compare[target], target) };
}

function writeSpan(key: string, rangeEnd: string): Members {
  return { key: writeBytes(key), ...(rangeEnd !== "" && { rangeEnd: writeBytes(rangeEnd) }) };
}

function readSpan({ key, rangeEnd }: Members): { key: string; rangeEnd: string } {
  return { key: readBytes(key, "key"), rangeEnd: rangeEnd === undefined ? "" : readBytes(rangeEnd, "rangeEnd") };
}

const BOUNDS = ["limit", "revision", "minModRevision", "maxModRevision", "minCreateRevision", "maxCreateRevision"] as const;
const FLAGS = ["serializable", "keysOnly", "countOnly"] as const;

function writeRange(request: RangeRequest): Members {
  const range = writeSpan(request.key, request.rangeEnd);
  for (const name of BOUNDS) if (request[name] !== 0) range[name] = request[name];
  for (const name of FLAGS) if (request[name]) range[name] = true;
  if (request.sortOrder !== "none") range.sortOrder = request.sortOrder;
  if (request.sortTarget !== "key") range.sortTarget = request.sortTarget;
  return range;
}

function readRange(request: Members): RangeRequest {
  const { key, rangeEnd } = readSpan(request);
  return {
    ...{ key, rangeEnd, limit: natural(request.limit, "limit"), revision: natural(request.revision, "revision") },
    sortOrder: choice(request.sortOrder, "sortOrder", ORDERS, "none"),
    sortTarget: choice(request.sortTarget, "sortTarget", TARGETS, "key"),
    serializable: flag(request.serializable, "serializable"),
    keysOnly: flag(request.keysOnly, "keysOnly"),
    countOnly: flag(request.countOnly, "countOnly"),
    minModRevision: natural(request.minModRevision, "minModRevision"),
    maxModRevision: natural(request.maxModRevision, "maxModRevision"),
    minCreateRevision: natural(request.minCreateRevision, "minCreateRevision"),
    maxCreateRevision: natural(request.maxCreateRevision, "maxCreateRevision"),
  };
}

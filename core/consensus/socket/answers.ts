import { SkerryError } from "../../wire/errors.ts";
import type {
  DeleteRangeResponse,
  KeyValue,
  OperationResult,
  PutResponse,
  RangeResponse,
  ResponseOp,
  TxnResponse,
  WatchEvent,
} from "../kv/types.ts";
import type { LeaseTimeToLive, Reply, Status, Told } from "../replica/types.ts";
import { type JsonBytes, readBytes, writeBytes } from "./bytes.ts";
import { choice, int64, list, type Members, members, natural, only, wrong } from "./reading.ts";

/** A successful reply. */
export type Answered = Extract<Reply, { reply: "ok" }>;

const LEVELS: readonly Answered["achieved"][] = ["single", "quorum", "linearizable", "bounded", "session", "stale"];
const RESULTS = ["put", "deleteRange", "txn", "compact", "leaseGrant", "leaseRevoke", "leaseRenew"] as const;
const KINDS = ["range", "leaseKeepAlive", "leaseTimeToLive", "leases", "status", "transfer", ...RESULTS] as const;

/**
 * A reply as the value of a call's result: the answer by its kind, `by: [term, revision, index]`, the level achieved, and
 * `placement` where it is not measured.
 */
export function writeAnswer(reply: Answered): Members {
  const { term, revision, index, achieved: level, placement } = reply;
  return { ...writeTold(reply.value), by: [term, revision, index], level, ...(placement !== "measured" && { placement }) };
}

/** The inverse of {@link writeAnswer}. Throws `bad_request`: the server is not what this client knows. */
export function readAnswer(value: unknown): Answered {
  const answer = members(value, "value");
  const [kind, response] = only(answer, "value", KINDS);
  const [term, revision, index] = list(answer.by, "by");
  const achieved = answer.level as Answered["achieved"];
  if (!LEVELS.includes(achieved)) throw wrong("level", `one of ${LEVELS.join(", ")}`, answer.level);
  const placement = choice(answer.placement, "placement", ["measured", "simulated"], "measured");
  return {
    reply: "ok",
    value: readTold(kind, response),
    placement,
    ...{ term: natural(term, "term"), revision: natural(revision, "revision"), index: natural(index, "index"), achieved },
  };
}

function writeTold(told: Told): Members {
  switch (told.told) {
    case "range":
      return { range: writeRange(told.response) };
    case "write":
      return { [told.result.op]: writeResult(told.result) };
    case "leaseKeepAlive":
      return { leaseKeepAlive: writeGrant(told.response) };
    case "leaseTimeToLive": {
      const { header, id, ttl, grantedTtl, keys } = told.response;
      return { leaseTimeToLive: { ...header, id: String(id), ttl, grantedTtl, keys: keys.map(writeBytes) } };
    }
    case "leases":
      return { leases: { ...told.response.header, ids: told.response.ids.map(String) } };
    case "status": {
      const { header, ...status } = told.response;
      return { status: { ...header, ...status } };
    }
    case "transfer":
      return { transfer: {} };
    case "reconfigure":
      throw new SkerryError("internal", "Members change through the route that keeps the directory in step.");
    default:
      return told satisfies never;
  }
}

function readTold(kind: string, response: Members): Told {
  const header = () => ({ revision: natural(response.revision, "revision") });
  switch (kind) {
    case "range":
      return { told: "range", response: readRange(response) };
    case "leaseKeepAlive":
      return { told: "leaseKeepAlive", response: readGrant(response) };
    case "leaseTimeToLive": {
      const keys = list(response.keys, "keys").map((key) => readBytes(key, "key"));
      const times = { ttl: integer(response.ttl, "ttl"), grantedTtl: integer(response.grantedTtl, "grantedTtl") };
      return {
        told: "leaseTimeToLive",
        response: { header: header(), id: int64(response.id, "id"), ...times, keys } satisfies LeaseTimeToLive,
      };
    }
    case "leases":
      return { told: "leases", response: { header: header(), ids: list(response.ids, "ids").map((id) => int64(id, "id")) } };
    case "status": {
      const { revision: _, ...status } = response;
      return { told: "status", response: { header: header(), ...status } as Status };
    }
    case "transfer":
      return { told: "transfer" };
    default:
      return { told: "write", result: readResult(kind as OperationResult["op"], response) };
  }
}

function writeResult(result: OperationResult): Members {
  switch (result.op) {
    case "put":
      return writePut(result.response);
    case "deleteRange":
      return writeDelete(result.response);
    case "txn":
      return writeTxn(result.response);
    case "leaseGrant":
      return writeGrant(result.response);
    default:
      return { ...result.response.header };
  }
}

function readResult(op: OperationResult["op"], response: Members): OperationResult {
  switch (op) {
    case "put":
      return { op, response: readPut(response) };
    case "deleteRange":
      return { op, response: readDelete(response) };
    case "txn":
      return { op, response: readTxn(response) };
    case "leaseGrant":
      return { op, response: readGrant(response) };
    default:
      return { op, response: { header: { revision: natural(response.revision, "revision") } } };
  }
}

function writeGrant({ header, id, ttl }: { header: { revision: number }; id: bigint; ttl: number }): Members {
  return { ...header, id: String(id), ttl };
}

function readGrant(response: Members): { header: { revision: number }; id: bigint; ttl: number } {
  return { header: { revision: natural(response.revision, "revision") }, id: int64(response.id, "id"), ttl: integer(response.ttl, "ttl") };
}

function writePut({ header, prevKv }: PutResponse): Members {
  return { ...header, ...(prevKv !== null && { prevKv: writeKv(prevKv) }) };
}

function readPut({ revision, prevKv }: Members): PutResponse {
  return { header: { revision: natural(revision, "revision") }, prevKv: prevKv === undefined ? null : readKv(prevKv) };
}

function writeDelete({ header, deleted, prevKvs }: DeleteRangeResponse): Members {
  return { ...header, deleted, ...(prevKvs.length > 0 && { prevKvs: prevKvs.map(writeKv) }) };
}

function readDelete({ revision, deleted, prevKvs }: Members): DeleteRangeResponse {
  const header = { revision: natural(revision, "revision") };
  return { header, deleted: natural(deleted, "deleted"), prevKvs: list(prevKvs, "prevKvs").map(readKv) };
}

function writeRange({ header, kvs, more, count }: RangeResponse): Members {
  return { ...header, kvs: kvs.map(writeKv), ...(more && { more }), count };
}

function readRange({ revision, kvs, more, count }: Members): RangeResponse {
  const header = { revision: natural(revision, "revision") };
  return { header, kvs: list(kvs, "kvs").map(readKv), more: more === true, count: natural(count, "count") };
}

function writeTxn({ header, succeeded, responses }: TxnResponse): Members {
  return { ...header, succeeded, responses: responses.map(writeOp) };
}

function readTxn({ revision, succeeded, responses }: Members): TxnResponse {
  const header = { revision: natural(revision, "revision") };
  return { header, succeeded: succeeded === true, responses: list(responses, "responses").map(readOp) };
}

function writeOp(response: ResponseOp): Members {
  return response.op === "range" ? { range: writeRange(response.response) } : { [response.op]: writeResult(response) };
}

function readOp(value: unknown): ResponseOp {
  const [op, response] = only(value, "responses", ["range", "put", "deleteRange", "txn"]);
  return op === "range" ? { op, response: readRange(response) } : (readResult(op as "put", response) as ResponseOp);
}

/** `[key, value, createRevision, modRevision, version, lease]`, the lease only where there is one. */
export type JsonKv = [JsonBytes, JsonBytes, number, number, number, string?];

function writeKv({ key, value, createRevision, modRevision, version, lease }: KeyValue): JsonKv {
  const kv: JsonKv = [writeBytes(key), writeBytes(value), createRevision, modRevision, version];
  if (lease !== 0n) kv.push(String(lease));
  return kv;
}

function readKv(given: unknown): KeyValue {
  const [key, value, create, mod, version, lease] = list(given, "kv");
  return {
    ...{ key: readBytes(key, "key"), value: readBytes(value, "value"), createRevision: natural(create, "createRevision") },
    ...{ modRevision: natural(mod, "modRevision"), version: natural(version, "version"), lease: int64(lease, "lease") },
  };
}

/** A put as its key and value, or these two and what was there before; a deletion as its key and revision, or these and what was there. */
export function writeEvent({ type, kv, prevKv }: WatchEvent): Members {
  const before = prevKv === null ? {} : { prev: writeKv(prevKv) };
  return type === "put" ? { put: writeKv(kv), ...before } : { delete: [writeBytes(kv.key), kv.modRevision], ...before };
}

export function readEvent(given: unknown): WatchEvent {
  const event = members(given, "event");
  const prevKv = event.prev === undefined ? null : readKv(event.prev);
  if (event.put !== undefined) return { type: "put", kv: readKv(event.put), prevKv };
  const [key, revision] = list(event.delete, "delete");
  const modRevision = natural(revision, "modRevision");
  return { type: "delete", kv: { key: readBytes(key, "key"), value: "", createRevision: 0, modRevision, version: 0, lease: 0n }, prevKv };
}

function integer(value: unknown, name: string): number {
  if (!Number.isSafeInteger(value)) throw new SkerryError("bad_request", `"${name}" must be a whole number.`);
  return value as number;
}

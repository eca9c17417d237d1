import type { OperationResult, RequestOp } from "../kv/types.ts";
import type { Ask, Told } from "../replica/types.ts";
import { type Message, message } from "./fields.ts";
import { parseFirst } from "./json.ts";
import { readCompact, readDeleteRange, readPut, readRange, readTxn } from "./kv-requests.ts";
import { type Facts, writeDeleteRange, writeHeaderOnly, writePut, writeRange, writeTxn } from "./kv-responses.ts";
import { readLeaseGrant, readLeaseRevoke, readLeaseTimeToLive, writeLeaseGrant, writeLeases, writeLeaseTimeToLive } from "./lease.ts";

/**
 * The calls of the gateway that are one request and one answer: what each asks of a group, and how the answer is printed.
 * The paths are those below `/v3/`.
 */
export type Unary = {
  summary: string;
  /** Throws what `isUnreadable` knows, or a `KvError`. */
  ask(of: Message): Ask;
};

const write = (operation: Extract<Ask, { ask: "write" }>["operation"]): Ask => ({ ask: "write", operation, session: null });

const leaseRevoke: Unary = {
  summary: "Revoke a lease, and with it the keys attached to it",
  ask: (of) => write({ op: "leaseRevoke", request: readLeaseRevoke(of) }),
};
const leaseTimeToLive: Unary = {
  summary: "How long a lease has to live, and its keys",
  ask: (of) => ({ ask: "leaseTimeToLive", ...readLeaseTimeToLive(of) }),
};
const leases: Unary = { summary: "All leases", ask: () => ({ ask: "leases" }) };

export const UNARY = {
  "kv/range": {
    summary: "Read keys",
    ask: (of) => {
      const request = readRange(of);
      return { ask: "range", request, read: { level: request.serializable ? "stale" : "linearizable" }, after: 0 };
    },
  },
  "kv/put": { summary: "Write a key", ask: (of) => write({ op: "put", request: readPut(of) }) },
  "kv/deleterange": { summary: "Delete keys", ask: (of) => write({ op: "deleteRange", request: readDeleteRange(of) }) },
  "kv/txn": { summary: "Compare, then do one thing or the other, all at once", ask: (of) => write({ op: "txn", request: readTxn(of) }) },
  "kv/compaction": {
    summary: "Forget the history before a revision",
    ask: (of) => write({ op: "compact", request: readCompact(of) }),
  },
  "lease/grant": { summary: "Grant a lease", ask: (of) => write({ op: "leaseGrant", request: readLeaseGrant(of) }) },
  "lease/revoke": leaseRevoke,
  "kv/lease/revoke": leaseRevoke,
  "lease/timetolive": leaseTimeToLive,
  "kv/lease/timetolive": leaseTimeToLive,
  "lease/leases": leases,
  "kv/lease/leases": leases,
} as const satisfies Record<string, Unary>;

/** Reads a body: the first JSON value in it, whatever follows; a message without fields where there is none. */
export function readBody(text: string): Message {
  return message(parseFirst(text) ?? null);
}

/** Whether an ask changes nothing, so that the right to read is enough. */
export function onlyReads(ask: Ask): boolean {
  if (ask.ask === "write") return ask.operation.op === "txn" && readsOnly(ask.operation.request);
  return ask.ask === "range" || ask.ask === "leaseTimeToLive" || ask.ask === "leases" || ask.ask === "status";
}

function readsOnly({ success, failure }: { success: RequestOp[]; failure: RequestOp[] }): boolean {
  return [...success, ...failure].every((op) => op.op === "range" || (op.op === "txn" && readsOnly(op.request)));
}

/** The body of the answer to a unary call. `status` is for its caller to print, with what it knows beside. */
export function writeTold(facts: Facts, told: Told): string {
  switch (told.told) {
    case "range":
      return writeRange(facts, told.response);
    case "leaseTimeToLive":
      return writeLeaseTimeToLive(facts, told.response);
    case "leases":
      return writeLeases(facts, told.response);
    case "leaseKeepAlive":
      return writeLeaseGrant(facts, told.response);
    case "write":
      return writeResult(facts, told.result);
    case "status":
    case "transfer":
    case "reconfigure":
      throw new TypeError(`"${told.told}" has no answer of its own in the gateway`);
  }
}

function writeResult(facts: Facts, result: OperationResult): string {
  switch (result.op) {
    case "put":
      return writePut(facts, result.response);
    case "deleteRange":
      return writeDeleteRange(facts, result.response);
    case "txn":
      return writeTxn(facts, result.response);
    case "leaseGrant":
      return writeLeaseGrant(facts, result.response);
    case "compact":
    case "leaseRevoke":
    case "leaseRenew":
      return writeHeaderOnly(facts, result.response.header.revision);
  }
}

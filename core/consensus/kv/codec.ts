import { newerFormat } from "../../journal/errors.ts";
import { BinaryReader, BinaryWriter } from "./binary.ts";
import type { Command, Compare, CompareResult, Operation, RangeRequest, RequestOp, TxnRequest } from "./types.ts";

/**
 * The version of both formats below. A reader refuses a later one; a change keeps reading this one. The numbers of
 * operations and choices are their places in the lists here: append only.
 */
const VERSION = 1;
const WHAT = "A command";
const OPERATIONS = ["put", "deleteRange", "txn", "compact", "leaseGrant", "leaseRevoke", "leaseRenew"] as const;
const REQUESTS = ["range", "put", "deleteRange", "txn"] as const;
const RESULTS: readonly CompareResult[] = ["equal", "greater", "less", "notEqual"];
const TARGETS = ["version", "create", "mod", "value", "lease"] as const;
const SORT_ORDERS = ["none", "ascend", "descend"] as const;
const SORT_TARGETS = ["key", "version", "create", "mod", "value"] as const;
/** Nested transactions, at most: etcd's 128 operations allow no more. */
const MAX_DEPTH = 128;
const SESSION = 16;

/** Serves every encoding in turn: encoding does not nest. */
const scratch = new BinaryWriter();

/** A command as the log holds it: a version byte, then the fields in order. Throws RangeError for what the types do not allow. */
export function encodeCommand(command: Command): Uint8Array<ArrayBuffer> {
  return encodeWith((writer) => writeCommand(writer, command));
}

/** What {@link encodeCommand} wrote. Throws `corrupt` or `newer_format`, nothing else. */
export function decodeCommand(bytes: Uint8Array): Command {
  return decodeWith(bytes, readCommand);
}

/** Several commands as one entry: a version byte, the number of commands, and each without a version. */
export function encodeCommands(commands: Command[]): Uint8Array<ArrayBuffer> {
  return encodeWith((writer) => {
    writer.varint(commands.length);
    for (const command of commands) writeCommand(writer, command);
  });
}

/** What {@link encodeCommands} wrote. Throws as {@link decodeCommand}. */
export function decodeCommands(bytes: Uint8Array): Command[] {
  return decodeWith(bytes, (reader) => Array.from({ length: reader.count() }, () => readCommand(reader)));
}

function encodeWith(write: (writer: BinaryWriter) => void): Uint8Array<ArrayBuffer> {
  try {
    scratch.u8(VERSION);
    write(scratch);
    return scratch.take();
  } finally {
    scratch.clear();
  }
}

function decodeWith<T>(bytes: Uint8Array, read: (reader: BinaryReader) => T): T {
  const reader = new BinaryReader(bytes, WHAT);
  const version = reader.u8();
  if (version > VERSION) throw newerFormat(WHAT, version, VERSION);
  if (version === 0) throw reader.fault("has no version");
  const value = read(reader);
  reader.done();
  return value;
}

function writeCommand(writer: BinaryWriter, { operation, at, session }: Command): void {
  writer.u8(OPERATIONS.indexOf(operation.op) | (session === null ? 0 : SESSION));
  writer.integer(at);
  if (session !== null) {
    writer.string(session.client);
    writer.varint(session.seq);
    writer.varint(session.ack);
  }
  writeOperation(writer, operation);
}

function readCommand(reader: BinaryReader): Command {
  const head = reader.u8();
  const op = OPERATIONS[head & 15];
  if (op === undefined || head > 31) throw reader.fault("has an unknown operation");
  const at = reader.integer();
  const session = head & SESSION ? { client: reader.string(), seq: reader.varint(), ack: reader.varint() } : null;
  return { operation: readOperation(reader, op), at, session };
}

function writeOperation(writer: BinaryWriter, operation: Operation): void {
  switch (operation.op) {
    case "compact":
      writer.integer(operation.request.revision);
      break;
    case "leaseGrant":
      writer.int64(operation.request.id);
      writer.integer(operation.request.ttl);
      break;
    case "leaseRevoke":
      writer.int64(operation.request.id);
      break;
    case "leaseRenew":
      writer.varint(operation.request.ids.length);
      for (const id of operation.request.ids) writer.int64(id);
      break;
    default:
      writeRequest(writer, operation);
  }
}

function readOperation(reader: BinaryReader, op: Operation["op"]): Operation {
  switch (op) {
    case "compact":
      return { op, request: { revision: reader.integer() } };
    case "leaseGrant":
      return { op, request: { id: reader.int64(), ttl: reader.integer() } };
    case "leaseRevoke":
      return { op, request: { id: reader.int64() } };
    case "leaseRenew":
      return { op, request: { ids: Array.from({ length: reader.count() }, () => reader.int64()) } };
    default:
      return readRequest(reader, op, 0) as Operation;
  }
}

function writeRequest(writer: BinaryWriter, each: RequestOp): void {
  switch (each.op) {
    case "put": {
      const { key, value, lease, prevKv, ignoreValue, ignoreLease } = each.request;
      writer.u8(bits(prevKv, ignoreValue, ignoreLease, lease !== 0n));
      writer.text(key);
      writer.text(value);
      if (lease !== 0n) writer.int64(lease);
      break;
    }
    case "deleteRange":
      writer.u8(bits(each.request.prevKv));
      writer.text(each.request.key);
      writer.text(each.request.rangeEnd);
      break;
    case "range":
      writeRange(writer, each.request);
      break;
    case "txn":
      writeTxn(writer, each.request);
  }
}

function readRequest(reader: BinaryReader, op: RequestOp["op"], depth: number): RequestOp {
  switch (op) {
    case "put": {
      const flags = reader.choice(16);
      const key = reader.text();
      const value = reader.text();
      const lease = flags & 8 ? reader.int64() : 0n;
      if (flags & 8 && lease === 0n) throw reader.fault("has an empty lease");
      return { op, request: { key, value, lease, prevKv: has(flags, 1), ignoreValue: has(flags, 2), ignoreLease: has(flags, 4) } };
    }
    case "deleteRange": {
      const flags = reader.choice(2);
      return { op, request: { key: reader.text(), rangeEnd: reader.text(), prevKv: has(flags, 1) } };
    }
    case "range":
      return { op, request: readRange(reader) };
    case "txn":
      if (depth >= MAX_DEPTH) throw reader.fault("nests too deep");
      return { op, request: readTxn(reader, depth + 1) };
  }
}

/** The rarely used members follow only where one of them is set. */
function writeRange(writer: BinaryWriter, request: RangeRequest): void {
  const { minModRevision, maxModRevision, minCreateRevision, maxCreateRevision } = request;
  const filters = [minModRevision, maxModRevision, minCreateRevision, maxCreateRevision];
  const filtered = filters.some((revision) => revision !== 0);
  writer.u8(bits(request.serializable, request.keysOnly, request.countOnly, filtered));
  writer.u8(SORT_ORDERS.indexOf(request.sortOrder) | (SORT_TARGETS.indexOf(request.sortTarget) << 2));
  writer.text(request.key);
  writer.text(request.rangeEnd);
  writer.integer(request.limit);
  writer.integer(request.revision);
  if (filtered) for (const revision of filters) writer.integer(revision);
}

function readRange(reader: BinaryReader): RangeRequest {
  const flags = reader.choice(16);
  const sorting = reader.u8();
  const sortOrder = SORT_ORDERS[sorting & 3];
  const sortTarget = SORT_TARGETS[sorting >> 2];
  if (sortOrder === undefined || sortTarget === undefined) throw reader.fault("has an unknown order");
  const key = reader.text();
  const rangeEnd = reader.text();
  const limit = reader.integer();
  const revision = reader.integer();
  const [minModRevision = 0, maxModRevision = 0, minCreateRevision = 0, maxCreateRevision = 0] = flags & 8 ? four(reader) : [];
  const options = { serializable: has(flags, 1), keysOnly: has(flags, 2), countOnly: has(flags, 4) };
  const filters = { minModRevision, maxModRevision, minCreateRevision, maxCreateRevision };
  return { key, rangeEnd, limit, revision, sortOrder, sortTarget, ...options, ...filters };
}

function four(reader: BinaryReader): number[] {
  const filters = [reader.integer(), reader.integer(), reader.integer(), reader.integer()];
  if (filters.every((revision) => revision === 0)) throw reader.fault("has empty filters");
  return filters;
}

function writeTxn(writer: BinaryWriter, { compare, success, failure }: TxnRequest): void {
  writer.varint(compare.length);
  for (const each of compare) writeCompare(writer, each);
  for (const ops of [success, failure]) {
    writer.varint(ops.length);
    for (const each of ops) {
      writer.u8(REQUESTS.indexOf(each.op));
      writeRequest(writer, each);
    }
  }
}

function readTxn(reader: BinaryReader, depth: number): TxnRequest {
  const compare = Array.from({ length: reader.count() }, () => readCompare(reader));
  const ops = () => Array.from({ length: reader.count() }, () => readRequest(reader, REQUESTS[reader.choice(REQUESTS.length)]!, depth));
  return { compare, success: ops(), failure: ops() };
}

function writeCompare(writer: BinaryWriter, compare: Compare): void {
  writer.u8(RESULTS.indexOf(compare.result) | (TARGETS.indexOf(compare.target) << 2));
  writer.text(compare.key);
  writer.text(compare.rangeEnd);
  if (compare.target === "value") writer.text(compare.value);
  else if (compare.target === "lease") writer.int64(compare.value);
  else writer.integer(compare.value);
}

function readCompare(reader: BinaryReader): Compare {
  const head = reader.u8();
  const result = RESULTS[head & 3]!;
  const target = TARGETS[head >> 2];
  const key = reader.text();
  const rangeEnd = reader.text();
  if (target === undefined) throw reader.fault("has an unknown compare");
  if (target === "value") return { result, target, key, rangeEnd, value: reader.text() };
  if (target === "lease") return { result, target, key, rangeEnd, value: reader.int64() };
  return { result, target, key, rangeEnd, value: reader.integer() };
}

function bits(one: boolean, two = false, four = false, eight = false): number {
  return (one ? 1 : 0) | (two ? 2 : 0) | (four ? 4 : 0) | (eight ? 8 : 0);
}

function has(flags: number, bit: number): boolean {
  return (flags & bit) !== 0;
}

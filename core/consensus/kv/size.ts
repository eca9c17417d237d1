import type { ByteString, Compare, KeyValue, Operation, RequestOp, WatchEvent } from "./types.ts";

/**
 * Sizes as etcd counts them against its limits: bytes of the protocol buffers that it would send. Field numbers below 16
 * have a tag of one byte; a field with its default takes none.
 */

/** A request in a log entry of etcd's: the entry's header, the tag and the request. */
export function requestBytes(operation: Operation): number {
  switch (operation.op) {
    case "put":
    case "deleteRange":
    case "txn":
      return ENTRY_HEADER + message(bodyBytes(operation));
    case "leaseRenew":
      return ENTRY_HEADER + 10 * operation.request.ids.length;
    default:
      return ENTRY_HEADER + 24;
  }
}

/** A two-byte tag, a length, and a request id of nine or ten bytes with its tag. */
const ENTRY_HEADER = 14;

function bodyBytes(each: RequestOp): number {
  switch (each.op) {
    case "put": {
      const { key, value, lease, prevKv, ignoreValue, ignoreLease } = each.request;
      return text(key) + text(value) + integer(lease) + flag(prevKv) + flag(ignoreValue) + flag(ignoreLease);
    }
    case "deleteRange":
      return text(each.request.key) + text(each.request.rangeEnd) + flag(each.request.prevKv);
    case "range": {
      const r = each.request;
      const numbers = [r.limit, r.revision, r.minModRevision, r.maxModRevision, r.minCreateRevision, r.maxCreateRevision];
      const choices = flag(r.sortOrder !== "none") + flag(r.sortTarget !== "key");
      const flags = flag(r.serializable) + flag(r.keysOnly) + flag(r.countOnly);
      return text(r.key) + text(r.rangeEnd) + choices + flags + numbers.reduce((sum, value) => sum + integer(value), 0);
    }
    case "txn": {
      let bytes = 0;
      for (const compare of each.request.compare) bytes += message(compareBytes(compare));
      for (const op of each.request.success) bytes += message(message(bodyBytes(op)));
      for (const op of each.request.failure) bytes += message(message(bodyBytes(op)));
      return bytes;
    }
  }
}

function compareBytes(compare: Compare): number {
  const operand = compare.target === "value" ? 1 + varint(compare.value.length) + compare.value.length : 1 + digits(compare.value);
  const choices = flag(compare.result !== "equal") + flag(compare.target !== "version");
  const rangeEnd = compare.rangeEnd === "" ? 0 : 1 + text(compare.rangeEnd);
  return choices + text(compare.key) + operand + rangeEnd;
}

/** An event within a watch response. */
export function eventBytes(event: WatchEvent): number {
  return message(flag(event.type === "delete") + message(kvBytes(event.kv)) + (event.prevKv === null ? 0 : message(kvBytes(event.prevKv))));
}

function kvBytes(kv: KeyValue): number {
  return text(kv.key) + text(kv.value) + integer(kv.createRevision) + integer(kv.modRevision) + integer(kv.version) + integer(kv.lease);
}

function flag(value: boolean): number {
  return value ? 2 : 0;
}

function integer(value: number | bigint): number {
  return value === 0 || value === 0n ? 0 : 1 + digits(value);
}

function text(value: ByteString): number {
  return value === "" ? 0 : message(value.length);
}

function message(length: number): number {
  return 1 + varint(length) + length;
}

/** A negative integer takes all ten bytes. */
function digits(value: number | bigint): number {
  if (value < 0) return 10;
  let bytes = 1;
  for (let rest = Number(value); rest >= 128; rest /= 128) bytes++;
  return bytes;
}

function varint(value: number): number {
  return value < 1 << 7 ? 1 : value < 1 << 14 ? 2 : value < 1 << 21 ? 3 : 4;
}

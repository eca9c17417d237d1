import type { BinaryReader, BinaryWriter } from "./binary.ts";
import type { Outcome } from "./sessions.ts";
import { type KeyValue, KvError, type OperationResult, type ResponseOp, type TxnResponse } from "./types.ts";

/** The numbers of results are their places in these lists: append only. */
const RESULTS = ["put", "deleteRange", "txn", "compact", "leaseGrant", "leaseRevoke", "leaseRenew"] as const;
const RESPONSES = ["range", "put", "deleteRange", "txn"] as const;
const FORGOTTEN = 0;
const RESULT = 1;
const ERROR = 2;

/** A remembered answer, as a part of the snapshot's format. */
export function writeOutcome(writer: BinaryWriter, outcome: Outcome | null): void {
  if (outcome === null) {
    writer.u8(FORGOTTEN);
  } else if (outcome.result === undefined) {
    writer.u8(ERROR);
    writer.varint(outcome.error.grpc);
    writer.string(outcome.error.message);
  } else {
    writer.u8(RESULT);
    writer.u8(RESULTS.indexOf(outcome.result.op));
    writeResult(writer, outcome.result);
  }
}

export function readOutcome(reader: BinaryReader): Outcome | null {
  const kind = reader.choice(3);
  if (kind === FORGOTTEN) return null;
  if (kind === ERROR) return { error: new KvError(reader.varint(), reader.string()) };
  return { result: readResult(reader, RESULTS[reader.choice(RESULTS.length)]!) };
}

function writeResult(writer: BinaryWriter, result: OperationResult | ResponseOp): void {
  const { response } = result;
  writer.varint(response.header.revision);
  switch (result.op) {
    case "put":
      writeKvs(writer, result.response.prevKv === null ? [] : [result.response.prevKv]);
      break;
    case "deleteRange":
      writer.varint(result.response.deleted);
      writeKvs(writer, result.response.prevKvs);
      break;
    case "range":
      writer.u8(result.response.more ? 1 : 0);
      writer.varint(result.response.count);
      writeKvs(writer, result.response.kvs);
      break;
    case "txn":
      writer.u8(result.response.succeeded ? 1 : 0);
      writer.varint(result.response.responses.length);
      for (const each of result.response.responses) {
        writer.u8(RESPONSES.indexOf(each.op));
        writeResult(writer, each);
      }
      break;
    case "leaseGrant":
      writer.int64(result.response.id);
      writer.varint(result.response.ttl);
  }
}

function readResult(reader: BinaryReader, op: OperationResult["op"]): OperationResult {
  const header = { revision: reader.varint() };
  switch (op) {
    case "put":
      return { op, response: { header, prevKv: readKvs(reader)[0] ?? null } };
    case "deleteRange":
      return { op, response: { header, deleted: reader.varint(), prevKvs: readKvs(reader) } };
    case "txn":
      return { op, response: readTxnResponse(reader, header) };
    case "leaseGrant":
      return { op, response: { header, id: reader.int64(), ttl: reader.varint() } };
    default:
      return { op, response: { header } };
  }
}

function readTxnResponse(reader: BinaryReader, header: { revision: number }): TxnResponse {
  const succeeded = reader.choice(2) === 1;
  const responses = Array.from({ length: reader.count() }, (): ResponseOp => {
    const op = RESPONSES[reader.choice(RESPONSES.length)]!;
    if (op !== "range") return readResult(reader, op) as ResponseOp;
    const inner = { revision: reader.varint() };
    const more = reader.choice(2) === 1;
    const count = reader.varint();
    return { op, response: { header: inner, kvs: readKvs(reader), more, count } };
  });
  return { header, succeeded, responses };
}

function writeKvs(writer: BinaryWriter, kvs: KeyValue[]): void {
  writer.varint(kvs.length);
  for (const kv of kvs) {
    writer.text(kv.key);
    writer.varint(kv.createRevision);
    writer.varint(kv.modRevision);
    writer.varint(kv.version);
    writer.text(kv.value);
    writer.int64(kv.lease);
  }
}

function readKvs(reader: BinaryReader): KeyValue[] {
  return Array.from({ length: reader.count() }, () => ({
    key: reader.text(),
    createRevision: reader.varint(),
    modRevision: reader.varint(),
    version: reader.varint(),
    value: reader.text(),
    lease: reader.int64(),
  }));
}

import type { DeleteRangeResponse, KeyValue, PutResponse, RangeResponse, ResponseOp, TxnResponse } from "../kv/types.ts";
import { toBase64 } from "./base64.ts";
import { type HeaderFacts, writeHeader } from "./header.ts";

/**
 * The answers of etcd's service KV as the gateway prints them: fields in the order of the .proto, zero values left out, 64-bit
 * integers as strings. `facts` say who answers; the revision is the answer's own.
 */
export type Facts = Omit<HeaderFacts, "revision">;

/** @example {"header":{…},"kvs":[…],"more":true,"count":"3"} */
export function writeRange(facts: Facts, response: RangeResponse): string {
  return `{"header":${header(facts, response.header.revision)}${rangeFields(response)}}`;
}

export function writePut(facts: Facts, response: PutResponse): string {
  return `{"header":${header(facts, response.header.revision)}${putFields(response)}}`;
}

export function writeDeleteRange(facts: Facts, response: DeleteRangeResponse): string {
  return `{"header":${header(facts, response.header.revision)}${deleteRangeFields(response)}}`;
}

export function writeTxn(facts: Facts, response: TxnResponse): string {
  return `{"header":${header(facts, response.header.revision)}${txnFields(response)}}`;
}

/** An answer that says nothing but its header: compaction, lease revoke, unlock, proclaim, resign. */
export function writeHeaderOnly(facts: Facts, revision: number): string {
  return `{"header":${header(facts, revision)}}`;
}

export function header(facts: Facts, revision: number): string {
  return writeHeader({ cluster: facts.cluster, member: facts.member, term: facts.term, revision });
}

export function writeKeyValue(kv: KeyValue): string {
  let json = "";
  if (kv.key !== "") json += `,"key":"${toBase64(kv.key)}"`;
  if (kv.createRevision !== 0) json += `,"create_revision":"${kv.createRevision}"`;
  if (kv.modRevision !== 0) json += `,"mod_revision":"${kv.modRevision}"`;
  if (kv.version !== 0) json += `,"version":"${kv.version}"`;
  if (kv.value !== "") json += `,"value":"${toBase64(kv.value)}"`;
  if (kv.lease !== 0n) json += `,"lease":"${kv.lease}"`;
  return `{${json.slice(1)}}`;
}

function rangeFields({ kvs, more, count }: RangeResponse): string {
  let json = "";
  if (kvs.length > 0) json += `,"kvs":[${kvs.map(writeKeyValue).join(",")}]`;
  if (more) json += ',"more":true';
  if (count !== 0) json += `,"count":"${count}"`;
  return json;
}

function putFields({ prevKv }: PutResponse): string {
  return prevKv === null ? "" : `,"prev_kv":${writeKeyValue(prevKv)}`;
}

function deleteRangeFields({ deleted, prevKvs }: DeleteRangeResponse): string {
  let json = "";
  if (deleted !== 0) json += `,"deleted":"${deleted}"`;
  if (prevKvs.length > 0) json += `,"prev_kvs":[${prevKvs.map(writeKeyValue).join(",")}]`;
  return json;
}

function txnFields({ succeeded, responses }: TxnResponse): string {
  let json = "";
  if (succeeded) json += ',"succeeded":true';
  if (responses.length > 0) json += `,"responses":[${responses.map(writeOp).join(",")}]`;
  return json;
}

/** Within a transaction a header has the revision alone, and that of a nested one nothing. */
function writeOp(op: ResponseOp): string {
  const revision = op.op === "txn" ? 0 : op.response.header.revision;
  const head = `{"header":${writeHeader({ cluster: 0n, member: 0n, term: 0, revision })}`;
  switch (op.op) {
    case "range":
      return `{"response_range":${head}${rangeFields(op.response)}}}`;
    case "put":
      return `{"response_put":${head}${putFields(op.response)}}}`;
    case "deleteRange":
      return `{"response_delete_range":${head}${deleteRangeFields(op.response)}}}`;
    case "txn":
      return `{"response_txn":${head}${txnFields(op.response)}}}`;
  }
}

import { LEASE_BYTES } from "./lease-table.ts";
import { KEY_BYTES, VERSION_BYTES } from "./mvcc.ts";
import { overlaps } from "./overlap.ts";
import { refusal } from "./refusals.ts";
import type { DeleteRangeRequest, Operation, PutRequest, RangeRequest, RequestOp, TxnRequest } from "./types.ts";

/**
 * What a request must be whatever the state is, in etcd's order: the first fault is the one reported. Throws KvError.
 * The state machine checks it again, without `maxOps`, for what it may rely on.
 */
export function checkOperation(operation: Operation, maxOps: number): void {
  switch (operation.op) {
    case "put":
      checkPut(operation.request);
      break;
    case "deleteRange":
      checkKey(operation.request);
      break;
    case "txn":
      checkTxn(operation.request, maxOps);
      if (overlaps(operation.request.success) || overlaps(operation.request.failure)) throw refusal("duplicateKey");
  }
}

export function checkKey(request: RangeRequest | DeleteRangeRequest): void {
  if (request.key === "") throw refusal("emptyKey");
}

function checkPut(request: PutRequest): void {
  if (request.key === "") throw refusal("emptyKey");
  if (request.ignoreValue && request.value !== "") throw refusal("valueProvided");
  if (request.ignoreLease && request.lease !== 0n) throw refusal("leaseProvided");
}

/** A nested transaction may have what its parent's longest list leaves of `maxOps`. */
function checkTxn(request: TxnRequest, maxOps: number): void {
  const ops = Math.max(request.compare.length, request.success.length, request.failure.length);
  if (ops > maxOps) throw refusal("tooManyOps");
  for (const compare of request.compare) if (compare.key === "") throw refusal("emptyKey");
  for (const each of request.success) checkOp(each, maxOps - ops);
  for (const each of request.failure) checkOp(each, maxOps - ops);
}

function checkOp(each: RequestOp, maxOps: number): void {
  if (each.op === "put") checkPut(each.request);
  else if (each.op === "txn") checkTxn(each.request, maxOps);
  else checkKey(each.request);
}

/** What an operation may add to the store's size. Only what adds is held against the quota: deleting must remain possible. */
export function cost(operation: Operation): number {
  switch (operation.op) {
    case "put":
      return putCost(operation.request);
    case "txn":
      return txnCost(operation.request);
    case "leaseGrant":
      return LEASE_BYTES;
    default:
      return 0;
  }
}

function putCost(request: PutRequest): number {
  return KEY_BYTES + VERSION_BYTES + request.key.length + request.value.length;
}

function txnCost(request: TxnRequest): number {
  return Math.max(opsCost(request.success), opsCost(request.failure));
}

function opsCost(ops: RequestOp[]): number {
  let sum = 0;
  for (const each of ops) {
    if (each.op === "put") sum += putCost(each.request);
    else if (each.op === "txn") sum += txnCost(each.request);
  }
  return sum;
}

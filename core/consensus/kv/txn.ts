import type { LeaseTable } from "./lease-table.ts";
import type { Mvcc } from "./mvcc.ts";
import { answerRange } from "./range.ts";
import { refusal } from "./refusals.ts";
import type {
  ByteString,
  Compare,
  DeleteRangeRequest,
  DeleteRangeResponse,
  KeyValue,
  PutRequest,
  PutResponse,
  RequestOp,
  ResponseOp,
  TxnRequest,
  TxnResponse,
  WatchEvent,
} from "./types.ts";

/** Which branch a transaction takes; one plan for each nested transaction of that branch, in order. */
type Plan = { succeeded: boolean; ops: RequestOp[]; nested: Plan[] };

/** One command's changes to the store, all of one revision. It only ever adds: what may be refused is checked before. */
export class Change {
  readonly events: WatchEvent[] = [];
  readonly #mvcc: Mvcc;
  readonly #leases: LeaseTable;
  readonly #before: number;

  constructor(mvcc: Mvcc, leases: LeaseTable) {
    this.#mvcc = mvcc;
    this.#leases = leases;
    this.#before = mvcc.revision;
  }

  /** The newest revision that the change itself sees: the one it makes, once it changed something. */
  get revision(): number {
    return this.events.length === 0 ? this.#before : this.#before + 1;
  }

  /** Ends the change: what it made becomes the store's revision. */
  commit(): void {
    this.#mvcc.revision = this.revision;
  }

  /** Throws KvError `leaseNotFound` or `keyNotFound`. */
  checkPut(request: PutRequest, order: "leaseFirst" | "keyFirst"): void {
    const missing = (request.ignoreValue || request.ignoreLease) && this.#get(request.key) === null;
    if (missing && order === "keyFirst") throw refusal("keyNotFound");
    if (request.lease !== 0n && !this.#leases.has(request.lease)) throw refusal("leaseNotFound");
    if (missing) throw refusal("keyNotFound");
  }

  put(request: PutRequest): PutResponse {
    const before = this.#get(request.key);
    const value = request.ignoreValue && before !== null ? before.value : request.value;
    const lease = request.ignoreLease && before !== null ? before.lease : request.lease;
    const kv = this.#mvcc.put(request.key, value, lease, this.#before + 1);
    this.#leases.move(kv.key, before === null ? 0n : before.lease, lease);
    this.events.push({ type: "put", kv, prevKv: before });
    return { header: { revision: this.revision }, prevKv: request.prevKv ? before : null };
  }

  deleteRange(request: DeleteRangeRequest): DeleteRangeResponse {
    const found: KeyValue[] = [];
    this.#mvcc.scan(request.key, request.rangeEnd, this.revision, (kv) => {
      found.push(kv);
      return undefined;
    });
    for (const kv of found) this.#delete(kv);
    return { header: { revision: this.revision }, deleted: found.length, prevKvs: request.prevKv ? found : [] };
  }

  /** Deletes those of the keys that exist. */
  deleteKeys(keys: ByteString[]): void {
    for (const key of keys) {
      const kv = this.#get(key);
      if (kv !== null) this.#delete(kv);
    }
  }

  /** The compares see the store as it was before, those of nested transactions too. Throws KvError, having changed nothing. */
  txn(request: TxnRequest): TxnResponse {
    const plan = this.#plan(request);
    this.#checkPuts(plan);
    this.#checkRanges(plan);
    const response = this.#run(plan);
    response.header.revision = this.revision;
    return response;
  }

  #get(key: ByteString): KeyValue | null {
    return this.#mvcc.get(key, this.revision);
  }

  #delete(before: KeyValue): void {
    const kv = this.#mvcc.delete(before.key, this.#before + 1);
    this.#leases.move(before.key, before.lease, 0n);
    this.events.push({ type: "delete", kv, prevKv: before });
  }

  #plan(request: TxnRequest): Plan {
    const succeeded = request.compare.every((compare) => this.#holds(compare));
    const ops = succeeded ? request.success : request.failure;
    const nested: Plan[] = [];
    for (const each of ops) if (each.op === "txn") nested.push(this.#plan(each.request));
    return { succeeded, ops, nested };
  }

  /** Of a range every key must satisfy the compare. Where there is none, all but the value count as 0, and a value never compares. */
  #holds(compare: Compare): boolean {
    let any = false;
    let all = true;
    this.#mvcc.scan(compare.key, compare.rangeEnd, this.revision, (kv) => {
      any = true;
      all = satisfies(compare, kv);
      return all;
    });
    return any ? all : compare.target !== "value" && satisfies(compare, ABSENT);
  }

  #checkPuts({ ops, nested }: Plan): void {
    let child = 0;
    for (const each of ops) {
      if (each.op === "txn") this.#checkPuts(nested[child++]!);
      else if (each.op === "put") this.checkPut(each.request, "keyFirst");
    }
  }

  #checkRanges({ ops, nested }: Plan): void {
    let child = 0;
    for (const each of ops) {
      if (each.op === "txn") this.#checkRanges(nested[child++]!);
      else if (each.op === "range" && each.request.revision !== 0) {
        if (each.request.revision > this.#before) throw refusal("futureRevision");
        if (each.request.revision < this.#mvcc.compactRevision) throw refusal("compacted");
      }
    }
  }

  #run({ succeeded, ops, nested }: Plan): TxnResponse {
    let child = 0;
    const responses = ops.map((each): ResponseOp => {
      if (each.op === "range") return { op: "range", response: answerRange(this.#mvcc, each.request, this.revision) };
      if (each.op === "put") return { op: "put", response: this.put(each.request) };
      if (each.op === "deleteRange") return { op: "deleteRange", response: this.deleteRange(each.request) };
      return { op: "txn", response: this.#run(nested[child++]!) };
    });
    // The header of a nested answer stays empty, as in etcd.
    return { header: { revision: 0 }, succeeded, responses };
  }
}

const ABSENT: KeyValue = { key: "", createRevision: 0, modRevision: 0, version: 0, value: "", lease: 0n };

function satisfies(compare: Compare, kv: KeyValue): boolean {
  switch (compare.target) {
    case "version":
      return ordered(compare.result, kv.version, compare.value);
    case "create":
      return ordered(compare.result, kv.createRevision, compare.value);
    case "mod":
      return ordered(compare.result, kv.modRevision, compare.value);
    case "value":
      return ordered(compare.result, kv.value, compare.value);
    case "lease":
      return ordered(compare.result, kv.lease, compare.value);
  }
}

function ordered<T extends number | string | bigint>(result: Compare["result"], has: T, wanted: T): boolean {
  switch (result) {
    case "equal":
      return has === wanted;
    case "notEqual":
      return has !== wanted;
    case "greater":
      return has > wanted;
    case "less":
      return has < wanted;
  }
}

import {
  type Command,
  type Compare,
  type KeyValue,
  KvError,
  type Operation,
  type RangeRequest,
  type RangeResponse,
  type RequestOp,
  type ResponseOp,
  type TxnRequest,
  type TxnResponse,
  type WatchEvent,
} from "../../core/consensus/kv/types.ts";

/**
 * etcd's store in the simplest terms: a full map of the keys for every revision, and the list of every event. What the real
 * one is compared with.
 */
export class KvModel {
  /** By revision; revision 0 is never asked for. */
  readonly maps: Map<string, KeyValue>[] = [new Map(), new Map()];
  readonly events: WatchEvent[] = [];
  readonly leases = new Map<bigint, { ttl: number; renewedAt: number }>();
  compacted = -1;

  get revision(): number {
    return this.maps.length - 1;
  }

  get now(): Map<string, KeyValue> {
    return this.maps[this.revision]!;
  }

  /** The response, or the message of the error. */
  apply({ operation, at }: Command): unknown {
    const draft = new Draft(this);
    try {
      const response = this.#perform(operation, at, draft);
      if (draft.events.length > 0) {
        this.maps.push(draft.map);
        this.events.push(...draft.events);
      }
      return response;
    } catch (error) {
      if (error instanceof KvError) return error.message;
      throw error;
    }
  }

  range(request: RangeRequest): RangeResponse {
    return answer(this, request, this.now, this.revision);
  }

  /** Of the watch from `start`: each event with what was before it, where that is still known. */
  history(start: number, key: string, rangeEnd: string): WatchEvent[] {
    if (start < this.compacted) throw refuse(11, "etcdserver: mvcc: required revision has been compacted");
    return this.events
      .filter(({ kv }) => kv.modRevision >= start && within(kv.key, key, rangeEnd))
      .map((event) => ({ ...event, prevKv: event.kv.modRevision - 1 < this.compacted ? null : event.prevKv }));
  }

  keysOf(lease: bigint): string[] {
    return [...this.now.values()]
      .filter((kv) => kv.lease === lease)
      .map(({ key }) => key)
      .sort();
  }

  #perform(operation: Operation, at: number, draft: Draft): unknown {
    switch (operation.op) {
      case "put":
      case "deleteRange":
        check(operation);
        return draft.perform(operation, true).response;
      case "txn": {
        check(operation);
        if (doublyWritten(operation.request)) throw refuse(3, "etcdserver: duplicate key given in txn request");
        const paths = new Map<TxnRequest, boolean>();
        this.#decide(operation.request, paths);
        const ops = executed(operation.request, paths);
        for (const each of ops) if (each.op === "put") draft.checkPut(each, false);
        for (const each of ops) {
          if (each.op !== "range" || each.request.revision === 0) continue;
          if (each.request.revision > this.revision) throw refuse(11, "etcdserver: mvcc: required revision is a future revision");
          if (each.request.revision < this.compacted) throw refuse(11, "etcdserver: mvcc: required revision has been compacted");
        }
        const response = draft.txn(operation.request, paths);
        response.header.revision = draft.revision;
        return response;
      }
      case "compact":
        if (operation.request.revision <= this.compacted) throw refuse(11, "etcdserver: mvcc: required revision has been compacted");
        if (operation.request.revision > this.revision) throw refuse(11, "etcdserver: mvcc: required revision is a future revision");
        this.compacted = operation.request.revision;
        return { header: { revision: this.revision } };
      case "leaseGrant": {
        const { id, ttl } = operation.request;
        if (id === 0n) throw refuse(5, "etcdserver: requested lease not found");
        if (ttl > 9_000_000_000) throw refuse(11, "etcdserver: too large lease TTL");
        if (this.leases.has(id)) throw refuse(9, "etcdserver: lease already exists");
        this.leases.set(id, { ttl: Math.max(2, ttl), renewedAt: at });
        return { header: { revision: this.revision }, id, ttl: Math.max(2, ttl) };
      }
      case "leaseRevoke":
        if (!this.leases.delete(operation.request.id)) throw refuse(5, "etcdserver: requested lease not found");
        for (const key of this.keysOf(operation.request.id)) draft.delete(key);
        return { header: { revision: draft.revision } };
      case "leaseRenew":
        for (const id of operation.request.ids) {
          const lease = this.leases.get(id);
          if (lease !== undefined) lease.renewedAt = at;
        }
        return { header: { revision: this.revision } };
    }
  }

  #decide(txn: TxnRequest, paths: Map<TxnRequest, boolean>): void {
    const holds = txn.compare.every((compare) => {
      const kvs = [...this.now.values()].filter(({ key }) => within(key, compare.key, compare.rangeEnd));
      if (kvs.length > 0) return kvs.every((kv) => compares(compare, kv));
      return compare.target !== "value" && compares(compare, { createRevision: 0, modRevision: 0, version: 0, lease: 0n } as KeyValue);
    });
    paths.set(txn, holds);
    for (const each of holds ? txn.success : txn.failure) if (each.op === "txn") this.#decide(each.request, paths);
  }
}

class Draft {
  readonly map: Map<string, KeyValue>;
  readonly events: WatchEvent[] = [];
  readonly #model: KvModel;

  constructor(model: KvModel) {
    this.#model = model;
    this.map = new Map(model.now);
  }

  get revision(): number {
    return this.#model.revision + (this.events.length > 0 ? 1 : 0);
  }

  checkPut({ request }: RequestOp & { op: "put" }, leaseFirst: boolean): void {
    const faults: KvError[] = [];
    if (request.lease !== 0n && !this.#model.leases.has(request.lease)) faults.push(refuse(5, "etcdserver: requested lease not found"));
    if ((request.ignoreValue || request.ignoreLease) && !this.map.has(request.key)) faults.push(refuse(3, "etcdserver: key not found"));
    const fault = leaseFirst ? faults[0] : faults.at(-1);
    if (fault !== undefined) throw fault;
  }

  perform(each: Exclude<RequestOp, { op: "txn" }>, alone: boolean): ResponseOp {
    if (each.op === "put") {
      if (alone) this.checkPut(each, true);
      const { key, ignoreValue, ignoreLease } = each.request;
      const before = this.map.get(key);
      const modRevision = this.#model.revision + 1;
      const kv = {
        key,
        createRevision: before?.createRevision ?? modRevision,
        modRevision,
        version: (before?.version ?? 0) + 1,
        value: ignoreValue ? before!.value : each.request.value,
        lease: ignoreLease ? before!.lease : each.request.lease,
      };
      this.map.set(key, kv);
      this.events.push({ type: "put", kv, prevKv: before ?? null });
      return { op: "put", response: { header: { revision: modRevision }, prevKv: (each.request.prevKv && before) || null } };
    }
    if (each.op === "deleteRange") {
      const { key, rangeEnd, prevKv } = each.request;
      const found = sorted(this.map).filter((kv) => within(kv.key, key, rangeEnd));
      for (const kv of found) this.delete(kv.key);
      return { op: "deleteRange", response: { header: { revision: this.revision }, deleted: found.length, prevKvs: prevKv ? found : [] } };
    }
    return { op: "range", response: answer(this.#model, each.request, this.map, this.revision) };
  }

  delete(key: string): void {
    const prevKv = this.map.get(key)!;
    this.map.delete(key);
    const kv = { key, createRevision: 0, modRevision: this.#model.revision + 1, version: 0, value: "", lease: 0n };
    this.events.push({ type: "delete", kv, prevKv });
  }

  txn(request: TxnRequest, paths: Map<TxnRequest, boolean>): TxnResponse {
    const succeeded = paths.get(request)!;
    const responses = (succeeded ? request.success : request.failure).map(
      (each): ResponseOp => (each.op === "txn" ? { op: "txn", response: this.txn(each.request, paths) } : this.perform(each, false)),
    );
    return { header: { revision: 0 }, succeeded, responses };
  }
}

function answer(model: KvModel, request: RangeRequest, present: Map<string, KeyValue>, current: number): RangeResponse {
  if (request.revision > current) throw refuse(11, "etcdserver: mvcc: required revision is a future revision");
  const revision = request.revision <= 0 ? current : request.revision;
  if (revision < model.compacted) throw refuse(11, "etcdserver: mvcc: required revision has been compacted");
  const all = sorted(revision === current ? present : model.maps[revision]!).filter((kv) => within(kv.key, request.key, request.rangeEnd));
  let kvs = [...all];
  const bounds = [request.minModRevision, request.maxModRevision, request.minCreateRevision, request.maxCreateRevision];
  // etcd takes the first keys before it sorts them, where no order is asked for.
  if (request.limit > 0 && request.sortOrder === "none" && bounds.every((bound) => bound === 0)) kvs = kvs.slice(0, request.limit + 1);
  const [minMod, maxMod, minCreate, maxCreate] = bounds as [number, number, number, number];
  if (minMod !== 0) kvs = kvs.filter((kv) => kv.modRevision >= minMod);
  if (maxMod !== 0) kvs = kvs.filter((kv) => kv.modRevision <= maxMod);
  if (minCreate !== 0) kvs = kvs.filter((kv) => kv.createRevision >= minCreate);
  if (maxCreate !== 0) kvs = kvs.filter((kv) => kv.createRevision <= maxCreate);
  const target = ({ key: "key", version: "version", create: "createRevision", mod: "modRevision", value: "value" } as const)[
    request.sortTarget
  ];
  if (request.sortOrder !== "none" || target !== "key") {
    const sign = request.sortOrder === "descend" ? -1 : 1;
    kvs.sort((a, b) => (a[target] < b[target] ? -sign : a[target] > b[target] ? sign : 0));
  }
  const more = !request.countOnly && request.limit > 0 && kvs.length > request.limit;
  if (more) kvs = kvs.slice(0, request.limit);
  if (request.keysOnly) kvs = kvs.map((kv) => ({ ...kv, value: "" }));
  return { header: { revision: current }, kvs: request.countOnly ? [] : kvs, more, count: all.length };
}

function sorted(map: Map<string, KeyValue>): KeyValue[] {
  return [...map.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
}

export function within(key: string, start: string, rangeEnd: string): boolean {
  if (rangeEnd === "") return key === start;
  return key >= start && (rangeEnd === "\0" || key < rangeEnd);
}

function refuse(grpc: number, message: string): KvError {
  return new KvError(grpc, message);
}

function check(each: RequestOp | Operation): void {
  if (each.op === "txn") {
    for (const compare of each.request.compare) if (compare.key === "") throw refuse(3, "etcdserver: key is not provided");
    for (const inner of [...each.request.success, ...each.request.failure]) check(inner);
    return;
  }
  if (each.op !== "put" && each.op !== "range" && each.op !== "deleteRange") return;
  if (each.request.key === "") throw refuse(3, "etcdserver: key is not provided");
  if (each.op !== "put") return;
  if (each.request.ignoreValue && each.request.value !== "") throw refuse(3, "etcdserver: value is provided");
  if (each.request.ignoreLease && each.request.lease !== 0n) throw refuse(3, "etcdserver: lease is provided");
}

/** Every pair of writes that may both happen, one of them a put, on one key. */
export function doublyWritten(txn: TxnRequest): boolean {
  type Leaf = { each: RequestOp & { op: "put" | "deleteRange" }; path: string[] };
  const leaves: Leaf[] = [];
  const walk = (ops: RequestOp[], path: string[]) => {
    for (const [i, each] of ops.entries()) {
      if (each.op === "put" || each.op === "deleteRange") leaves.push({ each, path });
      else if (each.op === "txn") {
        walk(each.request.success, [...path, `${i}+`]);
        walk(each.request.failure, [...path, `${i}-`]);
      }
    }
  };
  walk(txn.success, ["+"]);
  walk(txn.failure, ["-"]);
  const exclude = (a: string[], b: string[]) => {
    const at = a.findIndex((step, i) => step !== b[i]);
    return at >= 0 && b[at] !== undefined && a[at]!.slice(0, -1) === b[at]!.slice(0, -1);
  };
  return leaves.some((a, i) =>
    leaves.slice(i + 1).some((b) => {
      if (exclude(a.path, b.path)) return false;
      if (a.each.op === "put") return b.each.op === "put" ? a.each.request.key === b.each.request.key : deletes(b.each, a.each.request.key);
      return b.each.op === "put" && deletes(a.each, b.each.request.key);
    }),
  );
}

function deletes(each: RequestOp & { op: "deleteRange" }, key: string): boolean {
  return within(key, each.request.key, each.request.rangeEnd);
}

function executed(txn: TxnRequest, paths: Map<TxnRequest, boolean>): Exclude<RequestOp, { op: "txn" }>[] {
  return (paths.get(txn)! ? txn.success : txn.failure).flatMap((each) => (each.op === "txn" ? executed(each.request, paths) : [each]));
}

function compares(compare: Compare, kv: KeyValue): boolean {
  const has = { version: kv.version, create: kv.createRevision, mod: kv.modRevision, value: kv.value, lease: kv.lease }[compare.target];
  return { equal: has === compare.value, notEqual: has !== compare.value, greater: has > compare.value, less: has < compare.value }[
    compare.result
  ];
}

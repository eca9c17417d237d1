import { refusal } from "./refusals.ts";
import type {
  ByteString,
  Compare,
  Header,
  KeyValue,
  Operation,
  OperationResult,
  PutRequest,
  RangeRequest,
  RangeResponse,
  RequestOp,
  TxnResponse,
  WatchCreate,
  WatchEvent,
} from "./types.ts";

/**
 * What a procedure wants done next, and what the driver answers with: `write` an OperationResult, `read` (linearizable) a
 * RangeResponse, `watch` the next events of that watch, at least one, or null when what it asks for is compacted. A `watch` with
 * `resume` goes on with the events of the procedure's last watch, which may stay open until another step is asked for.
 * `emit` gives a value to whom the procedure serves.
 */
export type Step<T = never> =
  | { step: "write"; operation: Operation }
  | { step: "read"; request: RangeRequest }
  | { step: "watch"; create: WatchCreate; resume: boolean }
  | { step: "emit"; value: T };
export type Watched = { events: WatchEvent[]; revision: number };
export type StepAnswer = OperationResult | RangeResponse | Watched | null | undefined;

/**
 * Drive it with `next(answer)`. Of a step that failed, and of a caller that went away, tell it with `throw(error)`: it may then
 * ask for steps that clean up, to be done whoever waits, and ends by throwing the error.
 */
export type Procedure<R, T = never> = Generator<Step<T>, R, StepAnswer>;

/** Where the request of a lock, or of a campaign, names no lease it is given one of this TTL, in seconds. */
export const DEFAULT_SESSION_TTL = 60;

/** `fence` is the create revision of the lock's key: of two holders of one lock the later has the greater. */
export type Locked = { header: Header; key: ByteString; fence: number };
export type LeaderKey = { name: ByteString; key: ByteString; rev: number; lease: bigint };
export type Campaigned = { header: Header; leader: LeaderKey };
export type Leader = { header: Header; kv: KeyValue };

/**
 * Takes the lock `name` for the holder of `lease`, which must exist; holding it already is fine. Waits for all who came before.
 * A caller that goes away gives its place up. Throws KvError.
 */
export function* lock(name: ByteString, lease: bigint): Procedure<Locked> {
  const prefix = `${name}/`;
  const key = keyOf(prefix, lease);
  const put = putOp({ key, value: "", lease });
  const owner: RequestOp = { op: "range", request: firstOf(prefix) };
  const entered = yield* txn([created(key, 0)], [put, owner], [getOp(key), owner]);
  const fence = entered.succeeded ? entered.header.revision : kvsOf(entered, 0)[0]!.createRevision;
  const [holder] = kvsOf(entered, 1);
  if (holder === undefined || holder.createRevision === fence) return { header: entered.header, key, fence };
  try {
    yield* waitForEarlier(prefix, fence);
    const own = yield* read(rangeOf(key, ""));
    if (own.kvs[0]?.createRevision !== fence) throw refusal("sessionExpired");
    return { header: own.header, key, fence };
  } catch (error) {
    yield* txn([created(key, fence)], [deleteOp(key)], []);
    throw error;
  }
}

/** Gives a lock up by its key; one that is not held is fine. */
export function* unlock(key: ByteString): Procedure<{ header: Header }> {
  const { header } = yield* write({ op: "deleteRange", request: { key, rangeEnd: "", prevKv: false } });
  return { header };
}

/**
 * Enters the election `name` and waits to be its leader. Who is in it already proclaims `value` instead. A caller that goes
 * away resigns. Throws KvError.
 */
export function* campaign(name: ByteString, lease: bigint, value: ByteString): Procedure<Campaigned> {
  const prefix = `${name}/`;
  const key = keyOf(prefix, lease);
  const entered = yield* txn([created(key, 0)], [putOp({ key, value, lease })], [getOp(key)]);
  const found = entered.succeeded ? undefined : kvsOf(entered, 0)[0]!;
  const rev = found === undefined ? entered.header.revision : found.createRevision;
  const leader: LeaderKey = { name, key, rev, lease };
  try {
    if (found !== undefined && found.value !== value) yield* proclaim(leader, value);
    if (yield* waitForEarlier(prefix, rev)) {
      const own = yield* read(rangeOf(key, ""));
      if (own.kvs[0]?.createRevision !== rev) throw refusal("electionNotLeader");
    }
    return { header: entered.header, leader };
  } catch (error) {
    yield* resign(leader);
    throw error;
  }
}

/** Announces a new value of the leader. Throws KvError: not leader. */
export function* proclaim({ key, rev, lease }: LeaderKey, value: ByteString): Procedure<{ header: Header }> {
  const { succeeded, header } = yield* txn([created(key, rev)], [putOp({ key, value, lease })], []);
  if (!succeeded) throw refusal("electionNotLeader");
  return { header };
}

/** Gives leadership, or the candidacy, up. One that was lost is fine. */
export function* resign({ key, rev }: LeaderKey): Procedure<{ header: Header }> {
  const { header } = yield* txn([created(key, rev)], [deleteOp(key)], []);
  return { header };
}

/** Who leads now. Throws KvError: no leader. */
export function* leader(name: ByteString): Procedure<Leader> {
  const { header, kvs } = yield* read(firstOf(`${name}/`));
  const [kv] = kvs;
  if (kv === undefined) throw refusal("electionNoLeader");
  return { header, kv };
}

/** Emits who leads, and each value that is proclaimed, in order; leaders and values that came and went in between may be left out. Never returns. */
export function* observe(name: ByteString): Procedure<never, Leader> {
  const prefix = `${name}/`;
  for (;;) {
    const { header, kvs } = yield* read(firstOf(prefix));
    const [kv] = kvs;
    if (kv === undefined) {
      yield* waitFor(watchOf(prefix, prefixEnd(prefix), header.revision + 1, "noDelete"));
      continue;
    }
    yield { step: "emit", value: { header, kv } };
    yield* follow(kv.key, header.revision + 1);
  }
}

/** Emits what the leader proclaims until its key is deleted, or it must be looked for again. */
function* follow(key: ByteString, from: number): Generator<Step<Leader>, void, StepAnswer> {
  const create = watchOf(key, "", from, null);
  for (let resume = false; ; resume = true) {
    const watched = (yield { step: "watch", create, resume }) as Watched | null;
    if (watched === null) return;
    for (const { type, kv } of watched.events) {
      if (type === "delete") return;
      yield { step: "emit", value: { header: { revision: kv.modRevision }, kv } };
    }
  }
}

/** Waits until no key of the prefix was created before `revision`: always for the last of them, so that each deletion wakes one. Whether it waited. */
function* waitForEarlier(prefix: ByteString, revision: number): Procedure<boolean> {
  const last: RangeRequest = { ...lastOf(prefix), maxCreateRevision: revision - 1 };
  for (let waited = false; ; waited = true) {
    const { header, kvs } = yield* read(last);
    const [kv] = kvs;
    if (kv === undefined) return waited;
    yield* waitFor(watchOf(kv.key, "", header.revision + 1, "noPut"));
  }
}

/** The next event; or none, where what happened has to be read again. */
function* waitFor(create: WatchCreate): Procedure<void> {
  yield { step: "watch", create, resume: false };
}

function* read(request: RangeRequest): Procedure<RangeResponse> {
  return (yield { step: "read", request }) as RangeResponse;
}

function* write(operation: Operation): Procedure<{ header: Header }> {
  return ((yield { step: "write", operation }) as OperationResult).response;
}

function* txn(compare: Compare[], success: RequestOp[], failure: RequestOp[]): Procedure<TxnResponse> {
  return (yield* write({ op: "txn", request: { compare, success, failure } })) as TxnResponse;
}

/** As etcd prints a lease in a key: hexadecimal, with a sign where the number has one. */
function keyOf(prefix: ByteString, lease: bigint): ByteString {
  return prefix + lease.toString(16);
}

/** The first key after all that begin with `prefix`; "\0", no end, where there is none. */
export function prefixEnd(prefix: ByteString): ByteString {
  const kept = prefix.replace(/\xff+$/, "");
  if (kept === "") return "\0";
  return kept.slice(0, -1) + String.fromCharCode(kept.charCodeAt(kept.length - 1) + 1);
}

function rangeOf(key: ByteString, rangeEnd: ByteString): RangeRequest {
  const filters = { minModRevision: 0, maxModRevision: 0, minCreateRevision: 0, maxCreateRevision: 0 };
  const options = { serializable: false, keysOnly: false, countOnly: false, ...filters };
  return { key, rangeEnd, limit: 0, revision: 0, sortOrder: "none", sortTarget: "key", ...options };
}

function firstOf(prefix: ByteString): RangeRequest {
  return { ...rangeOf(prefix, prefixEnd(prefix)), limit: 1, sortOrder: "ascend", sortTarget: "create" };
}

function lastOf(prefix: ByteString): RangeRequest {
  return { ...rangeOf(prefix, prefixEnd(prefix)), limit: 1, sortOrder: "descend", sortTarget: "create" };
}

function watchOf(key: ByteString, rangeEnd: ByteString, startRevision: number, filter: "noPut" | "noDelete" | null): WatchCreate {
  const filters = filter === null ? [] : [filter];
  return { key, rangeEnd, startRevision, progressNotify: false, filters, prevKv: false, fragment: false };
}

function created(key: ByteString, revision: number): Compare {
  return { result: "equal", target: "create", key, rangeEnd: "", value: revision };
}

function getOp(key: ByteString): RequestOp {
  return { op: "range", request: rangeOf(key, "") };
}

function putOp(request: Pick<PutRequest, "key" | "value" | "lease">): RequestOp {
  return { op: "put", request: { ...request, prevKv: false, ignoreValue: false, ignoreLease: false } };
}

function deleteOp(key: ByteString): RequestOp {
  return { op: "deleteRange", request: { key, rangeEnd: "", prevKv: false } };
}

function kvsOf(response: TxnResponse, at: number): KeyValue[] {
  const each = response.responses[at];
  return each?.op === "range" ? each.response.kvs : [];
}

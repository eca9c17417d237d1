import type { Procedure } from "../../../core/consensus/kv/concurrency.ts";
import type { Operation, OperationResult, RangeRequest, RangeResponse, TxnRequest } from "../../../core/consensus/kv/types.ts";
import type { Ask } from "../../../core/consensus/replica/types.ts";
import { type Answered, readAnswer } from "../../../core/consensus/socket/answers.ts";
import { writeAsk } from "../../../core/consensus/socket/requests.ts";
import { SkerryError } from "../../../core/wire/errors.ts";
import type { CallOptions, Http } from "../http.ts";
import { type GroupConfig, type GroupInfo, type GroupStatus, Groups, path } from "./admin.ts";
import { campaign, type ElectionOptions, type Leadership, type Leading, leaderOf, observe } from "./election.ts";
import { type Follow, follow } from "./follow.ts";
import { Lease } from "./lease.ts";
import { acquire, type Lock, type LockOptions, withLock } from "./lock.ts";
import { type GroupCallOptions, type RangeOptions, type ReadOptions, readLevel, readRange, type WriteOptions } from "./options.ts";
import { carryOut, type ProcedureHost, steps } from "./procedures.ts";
import { WriteSession } from "./session.ts";
import { GroupSocket } from "./socket.ts";
import { type Deleted, del, deletedOf, type Put, type PutOptions, put, putOf, type Range, rangeAnswer, Txn, when } from "./txn.ts";
import type { Bytes, Entry, Span } from "./values.ts";
import { type GroupWatch, targetOf, Watch, type WatchOptions } from "./watch.ts";

const TIMEOUT = 15_000;
const PAGE = 1000;
const CREDIT = 32;

/** What every answer says: the revision it shows, and the level it achieved. */
export type Shown = { revision: number; level: string };

/**
 * A group: keys and values that a quorum of replicas agrees on, with revisions, transactions, watches, leases, locks and
 * elections. Nothing is sent before it is used; what is asked in the same turn leaves together. Writes are repeated until
 * they are answered and happen once.
 * @example
 * const group = openGroup(client, "desk");
 * await group.put("duty", "ada");
 * console.log((await group.get("duty"))?.text);
 */
export class Group {
  readonly name: string;
  readonly #http: Http;
  readonly #sockets: { leader: GroupSocket | null; near: GroupSocket[] } = { leader: null, near: [] };
  readonly #leases = new Set<Lease>();
  #session: WriteSession;
  #revision = 0;
  /** The group's name in a `Skerry-Context`; null: not known before its first greeting. */
  #object: string | null = null;

  /** @internal Use `openGroup`. */
  constructor(http: Http, name: string) {
    this.name = name;
    this.#http = http;
    this.#session = this.#newSession();
  }

  /** The latest revision that this client has seen. The client's `context` has it too, for others to see as much. */
  get revision(): number {
    return this.#object === null ? this.#revision : Math.max(this.#revision, this.#http.seen(this.#object));
  }

  /** Creates the group, or confirms that it is so; `conflict` where it exists with another configuration. Needs `admin`. */
  create(config: GroupConfig = {}, options: CallOptions = {}): Promise<GroupInfo> {
    return new Groups(this.#http).create(this.name, config, options);
  }

  /** Where it stands, replica by replica. */
  status(options: CallOptions = {}): Promise<GroupStatus> {
    return new Groups(this.#http).status(this.name, options);
  }

  /** One key, or null where there is none. */
  async get(key: Bytes, options: ReadOptions = {}): Promise<Entry | null> {
    return (await this.range(key, options)).entries[0] ?? null;
  }

  /** Keys in order. */
  async range(span: Span, options: RangeOptions & ReadOptions = {}): Promise<Range & Shown> {
    const request = readRange(span, options);
    const answered = await this.#read(request, options);
    return { ...rangeAnswer({ op: "range", response: rangeIn(answered) }), ...shown(answered) };
  }

  /** All entries of a span as of one revision, page by page. */
  async *entries(span: Span, options: ReadOptions & { page?: number } = {}): AsyncGenerator<Entry, void, undefined> {
    const limit = options.page ?? PAGE;
    let { key, rangeEnd } = readRange(span, {});
    for (let revision = options.revision ?? 0; ; ) {
      const answered = await this.#read({ ...readRange("", { limit, revision }), key, rangeEnd }, options);
      const response = rangeIn(answered);
      yield* rangeAnswer({ op: "range", response }).entries;
      const last = response.kvs.at(-1);
      if (!response.more || last === undefined) return;
      if (revision === 0) revision = response.header.revision;
      key = `${last.key}\0`;
    }
  }

  /**
   * Writes a key. With `ifRevision` only where its last write is that one (0: where there is no such key): throws `conflict`
   * otherwise, with what is there in `extra.revision`.
   */
  async put(key: Bytes, value: Bytes, options: PutOptions & WriteOptions & { ifRevision?: number } = {}): Promise<Put & Shown> {
    const step = put(key, value, options);
    if (options.ifRevision === undefined) {
      const { result, answered } = await this.#write(step.request as Operation, options);
      return { ...putOf(result as never), ...shown(answered) };
    }
    const { answer, ...more } = await this.#guarded(key, options.ifRevision, step.request, options);
    return { ...putOf(answer), ...more };
  }

  /** Deletes a key, or all keys of a span. `ifRevision` as in {@link put}, for one key. */
  async delete(span: Span, options: WriteOptions & { previous?: boolean; ifRevision?: number } = {}): Promise<Deleted & Shown> {
    const step = del(span, options);
    if (options.ifRevision === undefined) {
      const { result, answered } = await this.#write(step.request as Operation, options);
      return { ...deletedOf(result as never), ...shown(answered) };
    }
    const { answer, ...more } = await this.#guarded(span, options.ifRevision, step.request, options);
    return { ...deletedOf(answer), ...more };
  }

  /** A transaction, to be built with `if`, `do`, `else` and ended with `commit`. */
  txn(options: WriteOptions = {}): Txn {
    const commit = async (request: TxnRequest) => {
      const { result, answered } = await this.#write({ op: "txn", request }, options);
      if (result.op !== "txn") throw strange();
      const { succeeded, responses } = result.response;
      return { succeeded, responses, ...shown(answered) };
    };
    return new Txn(commit, [], [], []);
  }

  /** Forgets all revisions before this one: what they had is gone unless it is there still. */
  async compact(revision: number, options: GroupCallOptions = {}): Promise<void> {
    await this.#write({ op: "compact", request: { revision } }, options);
  }

  /**
   * Follows keys: every change, in order, once. It begins when the server has taken it (`ready`), or goes on `from` where
   * another left off. Throws `revision_compacted` where that is forgotten: read, and watch from what you read; {@link follow}
   * does so.
   * @example
   * for await (const { events } of group.watch({ prefix: "jobs/" })) for (const { type, key } of events) console.log(type, key);
   */
  watch(span: Span, options: WatchOptions = {}): GroupWatch {
    options.signal?.throwIfAborted();
    const from = options.from === undefined ? null : String(options.from);
    const target = targetOf(span, options);
    const subscription = this.#near(target).subscribe(target, from, options.credit ?? CREDIT);
    return new Watch(subscription, from, options.signal, (revision) => this.#saw(revision));
  }

  /** What is there, and then each change, for as long as it is read; where history was forgotten, what is there once more. */
  follow(span: Span, options: GroupCallOptions & { previous?: boolean } = {}): AsyncGenerator<Follow, void, undefined> {
    return follow(this, span, options);
  }

  /**
   * Grants a lease of so many seconds, which is kept alive until it is revoked, unless `keepAlive` is false. With `hold` it ends so
   * many seconds after this client's connection does, if the client does not come back meanwhile: a holder that dies is noticed
   * long before its `ttl`, which can be long then. `ttl` remains what counts where the group's replica dies with the connection.
   */
  async lease(ttl: number, options: WriteOptions & { keepAlive?: boolean; hold?: number | undefined } = {}): Promise<Lease> {
    const { hold = null, keepAlive = true } = options;
    const { id, ttl: granted, at } = await this.#grant(ttl, options);
    const socket = this.#leader();
    const host = {
      runtime: this.#http.runtime,
      renew: (lease: string, timeout: number, seconds: number | null) => this.#renew(lease, timeout, seconds),
      revoke: (lease: string) => this.#revoke(lease),
      ended: (lease: Lease) => {
        this.#leases.delete(lease);
        if (hold !== null) socket.unpin();
      },
    };
    if (hold !== null) socket.pin();
    const lease = new Lease(host, id, granted, at, keepAlive, hold);
    this.#leases.add(lease);
    // Held from the beginning, as far as can be; if not, the next renewal sees to it.
    if (hold !== null) await lease.renew().catch(() => {});
    return lease;
  }

  /** Takes a lock, waiting for whoever holds it. {@link withLock} gives it back by itself. */
  lock(name: string, options: LockOptions = {}): Promise<Lock> {
    return acquire(this, name, options);
  }

  /**
   * Runs `work` while holding a lock; at most one of all clients does. `lock.signal` is aborted if the lock is lost meanwhile (this
   * process was cut off): then this throws `not_held`. Whoever may go on for a while after that fences what it does:
   * by `lock.guard` in transactions of this group, elsewhere by `lock.fence`, which grows from holder to holder.
   * @example
   * await group.withLock("locks/report", async (lock) => {
   *   await group.txn().if(lock.guard).do(put("report", "done")).commit();
   * });
   */
  withLock<T>(name: string, work: (lock: Lock) => T | Promise<T>, options: LockOptions = {}): Promise<T> {
    return withLock(this, name, work, options);
  }

  /** Stands for election and resolves once it is won. */
  campaign(name: string, value: Bytes, options: ElectionOptions = {}): Promise<Leadership> {
    return campaign(this, name, value, options);
  }

  /** Who leads, and what was proclaimed last; null: nobody. */
  leader(name: string, options: GroupCallOptions = {}): Promise<Leading | null> {
    return leaderOf(this, name, options);
  }

  /** Who leads, and each time that changes or something is proclaimed. */
  observe(name: string, options: { signal?: AbortSignal } = {}): AsyncGenerator<Leading, void, undefined> {
    return observe(this, name, options);
  }

  /** Lets go of its sockets. What waits is refused; leases, locks and leaderships are lost, and end with their time to live. */
  close(): void {
    const error = new SkerryError("unavailable", `The group "${this.name}" was closed by this client.`);
    for (const lease of this.#leases) lease.abandon(error);
    this.#sockets.leader?.close(error);
    for (const socket of this.#sockets.near) socket.close(error);
    this.#sockets.leader = null;
    this.#sockets.near.length = 0;
  }

  /** @internal Carries out a procedure of locks and elections. */
  carryOut<R>(procedure: Procedure<R>, signal?: AbortSignal): Promise<R> {
    return carryOut(this.#host, procedure, signal);
  }

  /** @internal As {@link carryOut}, with what the procedure emits. */
  steps<R, T>(procedure: Procedure<R, T>, signal?: AbortSignal): AsyncGenerator<T, R, void> {
    return steps(this.#host, procedure, signal);
  }

  /** @internal */
  get runtime(): Http["runtime"] {
    return this.#http.runtime;
  }

  readonly #host: ProcedureHost = {
    write: async (operation, signal) => (await this.#write(operation, { signal })).result,
    read: async (request, signal) => rangeIn(await this.#read(request, { signal })),
    // The leader tells first, and its socket is there.
    watch: ({ key, rangeEnd, startRevision, prevKv, filters }) => {
      const only = filters.includes("noPut") ? "deletes" : filters.includes("noDelete") ? "puts" : undefined;
      const target = targetOf(spanOf(key, rangeEnd), { previous: prevKv, ...(only !== undefined && { only }) });
      const socket = this.#leader().takes(target) ? this.#leader() : this.#near(target);
      return socket.subscribe(target, startRevision === 0 ? null : String(startRevision - 1), CREDIT);
    },
  };

  async #write(operation: Operation, options: WriteOptions): Promise<{ result: OperationResult; answered: Answered }> {
    let session = this.#session;
    let seq = 0;
    const text = () => {
      const [client, next, ack] = session.begin();
      seq = next;
      const { demand } = options;
      return textOf({ ask: "write", operation, session: { client, seq, ack }, ...(demand !== undefined && { demand }) });
    };
    const mend = (error: SkerryError) => {
      if (error.code !== "session_lost") return null;
      // Its memory was needed for others; the write was refused, so it may happen under another name.
      session.end(seq);
      if (this.#session === session) this.#session = this.#newSession();
      session = this.#session;
      return text();
    };
    try {
      const answered = await this.#call(this.#leader(), { text: text(), mend }, options);
      if (answered.value.told !== "write") throw strange();
      return { result: answered.value.result, answered };
    } finally {
      session.end(seq);
    }
  }

  async #read(request: RangeRequest, options: ReadOptions): Promise<Answered> {
    const read = readLevel(options.level);
    const socket = read.level === "linearizable" ? this.#leader() : this.#near();
    const session = read.level === "session";
    const ask = writeAsk({ ask: "range", request, read, after: session ? this.revision : 0 });
    // What the context says of this group only the group can tell, as long as its name there is not known here.
    const context = session && this.#object === null ? this.#http.context : null;
    return this.#call(socket, { text: JSON.stringify(context === null ? ask : { ...ask, context }) }, options);
  }

  #saw(revision: number): void {
    if (revision <= this.#revision) return;
    this.#revision = revision;
    if (this.#object !== null) this.#http.saw(this.#object, revision);
  }

  async #call(
    socket: GroupSocket,
    call: { text: string; mend?: (error: SkerryError) => string | null },
    options: GroupCallOptions,
  ): Promise<Answered> {
    const answered = readAnswer(await socket.call({ ...call, timeout: options.timeout ?? TIMEOUT, signal: options.signal }));
    this.#saw(answered.revision);
    return answered;
  }

  /** A write under the condition that a key was last written at a revision; the branch not taken says when it was. */
  async #guarded(key: Span, revision: number, request: TxnRequest["success"][number], options: WriteOptions) {
    const compare = [revision === 0 ? when(key).absent() : when(key).modRevision.is(revision)];
    const look = { op: "range" as const, request: readRange(key, { keysOnly: true, limit: 1 }) };
    const { result, answered } = await this.#write({ op: "txn", request: { compare, success: [request], failure: [look] } }, options);
    const [answer] = result.op === "txn" ? result.response.responses : [];
    if (result.op !== "txn" || answer === undefined) throw strange();
    if (result.response.succeeded) return { answer, ...shown(answered) };
    const found = answer.op === "range" ? (answer.response.kvs[0]?.modRevision ?? 0) : 0;
    const said = found === 0 ? "there is no such key" : `its last write is of revision ${found}`;
    throw new SkerryError("conflict", `The key was not changed: ${said}.`, { extra: { revision: found } });
  }

  /**
   * A lease, and when it was asked for: it may have begun to run then. Where the answer took so long that little of it may be
   * left, it is renewed before anybody relies on it, and where it has ended meanwhile, another one is granted.
   */
  async #grant(ttl: number, options: WriteOptions): Promise<{ id: string; ttl: number; at: number }> {
    const { runtime } = this.#http;
    // The group may grant more than was asked for: it has a shortest.
    const late = (at: number, granted: number) => runtime.now() - at > (granted * 1000) / 3;
    for (;;) {
      const asked = runtime.now();
      const { result } = await this.#write({ op: "leaseGrant", request: { id: 0n, ttl } }, options);
      if (result.op !== "leaseGrant") throw strange();
      const lease = { id: String(result.response.id), ttl: result.response.ttl };
      if (!late(asked, lease.ttl)) return { ...lease, at: asked };
      for (let left = lease.ttl; left > 0; ) {
        options.signal?.throwIfAborted();
        const at = runtime.now();
        left = await this.#renew(lease.id, options.timeout ?? TIMEOUT);
        if (left > 0 && !late(at, lease.ttl)) return { ...lease, at };
      }
    }
  }

  async #renew(id: string, timeout: number, hold: number | null = null): Promise<number> {
    const ask = writeAsk({ ask: "leaseKeepAlive", id: BigInt(id) });
    const text = JSON.stringify(hold === null ? ask : { ...ask, hold });
    const answered = await this.#call(this.#leader(), { text }, { timeout });
    return answered.value.told === "leaseKeepAlive" ? answered.value.response.ttl : 0;
  }

  async #revoke(id: string): Promise<void> {
    try {
      await this.#write({ op: "leaseRevoke", request: { id: BigInt(id) } }, {});
    } catch (error) {
      // It had ended by itself.
      if (!(error instanceof SkerryError) || error.code !== "lease_not_found") throw error;
    }
  }

  #leader(): GroupSocket {
    this.#sockets.leader ??= this.#socket("leader");
    return this.#sockets.leader;
  }

  /** A socket to the nearest replica; for a watch one that has room for it. */
  #near(target = ""): GroupSocket {
    let socket = this.#sockets.near.find((each) => target === "" || each.takes(target));
    if (socket === undefined) {
      socket = this.#socket("near");
      this.#sockets.near.push(socket);
    }
    return socket;
  }

  #socket(place: "leader" | "near"): GroupSocket {
    const probe = () => this.#http.request("GET", path(this.name), { attempts: 1 }, () => {});
    const greeted = (object: string | null) => {
      this.#object ??= object;
      if (place === "leader") for (const lease of this.#leases) lease.reconnected();
    };
    return new GroupSocket(this.#http, `${path(this.name)}/socket`, place, { probe, greeted });
  }

  #newSession(): WriteSession {
    return new WriteSession(this.#http.runtime.uuid().replaceAll("-", "").slice(0, 20));
  }
}

function textOf(ask: Ask): string {
  return JSON.stringify(writeAsk(ask));
}

function shown({ revision, achieved, placement }: Answered): Shown {
  return { revision, level: placement === "simulated" && achieved === "quorum" ? "quorum; placement=simulated" : achieved };
}

function rangeIn(answered: Answered): RangeResponse {
  if (answered.value.told !== "range") throw strange();
  return answered.value.response;
}

function spanOf(key: string, rangeEnd: string): Span {
  const bytes = (text: string) => Uint8Array.from(text, (char) => char.charCodeAt(0));
  return rangeEnd === "" ? bytes(key) : { from: bytes(key), ...(rangeEnd !== "\0" && { to: bytes(rangeEnd) }) };
}

function strange(): SkerryError {
  return new SkerryError("internal", "The group answered something else than was asked.");
}

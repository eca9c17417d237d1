import { DurableObject } from "cloudflare:workers";
import { decodeEnvelope } from "../../core/consensus/replica/envelope.ts";
import { type Effects, Replica } from "../../core/consensus/replica/replica.ts";
import { type Ask, type Hint, NO_HINT, type ReplicaStatus, type Reply } from "../../core/consensus/replica/types.ts";
import type { JournalStorage } from "../../core/journal/port.ts";
import { type Answer, answer } from "../../core/wire/answer.ts";
import { errorOf, SkerryError } from "../../core/wire/errors.ts";
import { PING_TEXT, PONG_TEXT } from "../../core/wire/frames.ts";
import { ACTOR_HEADER, type Actor } from "../../core/wire/grant.ts";
import { objectName } from "../../core/wire/names.ts";
import { sqliteJournalStorage } from "../shared/journal-sqlite.ts";
import { answerClose, closeExpired, closeSocket, closeToken, earliestExpiry } from "../shared/sockets.ts";
import { type ActiveFaults, type FaultPlan, Faults } from "./faults.ts";
import { type Membership, membershipOf, replicaName } from "./names.ts";
import { measuredPlace } from "./place.ts";
import { GroupSockets, heldBy, type SocketRequest } from "./sockets.ts";
import { Wakeups } from "./wakeups.ts";

/** How a replica begins: with the others of a new group, all of them told the same, or as one to be added to a group. */
export type Beginning = { kind: "found"; voters: number[]; state: Uint8Array } | { kind: "join" };

/** What replies to several requests may hold of values. */
const MAX_TOGETHER_BYTES = 8 * 2 ** 20;

/** A request, and what its sender knows. */
export type Asked = { ask: Ask; hint: Hint };

/**
 * One replica of a group: SQLite, RPC, sockets, a timer and the alarm around {@link Replica}, which decides everything. What a turn
 * writes is durable before anything that the turn says leaves the object (output gate).
 */
export class Group extends DurableObject<Env> {
  readonly #wakeups: Wakeups;
  readonly #faults = new Faults();
  readonly #asks = new Map<number, (reply: Reply) => void>();
  #rows: JournalStorage;
  /** `undefined`: not opened since the wake; null: not a member. */
  #replica: Replica | null | undefined;
  #sockets: GroupSockets | null = null;
  #known: Membership | null = null;
  #lastAsk = 0;
  #syncing = false;
  #measured = false;
  /** Rows that the project's account has heard of, through answers. */
  #rowsTold = 0;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#wakeups = new Wakeups(ctx.storage, {
      wake: () => void (this.#replica && !this.#faults.hung && this.#do((replica, now) => replica.wake(now))),
      lease: () => void (this.#opened() && this.#do((replica, now) => replica.alarm(now))),
      expire: () => {
        for (const socket of closeExpired(ctx, Date.now())) this.#closed(socket);
        this.#wakeups.expires(earliestExpiry(ctx));
      },
      failed: (name, error) => this.#warn(`the alarm "${name}" failed`, error),
    });
    this.#rows = sqliteJournalStorage(ctx.storage);
  }

  /** Makes this object a member. Does nothing where it is one. */
  async configure(beginning: Beginning): Promise<Answer<null>> {
    if (beginning.kind === "found") Replica.found(this.#rows, beginning.voters, beginning.state);
    else Replica.join(this.#rows);
    if (this.#replica === null) this.#replica = undefined;
    await this.#measure();
    return this.#answer(null, "durable");
  }

  /** Another replica speaks; the answer is what there is to say to it. */
  async step(bytes: Uint8Array): Promise<Uint8Array> {
    if (this.#faults.active) await this.#faults.admit(decodeEnvelope(bytes).from);
    const effects = this.#do((replica, now) => replica.step(bytes, now));
    if (effects.answer === null) throw new SkerryError("unavailable", "This replica's storage was rolled back; it takes no part any more.");
    return whole(effects.answer);
  }

  /**
   * Requests, answered together; a hint says which leader did not answer. Each reply names what it achieved. Null in place of what was
   * read where that is too much to travel with the others: ask for it alone.
   */
  async asks(requests: readonly Asked[]): Promise<Answer<(Reply | null)[]>> {
    if (this.#faults.active) await this.#faults.pass();
    return this.#answer(withinBytes(await this.#asked(requests)), "eventual");
  }

  #asked(requests: readonly Asked[]): Promise<Reply[]> {
    return new Promise<Reply[]>((resolve) => {
      const all: Reply[] = [];
      let open = requests.length;
      const done = (at: number) => (reply: Reply) => {
        all[at] = reply;
        if (--open === 0) resolve(all);
      };
      this.#ask(requests.map(({ ask, hint }, at) => ({ ask, hint, done: done(at) })));
    });
  }

  /** What this replica knows, for people to look at, and what is broken on purpose. It wakes no other. Null where it is no member. */
  async status(): Promise<Answer<(ReplicaStatus & { faults: ActiveFaults | null }) | null>> {
    const replica = this.#opened();
    return this.#answer(replica === null ? null : { ...replica.inspect(), faults: this.#faults.plan }, "eventual");
  }

  /** The whole state, as {@link Beginning} takes it; with all that was committed before the call. Throws `unavailable`, `not_leader`. */
  async snapshot(): Promise<Answer<{ revision: number; state: Uint8Array }>> {
    if (this.#faults.active) await this.#faults.pass();
    const [answered] = await this.#asked([{ ask: { ask: "leases" }, hint: NO_HINT }]);
    const { reply } = answered!;
    if (reply !== "ok")
      throw new SkerryError(reply === "notLeader" ? "not_leader" : "no_quorum", "A snapshot is the leader's to give.", { retryAfter: 1 });
    const { store } = this.#run();
    return this.#answer({ revision: store.revision, state: store.snapshot() }, "linearizable");
  }

  /** Forgets everything; the object is a member of nothing. */
  async erase(): Promise<Answer<null>> {
    for (const socket of this.ctx.getWebSockets()) closeSocket(socket, "stale_metadata", "the replica was removed");
    this.#wakeups.stop();
    this.#replica = null;
    this.#sockets = null;
    for (const resolve of this.#asks.values()) resolve({ reply: "notLeader", leader: 0, term: 0 });
    this.#asks.clear();
    await this.ctx.storage.deleteAll();
    this.#wakeups.forget();
    this.#rows = sqliteJournalStorage(this.ctx.storage);
    return this.#answer(null, "durable");
  }

  /** Breaks something on purpose; refused unless the deployment is for development. */
  async fault(plan: FaultPlan): Promise<Answer<null>> {
    if ((this.env.SKERRY_FAULTS as string) !== "1")
      throw new SkerryError("forbidden", "This deployment takes no faults: SKERRY_FAULTS is not 1.");
    this.#faults.set(plan);
    if (plan.place !== undefined) this.#do((replica, now) => replica.place(plan.place!, now));
    if (plan.hang === false && this.#replica) this.#do((replica, now) => replica.wake(now));
    return this.#answer(null, "durable");
  }

  /** A token was revoked: its sockets close now. */
  async revoked(tokenId: string): Promise<void> {
    for (const socket of closeToken(this.ctx, tokenId)) this.#closed(socket);
  }

  /** The Worker opens a socket here, having authorised it. */
  override async fetch(request: Request): Promise<Response> {
    if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") return new Response("Expected a WebSocket.", { status: 426 });
    if (this.#faults.active) await this.#faults.pass();
    const actor = JSON.parse(request.headers.get(ACTOR_HEADER) ?? "null") as Actor | null;
    if (actor === null) return new Response("No actor.", { status: 401 });
    // A keep-alive wakes nobody.
    this.ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair(PING_TEXT, PONG_TEXT));
    this.#wakeups.expires(actor.expiresAt);
    return this.#opensSockets().accept(actor, request.headers.get("sec-websocket-protocol"));
  }

  override async webSocketMessage(socket: WebSocket, data: string | ArrayBuffer): Promise<void> {
    if (this.#faults.active) await this.#faults.pass();
    if (this.#opened() !== null) this.#opensSockets().message(socket, data);
  }

  override async webSocketClose(socket: WebSocket): Promise<void> {
    this.#closed(socket);
    answerClose(socket);
  }

  override async webSocketError(socket: WebSocket): Promise<void> {
    this.#closed(socket);
  }

  /** The end of a socket that holds nothing wakes nobody. */
  #closed(socket: WebSocket): void {
    if (this.#sockets === null && (heldBy(socket) === null || this.#opened() === null)) return;
    this.#opensSockets().closed(socket);
  }

  override async alarm(): Promise<void> {
    if (this.#faults.active) await this.#faults.pass();
    await this.#wakeups.fire(Date.now());
  }

  #ask(requests: readonly SocketRequest[]): void {
    const asks = requests.map(({ ask, hint, done }) => {
      const id = ++this.#lastAsk;
      this.#asks.set(id, done);
      return { id, ask, hint };
    });
    try {
      this.#do((replica, now) => replica.asks(asks, now));
    } catch (thrown) {
      for (const { id } of asks) this.#asks.delete(id);
      throw thrown;
    }
  }

  /** Tells the replica of something, and does what it says. */
  #do(event: (replica: Replica, now: number) => Effects): Effects {
    const replica = this.#run();
    let effects: Effects;
    try {
      effects = event(replica, Date.now());
    } catch (thrown) {
      // Memory and storage may differ now: only the storage counts.
      if (replica.broken) this.ctx.abort(`the replica failed: ${String(thrown)}`);
      throw thrown;
    }
    for (const { ask, reply } of effects.replies) {
      this.#asks.get(ask)?.(reply);
      this.#asks.delete(ask);
    }
    if (effects.changes.length > 0 && this.#hasSockets()) this.#opensSockets().changed(effects.changes);
    if (effects.restored && this.#hasSockets()) this.#opensSockets().replaced();
    this.#sockets?.compacted();
    this.#sockets?.flush();
    for (const call of effects.calls) void this.#call(call.call, call.to, call.bytes);
    this.#wakeups.set(effects);
    if (effects.sync && !this.#syncing) void this.#sync();
    if (!this.#measured && effects.calls.length > 0) void this.#measure();
    return effects;
  }

  async #call(call: number, to: number, bytes: Uint8Array): Promise<void> {
    let event: (replica: Replica, now: number) => Effects;
    try {
      if (this.#faults.active) await this.#faults.before(to);
      const { scope, group, generation } = this.#me;
      const name = replicaName(scope, group, generation, to);
      const answered = await this.env.GROUP.getByName(name).step(whole(bytes));
      if (this.#faults.active) await this.#faults.pass();
      event = (replica, now) => replica.answered(call, answered, now);
    } catch {
      event = (replica, now) => replica.failed(call, now);
    }
    // Erased meanwhile: nobody waits for it.
    if (!this.#replica) return;
    try {
      this.#do(event);
    } catch (thrown) {
      this.#warn("an answer of a replica could not be used", thrown);
      if (this.#replica && !this.#replica.broken) this.#do((replica, now) => replica.failed(call, now));
    }
  }

  async #sync(): Promise<void> {
    this.#syncing = true;
    await this.ctx.storage.sync();
    this.#syncing = false;
    if (this.#replica) this.#do((replica, now) => replica.persisted(now));
  }

  #opened(): Replica | null {
    if (this.#replica === undefined) {
      const id = this.#me.member;
      const random = (below: number) => Math.floor(Math.random() * below);
      const placement = this.#simulated ? "simulated" : "measured";
      this.#replica = Replica.open(this.#rows, { id, random, placement });
      if (this.#replica !== null && this.#hasSockets()) this.#opensSockets().wake();
    }
    return this.#replica;
  }

  #run(): Replica {
    const replica = this.#opened();
    if (replica === null)
      throw new SkerryError("stale_metadata", "This object is no member of a group; look the group up again.", { retryAfter: 1 });
    return replica;
  }

  get #me(): Membership {
    this.#known ??= membershipOf(this.ctx);
    return this.#known;
  }

  get #simulated(): boolean {
    return (this.env.SKERRY_PLACEMENT as string) === "simulated";
  }

  #hasSockets(): boolean {
    return this.#sockets !== null || this.ctx.getWebSockets().length > 0;
  }

  #opensSockets(): GroupSockets {
    this.#run();
    const { name, scope } = this.#me;
    this.#sockets ??= new GroupSockets(this.ctx, {
      ...this.#me,
      store: () => this.#run().store,
      ask: (requests) => this.#ask(requests),
      introspect: async (token) => {
        const project = this.env.PROJECT.getByName(objectName(scope, "platform", "project"));
        return (await project.introspect(token, { class: "GROUP", object: name })).value;
      },
      expires: (at) => this.#wakeups.expires(at),
      release: (releases) =>
        queueMicrotask(() => this.#replica && !this.#faults.hung && void this.#do((replica, now) => replica.released(releases, now))),
      // Not in the middle of another turn, which it may be that noticed.
      watched: (watching, restored) =>
        queueMicrotask(() => this.#replica && void this.#do((replica, now) => replica.watch(watching, now, restored))),
    });
    return this.#sockets;
  }

  /** Finds out where this is, once a life; not where everything is in one place anyway. */
  async #measure(): Promise<void> {
    if (this.#measured || this.#simulated) return;
    this.#measured = true;
    const place = await measuredPlace();
    if (place !== null && this.#opened() !== null) this.#do((replica, now) => replica.place(place, now));
  }

  #answer<T>(value: T, level: Answer<T>["level"]): Answer<T> {
    const written = this.#replica?.rowsWritten ?? 0;
    // The others write what this one writes.
    const rows = (written - this.#rowsTold) * (this.#replica?.members ?? 1);
    this.#rowsTold = written;
    return answer(value, { object: this.#me.object, at: this.#replica?.store.revision ?? 0 }, level, rows);
  }

  #warn(message: string, thrown: unknown): void {
    const { code, message: detail, cause } = errorOf(thrown);
    console.warn(JSON.stringify({ level: "warn", message, replica: this.#me.name, code, detail, cause: String(cause ?? "") }));
  }
}

/** The platform carries 32 MiB in one answer. The first reply stays, whatever it has. */
function withinBytes(replies: readonly Reply[]): (Reply | null)[] {
  let bytes = 0;
  return replies.map((reply, i) => {
    if (reply.reply !== "ok" || reply.value.told !== "range") return reply;
    for (const { key, value } of reply.value.response.kvs) bytes += key.length + value.length;
    return i > 0 && bytes > MAX_TOGETHER_BYTES ? null : reply;
  });
}

/** A view of a larger buffer would take all of that along. */
function whole(bytes: Uint8Array): Uint8Array {
  return bytes.byteLength === bytes.buffer.byteLength ? bytes : bytes.slice();
}

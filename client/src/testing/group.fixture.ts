import { KvStore } from "../../../core/consensus/kv/store.ts";
import { KvError, type Operation, type Session as WriteSession } from "../../../core/consensus/kv/types.ts";
import type { Ask, Reply } from "../../../core/consensus/replica/types.ts";
import { type Answered, writeAnswer } from "../../../core/consensus/socket/answers.ts";
import { callError } from "../../../core/consensus/socket/call-errors.ts";
import { errorOfReply } from "../../../core/consensus/socket/errors.ts";
import { Holds } from "../../../core/consensus/socket/holds.ts";
import { readAsk, readContext, readHint, readHold } from "../../../core/consensus/socket/requests.ts";
import { WatchTargets } from "../../../core/consensus/socket/watches.ts";
import { CallDesk, CallLoad } from "../../../core/wire/calls.ts";
import { errorOf, type SkerryError } from "../../../core/wire/errors.ts";
import type { CallFrame } from "../../../core/wire/frames.ts";
import { type Effect, Session } from "../../../core/wire/session.ts";
import { perform } from "../../../core/wire/session-drive.ts";
import type { Client } from "../client.ts";
import { createClient } from "../index.ts";
import type { Runtime, Socket } from "../runtime.ts";
import { VirtualTime } from "./virtual.fixture.ts";

/**
 * A group as its clients meet it: three replicas that share one state as if they had agreed on it, one of which leads. Any of them
 * may hang or be gone; time is virtual.
 */
export class FakeGroup {
  readonly time: VirtualTime;
  readonly runtime: ReturnType<VirtualTime["runtime"]>;
  readonly store = new KvStore();
  readonly connections: Connection[] = [];
  readonly load = new CallLoad();
  readonly holds = new Holds<Connection>();
  leader = 1;
  /** Followers believe that the leader lives. */
  leased = true;
  readonly hung = new Set<number>();
  readonly gone = new Set<number>();
  /** Commands applied, duplicates not counted. */
  applied = 0;
  /** Call frames that arrived. */
  frames = 0;
  /** Lets a write happen and its answer get lost: the connection breaks before it is sent. */
  loseNextAnswer = false;
  readonly refusals: SkerryError[] = [];
  /** What session reads demanded: a revision, and a context. */
  readonly sessionReads: { after: number; context: string | null }[] = [];
  readonly #leases = new Map<bigint, { ttl: number; until: number }>();

  constructor(time = new VirtualTime()) {
    this.time = time;
    this.runtime = time.runtime();
  }

  client(runtime: Partial<Runtime> = {}): Client {
    return createClient({
      url: "https://skerry.test",
      token: "t",
      runtime: {
        ...this.runtime,
        fetch: async () => Response.json({}),
        connect: (url) => this.connect(url),
        ...runtime,
      },
    });
  }

  connect(url: string): Socket {
    const query = new URL(url).searchParams;
    const [to, not] = [query.get("to") ?? "leader", Number(query.get("not") ?? 0)];
    const others = [1, 2, 3].filter((id) => id !== not && !this.gone.has(id));
    // The Worker's hint of who leads may be old: it is the replica that led first.
    const member = to === "leader" ? 1 : to === "near" ? 3 : to === "other" ? (others[0] as number) : Number(to);
    const connection = new Connection(this, member, url);
    this.connections.push(connection);
    return connection;
  }

  /** Nobody hangs any more. */
  heal(): void {
    this.hung.clear();
    for (const each of this.connections) each.resume();
  }

  /** A replica ends without a word. */
  kill(member: number): void {
    this.gone.add(member);
    for (const each of this.connections) if (each.member === member) each.break();
  }

  ask(member: number, ask: Ask, silent: number): Reply {
    try {
      return this.#ask(member, ask, silent);
    } catch (error) {
      if (error instanceof KvError) return { reply: "refused", grpc: error.grpc, message: error.message };
      throw error;
    }
  }

  #ask(member: number, ask: Ask, silent: number): Reply {
    const refusal = this.refusals.shift();
    if (refusal !== undefined) throw refusal;
    const weak = ask.ask === "range" && ask.read.level !== "linearizable";
    if (member !== this.leader && !weak) {
      if (silent === this.leader && !this.leased) this.leader = member;
      else return { reply: "notLeader", leader: this.leader, term: 1 };
    }
    switch (ask.ask) {
      case "range":
        return this.#ok({ told: "range", response: this.store.range(ask.request) }, ask.read.level);
      case "write":
        return this.#write(ask.operation, ask.session);
      case "leaseKeepAlive": {
        const lease = this.#leases.get(ask.id);
        const ttl = lease === undefined || lease.until <= this.time.now ? 0 : lease.ttl;
        if (lease !== undefined) lease.until = this.time.now + ttl * 1000;
        return this.#ok(
          { told: "leaseKeepAlive", response: { header: { revision: this.store.revision }, id: ask.id, ttl } },
          "linearizable",
        );
      }
      case "leaseTimeToLive": {
        const response = { header: { revision: this.store.revision }, id: ask.id, ttl: -1, grantedTtl: 0, keys: [] };
        return this.#ok({ told: "leaseTimeToLive", response }, "linearizable");
      }
      default:
        return { reply: "refused", grpc: 12, message: "not here" };
    }
  }

  /** A connection is gone, as far as the group knows. */
  released(connection: Connection): void {
    for (const { id, within } of this.holds.closed(connection)) {
      const lease = this.#leases.get(id);
      if (lease !== undefined) lease.until = Math.min(lease.until, this.time.now + within);
    }
  }

  /** Ends the leases whose time is over. */
  expire(): void {
    for (const [id, { until }] of this.#leases) if (until <= this.time.now) this.apply({ op: "leaseRevoke", request: { id } }, null);
  }

  apply(operation: Operation, session: WriteSession | null) {
    if (operation.op === "compact")
      for (const each of this.connections) each.publish((targets) => targets.compacted(operation.request.revision));
    const applied = this.store.apply({ operation, at: this.time.now, session });
    if (!applied.duplicate && applied.result !== undefined) this.applied++;
    if (operation.op === "leaseRevoke") this.#leases.delete(operation.request.id);
    if (applied.events.length > 0) {
      for (const each of this.connections) each.publish((targets) => targets.apply(applied.revision, applied.events));
    }
    return applied;
  }

  #write(operation: Operation, session: WriteSession | null): Reply {
    const named =
      operation.op === "leaseGrant" && operation.request.id === 0n
        ? { ...operation, request: { ...operation.request, id: BigInt(1000 + this.#leases.size) } }
        : operation;
    const applied = this.apply(named, session);
    if (applied.result === undefined) return { reply: "refused", grpc: applied.error.grpc, message: applied.error.message };
    if (applied.result.op === "leaseGrant" && !applied.duplicate) {
      const { id, ttl } = applied.result.response;
      this.#leases.set(id, { ttl, until: this.time.now + ttl * 1000 });
    }
    return this.#ok({ told: "write", result: applied.result }, "quorum");
  }

  #ok(value: Answered["value"], achieved: Answered["achieved"]): Reply {
    const { revision } = this.store;
    return { reply: "ok", value, term: 1, revision, index: revision, placement: "simulated", achieved };
  }
}

/** One socket, both ends. What is sent takes a millisecond. */
export class Connection implements Socket {
  readyState = 0;
  onopen: ((event: never) => void) | null = null;
  onmessage: ((event: never) => void) | null = null;
  onclose: ((event: never) => void) | null = null;
  onerror: ((event: never) => void) | null = null;
  readonly member: number;
  readonly url: string;
  readonly #group: FakeGroup;
  readonly #targets: WatchTargets;
  readonly #desk: CallDesk;
  readonly #held: string[] = [];
  #session: Session | null = null;
  #opened = 0;

  constructor(group: FakeGroup, member: number, url: string) {
    this.#group = group;
    this.member = member;
    this.url = url;
    this.#targets = new WatchTargets(() => group.store, 1);
    this.#desk = new CallDesk(group.load);
    this.#later(() => this.#open());
  }

  send(text: string | Uint8Array): void {
    this.#later(() => this.#receive(String(text)));
  }

  close(): void {
    this.readyState = 3;
    this.#session = null;
    this.#group.released(this);
  }

  /** The connection is cut. */
  break(): void {
    if (this.readyState === 3) return;
    this.close();
    this.onclose?.({ code: 1006, reason: "" } as never);
  }

  publish(changes: (targets: WatchTargets) => ReturnType<WatchTargets["apply"]>): void {
    if (this.#session === null || this.#group.hung.has(this.member)) return;
    for (const change of changes(this.#targets)) this.#perform(this.#session.publish(change, this.#group.time.now));
  }

  #later(run: () => void): void {
    this.#group.runtime.timer(1, run);
  }

  #open(): void {
    if (this.readyState === 3 || this.#group.hung.has(this.member)) return;
    if (this.#group.gone.has(this.member)) {
      this.break();
      return;
    }
    this.readyState = 1;
    this.#opened = this.#group.time.now;
    this.onopen?.(undefined as never);
    const { session, effects } = Session.open(null, { member: this.member, object: "v1/main/global/groups/group/desk" });
    this.#session = session;
    this.#perform(effects);
  }

  #receive(text: string): void {
    const session = this.#session;
    if (session === null) return;
    if (this.#group.hung.has(this.member)) this.#held.push(text);
    else this.#perform(session.onFrame(text, this.#group.time.now, "calls"), text.length);
  }

  /** The replica goes on with what it was told while it hung. */
  resume(): void {
    for (const text of this.#held.splice(0)) this.#receive(text);
    if (this.readyState === 0) this.#open();
  }

  #perform(effects: Effect[], size = 0): void {
    const session = this.#session;
    if (session === null) return;
    const shell = {
      save: () => {},
      send: (text: string) => this.#deliver(text),
      close: (code: number, reason: string) => {
        this.close();
        this.onclose?.({ code, reason } as never);
      },
      ask: (ask: Parameters<WatchTargets["read"]>[0]) => this.#targets.read(ask),
      verify: () => {},
      acked: () => {},
      call: (frame: CallFrame) => this.#call(frame, size),
    };
    perform(session, effects, shell, this.#group.time.now);
  }

  #call(frame: CallFrame, size: number): void {
    this.#group.frames++;
    for (const { id, payload } of this.#desk.admit(frame, size)) {
      try {
        const ask = readAsk(payload);
        if (ask.ask === "range" && ask.read.level === "session")
          this.#group.sessionReads.push({ after: ask.after, context: readContext(payload) });
        const reply = this.#group.ask(this.member, ask, readHint(payload).silent);
        const hold = readHold(payload);
        if (reply.reply === "ok") {
          const { value } = reply;
          if (hold !== null && value.told === "leaseKeepAlive" && value.response.ttl > 0)
            this.#group.holds.hold(this, `${value.response.id}`, hold, 1, this.#opened);
          this.#desk.settle({ id, value: writeAnswer(reply) });
        } else this.#desk.settle({ id, error: callError(errorOfReply(reply)) });
      } catch (thrown) {
        this.#desk.settle({ id, error: callError(errorOf(thrown)) });
      }
    }
    if (this.#group.loseNextAnswer) {
      this.#group.loseNextAnswer = false;
      this.break();
      return;
    }
    for (const text of this.#desk.drain()) this.#deliver(text);
  }

  #deliver(text: string): void {
    this.#later(() => {
      if (this.readyState === 1) this.onmessage?.({ data: text } as never);
    });
  }
}

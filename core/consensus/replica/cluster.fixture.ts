import { MemoryJournalStorage, type MemorySnapshot } from "../../journal/memory.ts";
import { KV_DEFAULTS } from "../kv/store.ts";
import type { Operation, RangeRequest } from "../kv/types.ts";
import type { Format } from "./format.ts";
import type { ReplicaOptions } from "./options.ts";
import { type Effects, Replica } from "./replica.ts";
import { type Ask, type Hint, NO_HINT, type ReadLevel, type Reply } from "./types.ts";

/** A seeded generator: integers from 0 to below `below`. */
export function seeded(seed: number): (below: number) => number {
  let state = seed | 0;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

type Member = { id: number; rows: MemoryJournalStorage; replica: Replica | null; timer: number; alarm: number | null; calls: number };
type Event = { at: number; order: number; run: () => void; live: () => boolean };
export type Settled = { reply: Reply; at: number };

/** Replicas wired together in one process and in virtual time, with a network that can be cut. What a turn wrote is durable at its end. */
export class Cluster {
  readonly members = new Map<number, Member>();
  readonly random: (below: number) => number;
  /** Milliseconds one way. */
  delay = 1;
  now = 1_000_000;
  /** Calls made, per round trip one. */
  calls = 0;
  alarmsSet = 0;
  /** Directed links that lose everything, as "from>to"; and replicas that answer nothing. */
  readonly cuts = new Set<string>();
  readonly hung = new Set<number>();
  drop = 0;
  /** Calls from one replica to another are served by a third, a copy that does not know it was superseded: whatever it writes fails. */
  impostor: { from: number; to: number; served: number } | null = null;
  /** The code of a replica that is of another version than the rest, from its next wake on. */
  readonly formats = new Map<number, Format>();
  readonly #options: Partial<ReplicaOptions>;
  #events: Event[] = [];
  #order = 0;
  #asks = 0;
  readonly #waiting = new Map<string, (reply: Reply) => void>();
  changes: { id: number; revision: number }[] = [];

  constructor(ids: number[], options: Partial<ReplicaOptions> = {}, seed = 1) {
    this.random = seeded(seed);
    this.#options = options;
    for (const id of ids) {
      const member = this.add(id);
      Replica.found(member.rows, ids);
    }
  }

  add(id: number): Member {
    const member: Member = { id, rows: new MemoryJournalStorage(), replica: null, timer: 0, alarm: null, calls: 0 };
    this.members.set(id, member);
    return member;
  }

  member(id: number): Member {
    return this.members.get(id)!;
  }

  /** The replica, woken if it sleeps. */
  replica(id: number): Replica {
    const member = this.member(id);
    const format = this.formats.get(id);
    const options = { ...this.#options, ...(format === undefined ? {} : { format }) };
    member.replica ??= Replica.open(member.rows, { id, random: this.random, placement: "simulated", ...options })!;
    return member.replica;
  }

  /** Memory is lost, what was written stays; who waits for an answer gets none. */
  evict(id: number): void {
    const member = this.member(id);
    member.replica = null;
    member.timer++;
  }

  rollBack(id: number, rows: MemorySnapshot): void {
    this.evict(id);
    this.member(id).rows.restore(rows);
  }

  /** Asks, and goes on with time until the reply is there. */
  ask(id: number, ask: Ask, hint: Hint = NO_HINT): Settled {
    const settled = this.begin(id, ask, hint);
    this.until(() => settled.done !== null, 10_000);
    return settled.done!;
  }

  /** Asks, and returns what will hold the reply. */
  begin(id: number, ask: Ask, hint: Hint = NO_HINT): { done: Settled | null } {
    const settled: { done: Settled | null } = { done: null };
    const number = ++this.#asks;
    if (!this.hung.has(id)) {
      this.#waiting.set(`${id}/${number}`, (reply) => {
        settled.done = { reply, at: this.now };
      });
      this.#perform(id, this.replica(id).ask(number, ask, hint, this.now));
    }
    return settled;
  }

  /** As a Worker does: asks a replica, follows `notLeader`, and after silence asks another one. */
  write(operation: Operation, first = 1): { reply: Extract<Reply, { reply: "ok" }>; leader: number } {
    return this.persist({ ask: "write", operation, session: null }, first);
  }

  persist(ask: Ask, first = 1): { reply: Extract<Reply, { reply: "ok" }>; leader: number } {
    let id = first;
    let silent = 0;
    for (let attempt = 0; attempt < 20; attempt++) {
      const settled = this.begin(id, ask, { silent });
      this.until(() => settled.done !== null, silent === 0 ? 400 + 6 * this.delay : 2_500);
      const reply = settled.done?.reply;
      if (reply?.reply === "ok") return { reply, leader: id };
      if (reply?.reply === "notLeader" && reply.leader !== 0 && reply.leader !== silent) {
        silent = 0;
        id = reply.leader;
      } else {
        // Others may still name one that says itself that it does not lead.
        if (reply === undefined || reply.reply === "notLeader") silent = reply === undefined || reply.leader === 0 ? id : silent;
        const ids = [...this.members.keys()];
        id = ids[(ids.indexOf(id) + 1) % ids.length]!;
      }
    }
    throw new Error("No leader was found.");
  }

  change(id: number, change: (replica: Replica, now: number) => Effects): void {
    this.#perform(id, change(this.replica(id), this.now));
  }

  leader(): number {
    for (const { id, replica } of this.members.values()) if (replica?.inspect().role === "leader") return id;
    return 0;
  }

  /** Goes on with time for `ms`. */
  run(ms: number): void {
    const end = this.now + ms;
    for (let next = this.#next(); next !== null && next.at <= end; next = this.#next()) this.#do(next);
    this.now = end;
  }

  /** Goes on until `done`, or for `ms`. False if it is not done then. */
  until(done: () => boolean, ms: number): boolean {
    const end = this.now + ms;
    while (!done()) {
      const next = this.#next();
      if (next === null || next.at > end) {
        this.now = end;
        return done();
      }
      this.#do(next);
    }
    return true;
  }

  /** Events that are still to come: calls, timers, alarms. */
  get pending(): number {
    return this.#events.filter((event) => event.live()).length;
  }

  cut(a: number, b: number): void {
    this.cuts.add(`${a}>${b}`);
    this.cuts.add(`${b}>${a}`);
  }

  heal(): void {
    this.cuts.clear();
    this.hung.clear();
    this.drop = 0;
  }

  #perform(id: number, effects: Effects): void {
    const member = this.member(id);
    const { replica } = member;
    for (const { ask, reply } of effects.replies) {
      this.#waiting.get(`${id}/${ask}`)?.(reply);
      this.#waiting.delete(`${id}/${ask}`);
    }
    for (const { revision } of effects.changes) this.changes.push({ id, revision });
    for (const { call, to, bytes } of effects.calls) {
      this.calls++;
      member.calls++;
      this.#call(id, to, bytes, (answer) => {
        if (member.replica !== replica || replica === null || this.hung.has(id)) return;
        this.#perform(id, answer === null ? replica.failed(call, this.now) : replica.answered(call, answer, this.now));
      });
    }
    const timer = ++member.timer;
    if (effects.wakeIn !== null) {
      const live = () => member.timer === timer && member.replica !== null && !this.hung.has(id);
      const wake = () => live() && this.#perform(id, member.replica!.wake(this.now));
      this.#at(this.now + effects.wakeIn, wake, live);
    }
    this.#arm(member, effects.alarmAt);
    if (effects.sync) this.#at(this.now, () => member.replica !== null && this.#perform(id, member.replica.persisted(this.now)));
  }

  #arm(member: Member, at: number | null): void {
    if (at === null || (member.alarm !== null && member.alarm <= at)) return;
    member.alarm = at;
    this.alarmsSet++;
    const live = () => member.alarm === at;
    const fire = () => {
      if (!live()) return;
      member.alarm = null;
      if (!this.hung.has(member.id)) this.#perform(member.id, this.replica(member.id).alarm(this.now));
      else this.#arm(member, this.now + 1_000);
    };
    this.#at(Math.max(at, this.now + 1), fire, live);
  }

  #call(from: number, to: number, bytes: Uint8Array, settle: (answer: Uint8Array | null) => void): void {
    const { impostor } = this;
    if (impostor?.from === from && impostor.to === to) {
      this.#at(this.now + this.delay, () => settle(this.#impersonate(impostor, bytes)));
      return;
    }
    const lost = (a: number, b: number) =>
      this.cuts.has(`${a}>${b}`) || this.hung.has(b) || (this.drop > 0 && this.random(1_000) < this.drop * 1_000);
    if (lost(from, to)) return;
    this.#at(this.now + this.delay, () => {
      if (this.hung.has(to)) return;
      const effects = this.replica(to).step(bytes.slice(), this.now);
      const { answer } = effects;
      this.#perform(to, effects);
      if (lost(to, from)) return;
      this.#at(this.now + this.delay, () => settle(answer?.slice() ?? null));
    });
  }

  #impersonate({ to, served }: { to: number; served: number }, bytes: Uint8Array): Uint8Array | null {
    const member = this.member(served);
    member.replica ??= Replica.open(member.rows, { id: to, random: this.random, placement: "simulated", ...this.#options })!;
    const { replica } = member;
    // It woke before it was superseded: the row that this takes was written.
    replica.watch(true, this.now);
    const written = replica.rowsWritten;
    const { answer } = replica.step(bytes.slice(), this.now);
    return replica.rowsWritten === written ? answer : null;
  }

  #at(at: number, run: () => void, live = () => true): void {
    const event = { at, order: ++this.#order, run, live };
    let i = this.#events.length;
    while (i > 0 && (this.#events[i - 1]!.at > at || (this.#events[i - 1]!.at === at && this.#events[i - 1]!.order > event.order))) i--;
    this.#events.splice(i, 0, event);
  }

  #next(): Event | null {
    return this.#events[0] ?? null;
  }

  #do(event: Event): void {
    this.#events.shift();
    this.now = Math.max(this.now, event.at);
    event.run();
  }
}

export const put = (key: string, value: string, lease = 0n): Operation => ({
  op: "put",
  request: { key, value, lease, prevKv: false, ignoreValue: false, ignoreLease: false },
});

export const rangeOf = (key: string, rangeEnd = ""): RangeRequest => ({
  ...{ key, rangeEnd, limit: 0, revision: 0, sortOrder: "none", sortTarget: "key", serializable: false, keysOnly: false, countOnly: false },
  ...{ minModRevision: 0, maxModRevision: 0, minCreateRevision: 0, maxCreateRevision: 0 },
});

export const get = (key: string, read: ReadLevel = { level: "linearizable" }, after = 0): Ask => ({
  ask: "range",
  request: rangeOf(key),
  read,
  after,
});

/** The value that a reply to {@link get} shows; null where there is none. Throws for any other reply. */
export function shown({ reply }: Settled): string | null {
  if (reply.reply !== "ok" || reply.value.told !== "range") throw new Error(JSON.stringify(reply));
  return reply.value.response.kvs[0]?.value ?? null;
}

export const SMALL_QUOTA = { ...KV_DEFAULTS, quotaBytes: 256 * 1024 };

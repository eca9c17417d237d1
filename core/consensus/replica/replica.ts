import type { JournalStorage } from "../../journal/port.ts";
import type { KvStore } from "../kv/store.ts";
import { NO_BYTES } from "../raft/messages.ts";
import { NO_NODE, type NodeId } from "../raft/types.ts";
import { Asks } from "./asks.ts";
import { Core } from "./core.ts";
import { Desk, NO_QUORUM } from "./desk.ts";
import { decodeEnvelope, type Envelope } from "./envelope.ts";
import { earliest } from "./link.ts";
import { countOf } from "./lives.ts";
import type { Change } from "./machine.ts";
import type { ReplicaOptions } from "./options.ts";
import type { Call } from "./peers.ts";
import { ReplicaStorage } from "./storage.ts";
import { type Ask, type Hint, NO_HINT, type Release, type ReplicaStatus, type Reply } from "./types.ts";

/** What has to be done after an event, once all that was written during it is durable (a platform's output gate sees to that). */
export type Effects = {
  /** To call; report what came back by {@link Replica.answered} or {@link Replica.failed}. */
  calls: Call[];
  /** What the call that {@link Replica.step} served returns; null: an error, for this replica takes no part any more. */
  answer: Uint8Array | null;
  replies: { ask: number; reply: Reply }[];
  /** What changed, revision by revision, for watchers. */
  changes: Change[];
  /** The state was replaced: what changed in between is in no `changes`, watchers have to read it from the history. */
  restored: boolean;
  /** Milliseconds until {@link Replica.wake} is to be called; null: nothing to wait for. It takes the place of what was said before. */
  wakeIn: number | null;
  /** When {@link Replica.alarm} must have been called, Unix milliseconds; null: never. An earlier alarm that is set already does no harm. */
  alarmAt: number | null;
  /** Call {@link Replica.persisted} once what was written is durable. */
  sync: boolean;
};

/** A new member's log begins here: with a state, so that whoever lacks it gets a snapshot. */
const FIRST_INDEX = 1;
const FIRST_TERM = 1;
/** A follower looks after a lease that should have ended this long ago, and a second later for each place in the line. Milliseconds. */
const BACKSTOP_MS = 10_000;
/** Between two alarms. */
const SHORTEST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 300_000;
/** No id of a request: the replica's own. */
const OWN_ASK = -1;
const MAX_TICKS = 24;

/**
 * One replica of a group: Raft, the key-value state and the log, and all decisions about them. Pure: it is told what happens and
 * when, writes to its storage synchronously, and says what to do next. SPEC.md beside this file is its contract.
 *
 * @example
 * const effects = replica.ask(7, { ask: "leases" }, NO_HINT, Date.now());
 * for (const { call, to, bytes } of effects.calls) peers[to].step(bytes).then((answer) => replica.answered(call, answer, Date.now()));
 */
export class Replica {
  readonly #core: Core;
  readonly #desk: Desk;
  readonly #asks = new Asks();
  readonly #options: ReplicaOptions;
  #clock: number | null = null;
  #lastTick = 0;
  #ticking = false;
  #broken = false;
  /** When the alarm last went off, Unix milliseconds. */
  #alarmedAt: number | null = null;
  readonly #counters = { asks: 0, served: 0, calls: 0, alarms: 0 };
  #askedAt = Number.NEGATIVE_INFINITY;
  /** Somebody waits for something, or a majority was heard: a leader without either goes to sleep. */
  #livelyAt = 0;

  private constructor(storage: ReplicaStorage, options: ReplicaOptions) {
    this.#options = options;
    this.#core = new Core(storage, options);
    const desk = new Desk(this.#core, this.#asks);
    this.#desk = desk;
    this.#core.observer = desk;
  }

  /**
   * Makes `rows` a founding member's: all of them must be given the same voters, and `data` (a {@link KvStore.snapshot}, nothing for
   * an empty store). Does nothing where they are a member's already.
   */
  static found(rows: JournalStorage, voters: NodeId[], data: Uint8Array = NO_BYTES, place = ""): void {
    const storage = ReplicaStorage.open(rows);
    const conf = { voters: [...voters].sort((a, b) => a - b), learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };
    storage.found({ index: FIRST_INDEX, term: FIRST_TERM, conf, data }, place);
  }

  /** Makes `rows` those of a member to be added: it knows nothing until the leader sends it the state. */
  static join(rows: JournalStorage, place = ""): void {
    const conf = { voters: [], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };
    ReplicaStorage.open(rows).found({ index: 0, term: 0, conf, data: NO_BYTES }, place);
  }

  /** The replica as its rows have it; null where they are no member's. Throws `corrupt`, `newer_format`. */
  static open(rows: JournalStorage, options: ReplicaOptions): Replica | null {
    const storage = ReplicaStorage.open(rows, options.storage);
    return storage.configured ? new Replica(storage, options) : null;
  }

  get id(): NodeId {
    return this.#options.id;
  }

  /** To read from; whatever this replica has. */
  get store(): KvStore {
    return this.#core.machine.store;
  }

  /** It threw in mid-event: what it has in memory and what is stored may differ. Open it anew. */
  get broken(): boolean {
    return this.#broken;
  }

  /** How many replicas write what this one writes. */
  get members(): number {
    const { voters, learners, votersOutgoing } = this.#core.conf;
    return new Set([...voters, ...learners, ...votersOutgoing]).size;
  }

  get rowsWritten(): number {
    return this.#core.storage.rowsWritten;
  }

  /** A request, under a number of the caller's; it gets one reply, here or later. */
  ask(id: number, ask: Ask, hint: Hint, now: number): Effects {
    return this.asks([{ id, ask, hint }], now);
  }

  /** Requests that came together: what they write goes in one round. */
  asks(requests: readonly { id: number; ask: Ask; hint: Hint }[], now: number): Effects {
    this.#counters.asks++;
    return this.#turn(now, () => {
      this.#askedAt = this.#core.now;
      this.#livelyAt = this.#core.now;
      const deadline = this.#core.now + this.#core.timing.ask;
      for (const request of requests) this.#desk.open({ ...request, deadline });
    });
  }

  /** A peer's call. Throws `newer_format` or `corrupt` for what cannot be read, before anything is done. */
  step(bytes: Uint8Array, clock: number): Effects {
    const received = decodeEnvelope(bytes);
    this.#counters.served++;
    let answer: Uint8Array | null = null;
    const effects = this.#turn(clock, () => {
      this.#core.engage();
      const envelope = this.#receive(received);
      const receipt = envelope === null ? null : this.#core.accept(envelope);
      if (envelope !== null) this.#extras(envelope);
      this.#settle();
      const { peers, head, regressed, machine } = this.#core;
      // Nor does it take the state of a later version: its sender must not go on as if it did.
      if (regressed || (machine.halted !== null && received.chunk !== null)) return;
      // What was refused may not even learn what there would be to say to it.
      answer = envelope === null ? peers.refusal(received.from, head) : peers.answer(envelope.from, head, { receipt });
    });
    return { ...effects, answer };
  }

  /** What a call returned. Throws as {@link Replica.step}; then the call has {@link Replica.failed}. */
  answered(call: number, bytes: Uint8Array, now: number): Effects {
    const received = decodeEnvelope(bytes);
    return this.#turn(now, () => {
      const link = this.#core.peers.ended(call, this.#core.now);
      const envelope = this.#receive(received);
      if (link === null) return;
      if (envelope === null) {
        this.#core.lost(link.id);
        return;
      }
      this.#core.accept(envelope);
      this.#extras(envelope);
      const { receipt } = envelope;
      if (receipt === null || link.transfer === null || link.transfer.received(receipt) !== "done") return;
      link.transfer = null;
      this.#core.node.reportSnapshot(link.id, true);
    });
  }

  /** A call came to nothing. */
  failed(call: number, now: number): Effects {
    return this.#turn(now, () => {
      const link = this.#core.peers.ended(call, this.#core.now);
      if (link !== null) this.#core.lost(link.id);
    });
  }

  /** Holders of leases are gone, as far as this replica knows, which was told in its term that they hold them. Another one does nothing. */
  released(releases: readonly Release[], now: number): Effects {
    return this.#turn(now, () => {
      // Of a term that is over it wakes nobody.
      const held = releases.filter(({ term }) => term === this.#core.term);
      if (held.length === 0) return;
      this.#core.engage();
      this.#askedAt = this.#core.now;
      for (const release of held) this.#desk.release(release);
    });
  }

  /** The time that {@link Effects.wakeIn} named has passed. */
  wake(now: number): Effects {
    return this.#turn(now, () => {});
  }

  /** What was written up to {@link Effects.sync} is durable. */
  persisted(now: number): Effects {
    return this.#turn(now, () => {
      if (this.#core.leading !== null) this.#core.leading.unsynced = false;
    });
  }

  /** The alarm went off, or somebody wants to know whether leases have ended. */
  alarm(now: number): Effects {
    this.#counters.alarms++;
    this.#alarmedAt = now;
    return this.#turn(now, () => {
      const at = this.#dueAt();
      if (at === null || at > now) return;
      this.#core.engage();
      // A follower's: whoever leads should have ended that lease long ago. To be asked wakes a leader, or elects one.
      if (this.#core.leading !== null || this.#asks.has(OWN_ASK)) return;
      const request = { key: "\0", rangeEnd: "", limit: 1, revision: 0, sortOrder: "none", sortTarget: "key" } as const;
      const more = { serializable: false, keysOnly: true, countOnly: true } as const;
      const none = { minModRevision: 0, maxModRevision: 0, minCreateRevision: 0, maxCreateRevision: 0 };
      const ask: Ask = { ask: "range", request: { ...request, ...more, ...none }, read: { level: "bounded", ms: 0 }, after: 0 };
      this.#desk.open({ id: OWN_ASK, ask, hint: NO_HINT, deadline: this.#core.now + this.#core.timing.ask });
    });
  }

  /**
   * Whether anybody watches here: then commits are told to this replica at once. `restored`: as before a sleep, so that nobody waits for
   * what this replica may have missed; it wakes no other for that, and tells the leader when it is awake for another reason.
   */
  watch(watching: boolean, now: number, restored = false): Effects {
    return this.#turn(now, () => {
      const core = this.#core;
      if (core.watching === watching && restored) return;
      core.watching = watching;
      const leader = core.leader === NO_NODE ? core.storage.state.leader : core.leader;
      if (!watching || leader === NO_NODE || leader === core.id || core.leading !== null) return;
      if (!restored) core.engage();
      core.peers.link(leader).nudge = true;
    });
  }

  /** Where this replica was found to be: the name of its failure domain. */
  place(place: string, now: number): Effects {
    return this.#turn(now, () => {
      if (place !== this.#core.storage.state.place) this.#core.storage.setState({ place });
    });
  }

  /** For people to look at; it wakes nobody. */
  inspect(): ReplicaStatus {
    const { node, storage, peers, level, placement, machine, now } = this.#core;
    const { vote, peers: progress, settled, firstIndex } = node.status();
    const { state } = storage;
    return {
      ...this.#desk.status(),
      vote,
      firstIndex,
      settled,
      level,
      placement,
      place: state.place,
      regressed: state.regressed,
      halted: machine.halted?.message ?? null,
      leases: machine.store.leases().length,
      counters: { ...this.#counters, elections: this.#core.elections },
      waiting: this.#asks.size,
      rows: storage.rowsWritten,
      peers: progress.map((peer) => ({
        ...peer,
        place: peers.place(peer.id),
        incarnation: countOf(state.peers.get(peer.id)?.incarnation ?? 0),
        down: peers.link(peer.id).isDown(now),
      })),
    };
  }

  #receive(envelope: Envelope): Envelope | null {
    const { peers, leading, now, regressed } = this.#core;
    if (!peers.receive(envelope, now, leading?.term ?? -1)) return null;
    if (!regressed && peers.supersedes(envelope)) this.#core.regress();
    return this.#core.regressed ? null : envelope;
  }

  #extras(envelope: Envelope): void {
    const core = this.#core;
    const { from } = envelope;
    // Whoever acknowledges a read round with these words has written after it began.
    if (envelope.fence && envelope.messages.some((m) => m.type === "heartbeat" && m.context.length > 0 && m.term === core.term)) {
      core.storage.touchState();
    }
    for (const { id, index } of envelope.answers) this.#desk.fresh.answer(id, index);
    for (const id of envelope.asks) {
      const answers = core.peers.link(from).answers;
      if (core.leading === null) answers.push({ id, index: 0 });
      else core.leading.reads.add(() => core.peers.link(from).answers.push({ id, index: core.machine.applied }));
    }
  }

  #turn(clock: number, body: () => void): Effects {
    const core = this.#core;
    // A clock that goes back stands still, and one that leaps makes everything late: neither may make anything early.
    core.now += Math.max(0, clock - (this.#clock ?? clock));
    this.#clock = clock;
    core.clock = clock;
    try {
      this.#passTime();
      body();
      this.#settle();
      return this.#effects();
    } catch (error) {
      this.#broken = true;
      throw error;
    }
  }

  #passTime(): void {
    const core = this.#core;
    this.#asks.expire(core.now, NO_QUORUM);
    for (const link of core.peers.all()) if (link.expire(core.now)) core.lost(link.id);
    const tick = this.#tick();
    const ticks = Math.floor((core.now - this.#lastTick) / tick);
    if (!this.#ticking) this.#lastTick = core.now;
    else if (ticks > 0) {
      this.#lastTick += ticks * tick;
      core.tick(Math.min(ticks, MAX_TICKS));
      this.#desk.again();
    }
  }

  /** An election lasts for some round trips, however far the others are. */
  #tick(): number {
    const { timing, peers, now } = this.#core;
    return Math.max(timing.tick, Math.ceil(peers.roundTrip(now) / 3));
  }

  #settle(): void {
    const core = this.#core;
    for (let again = true; again; ) {
      core.drive();
      this.#desk.pump();
      again = core.node.hasReady();
      if (core.leading === null) continue;
      const pumped = core.leading.pump(core.conf, core.commit, core.now, core.clock, this.#lively);
      if (pumped.fence) core.storage.touchState();
      again ||= pumped.again;
    }
    core.tellCommits();
    core.checkpointIfDue();
    core.storage.flush(core.commit);
  }

  #effects(): Effects {
    const core = this.#core;
    const calls = core.engaged && !core.regressed ? core.peers.calls(core.head, core.now) : [];
    this.#counters.calls += calls.length;
    const { restored } = core;
    core.restored = false;
    this.#ticking = this.#needsTicks();
    return {
      calls,
      answer: null,
      replies: this.#asks.take().filter(({ ask }) => ask !== OWN_ASK),
      changes: core.machine.takeChanges(),
      restored,
      wakeIn: this.#wakeIn(),
      alarmAt: this.#alarmAt(),
      sync: core.leading?.unsynced === true,
    };
  }

  get #lively(): boolean {
    return this.#core.now - this.#askedAt < this.#core.timing.recover;
  }

  /** Ticks are for whoever has something to finish: a leader with followers that lack something, a candidate somebody waits for. */
  #needsTicks(): boolean {
    const core = this.#core;
    if (!core.engaged || core.regressed) return false;
    if (core.leading === null) return this.#desk.seeking;
    if (core.node.isSettled()) return false;
    if (this.#asks.size > 0 || core.hearsQuorum(core.timing.call)) this.#livelyAt = core.now;
    return core.now - this.#livelyAt < core.timing.dormant;
  }

  #wakeIn(): number | null {
    const core = this.#core;
    const deadlines = [
      this.#asks.deadline(),
      this.#ticking ? this.#lastTick + this.#tick() : null,
      core.engaged ? core.peers.deadline() : null,
      core.leading?.deadline(core.conf, core.commit, core.now, this.#lively) ?? null,
      this.#desk.fresh.deadline(),
    ];
    const first = earliest(deadlines);
    return first === null ? null : Math.max(1, Math.ceil(first - core.now));
  }

  /**
   * An alarm that just went off is not asked for again at once, whatever is due: each costs a row and a request. What is long overdue is
   * looked at less and less often, so that a group without a majority comes to rest.
   */
  #alarmAt(): number | null {
    const at = this.#dueAt();
    if (at === null || this.#alarmedAt === null) return at;
    const { leading, timing } = this.#core;
    const alone = leading !== null && !this.#core.hearsQuorum(timing.dormant);
    const pause = alone ? LONGEST_PAUSE_MS : Math.min(LONGEST_PAUSE_MS, Math.max(SHORTEST_PAUSE_MS, (this.#alarmedAt - at) / 2));
    return Math.max(at, Math.ceil(this.#alarmedAt + pause));
  }

  /** A leader's is the end of its first lease. A follower looks later whether somebody leads who sees to that. */
  #dueAt(): number | null {
    const core = this.#core;
    const { state } = core.storage;
    if (core.leading !== null) return core.leading.book.deadline();
    if (core.regressed || !core.conf.voters.includes(core.id)) return null;
    let first: number | null = null;
    for (const { renewedAt, ttl } of core.machine.store.leases()) {
      // A leader that sleeps looks as soon as a lease may have ended; who woke it is told when it has.
      const at = renewedAt + ttl * (state.leads ? 1_000 : 2_000);
      if (first === null || at < first) first = at;
    }
    if (first === null || state.leads) return first;
    return first + BACKSTOP_MS + core.conf.voters.indexOf(core.id) * 1_000;
  }
}

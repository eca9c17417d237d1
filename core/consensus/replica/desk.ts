import { isReadOnly } from "../kv/store.ts";
import { GRPC_CODES, KvError, type Operation } from "../kv/types.ts";
import { NO_BYTES } from "../raft/messages.ts";
import { type ConfChangeSingle, type ConfState, type Entry, NO_NODE, type NodeId, RaftError } from "../raft/types.ts";
import type { Asks, OpenAsk } from "./asks.ts";
import type { Core } from "./core.ts";
import { Freshness } from "./freshness.ts";
import { countOf } from "./lives.ts";
import type { Ask, Release, Reply, Status, Told } from "./types.ts";
import { sizeOf } from "./writes.ts";

type AskOf<Kind extends Ask["ask"]> = Extract<Ask, { ask: Kind }>;
type Achieved = Extract<Reply, { reply: "ok" }>["achieved"];

const BUSY = "This replica has as many requests waiting as it can hold.";
export const NO_QUORUM =
  "No majority of the group's replicas answered in time. A write may or may not have happened: retry it with its session.";

/** Who answers what: what any replica can, what the leader must, and where to send the rest. */
export class Desk {
  readonly #core: Core;
  readonly #asks: Asks;
  readonly fresh: Freshness;
  /** Asks that wait for a leader. */
  readonly #seekers = new Map<number, OpenAsk>();
  /** Asks that wait in the leader's read queue. */
  readonly #reading = new Map<number, OpenAsk>();
  #transfer: { ask: OpenAsk; to: NodeId } | null = null;
  /** Changes of the configuration that are not applied, by index. */
  readonly #changes = new Map<number, { ask: OpenAsk; term: number }>();
  /** Changes that are applied, to be answered once an entry that was begun after that is: `floor` is where those begin. */
  #settling: { ask: OpenAsk; conf: ConfState; floor: number }[] = [];
  /** To be looked at again once the node is not in the middle of something. */
  #again: OpenAsk[] = [];

  constructor(core: Core, asks: Asks) {
    this.#core = core;
    this.#asks = asks;
    this.fresh = new Freshness(core);
  }

  get seeking(): boolean {
    for (const id of this.#seekers.keys()) if (!this.#asks.has(id)) this.#seekers.delete(id);
    return this.#seekers.size > 0;
  }

  open(ask: OpenAsk): void {
    const { machine, regressed } = this.#core;
    if (ask.ask.ask === "status") {
      this.#asks.open(ask);
      this.#tell(ask.id, { told: "status", response: this.status() }, "stale");
      return;
    }
    const full = this.#asks.size >= this.#core.limits.asks;
    this.#asks.open(ask);
    if (full) this.#unavailable(ask.id, BUSY, 100);
    // Rolled back: the leader that it knows may be of a time before, and send who asks back here.
    else if (regressed) this.#asks.reply(ask.id, { reply: "notLeader", leader: NO_NODE, term: this.#core.term });
    // Of a version too old: any other replica is better.
    else if (machine.halted !== null)
      this.#asks.reply(ask.id, { reply: "notLeader", leader: this.#core.knownLeader, term: this.#core.term });
    else this.#dispatch(ask);
  }

  status(): Status {
    const { node, storage, machine, conf, engaged, id } = this.#core;
    const { state } = storage;
    const { role, leader, term, commit, lastIndex } = node.status();
    const leads = !engaged && state.leads;
    return {
      header: { revision: machine.store.revision },
      id,
      leader: leads ? id : leader === NO_NODE ? state.leader : leader,
      role: leads ? "leader" : role,
      term,
      index: lastIndex,
      applied: machine.applied,
      committed: commit,
      bytes: machine.store.bytes,
      conf,
      incarnation: countOf(state.incarnation),
    };
  }

  /**
   * Only the leader of the term in which the lease was held can know that nobody holds it since: in a later term its holder is heard by
   * another leader, or by this one anew.
   */
  release({ id, within, term }: Release): void {
    const { leading, clock } = this.#core;
    if (leading?.term !== term) return;
    // Once it knows all leases: after a wake it does not at first.
    leading.reads.add(() => leading.book.hasten(id, clock + within));
  }

  /** The leader or the role changed. */
  changed(): void {
    const { leading, leader } = this.#core;
    if (this.#transfer !== null && leader !== NO_NODE) this.#transferred(leader);
    if (leading === null && leader === NO_NODE) return;
    this.#again.push(...this.#seekers.values());
    this.#seekers.clear();
  }

  /** The leadership is over: what only read is asked elsewhere. */
  deposed(): void {
    this.#again.push(...this.#reading.values());
    this.#reading.clear();
  }

  applied(entry: Entry, conf: ConfState): void {
    this.#settle(entry, conf);
    const change = this.#changes.get(entry.index);
    if (change === undefined) return;
    this.#changes.delete(entry.index);
    const { ask, term } = change;
    if (term !== entry.term) this.#again.push(ask);
    else if (entry.kind !== "conf")
      this.#refuse(ask.id, GRPC_CODES.failedPrecondition, "this change does not fit the group's present configuration");
    else {
      this.#settling.push({ ask, conf, floor: this.#core.node.status().lastIndex });
      this.#core.leading?.mark();
    }
  }

  /**
   * A change is answered only when a majority of the new members has it on disk that it is committed: with an entry that was begun
   * after it was applied. Until then a member that it removed may be needed once more, and must not be erased.
   */
  #settle(entry: Entry, conf: ConfState): void {
    if (this.#settling.length === 0) return;
    if (entry.kind === "conf") {
      const floor = this.#core.node.status().lastIndex;
      this.#settling = this.#settling.map(({ ask }) => ({ ask, conf, floor }));
      this.#core.leading?.mark();
      return;
    }
    this.#settling = this.#settling.filter((each) => {
      if (entry.index <= each.floor || each.conf.votersOutgoing.length > 0) return this.#asks.has(each.ask.id);
      this.#tell(each.ask.id, { told: "reconfigure", conf: each.conf }, this.#core.level);
      return false;
    });
  }

  /** What can only be noticed, or done, between events. */
  pump(): void {
    while (this.#again.length > 0) {
      const again = this.#again;
      this.#again = [];
      for (const ask of again) if (this.#asks.has(ask.id)) this.#dispatch(ask);
    }
    this.fresh.pump(
      (ask) => this.#seek(ask),
      (id) => this.#asks.has(id),
    );
    if (this.#transfer !== null && this.#core.leading !== null && this.#core.node.status().leadTransferee === NO_NODE) {
      this.#unavailable(this.#transfer.ask.id, "The other replica did not take over in time.", 500);
      this.#transfer = null;
    }
  }

  /** Campaigns again for those who wait, where nobody is in office or running. */
  again(): void {
    const { role, leader, now, campaignedAt, timing } = this.#core;
    if (role === "follower" && leader === NO_NODE && now - campaignedAt >= timing.lease && this.seeking) this.#core.campaign();
  }

  #dispatch(open: OpenAsk): void {
    const { ask } = open;
    try {
      if (ask.ask === "range" && ask.read.level !== "linearizable") this.#readLocally(open, ask);
      else this.#askLeader(open);
    } catch (error) {
      if (!(error instanceof KvError)) throw error;
      this.#refuse(open.id, error.grpc, error.message);
    }
  }

  #readLocally(open: OpenAsk, ask: AskOf<"range">): void {
    const { store } = this.#core.machine;
    const { read } = ask;
    const serve = () => this.#range(open.id, ask, read.level);
    store.checkRange(ask.request);
    const shows =
      read.level === "stale" ||
      (read.level === "session" && store.revision >= ask.after) ||
      (read.level === "bounded" && this.fresh.within(read.ms));
    if (shows) {
      serve();
      return;
    }
    this.#core.engage();
    if (this.#core.leading !== null) this.#confirm(open, serve);
    else if (open.hint.silent === this.#core.knownLeader) this.#seek(open);
    else this.fresh.ask(open, serve);
  }

  #askLeader(open: OpenAsk): void {
    this.#core.engage();
    if (this.#core.leading === null) {
      this.#seek(open);
      return;
    }
    const { ask } = open;
    switch (ask.ask) {
      case "range":
        this.#core.machine.store.checkRange(ask.request);
        this.#confirm(open, () => this.#range(open.id, ask, "linearizable"));
        return;
      case "write":
        this.#write(open, ask);
        return;
      case "leaseKeepAlive": {
        const heard = this.#core.clock;
        this.#confirm(open, () => this.#keepAlive(open, ask.id, heard));
        return;
      }
      case "leaseTimeToLive":
        this.#confirm(open, () => this.#timeToLive(open.id, ask));
        return;
      case "leases":
        this.#confirm(open, () => {
          const { store } = this.#core.machine;
          const ids = store.leases().map(({ id }) => id);
          this.#tell(open.id, { told: "leases", response: { header: this.#header(), ids } }, "linearizable");
        });
        return;
      case "transfer":
        this.#handOver(open, ask.to);
        return;
      case "reconfigure":
        this.#reconfigure(open, ask.changes);
        return;
      case "status":
        this.#tell(open.id, { told: "status", response: this.status() }, "stale");
        return;
      default:
        ask satisfies never;
    }
  }

  /** Finds a leader for who asked: says who it is, or sees to it that there is one. */
  #seek(open: OpenAsk): void {
    const core = this.#core;
    core.engage();
    if (core.leading !== null) {
      this.#dispatch(open);
      return;
    }
    const { silent } = open.hint;
    const known = core.knownLeader;
    const elsewhere = known !== NO_NODE && (known !== silent || core.leased);
    const voter = core.conf.voters.includes(core.id) || core.conf.votersOutgoing.includes(core.id);
    if (elsewhere || !voter || !core.mayLead) {
      // One that was rolled back does not know, and might send who asks to a follower, which sends it back here.
      if (known !== NO_NODE && core.peers.link(known).heardAt === Number.NEGATIVE_INFINITY) core.peers.link(known).nudge = true;
      this.#asks.reply(open.id, { reply: "notLeader", leader: known, term: core.term });
      return;
    }
    this.#seekers.set(open.id, open);
    if (core.role !== "follower") return;
    core.node.forgetLeader();
    core.campaign(silent === known ? silent : NO_NODE);
  }

  #confirm(open: OpenAsk, serve: () => void): void {
    const { leading } = this.#core;
    if (leading === null) {
      this.#seek(open);
      return;
    }
    this.#reading.set(open.id, open);
    leading.reads.add(() => {
      this.#reading.delete(open.id);
      if (this.#asks.has(open.id)) this.#guard(open.id, serve);
    });
  }

  #range(id: number, ask: AskOf<"range">, achieved: Achieved): void {
    this.#guard(id, () => this.#tell(id, { told: "range", response: this.#core.machine.store.range(ask.request) }, achieved));
  }

  #write(open: OpenAsk, ask: AskOf<"write">): void {
    const { machine, writes, limits, level, clock } = this.#core;
    const { store } = machine;
    if (ask.demand === "quorum" && level !== "quorum") {
      this.#refuse(open.id, GRPC_CODES.failedPrecondition, "one failure domain is known or suspected to hold a majority of this group");
      return;
    }
    store.check(ask.operation, writes.cost);
    if (ask.operation.op === "txn" && isReadOnly(ask.operation.request)) {
      const { request } = ask.operation;
      this.#confirm(open, () => {
        this.#tell(open.id, { told: "write", result: { op: "txn", response: store.readTxn(request) } }, "linearizable");
      });
      return;
    }
    if (writes.bytes + sizeOf(ask.operation) > limits.writeBytes) {
      this.#unavailable(open.id, BUSY, 100);
      return;
    }
    writes.add({
      command: { operation: this.#named(ask.operation), at: clock, session: ask.session },
      done: (applied) => {
        if (applied.result === undefined) this.#refuse(open.id, applied.error.grpc, applied.error.message);
        else this.#tell(open.id, { told: "write", result: applied.result }, this.#core.level, applied.revision);
      },
      lost: () => this.#again.push(open),
    });
  }

  /** A lease without an id gets one here: the state machine has no randomness. */
  #named(operation: Operation): Operation {
    if (operation.op !== "leaseGrant" || operation.request.id !== 0n) return operation;
    const { random, machine } = this.#core;
    let id = 0n;
    while (id === 0n || machine.store.lease(id) !== undefined) id = (BigInt(random(2 ** 31)) << 32n) | BigInt(random(2 ** 32));
    return { op: "leaseGrant", request: { ...operation.request, id } };
  }

  /** This replica has just made sure that it leads. `heard`: when. */
  #keepAlive(open: OpenAsk, id: bigint, heard: number): void {
    const { leading } = this.#core;
    if (leading === null) {
      this.#again.push(open);
      return;
    }
    const renewal = leading.book.renew(id, heard);
    const done = () =>
      this.#tell(open.id, { told: "leaseKeepAlive", response: { header: this.#header(), id, ttl: renewal?.ttl ?? 0 } }, "linearizable");
    if (renewal?.log !== true) {
      done();
      return;
    }
    const { writes } = this.#core;
    const command = { operation: { op: "leaseRenew" as const, request: { ids: leading.book.renewals() } }, at: heard, session: null };
    writes.add({ command, done, lost: () => this.#again.push(open) });
  }

  #timeToLive(id: number, ask: AskOf<"leaseTimeToLive">): void {
    const { leading, machine, clock } = this.#core;
    const lease = machine.store.lease(ask.id);
    const left = leading?.book.remaining(ask.id, clock) ?? null;
    const ttl = lease === undefined || left === null ? -1 : Math.floor(left / 1000);
    const keys = ask.keys && ttl >= 0 ? machine.store.leaseKeys(ask.id) : [];
    const response = { header: this.#header(), id: ask.id, ttl, grantedTtl: ttl < 0 ? 0 : (lease?.ttl ?? 0), keys };
    this.#tell(id, { told: "leaseTimeToLive", response }, "linearizable");
  }

  #handOver(open: OpenAsk, to: NodeId): void {
    const { node, conf, id } = this.#core;
    if (to === id) {
      this.#tell(open.id, { told: "transfer" }, this.#core.level);
      return;
    }
    if (!conf.voters.includes(to)) {
      this.#refuse(open.id, GRPC_CODES.failedPrecondition, "only a voter of the group can lead it");
      return;
    }
    if (this.#transfer !== null) {
      this.#unavailable(open.id, "Leadership is being handed over already.", 500);
      return;
    }
    this.#transfer = { ask: open, to };
    node.transferLeader(to);
  }

  #transferred(leader: NodeId): void {
    const transfer = this.#transfer;
    if (transfer === null || leader === this.#core.id) return;
    this.#transfer = null;
    if (leader === transfer.to) this.#tell(transfer.ask.id, { told: "transfer" }, this.#core.level);
    else this.#unavailable(transfer.ask.id, "Another replica was elected meanwhile.", 500);
  }

  #reconfigure(open: OpenAsk, changes: ConfChangeSingle[]): void {
    const { node, id } = this.#core;
    // The others would not learn from it that it was removed.
    if (changes.some(({ kind, node: member }) => member === id && (kind === "remove" || kind === "addLearner"))) {
      this.#refuse(open.id, GRPC_CODES.failedPrecondition, "a leader does not remove itself; hand leadership over first");
      return;
    }
    try {
      node.proposeConfChange({ transition: changes.length > 1 ? "implicit" : "auto", changes, context: NO_BYTES });
    } catch (error) {
      if (!(error instanceof RaftError)) throw error;
      this.#unavailable(open.id, error.message, 200);
      return;
    }
    const { lastIndex, term } = node.status();
    this.#changes.set(lastIndex, { ask: open, term });
  }

  #guard(id: number, serve: () => void): void {
    try {
      serve();
    } catch (error) {
      if (!(error instanceof KvError)) throw error;
      this.#refuse(id, error.grpc, error.message);
    }
  }

  #header() {
    return { revision: this.#core.machine.store.revision };
  }

  #tell(id: number, value: Told, achieved: Achieved, revision = this.#header().revision): void {
    const { term, machine, placement } = this.#core;
    this.#asks.reply(id, { reply: "ok", value, term, revision, index: machine.applied, placement, achieved });
  }

  #refuse(id: number, grpc: number, message: string): void {
    this.#asks.reply(id, { reply: "refused", grpc, message });
  }

  #unavailable(id: number, message: string, retryAfterMs: number): void {
    this.#asks.reply(id, { reply: "unavailable", message, retryAfterMs });
  }
}

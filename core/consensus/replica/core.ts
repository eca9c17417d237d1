import { shouldCheckpoint } from "../../journal/journal.ts";
import { LeaseBook } from "../kv/leases.ts";
import { decodeConfChange } from "../raft/conf-codec.ts";
import { message } from "../raft/messages.ts";
import { RaftNode } from "../raft/node.ts";
import { type ConfState, type Entry, type Message, NO_NODE, type NodeId, RaftError, type Ready, type Role } from "../raft/types.ts";
import type { ChunkReceipt, Envelope } from "./envelope.ts";
import { FORMAT } from "./format.ts";
import { isMember, Leading } from "./leading.ts";
import { nextLife, withLife } from "./lives.ts";
import { Machine } from "./machine.ts";
import { LIMITS, type ReplicaLimits, type ReplicaOptions, type ReplicaTiming, TIMING } from "./options.ts";
import { type Head, Peers } from "./peers.ts";
import { survivesDomain } from "./placement.ts";
import type { ReplicaStorage } from "./storage.ts";
import { Incoming, Outgoing } from "./transfer.ts";
import type { Placement } from "./types.ts";
import { WriteQueue } from "./writes.ts";

/** Who wants to know what becomes of the node. */
export interface Observer {
  /** The role or the leader changed. */
  changed(): void;
  /** The leadership is over. */
  deposed(): void;
  /** An entry was applied. */
  applied(entry: Entry, conf: ConfState): void;
}

/** Raft, the state machine and the log of one replica, driven together. Nothing in here is durable before `storage.flush()`. */
export class Core {
  readonly id: NodeId;
  readonly timing: ReplicaTiming;
  readonly limits: ReplicaLimits;
  readonly random: (below: number) => number;
  readonly placement: Placement;
  readonly #alwaysFenced: boolean;
  readonly storage: ReplicaStorage;
  readonly machine: Machine;
  readonly node: RaftNode;
  readonly peers: Peers;
  readonly writes: WriteQueue;
  readonly #incoming = new Incoming();
  /** The replica's own time, which never goes back; and the machine's clock, Unix milliseconds, for leases alone. */
  now = 0;
  clock = 0;
  role: Role = "follower";
  leader: NodeId = NO_NODE;
  term: number;
  commit: number;
  conf: ConfState;
  leading: Leading | null = null;
  leaderHeardAt = Number.NEGATIVE_INFINITY;
  campaignedAt = Number.NEGATIVE_INFINITY;
  engaged = false;
  /** Won since the wake. */
  elections = 0;
  /** The state was replaced by a snapshot. */
  restored = false;
  watching = false;
  observer: Observer | null = null;
  /** A new member takes only a snapshot in which it is a member: there must be one. */
  #confChanged = false;
  #resuming = false;
  #silent: NodeId = NO_NODE;
  /** What the node is to be told once it is not in the middle of something. */
  #later: (() => void)[] = [];

  constructor(storage: ReplicaStorage, options: ReplicaOptions) {
    this.id = options.id;
    this.timing = { ...TIMING, ...options.timing };
    this.limits = { ...LIMITS, ...options.limits };
    this.random = options.random;
    this.placement = options.placement;
    this.#alwaysFenced = options.fences === "always";
    this.storage = storage;
    const { applied } = storage;
    const format = options.format ?? FORMAT;
    this.machine = new Machine(storage.takeData(), applied, storage.term(applied), options.kv ?? {}, format);
    this.writes = new WriteQueue(this.limits.entryBytes, (commands) => format.encode(commands, this.#writable));
    this.peers = new Peers(this.id, storage, this.timing, this.limits, format.version);
    this.node = new RaftNode({
      id: this.id,
      storage,
      applied,
      electionTicks: this.timing.electionTicks,
      heartbeatTicks: this.timing.heartbeatTicks,
      maxSizePerMessage: this.limits.entryBytes,
      maxCommittedSizePerReady: 4 * this.limits.entryBytes,
      maxUncommittedSize: 2 * this.limits.writeBytes,
      maxInflightMessages: 16,
      maxInflightBytes: 8 * this.limits.entryBytes,
      // Ticks stop while nothing happens: who may vote is decided here, by the time since a leader was heard.
      checkQuorum: false,
      preVote: true,
      random: options.random,
      readsNeedFence: true,
      disableProposalForwarding: true,
      disableConfChangeValidation: false,
      stepDownOnRemoval: true,
    });
    const { term, commit, conf } = this.node.status();
    this.term = term;
    this.commit = commit;
    this.conf = conf;
    this.drive();
    this.machine.takeChanges();
  }

  get regressed(): boolean {
    return this.storage.state.regressed;
  }

  get head(): Head {
    const fence = this.leading?.reads.fencing === true;
    return { leader: this.leader, term: this.term, commit: this.commit, watching: this.watching, fence };
  }

  /** Another replica that leads, or did when it was last heard of; 0: none. */
  get knownLeader(): NodeId {
    const known = this.leader !== NO_NODE || this.role !== "follower" ? this.leader : this.storage.state.leader;
    const { voters, votersOutgoing } = this.conf;
    const removed = voters.length > 0 && !voters.includes(known) && !votersOutgoing.includes(known);
    return known === this.id || removed ? NO_NODE : known;
  }

  /** Heard a leader so lately that nobody should be elected. */
  get leased(): boolean {
    return this.leader !== NO_NODE && this.now - this.leaderHeardAt < this.timing.lease;
  }

  /** Takes part from now on: with a new incarnation, and as the leader it was, if it was one (SPEC, resume). */
  engage(): void {
    if (this.engaged) return;
    this.engaged = true;
    const { state } = this.storage;
    const { incarnation, lives } = state;
    this.storage.setState({ incarnation: nextLife(incarnation, this.random), lives: withLife(lives, incarnation) });
    if (!state.leads || state.regressed) return;
    this.#resuming = true;
    if (!this.mayLead || !this.node.resume()) this.storage.setState({ leads: false });
    this.drive();
    this.#resuming = false;
  }

  regress(): void {
    this.storage.setState({ regressed: true, leads: false });
    this.leading = null;
    this.writes.abandon();
    this.observer?.deposed();
  }

  /** Does what the node wants done, until there is no more. */
  drive(): void {
    while (this.node.hasReady()) this.#take(this.node.ready());
  }

  /** Steps the messages of an envelope. Returns the receipt for a chunk in it. */
  accept(envelope: Envelope): ChunkReceipt | null {
    const { from } = envelope;
    let receipt: ChunkReceipt | null = null;
    if (envelope.chunk !== null && this.machine.halted === null) {
      receipt = this.#incoming.take(from, envelope.chunk);
    }
    for (const m of envelope.messages) this.#step(m);
    if (envelope.chunk !== null && receipt !== null) receipt.done = this.commit >= envelope.chunk.index;
    if (envelope.leader === from && envelope.leaderTerm === this.term && this.leader === from) this.leaderHeardAt = this.now;
    return receipt;
  }

  /** Time passed: so many ticks. */
  tick(count: number): void {
    for (let i = 0; i < count; i++) {
      this.node.tick();
      this.drive();
    }
  }

  /** Who cannot apply its whole log must not lead: nothing of what it committed would be answered. */
  get mayLead(): boolean {
    const { machine, storage, limits } = this;
    if (machine.halted !== null) return false;
    for (let next = machine.applied + 1; next <= storage.lastIndex(); ) {
      const page = storage.entries(next, storage.lastIndex() + 1, limits.entryBytes);
      if (page.some(({ kind, data }) => kind === "data" && !machine.understands(data))) return false;
      next += page.length;
    }
    return true;
  }

  /** The version of a leader's entries: what the oldest of all members can apply. One that was not heard of since the wake may be old. */
  get #writable(): number {
    const { voters, votersOutgoing, learners, learnersNext } = this.conf;
    let version = this.machine.format.version;
    for (const id of [...voters, ...votersOutgoing, ...learners, ...learnersNext])
      if (id !== this.id) version = Math.min(version, this.peers.link(id).format);
    return version;
  }

  /** Stands for election, if it may lead. The first time the leader that did not answer is left out: it would only say that it leads. */
  campaign(silent: NodeId = NO_NODE): void {
    this.campaignedAt = this.now;
    if (!this.mayLead) return;
    this.#silent = silent;
    this.node.campaign();
    this.drive();
    this.#silent = NO_NODE;
  }

  /** Tells followers of commits that nothing else tells them of. */
  tellCommits(): void {
    if (this.leading === null) return;
    for (const link of this.peers.all()) {
      if (!isMember(this.conf, link.id)) {
        link.dismiss();
        continue;
      }
      const commit = link.news(this.commit, this.now);
      if (commit === null) continue;
      const heartbeat = message("heartbeat", this.id, link.id, this.term);
      heartbeat.commit = commit;
      link.push(heartbeat, this.now);
    }
  }

  /** What was said to a peer is lost. */
  lost(id: NodeId): void {
    const link = this.peers.link(id);
    const sending = link.transfer !== null;
    link.failed(this.now);
    link.unreachable = true;
    this.node.reportUnreachable(id);
    if (sending) this.node.reportSnapshot(id, false);
    this.drive();
  }

  /** Whether a write that a majority has would outlive the loss of any one failure domain. */
  get level(): "single" | "quorum" {
    const { voters, votersOutgoing } = this.conf;
    if (voters.length === 1 && votersOutgoing.length === 0) return "single";
    if (this.placement === "simulated") return "quorum";
    return survivesDomain(this.conf, (id) => this.peers.place(id)) ? "quorum" : "single";
  }

  checkpointIfDue(): void {
    if (this.machine.halted !== null) return;
    const { bytes, rows } = this.storage.cost;
    const { applied: index, term, store } = this.machine;
    if (!this.#confChanged && !shouldCheckpoint({ bytesSince: bytes, rowsSince: rows, checkpointBytes: store.bytes })) return;
    this.#confChanged = false;
    if (index > this.storage.applied) this.storage.checkpoint({ index, term, conf: this.conf, data: this.machine.snapshot() });
  }

  /** A majority of each half of the configuration was heard within `ms`. */
  hearsQuorum(ms: number): boolean {
    const heard = (id: NodeId) => id === this.id || this.now - this.peers.link(id).heardAt < ms;
    return [this.conf.voters, this.conf.votersOutgoing].every(
      (voters) => voters.length === 0 || voters.filter(heard).length * 2 > voters.length,
    );
  }

  #step(m: Message): void {
    if ((m.type === "vote" || m.type === "preVote") && this.#refuses(m)) return;
    if (m.type === "timeoutNow" && !this.mayLead) return;
    if (m.type === "snapshot") {
      const checkpoint = this.#incoming.complete(m);
      if (checkpoint === null || m.snapshot === null) return;
      if (!this.machine.understands(checkpoint.data)) {
        this.machine.refuse(checkpoint.data);
        return;
      }
      m.snapshot.data = checkpoint.data;
    }
    try {
      this.node.step(m);
    } catch (error) {
      // A log that lost what it acknowledged must not go on; anything else is as if the message had been lost.
      if (!(error instanceof RaftError) || error.code === "corrupt") throw error;
    }
    this.drive();
    if (m.type === "preVote") this.#standInstead(m);
    if (m.term !== this.term) return;
    const link = this.peers.link(m.from);
    if (m.type === "appendResponse" || m.type === "heartbeatResponse") link.unreachable = false;
    if (m.type === "appendResponse" && !m.reject && this.leading !== null) {
      link.acked = Math.max(link.acked, m.index);
    } else if (this.leader === m.from) this.leaderHeardAt = this.now;
  }

  /** The leader was removed: nobody should wait for it. */
  #forget(): void {
    this.node.forgetLeader();
    if (this.storage.state.leader !== NO_NODE && !isMember(this.conf, this.storage.state.leader))
      this.storage.setState({ leader: NO_NODE });
  }

  /** A vote is not even considered while a leader is at work (its own wish to hand over excepted). */
  #refuses(m: Message): boolean {
    if (m.context.length > 0) return false;
    if (this.leading === null) return this.leased;
    if (!this.hearsQuorum(this.timing.lease) && !this.node.isSettled()) return false;
    // It asks because it does not know who leads.
    const heartbeat = message("heartbeat", this.id, m.from, this.term);
    this.peers.link(m.from).push(heartbeat, this.now);
    return true;
  }

  /** Whoever wants to be elected lacks entries that this replica has: it will not be, so this replica stands. */
  #standInstead(m: Message): void {
    if (this.role !== "follower" || this.now - this.campaignedAt < this.timing.lease) return;
    const { lastIndex } = this.node.status();
    const lastTerm = this.storage.term(lastIndex);
    if (m.logTerm < lastTerm || (m.logTerm === lastTerm && m.index < lastIndex)) this.campaign();
  }

  #take(ready: Ready): void {
    const { hardState, snapshot } = ready;
    if (hardState !== null) {
      const { state } = this.storage;
      this.commit = hardState.commit;
      this.term = hardState.term;
      if (hardState.term !== state.term || hardState.vote !== state.vote) {
        const { term, vote } = hardState;
        this.storage.setState({ term, vote, leads: state.leads && term === state.term });
      }
    }
    if (snapshot !== null) {
      this.storage.install(snapshot);
      this.machine.restore(snapshot.data, snapshot.index, snapshot.term);
      this.writes.forget(snapshot.index);
      this.conf = snapshot.conf;
      this.restored = true;
    }
    this.storage.append(ready.entries);
    if (ready.softState !== null) this.#become(ready.softState.role, ready.softState.leader);
    for (const m of ready.messages) this.#send(m);
    for (const entry of ready.committed) this.#apply(entry);
    this.node.advance();
    for (const { context, index } of ready.reads) this.leading?.reads.confirmed(context, index);
    this.leading?.reads.applied(this.machine.applied);
    const later = this.#later;
    this.#later = [];
    for (const tell of later) tell();
  }

  #become(role: Role, leader: NodeId): void {
    this.role = role;
    this.leader = leader;
    if (role === "leader") this.#lead();
    else if (this.leading !== null) {
      this.leading = null;
      for (const link of this.peers.all()) link.reset();
      this.storage.setState({ leads: false });
      this.writes.abandon();
      this.observer?.deposed();
    }
    if (leader !== NO_NODE && leader !== this.storage.state.leader) this.storage.setState({ leader });
    this.observer?.changed();
  }

  #lead(): void {
    for (const link of this.peers.all()) link.reset();
    if (!this.storage.state.leads) this.storage.setState({ leads: true });
    if (!this.#resuming) this.elections++;
    const leases = this.machine.store.leases();
    const book = this.#resuming ? LeaseBook.resume(leases) : LeaseBook.promote(leases, this.clock);
    const { machine, writes, peers, timing, limits } = this;
    const start = { floor: this.node.status().lastIndex, resumed: this.#resuming };
    const alwaysFenced = this.#alwaysFenced;
    this.leading = new Leading(this.node, book, start, { machine, writes, peers, timing, limits, alwaysFenced });
    const ids = this.#resuming ? [] : book.renewals();
    if (ids.length === 0) return;
    this.leading.write({ op: "leaseRenew", request: { ids } }, this.clock);
    this.#later.push(() => this.leading?.begin(this.conf, this.now));
  }

  #send(m: Message): void {
    if (m.to === this.#silent && (m.type === "vote" || m.type === "preVote")) return;
    const link = this.peers.link(m.to);
    if (m.type !== "snapshot") {
      link.push(m, this.now);
      return;
    }
    if (link.isDown(this.now)) this.#later.push(() => this.node.reportSnapshot(m.to, false));
    else link.transfer = new Outgoing(m, this.storage.checkpointBytes(), this.limits.chunkBytes);
  }

  #apply(entry: Entry): void {
    const results = this.machine.apply(entry, this.leading?.book ?? null, this.clock);
    if (this.machine.halted !== null) return;
    this.leading?.applied(entry.index);
    if (entry.kind === "conf") {
      try {
        this.conf = this.node.applyConfChange(decodeConfChange(entry.data));
        this.#confChanged = true;
        if (this.leader !== NO_NODE && !isMember(this.conf, this.leader)) this.#later.push(() => this.#forget());
      } catch (error) {
        // All replicas refuse the same ones: what is refused depends on the configuration and the change alone.
        if (!(error instanceof RaftError) || error.code !== "badConfChange") throw error;
      }
    }
    this.writes.applied(entry.index, entry.term, results);
    this.observer?.applied(entry, this.conf);
  }
}

import { LeaseBook } from "../kv/leases.ts";
import type { Operation } from "../kv/types.ts";
import { message } from "../raft/messages.ts";
import type { RaftNode } from "../raft/node.ts";
import type { ConfState, NodeId } from "../raft/types.ts";
import { earliest } from "./link.ts";
import type { Machine } from "./machine.ts";
import type { ReplicaLimits, ReplicaTiming } from "./options.ts";
import type { Peers } from "./peers.ts";
import { ReadQueue } from "./reads.ts";
import type { WriteQueue } from "./writes.ts";

const NOBODY = () => {};

/** What a leader does by itself while it leads; made anew with each leadership. */
export class Leading {
  readonly term: number;
  /**
   * Everything up to here may have been committed and answered before this instance began: nothing is read, and no lease ends, until
   * it is applied (SPEC, resume).
   */
  readonly floor: number;
  readonly reads: ReadQueue;
  /** Deadlines of leases; before {@link caughtUp} a guess. */
  book: LeaseBook;
  readonly #id: NodeId;
  readonly #node: RaftNode;
  readonly #machine: Machine;
  readonly #writes: WriteQueue;
  readonly #peers: Peers;
  readonly #timing: ReplicaTiming;
  readonly #limits: ReplicaLimits;
  readonly #alwaysFenced: boolean;
  /** A single voter's round is under way until it is durable; for others, until it is committed. */
  unsynced = false;
  readonly #resumed: boolean;
  /** It resumed, and has put nothing of its own into the log since. */
  #quiet: boolean;
  #compacting = false;
  #marked = false;
  #revoking = 0;
  #knockedAt = Number.NEGATIVE_INFINITY;

  constructor(
    node: RaftNode,
    book: LeaseBook,
    start: { floor: number; resumed: boolean },
    parts: { machine: Machine; writes: WriteQueue; peers: Peers; timing: ReplicaTiming; limits: ReplicaLimits; alwaysFenced: boolean },
  ) {
    this.#node = node;
    const { id, term } = node.status();
    this.#id = id;
    this.term = term;
    this.floor = start.floor;
    this.#resumed = start.resumed;
    this.#quiet = start.resumed;
    this.book = book;
    this.reads = new ReadQueue(node);
    this.#machine = parts.machine;
    this.#writes = parts.writes;
    this.#peers = parts.peers;
    this.#timing = parts.timing;
    this.#limits = parts.limits;
    this.#alwaysFenced = parts.alwaysFenced;
  }

  /** It has applied all that may have been answered before it began. */
  get caughtUp(): boolean {
    return this.#machine.applied >= this.floor;
  }

  /** An entry was applied. Renewals of the life before are known once the last of its entries is. */
  applied(index: number): void {
    if (this.#resumed && index === this.floor) this.book = LeaseBook.resume(this.#machine.store.leases());
  }

  /** Something was applied that a majority has to know is committed: an entry follows it, an empty one if there is no other. */
  mark(): void {
    this.#marked = true;
  }

  /** Adds a command of the leader's own. */
  write(operation: Operation, at: number, settled = NOBODY): void {
    this.#writes.add({ command: { operation, at, session: null }, done: settled, lost: settled });
  }

  /**
   * Logs at once what a new leader has to: this very turn says durably that it leads, and whoever resumes that after a crash takes the
   * log for its own clock's word.
   */
  begin(conf: ConfState, now: number): void {
    const index = this.#writes.flush(this.#node, now);
    if (index !== null) this.#begun(index, isSingle(conf), now);
  }

  /**
   * Begins what is due. `clock` is Unix milliseconds, `now` the replica's own time; `lively`: asked for something lately. `again`: the node has something to do;
   * `fence`: a row has to be written.
   */
  pump(conf: ConfState, commit: number, now: number, clock: number, lively: boolean): { again: boolean; fence: boolean } {
    if (lively) this.#knock(conf, now);
    this.#expire(clock);
    this.#compact(clock);
    if (this.#flush(conf, commit, now, clock)) return { again: true, fence: false };
    if (!this.caughtUp) return { again: false, fence: false };
    const single = isSingle(conf);
    // Alone, it confirms a round at once: what is asked until that is durable makes the next.
    if (single && this.unsynced) return { again: false, fence: false };
    const fence = this.reads.pump(now, !this.#othersSuffice(conf, now), this.#patience(now));
    this.unsynced ||= single && fence;
    return { again: this.#node.hasReady(), fence };
  }

  deadline(conf: ConfState, commit: number, now: number, lively: boolean): number | null {
    const down = lively && [...this.#peers.all()].some((link) => link.unreachable && isMember(conf, link.id));
    return earliest([
      this.reads.deadline(this.#patience(now)),
      this.#writes.deadline(commit, this.#timing.pipeline),
      down ? this.#knockedAt + this.#timing.knock : null,
    ]);
  }

  #flush(conf: ConfState, commit: number, now: number, clock: number): boolean {
    const single = isSingle(conf);
    if (single ? this.unsynced : this.#writes.underWay(commit, now, this.#timing.pipeline)) return false;
    // After a wake an entry that follows what the log holds commits that, and confirms the reads.
    const poke = this.#quiet && !this.caughtUp && (this.reads.waiting || (this.book.deadline() ?? clock + 1) <= clock);
    if (!this.#writes.waiting && !poke && !this.#marked) return false;
    const index = this.#writes.flush(this.#node, now);
    if (index === null) return false;
    this.#begun(index, single, now);
    return true;
  }

  #begun(index: number, single: boolean, now: number): void {
    this.#quiet = false;
    this.#marked = false;
    this.unsynced = single;
    this.reads.ride(index, now);
  }

  /**
   * Raft sends nothing to a follower that did not answer; a heartbeat that is answered makes it go on. Who was lately asked for
   * something tries for a while, so that a follower that comes back is not left behind by a group that then goes quiet.
   */
  #knock(conf: ConfState, now: number): void {
    if (now - this.#knockedAt < this.#timing.knock) return;
    this.#knockedAt = now;
    for (const link of this.#peers.all()) {
      if (link.unreachable && isMember(conf, link.id)) link.push(message("heartbeat", this.#id, link.id, this.term), now);
    }
  }

  /** How long a read round may take before rows are spent on it. */
  #patience(now: number): number {
    return this.#timing.fence + 2 * this.#peers.roundTrip(now);
  }

  #expire(clock: number): void {
    // What no majority takes is not said again and again.
    if (!this.caughtUp || this.#revoking > 0) return;
    for (const id of this.book.due(clock)) {
      this.#revoking++;
      this.write({ op: "leaseRevoke", request: { id } }, clock, () => this.#revoking--);
    }
  }

  /** A store that fills up gives up old revisions before it refuses writes. */
  #compact(clock: number): void {
    const { store } = this.#machine;
    if (this.#compacting || store.bytes * 2 < store.options.quotaBytes) return;
    const revision = store.compactionFor(this.#limits.retainRevisions);
    if (revision === null) return;
    this.#compacting = true;
    const done = () => {
      this.#compacting = false;
    };
    this.#writes.add({ command: { operation: { op: "compact", request: { revision } }, at: clock, session: null }, done, lost: done });
  }

  /** A majority of each half could confirm a round without this replica's own word. */
  #othersSuffice(conf: ConfState, now: number): boolean {
    if (this.#alwaysFenced) return false;
    const up = (id: NodeId) => id !== this.#id && !this.#peers.link(id).isDown(now);
    return [conf.voters, conf.votersOutgoing].every(
      (voters) => voters.length === 0 || voters.filter(up).length >= Math.floor(voters.length / 2) + 1,
    );
  }
}

function isSingle(conf: ConfState): boolean {
  return conf.voters.length === 1 && conf.votersOutgoing.length === 0;
}

export function isMember(conf: ConfState, id: NodeId): boolean {
  return [conf.voters, conf.votersOutgoing, conf.learners].some((ids) => ids.includes(id));
}

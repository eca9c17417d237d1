/**
 * The state of a node, and the steps between its roles. What follows from a message or a tick is in the files beside: they
 * are functions over this class, and nothing else writes to it.
 */
import { restoreMembership } from "./conf-change.ts";
import { NO_LIMIT, type RaftConfig, validateConfig } from "./config.ts";
import type { RaftEvent } from "./events.ts";
import { NO_TERM, RaftLog } from "./log.ts";
import { message, NO_BYTES } from "./messages.ts";
import { ReadRounds } from "./reads.ts";
import { payloadSize } from "./sizes.ts";
import { Tracker } from "./tracker.ts";
import { type Entry, type HardState, type Message, NO_NODE, type NodeId, RaftError, type ReadState, type Role } from "./types.ts";

const RECOVERY_PAGE_BYTES = 1 << 20;

/**
 * All changes of the configuration in the log but the last are committed, for a leader appends one only after it applied the
 * one before. A node may be one configuration behind, and two such neighbours always share a voter; one that forgot its commit
 * index and went by an older configuration could elect a second leader. 0 if there is no such change after `from`.
 */
function lastCommittedChange(log: RaftLog, from: number): number {
  let last = 0;
  let before = 0;
  let low = from + 1;
  while (low <= log.lastIndex()) {
    const page = log.slice(low, log.lastIndex() + 1, RECOVERY_PAGE_BYTES) ?? [];
    for (const entry of page) {
      if (entry.kind !== "conf") continue;
      before = last;
      last = entry.index;
    }
    if (page.length === 0) break;
    low += page.length;
  }
  return before;
}

export class Raft {
  readonly id: NodeId;
  readonly config: RaftConfig;
  readonly log: RaftLog;
  readonly tracker: Tracker;
  readonly reads: ReadRounds;
  readonly trace: ((event: RaftEvent) => void) | null;

  role: Role = "follower";
  term = 0;
  vote: NodeId = NO_NODE;
  leader: NodeId = NO_NODE;
  /** The voter that leadership is being transferred to. */
  leadTransferee: NodeId = NO_NODE;
  /** The last index as this node began to lead. A commit index below it may be an old one. */
  leadsFrom = 0;
  /** No configuration change is proposed until this index is applied: at most one is on its way. */
  pendingConfIndex = 0;
  /** Bytes of data that this leader appended and that are not applied; it may underestimate, never overestimate. */
  uncommittedSize = 0;

  /** Ticks since a leader was heard; on a leader, since the quorum was checked. */
  electionElapsed = 0;
  heartbeatElapsed = 0;
  randomizedElectionTimeout = 0;

  /** To other nodes, at once. */
  messages: Message[] = [];
  /**
   * Once what is unstable now is durable: acknowledgements and votes, which promise it (section 3.8 of the dissertation).
   * The ones to this node itself are its own acknowledgement and vote.
   */
  afterAppend: Message[] = [];
  readStates: ReadState[] = [];

  constructor(config: RaftConfig) {
    validateConfig(config);
    this.id = config.id;
    this.config = config;
    this.trace = config.logger ?? null;
    this.log = new RaftLog(config.storage, config.maxCommittedSizePerReady);
    this.tracker = new Tracker(config.maxInflightMessages, config.maxInflightBytes);
    this.reads = new ReadRounds(config.random(0x1_0000_0000));
    const { hardState, conf } = config.storage.initialState();
    this.tracker.use(restoreMembership(conf, this.tracker.options(this.log.lastIndex())));
    this.trace?.({ type: "conf", conf: this.tracker.conf });
    this.#load(hardState, config.applied);
    this.becomeFollower(this.term, NO_NODE);
  }

  /**
   * `commit` need not be durable: what was applied and what is compacted was committed, and the rest is learnt again. One
   * beyond the log's end is the sign of a log that lost its end.
   */
  #load(hardState: HardState, applied: number): void {
    const known = Math.max(hardState.commit, applied, this.log.committed);
    const commit = Math.max(known, lastCommittedChange(this.log, known));
    if (commit > this.log.lastIndex()) {
      throw new RaftError("corrupt", `commit ${commit} is beyond the last entry ${this.log.lastIndex()}`);
    }
    this.log.committed = commit;
    this.term = hardState.term;
    this.vote = hardState.vote;
    if (applied > this.log.applied) this.log.appliedTo(applied, 0);
  }

  hardState(): HardState {
    return { term: this.term, vote: this.vote, commit: this.log.committed };
  }

  /** May stand for election: it is a voter, and no snapshot waits to be made its state. */
  promotable(): boolean {
    const progress = this.tracker.get(this.id);
    return progress !== undefined && !progress.learner && this.log.unstable.snapshot === null;
  }

  /** On a leader: `committed` covers all that was committed before it began to lead, by others or by a former start of it. */
  knowsCommit(): boolean {
    return this.log.committed >= this.leadsFrom;
  }

  reset(term: number): void {
    if (this.term !== term) {
      this.term = term;
      this.vote = NO_NODE;
    }
    this.leader = NO_NODE;
    this.electionElapsed = 0;
    this.heartbeatElapsed = 0;
    this.randomizedElectionTimeout = this.config.electionTicks + this.config.random(this.config.electionTicks);
    this.leadTransferee = NO_NODE;
    this.tracker.votes.clear();
    const last = this.log.lastIndex();
    for (const progress of this.tracker.all) progress.reset(last + 1, progress.id === this.id ? last : 0);
    this.pendingConfIndex = 0;
    this.uncommittedSize = 0;
    this.reads.clear();
  }

  becomeFollower(term: number, leader: NodeId): void {
    this.reset(term);
    this.leader = leader;
    this.#enter("follower");
  }

  /** Neither the term nor the vote changes: the others are asked what they would say. */
  becomePreCandidate(): void {
    this.tracker.votes.clear();
    this.leader = NO_NODE;
    this.#enter("precandidate");
  }

  becomeCandidate(): void {
    this.reset(this.term + 1);
    this.vote = this.id;
    this.#enter("candidate");
  }

  /** Leads its term, and appends an empty entry: only an entry of its own term commits those before it (figure 8 of the paper). */
  becomeLeader(): void {
    this.lead();
    this.appendEntries([{ term: 0, index: 0, kind: "data", data: NO_BYTES }]);
    this.leadsFrom = this.log.lastIndex();
  }

  /** The part of {@link becomeLeader} that appends nothing. */
  lead(): void {
    this.reset(this.term);
    this.leader = this.id;
    const own = this.tracker.get(this.id);
    if (own !== undefined) {
      own.becomeReplicate();
      own.recentActive = true;
    }
    // There may be a change among the entries that are not applied: it is cheaper to wait for all than to look.
    this.pendingConfIndex = this.log.lastIndex();
    this.leadsFrom = this.log.lastIndex();
    this.#enter("leader");
  }

  #enter(role: Role): void {
    this.role = role;
    this.trace?.({ type: "role", role, term: this.term });
  }

  /**
   * A leader's own entries get their places; nothing is sent yet. False, and nothing done, if `maxUncommittedSize` is
   * exceeded; an empty entry never is too much, nor is a single proposal on an empty account.
   */
  appendEntries(entries: Entry[]): boolean {
    const size = payloadSize(entries);
    const limit = this.config.maxUncommittedSize === 0 ? NO_LIMIT : this.config.maxUncommittedSize;
    if (this.uncommittedSize > 0 && size > 0 && this.uncommittedSize + size > limit) {
      this.trace?.({ type: "proposalDropped", reason: "size", term: this.term });
      return false;
    }
    this.uncommittedSize += size;
    let last = this.log.lastIndex();
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[i]!;
      entry.term = this.term;
      entry.index = ++last;
    }
    this.log.append(entries, 0);
    this.#acknowledgeSelf(last);
    return true;
  }

  /** The leader counts itself once its entries are durable, as it counts the others. */
  #acknowledgeSelf(index: number): void {
    const newest = this.afterAppend.at(-1);
    if (newest !== undefined && newest.to === this.id && newest.type === "appendResponse" && newest.term === this.term) {
      newest.index = index;
      return;
    }
    const m = message("appendResponse", this.id, this.id, this.term);
    m.index = index;
    this.afterAppend.push(m);
  }

  /** Entries are applied: their data no longer counts against the leader's limit. */
  reduceUncommittedSize(bytes: number): void {
    this.uncommittedSize = Math.max(0, this.uncommittedSize - bytes);
  }

  /** Moves `committed` to what a quorum has, if that entry is of this term. True if it moved. */
  maybeCommit(): boolean {
    const index = this.tracker.committed();
    if (index <= this.log.committed || index > this.log.lastIndex()) return false;
    const term = this.log.term(index);
    if (term === NO_TERM || term !== this.term) return false;
    this.log.commitTo(index);
    return true;
  }
}

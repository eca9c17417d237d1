/**
 * A node of a Raft group: the face of the core. It is deterministic and does nothing by itself: the host calls, then takes
 * {@link Ready} while there is one, does what it says and calls `advance`. What is handed out is read-only: arrays and entries
 * are shared with the log and with messages.
 */
import { encodeConfChange } from "./conf-codec.ts";
import type { RaftConfig } from "./config.ts";
import { hasUnappliedConfChange, startCampaign } from "./election.ts";
import { advanceCommit, confirmReads, reportSnapshot, reportUnreachable, requestRead } from "./leader.ts";
import { applyConfChange } from "./membership.ts";
import { checkMessage, isResponse, message } from "./messages.ts";
import { Raft } from "./raft.ts";
import { ReadyCycle } from "./ready.ts";
import { isSettled, type RaftStatus, statusOf } from "./status.ts";
import { step, tick } from "./step.ts";
import { type ConfChange, type ConfState, type Entry, type Message, NO_NODE, type NodeId, type Ready } from "./types.ts";

export type { RaftConfig } from "./config.ts";
export type { RaftStatus } from "./status.ts";

export class RaftNode {
  /** For tests and other faces: hosts use the methods. */
  readonly raft: Raft;
  readonly #cycle: ReadyCycle;

  /**
   * `storage.initialState().conf` is the configuration as of `config.applied`. Its `hardState.commit` may be older than what
   * was known. Throws `badMessage` for a configuration that cannot work, `corrupt` for a log that lost its end.
   */
  constructor(config: RaftConfig) {
    this.raft = new Raft(config);
    this.#cycle = new ReadyCycle(this.raft);
  }

  /** One unit of the host's time passed. */
  tick(): void {
    tick(this.raft);
  }

  /**
   * Takes a message from a peer. Throws `proposalDropped` (a forwarded proposal that cannot be taken), `badMessage` (it
   * contradicts itself, and was not looked at) or `corrupt` (this replica must stop). An answer from an unknown node is ignored.
   */
  step(m: Message): void {
    const r = this.raft;
    checkMessage(m, r.id);
    if (isResponse(m.type) && r.tracker.get(m.from) === undefined) {
      r.trace?.({ type: "unknownPeer", message: m.type, from: m.from });
      return;
    }
    step(r, m);
  }

  /** Starts an election, unless this node is the leader or may not become one. */
  campaign(): void {
    startCampaign(this.raft, this.raft.config.preVote ? "preElection" : "election");
  }

  /** Throws `proposalDropped`: no leader, a transfer is under way, or the limit of uncommitted bytes is reached. */
  propose(data: Uint8Array): void {
    this.#propose([{ term: 0, index: 0, kind: "data", data }]);
  }

  /** All or none become consecutive entries. Throws as {@link propose}. */
  proposeMany(datas: Uint8Array[]): void {
    if (datas.length === 0) return;
    this.#propose(datas.map((data) => ({ term: 0, index: 0, kind: "data", data })));
  }

  /** Throws as {@link propose}. A change that is not valid now becomes an empty entry of kind `data`. */
  proposeConfChange(cc: ConfChange): void {
    this.#propose([{ term: 0, index: 0, kind: "conf", data: encodeConfChange(cc) }]);
  }

  #propose(entries: Entry[]): void {
    const m = message("propose", this.raft.id, this.raft.id, 0);
    m.entries = entries;
    step(this.raft, m);
  }

  /** To be called for each committed entry of kind `conf` that the host does not reject. Throws `badConfChange` and changes nothing. */
  applyConfChange(cc: ConfChange): ConfState {
    return applyConfChange(this.raft, cc);
  }

  /** Asks for a {@link ReadState}; none comes where there is no leader, or where leadership changes meanwhile: ask again. */
  readIndex(context: Uint8Array): void {
    if (this.raft.role === "leader") {
      requestRead(this.raft, this.raft.id, context);
      return;
    }
    const m = message("readIndex", this.raft.id, this.raft.id, 0);
    m.context = context;
    step(this.raft, m);
  }

  /** With `readsNeedFence`: a write that began after the read with this context is durable: its round, and older ones, count this node. */
  acknowledgeRead(context: Uint8Array): void {
    if (this.raft.role === "leader" && this.raft.reads.fence(context, this.raft.id)) confirmReads(this.raft);
  }

  /** Nobody waits for the reads that were asked so far: they get no answer, and their rounds keep nobody busy. */
  abandonReads(): void {
    this.raft.reads.clear();
  }

  /** Hands leadership to a voter, or asks the leader to. Given up after `electionTicks`. */
  transferLeader(to: NodeId): void {
    step(this.raft, message("transferLeader", to, this.raft.id, this.raft.term));
  }

  /** A follower forgets its leader, so that it votes at once. */
  forgetLeader(): void {
    const r = this.raft;
    if (r.role !== "follower" || r.leader === NO_NODE) return;
    r.trace?.({ type: "forgotLeader", leader: r.leader, term: r.term });
    r.leader = NO_NODE;
  }

  hasReady(): boolean {
    return this.#cycle.has();
  }

  /** What the host has to do. Throws `badMessage` if the last one was not followed by {@link advance}. */
  ready(): Ready {
    return this.#cycle.take();
  }

  /** The last {@link Ready} is persisted, sent and applied. */
  advance(): void {
    this.#cycle.advance();
  }

  status(): RaftStatus {
    return statusOf(this.raft);
  }

  /** As `status().settled`, for a host that asks after every event. */
  isSettled(): boolean {
    return isSettled(this.raft);
  }

  /** A message to this node was lost. */
  reportUnreachable(id: NodeId): void {
    reportUnreachable(this.raft, id);
  }

  /** The snapshot to this node arrived, or did not. */
  reportSnapshot(id: NodeId, ok: boolean): void {
    reportSnapshot(this.raft, id, ok);
  }

  /**
   * Right after construction, where the durable state says that this node leads the current term: go on without an election
   * (SPEC, RS). False, and it stays a follower, where its vote is not its own, it may not lead, or committed changes of the
   * configuration are not applied yet: take Ready until there is none, then call it again.
   */
  resume(): boolean {
    const r = this.raft;
    if (r.role !== "follower" || r.leader !== NO_NODE || r.term === 0 || r.vote !== r.id) return false;
    if (!r.promotable() || hasUnappliedConfChange(r)) return false;
    r.trace?.({ type: "resumed", term: r.term });
    if (r.log.lastTerm() === r.term) {
      r.lead();
      // Alone it is a quorum, and nobody's answer would ever say so.
      advanceCommit(r);
    } else {
      r.becomeLeader();
    }
    return true;
  }
}

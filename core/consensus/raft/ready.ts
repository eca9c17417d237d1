/** What the host has to do next, and what the node concludes once it is done. */
import { appliedTo } from "./membership.ts";
import { NO_ENTRIES } from "./messages.ts";
import type { Raft } from "./raft.ts";
import { broadcastHeartbeat } from "./replication.ts";
import { entriesSize, payloadSize } from "./sizes.ts";
import { step } from "./step.ts";
import { type HardState, type Message, NO_NODE, RaftError, type Ready, type Role } from "./types.ts";

export class ReadyCycle {
  readonly #raft: Raft;
  #leader = NO_NODE;
  #role: Role = "follower";
  #term: number;
  #vote: number;
  #commit: number;
  #open = false;
  /** Of the open Ready: own acknowledgements and votes, that count once what it carries is durable. */
  #own: Message[] = [];
  /** Of the open Ready: the end of what is durable after it, as of this term; -1 if there is nothing unstable. */
  #stableTerm = -1;
  #stableIndex = 0;
  #stableLogTerm = 0;
  #snapshotIndex = -1;
  #appliedIndex = -1;
  #appliedSize = 0;
  #appliedPayload = 0;

  constructor(raft: Raft) {
    this.#raft = raft;
    this.#term = raft.term;
    this.#vote = raft.vote;
    this.#commit = raft.log.committed;
  }

  has(): boolean {
    const r = this.#raft;
    return (
      r.messages.length > 0 ||
      r.afterAppend.length > 0 ||
      r.log.unstable.hasNext() ||
      r.log.hasNextCommitted() ||
      r.readStates.length > 0 ||
      this.#hardChanged() ||
      r.leader !== this.#leader ||
      r.role !== this.#role ||
      r.log.unstable.nextSnapshot() !== null ||
      (r.reads.unsent && r.reads.rounds > 0)
    );
  }

  #hardChanged(): boolean {
    const r = this.#raft;
    return r.log.committed !== this.#commit || r.term !== this.#term || r.vote !== this.#vote;
  }

  take(): Ready {
    if (this.#open) throw new RaftError("badMessage", "the last Ready was not followed by advance");
    this.#open = true;
    const r = this.#raft;
    // One heartbeat serves all reads that began since the last Ready.
    if (r.reads.unsent && r.reads.rounds > 0) broadcastHeartbeat(r);
    const log = r.log;
    const unstable = log.unstable;
    const snapshot = unstable.nextSnapshot();
    const softState = r.leader !== this.#leader || r.role !== this.#role ? { leader: r.leader, role: r.role } : null;
    const ready: Ready = {
      softState,
      hardState: this.#hardChanged() ? this.#takeHardState() : null,
      entries: unstable.hasNext() ? unstable.next() : NO_ENTRIES,
      snapshot,
      messages: this.#takeMessages(),
      committed: log.nextCommitted(),
      reads: r.readStates,
    };
    if (softState !== null) {
      this.#leader = softState.leader;
      this.#role = softState.role;
    }
    if (r.readStates.length > 0) r.readStates = [];
    if (unstable.entries.length > 0) {
      this.#stableTerm = r.term;
      this.#stableIndex = log.lastIndex();
      this.#stableLogTerm = log.lastTerm();
    }
    if (snapshot !== null) this.#snapshotIndex = snapshot.index;
    unstable.acceptInProgress();
    this.#takeCommitted(ready.committed);
    return ready;
  }

  #takeHardState(): HardState {
    const state = this.#raft.hardState();
    this.#term = state.term;
    this.#vote = state.vote;
    this.#commit = state.commit;
    return state;
  }

  /** The host persists before it sends: acknowledgements may go with the rest. */
  #takeMessages(): Message[] {
    const r = this.#raft;
    const messages = r.messages;
    r.messages = [];
    if (r.afterAppend.length > 0) {
      for (const m of r.afterAppend) (m.to === r.id ? this.#own : messages).push(m);
      r.afterAppend = [];
    }
    return messages;
  }

  #takeCommitted(committed: Ready["committed"]): void {
    if (committed.length === 0) return;
    const r = this.#raft;
    this.#appliedIndex = committed[committed.length - 1]!.index;
    this.#appliedSize = entriesSize(committed);
    this.#appliedPayload = r.uncommittedSize > 0 ? payloadSize(committed) : 0;
    r.log.acceptApplying(this.#appliedIndex, this.#appliedSize);
  }

  advance(): void {
    if (!this.#open) throw new RaftError("badMessage", "advance without a Ready");
    this.#open = false;
    const r = this.#raft;
    if (this.#own.length > 0) {
      const own = this.#own;
      this.#own = [];
      for (const m of own) step(r, m);
    }
    if (this.#stableTerm >= 0) {
      // In another term the end of the log may have been replaced; the next Ready reports it again.
      if (this.#stableTerm === r.term) r.log.unstable.stableTo(this.#stableIndex, this.#stableLogTerm);
      this.#stableTerm = -1;
    }
    if (this.#snapshotIndex >= 0) {
      r.log.unstable.stableSnapshotTo(this.#snapshotIndex);
      appliedTo(r, this.#snapshotIndex, 0);
      this.#snapshotIndex = -1;
    }
    if (this.#appliedIndex >= 0) {
      const index = this.#appliedIndex;
      this.#appliedIndex = -1;
      appliedTo(r, index, this.#appliedSize);
      r.reduceUncommittedSize(this.#appliedPayload);
    }
  }
}

/** What a leader knows of one node, and how it replicates to it. */
import { Inflights } from "./inflights.ts";
import type { NodeId } from "./types.ts";

/**
 * `probe`: the follower's last entry is not known; one append at a time finds it. `replicate`: entries are sent as they
 * come, before earlier ones are acknowledged. `snapshot`: it needs entries that are compacted; nothing is sent until it has
 * the snapshot.
 */
export type ProgressState = "probe" | "replicate" | "snapshot";

export class Progress {
  readonly id: NodeId;
  state: ProgressState = "probe";
  /** Known to be in the follower's log: `match < next`. */
  match = 0;
  /** The next entry to send; those between `match` and it are under way. In `snapshot` it is `pendingSnapshot + 1`. */
  next: number;
  /** The highest commit index under way or arrived; it falls back where a message may have been lost. */
  sentCommit = 0;
  pendingSnapshot = 0;
  /** It answered since the last check of the quorum. */
  recentActive = false;
  /** The host's last word was that a message to it was lost. */
  unreachable = false;
  /** An append is out that must be answered (or a heartbeat, if it was lost) before the next one is sent. */
  flowPaused = false;
  learner = false;
  readonly inflights: Inflights;

  constructor(id: NodeId, next: number, maxMessages: number, maxBytes: number) {
    this.id = id;
    this.next = next;
    this.inflights = new Inflights(maxMessages, maxBytes);
  }

  /** A new term begins: nothing is known. */
  reset(next: number, match: number): void {
    this.#enter("probe");
    this.match = match;
    this.next = next;
    this.sentCommit = 0;
    this.recentActive = false;
    this.unreachable = false;
  }

  #enter(state: ProgressState): void {
    this.state = state;
    this.flowPaused = false;
    this.pendingSnapshot = 0;
    this.inflights.reset();
  }

  becomeProbe(): void {
    // A snapshot that arrived is the better guess, and one that failed was forgotten before.
    const pending = this.state === "snapshot" ? this.pendingSnapshot : 0;
    this.#enter("probe");
    this.next = Math.max(this.match, pending) + 1;
    this.sentCommit = Math.min(this.sentCommit, this.next - 1);
  }

  becomeReplicate(): void {
    this.#enter("replicate");
    this.next = this.match + 1;
  }

  becomeSnapshot(index: number): void {
    this.#enter("snapshot");
    this.pendingSnapshot = index;
    this.next = index + 1;
    this.sentCommit = index;
  }

  /** No append may be sent now. */
  isPaused(): boolean {
    return this.state === "snapshot" || this.flowPaused;
  }

  /** An append with so many entries from `next` on left. */
  sentEntries(count: number, bytes: number): void {
    if (this.state === "replicate") {
      if (count > 0) {
        this.next += count;
        this.inflights.add(this.next - 1, bytes);
      }
      // With a full window even an empty append is a probe: one, until an answer shows that something arrived.
      this.flowPaused = this.inflights.full();
    } else if (count > 0) {
      this.flowPaused = true;
    }
  }

  /** The follower could learn something from being told `commit` now. */
  canBumpCommit(commit: number): boolean {
    return commit > this.sentCommit && this.sentCommit < this.next - 1;
  }

  /** The follower acknowledged everything up to `index`. False if that is old news. */
  acknowledge(index: number): boolean {
    if (index <= this.match) return false;
    this.match = index;
    if (this.next <= index) this.next = index + 1;
    this.flowPaused = false;
    return true;
  }

  /**
   * The follower refused an append after `rejected`; `hint` is where the logs may agree. False if that is old news, for
   * messages are doubled and overtaken.
   */
  reject(rejected: number, hint: number): boolean {
    if (this.state === "replicate") {
      if (rejected <= this.match) return false;
      this.next = this.match + 1;
    } else {
      if (this.next - 1 !== rejected) return false;
      this.next = Math.max(Math.min(rejected, hint + 1), this.match + 1);
      this.flowPaused = false;
    }
    this.sentCommit = Math.min(this.sentCommit, this.next - 1);
    return true;
  }
}

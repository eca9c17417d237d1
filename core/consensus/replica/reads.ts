import type { RaftNode } from "../raft/node.ts";

/** What waits until the leader has made sure that it leads. Called once all that was committed before is applied. */
export type Read = () => void;

/** Reads that are confirmed together, by whatever confirms them first. `begun`: nothing earlier confirms them. */
type Batch = { reads: Read[]; begun: number };
type Attempt = { context: Uint8Array; batches: Batch[]; begun: number; fenced: boolean };

/**
 * Linearizable reads of a leader, many to a round (SPEC, reads). One round is under way at a time; what is asked meanwhile waits
 * for the next. A round that a majority of the others confirms costs no row. One that does not get that far is begun again with
 * a fence: whoever acknowledges it has written a row after it began. A round of writes confirms the reads before it for nothing.
 */
export class ReadQueue {
  readonly #node: RaftNode;
  #waiting: Read[] = [];
  #attempt: Attempt | null = null;
  /** Confirmed once the entry at `index` is applied: that of a round of writes, or the commit index of a read round. */
  #due: { index: number; batch: Batch }[] = [];
  #attempts = 0;
  /** All that was committed at this time is shown by what is applied now. */
  freshAt = Number.NEGATIVE_INFINITY;

  constructor(node: RaftNode) {
    this.#node = node;
  }

  /** Reads wait for a round to begin. */
  get waiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** Acknowledgements of what leaves now must be fenced. */
  get fencing(): boolean {
    return this.#attempt?.fenced === true;
  }

  add(read: Read): void {
    this.#waiting.push(read);
  }

  /** A round of writes was begun: once the entry at `index` is applied, all that was asked before is confirmed. */
  ride(index: number, now: number): void {
    for (const batch of [...(this.#attempt?.batches ?? []), this.#batch(now)]) this.#due.push({ index, batch });
  }

  /**
   * Begins a round if one is due. `fenced`: others cannot confirm it without this node. Returns true if a fence has to be
   * written: a row, now. `patience`: how long a round may take before it is begun again with a fence.
   */
  pump(now: number, fenced: boolean, patience: number): boolean {
    const attempt = this.#attempt;
    if (attempt === null || attempt.batches.every(({ reads }) => reads.length === 0)) {
      // A round of writes was faster. Without this the node would go on with its round, for ever where its own word is needed.
      if (attempt !== null) this.#node.abandonReads();
      this.#attempt = null;
      return this.#waiting.length > 0 && this.#begin([this.#batch(now)], now, fenced);
    }
    // A fenced round goes on for as long as this node leads: its heartbeats are repeated.
    if (attempt.fenced || (!fenced && now - attempt.begun < patience)) return false;
    // What the old round still gets is not counted: its acknowledgements were not fenced.
    return this.#begin([...attempt.batches, this.#batch(now)], now, true);
  }

  /** What waits, as a batch of its own: a round that began before must not confirm it. */
  #batch(now: number): Batch {
    const reads = this.#waiting;
    this.#waiting = [];
    return { reads, begun: now };
  }

  #begin(batches: Batch[], now: number, fenced: boolean): boolean {
    const id = ++this.#attempts;
    const context = Uint8Array.of(...[0, 8, 16, 24, 32, 40].map((shift) => Math.floor(id / 2 ** shift) & 255));
    this.#attempt = { context, batches, begun: now, fenced };
    this.#node.readIndex(context);
    if (fenced) this.#node.acknowledgeRead(context);
    return fenced;
  }

  /** The node says that a quorum has acknowledged the round with this context. */
  confirmed(context: Uint8Array, index: number): void {
    const attempt = this.#attempt;
    if (attempt === null || context.length !== attempt.context.length || context.some((byte, i) => byte !== attempt.context[i])) return;
    this.#attempt = null;
    for (const batch of attempt.batches) this.#due.push({ index, batch });
  }

  /** Serves what is confirmed and applied. */
  applied(index: number): void {
    if (this.#due.length === 0) return;
    const due = this.#due.filter((each) => each.index <= index);
    if (due.length === 0) return;
    this.#due = this.#due.filter((each) => each.index > index);
    for (const { batch } of due) {
      const { reads } = batch;
      batch.reads = [];
      this.freshAt = Math.max(this.freshAt, batch.begun);
      for (const read of reads) read();
    }
  }

  /** When {@link pump} has to look again; null: not by time alone. */
  deadline(patience: number): number | null {
    const attempt = this.#attempt;
    return attempt === null || attempt.fenced ? null : attempt.begun + patience;
  }
}

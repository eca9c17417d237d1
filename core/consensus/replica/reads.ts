import type { RaftNode } from "../raft/node.ts";

/** What waits until the leader has made sure that it leads. Called once all that was committed before is applied. */
export type Read = () => void;

type Attempt = { id: number; context: Uint8Array; reads: Read[]; begun: number; fenced: boolean };

/**
 * Linearizable reads of a leader, many to a round (SPEC, reads). One round is under way at a time; what is asked meanwhile waits
 * for the next. A round that a majority of the others confirms costs no row. One that does not get that far is begun again with
 * a fence: whoever acknowledges it has written a row after it began. A round of writes confirms the reads before it for nothing.
 */
export class ReadQueue {
  readonly #node: RaftNode;
  #waiting: Read[] = [];
  #attempt: Attempt | null = null;
  /** Confirmed up to an index that is not applied yet. */
  #confirmed: { index: number; reads: Read[]; begun: number }[] = [];
  /** Reads that the round of writes up to `index` will confirm. */
  #riding: { index: number; reads: Read[]; begun: number }[] = [];
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

  /** A round of writes was begun: once the entry at `index` is committed, what waits now is confirmed too. */
  ride(index: number, now: number): void {
    this.#riding.push({ index, reads: this.#waiting, begun: now });
    this.#waiting = [];
  }

  /**
   * Begins a round if one is due. `fenced`: others cannot confirm it without this node. Returns true if a fence has to be
   * written: a row, now. `patience`: how long a round may take before it is begun again with a fence.
   */
  pump(now: number, fenced: boolean, patience: number): boolean {
    const attempt = this.#attempt;
    if (attempt === null) return this.#waiting.length > 0 && this.#begin(now, fenced);
    // A fenced round goes on for as long as this node leads: its heartbeats are repeated.
    if (attempt.fenced || (!fenced && now - attempt.begun < patience)) return false;
    // What the old round still gets is not counted: its acknowledgements were not fenced.
    this.#waiting = [...attempt.reads, ...this.#waiting];
    return this.#begin(now, true);
  }

  #begin(now: number, fenced: boolean): boolean {
    const id = ++this.#attempts;
    const context = Uint8Array.of(...[0, 8, 16, 24, 32, 40].map((shift) => Math.floor(id / 2 ** shift) & 255));
    this.#attempt = { id, context, reads: this.#waiting, begun: now, fenced };
    this.#waiting = [];
    this.#node.readIndex(context);
    if (fenced) this.#node.acknowledgeRead(context);
    return fenced;
  }

  /** The node says that a quorum has acknowledged the round with this context. */
  confirmed(context: Uint8Array, index: number): void {
    const attempt = this.#attempt;
    if (attempt === null || context.length !== attempt.context.length || context.some((byte, i) => byte !== attempt.context[i])) return;
    this.#attempt = null;
    this.#confirmed.push({ index, reads: attempt.reads, begun: attempt.begun });
  }

  /** Serves what is confirmed and applied. */
  applied(index: number): void {
    for (const queue of [this.#riding, this.#confirmed]) {
      while (queue.length > 0 && queue[0]!.index <= index) {
        const { reads, begun } = queue.shift()!;
        if (begun > this.freshAt) this.freshAt = begun;
        for (const read of reads) read();
      }
    }
  }

  /** When {@link pump} has to look again; null: not by time alone. */
  deadline(patience: number): number | null {
    const attempt = this.#attempt;
    return attempt === null || attempt.fenced ? null : attempt.begun + patience;
  }
}

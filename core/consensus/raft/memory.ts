/** A storage in memory: for tests and benchmarks, and for hosts whose log is in memory and written elsewhere too. */
import { EMPTY_CONF } from "./conf-change.ts";
import { NO_BYTES } from "./messages.ts";
import { countWithin } from "./sizes.ts";
import { type ConfState, type Entry, type HardState, NO_NODE, RaftError, type RaftStorage, type Snapshot } from "./types.ts";

export class MemoryStorage implements RaftStorage {
  hardState: HardState = { term: 0, vote: NO_NODE, commit: 0 };
  /** As of what the node is told was applied. */
  conf: ConfState = EMPTY_CONF;
  #snapshot: Snapshot = { index: 0, term: 0, conf: EMPTY_CONF, data: NO_BYTES };
  /** `#entries[i]` has index `#compacted + 1 + i`. */
  #entries: Entry[] = [];
  #compacted = 0;
  #compactedTerm = 0;

  initialState(): { hardState: HardState; conf: ConfState } {
    return { hardState: this.hardState, conf: this.conf };
  }

  firstIndex(): number {
    return this.#compacted + 1;
  }

  lastIndex(): number {
    return this.#compacted + this.#entries.length;
  }

  term(index: number): number {
    if (index === this.#compacted) return this.#compactedTerm;
    if (index < this.#compacted) throw new RaftError("compacted", `entry ${index} is compacted`);
    const entry = this.#entries[index - this.#compacted - 1];
    if (entry === undefined) throw new RaftError("unavailable", `entry ${index} is beyond the last one`);
    return entry.term;
  }

  entries(low: number, high: number, maxBytes: number): Entry[] {
    if (low <= this.#compacted) throw new RaftError("compacted", `entry ${low} is compacted`);
    if (high > this.lastIndex() + 1) throw new RaftError("unavailable", `entry ${high - 1} is beyond the last one`);
    const from = low - this.#compacted - 1;
    return this.#entries.slice(from, from + countWithin(this.#entries, from, high - this.#compacted - 1, maxBytes));
  }

  snapshot(): Snapshot {
    return this.#snapshot;
  }

  /** As a Ready's `entries` say: what is at and after the first of them is replaced. */
  append(entries: readonly Entry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    const at = first.index - this.#compacted - 1;
    if (at < 0) throw new RaftError("compacted", `entry ${first.index} is compacted`);
    if (at > this.#entries.length) throw new RaftError("unavailable", `entry ${first.index} leaves a gap`);
    if (at < this.#entries.length) this.#entries.length = at;
    for (const entry of entries) this.#entries.push(entry);
  }

  /** The snapshot becomes the state, and the log is empty after it. Throws `snapshotOutOfDate`. */
  applySnapshot(snapshot: Snapshot): void {
    if (snapshot.index <= this.#snapshot.index) throw new RaftError("snapshotOutOfDate", `there is a snapshot at ${this.#snapshot.index}`);
    this.#snapshot = snapshot;
    this.conf = snapshot.conf;
    this.#entries = [];
    this.#compacted = snapshot.index;
    this.#compactedTerm = snapshot.term;
  }

  /** Makes a snapshot of what is applied at `index`; the log is not changed. */
  createSnapshot(index: number, conf: ConfState, data: Uint8Array): Snapshot {
    if (index <= this.#snapshot.index) throw new RaftError("snapshotOutOfDate", `there is a snapshot at ${this.#snapshot.index}`);
    this.#snapshot = { index, term: this.term(index), conf, data };
    return this.#snapshot;
  }

  /** Drops entries up to `index`, which must be applied. */
  compact(index: number): void {
    if (index <= this.#compacted) throw new RaftError("compacted", `entry ${index} is compacted`);
    const term = this.term(index);
    this.#entries = this.#entries.slice(index - this.#compacted);
    this.#compacted = index;
    this.#compactedTerm = term;
  }
}

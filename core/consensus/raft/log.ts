/** The whole log as the node sees it: the storage's durable part, and after it the {@link Unstable} one. */
import { NO_ENTRIES } from "./messages.ts";
import { countWithin, entriesSize } from "./sizes.ts";
import { type Entry, RaftError, type RaftStorage, type Snapshot } from "./types.ts";
import { Unstable } from "./unstable.ts";

/** The term of an index that is compacted or does not exist yet. */
export const NO_TERM = -1;

export class RaftLog {
  readonly storage: RaftStorage;
  readonly unstable: Unstable;
  /** The last index known to be durable on a quorum. */
  committed: number;
  /** The last index handed to the host to be applied: `applied <= applying <= committed`. */
  applying: number;
  applied: number;
  /** Committed entries may be handed out before they are durable here: true where the host persists before it applies. */
  applyUnstable = true;
  readonly #maxApplyingSize: number;
  #applyingSize = 0;
  #applyingPaused = false;

  constructor(storage: RaftStorage, maxApplyingSize: number) {
    this.storage = storage;
    this.unstable = new Unstable(storage.lastIndex() + 1);
    this.#maxApplyingSize = maxApplyingSize;
    const compacted = storage.firstIndex() - 1;
    this.committed = compacted;
    this.applying = compacted;
    this.applied = compacted;
  }

  lastIndex(): number {
    return this.unstable.offset + this.unstable.entries.length - 1;
  }

  firstIndex(): number {
    return this.unstable.snapshot === null ? this.storage.firstIndex() : this.unstable.snapshot.index + 1;
  }

  lastTerm(): number {
    return this.term(this.lastIndex());
  }

  /** The term at `index`, or {@link NO_TERM}. */
  term(index: number): number {
    const term = this.unstable.term(index);
    if (term >= 0) return term;
    if (index > this.lastIndex() || index < this.firstIndex() - 1) return NO_TERM;
    return this.storage.term(index);
  }

  matches(index: number, term: number): boolean {
    return this.term(index) === term;
  }

  /** A candidate's log is at least as complete as this one (section 5.4.1 of the paper). */
  isUpToDate(index: number, term: number): boolean {
    const own = this.lastTerm();
    return term > own || (term === own && index >= this.lastIndex());
  }

  /** The first of `entries` that this log does not have, as a position; their number if it has them all. */
  findConflict(entries: readonly Entry[]): number {
    const last = this.lastIndex();
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[i]!;
      if (entry.index > last || this.term(entry.index) !== entry.term) return i;
    }
    return entries.length;
  }

  /**
   * The greatest index up to `index` whose term is at most `term`, where two logs may agree; 0 if none. An index whose term
   * is compacted ends the search. Terms only grow along a log, so that all indices that are skipped cannot agree.
   */
  findConflictByTerm(index: number, term: number): number {
    let i = index;
    while (i > 0) {
      const own = this.term(i);
      if (own === NO_TERM || own <= term) return i;
      i--;
    }
    return 0;
  }

  /** Adds `entries[from..]`, replacing what is at their indices. Throws `corrupt` rather than replace a committed entry. */
  append(entries: readonly Entry[], from: number): void {
    if (from >= entries.length) return;
    const first = entries[from]!.index;
    if (first <= this.committed)
      throw new RaftError("corrupt", `entry ${first} is committed (up to ${this.committed}) and would be replaced`);
    this.unstable.truncateAndAppend(entries, from);
  }

  /** Never goes back. Throws `corrupt` where the log lacks what is said to be committed: it acknowledged more than it has. */
  commitTo(index: number): void {
    if (index <= this.committed) return;
    if (index > this.lastIndex()) throw new RaftError("corrupt", `commit ${index} is beyond the last entry ${this.lastIndex()}`);
    this.committed = index;
  }

  appliedTo(index: number, size: number): void {
    if (index > this.committed || index < this.applied) {
      throw new RaftError("corrupt", `applied ${index} is outside ${this.applied}..${this.committed}`);
    }
    this.applied = index;
    if (this.applying < index) this.applying = index;
    this.#applyingSize = Math.max(0, this.#applyingSize - size);
    this.#applyingPaused = this.#applyingSize >= this.#maxApplyingSize;
  }

  /** Entries up to `index` with `size` bytes were handed to the host to be applied. */
  acceptApplying(index: number, size: number): void {
    this.applying = index;
    this.#applyingSize += size;
    // A page that ends before the last entry it could have had was cut by its size: the next one waits for it to be applied.
    this.#applyingPaused = this.#applyingSize >= this.#maxApplyingSize || index < this.#maxAppliable();
  }

  hasNextCommitted(): boolean {
    return !this.#applyingPaused && this.unstable.snapshot === null && this.applying < this.#maxAppliable();
  }

  /** The next page of committed entries; none while a snapshot waits, which comes first. */
  nextCommitted(): Entry[] {
    if (!this.hasNextCommitted()) return NO_ENTRIES;
    const entries = this.slice(this.applying + 1, this.#maxAppliable() + 1, this.#maxApplyingSize - this.#applyingSize);
    if (entries === null) throw new RaftError("corrupt", `entry ${this.applying + 1} is compacted and not applied`);
    return entries;
  }

  #maxAppliable(): number {
    return this.applyUnstable ? this.committed : Math.min(this.committed, this.unstable.offset - 1);
  }

  snapshot(): Snapshot {
    return this.unstable.snapshot ?? this.storage.snapshot();
  }

  restore(snapshot: Snapshot): void {
    this.committed = snapshot.index;
    this.unstable.restore(snapshot);
  }

  /**
   * Entries from `low` to below `high`, at least one and else within `maxBytes`; null if `low` is compacted. The array is
   * the caller's, the entries are shared and never changed.
   */
  slice(low: number, high: number, maxBytes: number): Entry[] | null {
    if (low >= high) return NO_ENTRIES;
    const unstable = this.unstable;
    const offset = unstable.offset;
    if (low >= offset) {
      const from = low - offset;
      return unstable.entries.slice(from, from + countWithin(unstable.entries, from, high - offset, maxBytes));
    }
    if (low < this.firstIndex()) return null;
    const cut = Math.min(high, offset);
    const stable = this.storage.entries(low, cut, maxBytes);
    if (high <= offset || stable.length < cut - low) return stable;
    const left = maxBytes - entriesSize(stable);
    const count = countWithin(unstable.entries, 0, high - offset, left);
    // One entry always fits, but here it is not the first.
    if (count === 1 && entriesSize(unstable.entries.slice(0, 1)) > left) return stable;
    return stable.concat(unstable.entries.slice(0, count));
  }
}

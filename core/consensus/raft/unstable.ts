/**
 * The end of the log that the host has not confirmed as durable: new entries, and a snapshot that replaces all before them.
 * `entries[i]` has index `offset + i`. `offset` may be below the last index of the storage: the next write then replaces a suffix.
 */
import type { Entry, Snapshot } from "./types.ts";

export class Unstable {
  snapshot: Snapshot | null = null;
  snapshotInProgress = false;
  entries: Entry[] = [];
  offset: number;
  /** Entries before this index were handed to the host. */
  offsetInProgress: number;

  constructor(offset: number) {
    this.offset = offset;
    this.offsetInProgress = offset;
  }

  /** The term at `index`, or -1 if it is not known here. */
  term(index: number): number {
    if (index >= this.offset) {
      const i = index - this.offset;
      return i < this.entries.length ? this.entries[i]!.term : -1;
    }
    return this.snapshot !== null && this.snapshot.index === index ? this.snapshot.term : -1;
  }

  hasNext(): boolean {
    return this.offset + this.entries.length > this.offsetInProgress;
  }

  /** Entries that were not handed out yet, as an array of the caller's own. */
  next(): Entry[] {
    return this.entries.slice(this.offsetInProgress - this.offset);
  }

  nextSnapshot(): Snapshot | null {
    return this.snapshotInProgress ? null : this.snapshot;
  }

  /** All there is was handed to the host. */
  acceptInProgress(): void {
    if (this.entries.length > 0) this.offsetInProgress = this.offset + this.entries.length;
    if (this.snapshot !== null) this.snapshotInProgress = true;
  }

  /** Entries up to this one are durable, unless they were replaced meanwhile: then this says nothing. */
  stableTo(index: number, term: number): void {
    if (index < this.offset || this.term(index) !== term) return;
    const count = index + 1 - this.offset;
    this.entries = count === this.entries.length ? [] : this.entries.slice(count);
    this.offset = index + 1;
    if (this.offsetInProgress < this.offset) this.offsetInProgress = this.offset;
  }

  stableSnapshotTo(index: number): void {
    if (this.snapshot === null || this.snapshot.index !== index) return;
    this.snapshot = null;
    this.snapshotInProgress = false;
  }

  restore(snapshot: Snapshot): void {
    this.offset = snapshot.index + 1;
    this.offsetInProgress = this.offset;
    this.entries = [];
    this.snapshot = snapshot;
    this.snapshotInProgress = false;
  }

  /** `entries[from..]` become the end of the log; entries at and after the first of them are forgotten. */
  truncateAndAppend(entries: readonly Entry[], from: number): void {
    const first = entries[from]!.index;
    if (first <= this.offset && this.entries.length + this.offset !== first) {
      this.entries = entries.slice(from);
      this.offset = first;
      this.offsetInProgress = first;
      return;
    }
    if (first < this.offset + this.entries.length) {
      // A new array: the old one may be in a message.
      this.entries = this.entries.slice(0, first - this.offset);
      if (this.offsetInProgress > first) this.offsetInProgress = first;
    }
    for (let i = from; i < entries.length; i++) this.entries.push(entries[i]!);
  }
}

import { Reader, varintSize, Writer } from "../../journal/bytes.ts";
import { corrupt } from "../../journal/errors.ts";
import { Journal } from "../../journal/journal.ts";
import type { JournalStorage } from "../../journal/port.ts";
import { NO_BYTES } from "../raft/messages.ts";
import { countWithin, entriesSize, entrySize } from "../raft/sizes.ts";
import { type ConfState, type Entry, type HardState, RaftError, type RaftStorage, type Snapshot } from "../raft/types.ts";
import { type Checkpoint, decodeCheckpoint, encodeCheckpoint } from "./checkpoint.ts";
import { decodeState, encodeState, NO_STATE, type ReplicaState } from "./state.ts";

export type StorageOptions = {
  /** Small rows of the log are filled up to so many bytes, so that there are few to delete. */
  fillBytes: number;
  /** Entries before the checkpoint that stay for followers that are behind. */
  retainEntries: number;
  /** Bytes of entries kept in memory for followers; more are read back from the log. */
  cacheBytes: number;
};
export const STORAGE_DEFAULTS: StorageOptions = { fillBytes: 4_096, retainEntries: 1_000, cacheBytes: 4 * 2 ** 20 };

const KINDS = ["data", "conf"] as const;
const STATE_KEY = "state";

/**
 * What Raft keeps, on the journal: the entry of index i is the journal's entry at position i - 1. An entry also has the commit
 * index that was known when it was written, so that a woken replica knows all but the last commits without a row for them.
 *
 * Changes are gathered in memory and become durable together in {@link flush}: at most one row of the log and one state row.
 */
export class ReplicaStorage implements RaftStorage {
  readonly #journal: Journal;
  readonly #rows: JournalStorage;
  readonly #stateRows: JournalStorage;
  readonly #options: StorageOptions;
  #checkpoint: Omit<Checkpoint, "data"> | null;
  #data: Uint8Array | null = null;
  #state: ReplicaState;
  #stateChanged = false;
  /** The end of the log: entries from index `#tailFirst` on, what is not written yet among them. */
  #tail: Entry[] = [];
  #tailFirst: number;
  #tailBytes = 0;
  /** Up to here the log is as stored; what is stored beyond is to be replaced. */
  #kept: number;
  /** What the log itself says is committed. */
  #commit: number;

  private constructor(rows: JournalStorage, options: StorageOptions) {
    this.#options = options;
    this.#rows = rows;
    this.#stateRows = rows.within("state");
    this.#journal = Journal.open(rows, { payload: { version: 1 } });
    const state = this.#stateRows.getBlob(STATE_KEY);
    this.#state = state === null ? NO_STATE : decodeState(state);
    const stored = this.#journal.latestCheckpoint();
    this.#checkpoint = null;
    if (stored !== null) {
      const { data, ...head } = decodeCheckpoint(stored.bytes);
      if (head.index !== stored.position) throw corrupt("A replica's checkpoint is not of its position.");
      this.#checkpoint = head;
      this.#data = data;
    }
    this.#commit = this.#checkpoint?.index ?? 0;
    this.#tailFirst = this.#commit + 1;
    this.#kept = this.#journal.head;
    this.#readTail();
  }

  /** Reads the state row, the checkpoint's head and the log after it. Throws `corrupt`, `newer_format`. */
  static open(rows: JournalStorage, options: Partial<StorageOptions> = {}): ReplicaStorage {
    return new ReplicaStorage(rows, { ...STORAGE_DEFAULTS, ...options });
  }

  /** Whether it was founded, or told to join. */
  get configured(): boolean {
    return this.#checkpoint !== null;
  }

  get state(): ReplicaState {
    return this.#state;
  }

  /** Where a replay begins. */
  get applied(): number {
    return this.#checkpoint?.index ?? 0;
  }

  get rowsWritten(): number {
    return this.#rows.rowsWritten();
  }

  /** What a replay would read; for the policy of checkpoints. */
  get cost(): { bytes: number; rows: number } {
    return this.#journal.costSinceCheckpoint();
  }

  /** The first state of a member: `checkpoint` stands for all that was before the group. Does nothing where there is one. */
  found(checkpoint: Checkpoint, place: string): void {
    if (this.configured) return;
    this.#journal.transaction(() => {
      this.#install(checkpoint);
      this.#state = { ...this.#state, term: Math.max(this.#state.term, checkpoint.term), place };
      this.#writeState();
    });
  }

  /** The state that a replay begins with; given out once. */
  takeData(): Uint8Array {
    const data = this.#data ?? decodeCheckpoint(this.checkpointBytes()).data;
    this.#data = null;
    return data;
  }

  /** The stored state's bytes, with their head. */
  checkpointBytes(): Uint8Array {
    const stored = this.#journal.latestCheckpoint();
    if (stored === null) throw corrupt("A replica has lost its checkpoint.");
    return stored.bytes;
  }

  /** Takes down a change of the state row. Durable with {@link flush}. */
  setState(change: Partial<ReplicaState>): void {
    this.#state = { ...this.#state, ...change };
    this.#stateChanged = true;
  }

  /** The state row will be written, even if it has not changed: a fence. */
  touchState(): void {
    this.#stateChanged = true;
  }

  /** Entries from a Ready: they replace what the log has from the first of them on. Durable with {@link flush}. */
  append(entries: readonly Entry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    if (first.index > this.lastIndex() + 1) throw new RaftError("unavailable", `entry ${first.index} leaves a gap`);
    if (first.index <= this.applied) throw new RaftError("compacted", `entry ${first.index} is compacted`);
    if (first.index <= this.lastIndex()) this.#cut(first.index);
    for (const entry of entries) this.#remember(entry);
  }

  /** A snapshot becomes the log's start: all entries go. */
  install(checkpoint: Checkpoint): void {
    this.#journal.transaction(() => this.#install(checkpoint));
  }

  /** Makes the state at `index` the checkpoint, and lets go of what only a replay or the slowest followers needed. */
  checkpoint(checkpoint: Checkpoint): void {
    this.flush(checkpoint.index);
    this.#journal.transaction(() => {
      this.#journal.checkpoint(checkpoint.index, encodeCheckpoint(checkpoint));
      const { index, term, conf } = checkpoint;
      this.#checkpoint = { index, term, conf };
      this.#journal.trim(Math.max(this.#journal.base, index - this.#options.retainEntries));
    });
  }

  /** Makes all changes durable, in one transaction. `commit`: how far the log is known to be committed. */
  flush(commit: number): void {
    const last = this.lastIndex();
    const written = this.#kept === last && this.#journal.head === last;
    if (written && !this.#stateChanged) return;
    this.#journal.transaction(() => {
      if (!written) this.#writeLog(commit);
      if (this.#stateChanged) this.#writeState();
    });
    this.#shrinkTail();
  }

  initialState(): { hardState: HardState; conf: ConfState } {
    const { term, vote } = this.#state;
    if (this.#checkpoint === null) throw new RaftError("unavailable", "this replica was not configured");
    return { hardState: { term, vote, commit: this.#commit }, conf: this.#checkpoint.conf };
  }

  lastIndex(): number {
    return this.#tailFirst + this.#tail.length - 1;
  }

  /** An entry that is kept behind the checkpoint gives the term before the first one available. */
  firstIndex(): number {
    const { base } = this.#journal;
    return base === this.applied ? base + 1 : base + 2;
  }

  term(index: number): number {
    if (index === this.#checkpoint?.index) return this.#checkpoint.term;
    if (index >= this.#tailFirst) {
      const entry = this.#tail[index - this.#tailFirst];
      if (entry === undefined) throw new RaftError("unavailable", `entry ${index} is beyond the last one`);
      return entry.term;
    }
    if (index < this.firstIndex() - 1) throw new RaftError("compacted", `entry ${index} is compacted`);
    return this.#read(index, index + 1, 0)[0]!.term;
  }

  entries(low: number, high: number, maxBytes: number): Entry[] {
    if (low < this.firstIndex()) throw new RaftError("compacted", `entry ${low} is compacted`);
    if (high > this.lastIndex() + 1) throw new RaftError("unavailable", `entry ${high - 1} is beyond the last one`);
    if (low < this.#tailFirst) return this.#read(low, Math.min(high, this.#tailFirst), maxBytes);
    const from = low - this.#tailFirst;
    return this.#tail.slice(from, from + countWithin(this.#tail, from, high - this.#tailFirst, maxBytes));
  }

  /** Its bytes are read by {@link checkpointBytes}, when they are sent. */
  snapshot(): Snapshot {
    if (this.#checkpoint === null) throw new RaftError("snapshotUnavailable", "this replica was not configured");
    return { ...this.#checkpoint, data: NO_BYTES };
  }

  #install(checkpoint: Checkpoint): void {
    this.#journal.resetTo(checkpoint.index);
    this.#journal.checkpoint(checkpoint.index, encodeCheckpoint(checkpoint));
    const { index, term, conf } = checkpoint;
    this.#checkpoint = { index, term, conf };
    this.#commit = index;
    this.#tail = [];
    this.#tailBytes = 0;
    this.#tailFirst = index + 1;
    this.#kept = index;
  }

  /** Forgets what is at or after `index`; what of it is stored is replaced with the next write. */
  #cut(index: number): void {
    this.#kept = Math.min(this.#kept, index - 1);
    this.#tail = index <= this.#tailFirst ? [] : this.#tail.slice(0, index - this.#tailFirst);
    this.#tailFirst = Math.min(this.#tailFirst, index);
    this.#tailBytes = entriesSize(this.#tail);
  }

  #writeLog(commit: number): void {
    if (this.#kept < this.#journal.head) this.#journal.truncateFrom(this.#kept);
    for (const entry of this.#tail.slice(this.#kept + 1 - this.#tailFirst)) this.#journal.stage(encodeEntry(entry, commit));
    this.#journal.commit({ fill: this.#options.fillBytes });
    this.#kept = this.lastIndex();
  }

  #readTail(): void {
    for (const { position, bytes } of this.#journal.replay(this.#commit)) {
      const { entry, commit } = decodeEntry(position + 1, bytes);
      this.#remember(entry);
      if (commit > this.#commit) this.#commit = commit;
    }
    this.#shrinkTail();
  }

  #remember(entry: Entry): void {
    this.#tail.push(entry);
    this.#tailBytes += entrySize(entry);
  }

  /** Forgets the older half; it can be read back. */
  #shrinkTail(): void {
    if (this.#tailBytes <= this.#options.cacheBytes) return;
    let drop = 0;
    while (drop < this.#tail.length && this.#tailBytes > this.#options.cacheBytes / 2) this.#tailBytes -= entrySize(this.#tail[drop++]!);
    this.#tail = this.#tail.slice(drop);
    this.#tailFirst += drop;
  }

  #read(low: number, high: number, maxBytes: number): Entry[] {
    // What is not written is in the tail.
    const read = this.#journal.read(low - 1, { maxEntries: high - low, maxBytes });
    const entries = read.map(({ position, bytes }) => decodeEntry(position + 1, bytes).entry);
    return entries.slice(0, countWithin(entries, 0, entries.length, maxBytes));
  }

  #writeState(): void {
    this.#stateRows.putBlob(STATE_KEY, encodeState(this.#state));
    this.#stateChanged = false;
  }
}

function encodeEntry({ term, kind, data }: Entry, commit: number): Uint8Array {
  const writer = new Writer(1 + varintSize(term) + varintSize(commit) + data.length);
  writer.varint(KINDS.indexOf(kind));
  writer.varint(term);
  writer.varint(commit);
  writer.raw(data);
  return writer.done();
}

function decodeEntry(index: number, bytes: Uint8Array): { entry: Entry; commit: number } {
  const reader = new Reader(bytes, `The entry ${index}`);
  const kind = KINDS[reader.varint()];
  if (kind === undefined) throw corrupt(`The entry ${index} is of an unknown kind.`);
  const term = reader.varint();
  const commit = reader.varint();
  return { entry: { term, index, kind, data: reader.rest() }, commit };
}

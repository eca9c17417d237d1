import { SkerryError } from "../wire/errors.ts";
import { type CheckpointHeader, readCheckpoint, readCheckpointHeader, writeCheckpoint } from "./checkpoint.ts";
import { badPosition, corrupt, newerFormat } from "./errors.ts";
import { migrate, writeHead } from "./head.ts";
import { deleteSegment, encodeSegment, findSegment, listSegments, type OffloadPlan, putSegment, type Segment } from "./offload.ts";
import type { JournalStorage } from "./port.ts";
import {
  addTotals,
  encodeRows,
  endOf,
  fillRow,
  type JournalEntry,
  MIN_ROW_BYTES,
  packedSize,
  ROW_HEADER_BYTES,
  type Totals,
} from "./rows.ts";
import { checkPosition, scanRows, type WholeRow } from "./scan.ts";
import { readLast, readState, type State } from "./state.ts";

export { type CheckpointPolicy, shouldCheckpoint } from "./checkpoint.ts";
export { decodeSegment, type OffloadPlan, planOffload, type Segment } from "./offload.ts";
export type { JournalEntry } from "./rows.ts";

/** Below the platform's 2 MB a row, with room for the other columns. */
export const DEFAULT_MAX_ROW_BYTES = 1_500_000;
const PLATFORM_MAX_ROW_BYTES = 1_900_000;

export type JournalOptions = {
  /** Keeps this journal apart from others on the same storage. */
  prefix?: string;
  /** Bytes of the largest row, 128 to 1,900,000; default 1,500,000. */
  maxRowBytes?: number;
  /**
   * The version of what the caller puts in entries and checkpoints. On open, `migrate` is called for each version from
   * the stored one on, to lead from `from` to `from + 1`; all in one transaction. A newer stored version is refused.
   */
  payload?: { version: number; migrate?: (journal: Journal, from: number) => void };
};

/** Where the entry at a position is to be found. */
export type Location = { kind: "local" } | { kind: "archived"; segment: Segment } | { kind: "trimmed"; base: number };

/**
 * The one way to persist: an append-only log of entries at dense positions, with a checkpoint. SPEC.md beside this file
 * is its contract. Synchronous throughout; nothing is durable before `commit` or another writing call returns.
 *
 * @example
 * const journal = Journal.open(storage);
 * journal.stage(bytes);
 * journal.commit(); // one row
 * for (const entry of journal.replay(journal.latestCheckpoint()?.position ?? journal.base)) apply(entry);
 */
export class Journal {
  readonly #storage: JournalStorage;
  readonly #maxRowBytes: number;
  #state: State;
  #staged: JournalEntry[] = [];
  #next: number;
  readonly #participant = {
    capture: () => {
      const [state, staged, length, next] = [this.#state, this.#staged, this.#staged.length, this.#next];
      return () => {
        staged.length = length;
        [this.#state, this.#staged, this.#next] = [state, staged, next];
      };
    },
  };

  private constructor(storage: JournalStorage, maxRowBytes: number, state: State) {
    this.#storage = storage;
    this.#maxRowBytes = maxRowBytes;
    this.#state = state;
    this.#next = state.head;
  }

  /**
   * Opens what is stored, reading no more than its head record and last row; migrates it if it is of an older format.
   * Throws `corrupt` where these are damaged, `newer_format` where they are of a later version of this code.
   */
  static open(storage: JournalStorage, options: JournalOptions = {}): Journal {
    const maxRowBytes = options.maxRowBytes ?? DEFAULT_MAX_ROW_BYTES;
    if (!(Number.isInteger(maxRowBytes) && maxRowBytes >= MIN_ROW_BYTES && maxRowBytes <= PLATFORM_MAX_ROW_BYTES)) {
      throw new SkerryError("misconfigured", `maxRowBytes must be ${MIN_ROW_BYTES} to ${PLATFORM_MAX_ROW_BYTES}, not ${maxRowBytes}.`);
    }
    const own = options.prefix === undefined ? storage : storage.within(options.prefix);
    migrate(own);
    const journal = new Journal(own, maxRowBytes, readState(own, options.payload?.version ?? 0));
    if (options.payload !== undefined) journal.#migratePayload(options.payload);
    return journal;
  }

  /** The first position held here; earlier ones were trimmed or archived. */
  get base(): number {
    return this.#state.base;
  }

  /** The end (exclusive) of what is committed. */
  get head(): number {
    return this.#state.head;
  }

  /** The position that the next staged entry gets. */
  get next(): number {
    return this.#next;
  }

  /**
   * Appends an entry of `count` positions in memory and returns its position. The bytes are not copied: leave them as
   * they are until they are committed.
   */
  stage(bytes: Uint8Array, count = 1): number {
    const position = this.#next;
    if (!(Number.isSafeInteger(count) && count >= 1 && Number.isSafeInteger(position + count))) {
      throw new SkerryError("bad_request", `An entry spans 1 or more positions, not ${count}.`);
    }
    this.#storage.enlist(this.#participant);
    this.#staged.push({ position, count, bytes });
    this.#next = position + count;
    return position;
  }

  /**
   * Writes all that is staged in one transaction, in as few rows as possible: one, up to `maxRowBytes`. `rows` is what
   * the platform bills. If it throws, nothing was written and nothing stays staged: what was refused never comes later.
   *
   * `fill`: what is staged joins the last row, written anew, as long as that takes no more than so many bytes. A commit
   * still costs one row, and there are fewer to drop later, each of which costs one more.
   */
  commit(options: { fill?: number } = {}): { head: number; rows: number } {
    if (this.#staged.length === 0) return { head: this.head, rows: 0 };
    try {
      const rows = this.#write(() => {
        if (!this.#fillLast(Math.min(options.fill ?? 0, this.#maxRowBytes))) {
          const { rows, after, last } = encodeRows(this.#staged, this.#state.totals, this.#maxRowBytes);
          for (const row of rows) this.#storage.putRow(row);
          // Held in memory only by those who fill rows.
          this.#set({ head: this.#next, totals: after, last: options.fill === undefined ? undefined : last });
        }
        this.#setStaged([], this.#next);
      });
      return { head: this.head, rows };
    } catch (error) {
      this.discard();
      throw error;
    }
  }

  /** Forgets what is staged. */
  discard(): void {
    this.#storage.enlist(this.#participant);
    this.#setStaged([], this.head);
  }

  /**
   * The committed entries that end after `from`, ascending: the first may begin before it. At most `maxEntries`, and
   * no more than `maxBytes` of payload unless the first alone is larger; without limits everything, so page through a
   * long log or use {@link replay}. Throws `offset_trimmed` (with `base`) or `offset_archived` (with `segment`) below
   * the base, and `corrupt` at a damaged row, which it never skips.
   */
  read(from: number, limits: { maxBytes?: number; maxEntries?: number } = {}): JournalEntry[] {
    const { maxBytes = Number.POSITIVE_INFINITY, maxEntries = Number.POSITIVE_INFINITY } = limits;
    const entries: JournalEntry[] = [];
    let bytes = 0;
    if (maxEntries < 1) return entries;
    for (const entry of this.replay(from)) {
      bytes += entry.bytes.length;
      if (entries.length > 0 && bytes > maxBytes) break;
      // Stops before the next row is touched: what lies beyond a limit may be damaged.
      if (entries.push(entry) >= maxEntries) break;
    }
    return entries;
  }

  /** As {@link read} without limits, a few rows in memory at a time. Do not change the journal meanwhile. */
  *replay(from: number): Generator<JournalEntry, void> {
    this.#refuseBelowBase(from);
    for (const row of this.wholeRows(from)) for (const entry of row.entries) if (endOf(entry) > from) yield entry;
  }

  /** Where to look for `position`, for callers that would rather ask than catch. */
  locate(position: number): Location {
    if (position >= this.base) return { kind: "local" };
    const segment = findSegment(this.#storage, position);
    return segment === null ? { kind: "trimmed", base: this.base } : { kind: "archived", segment };
  }

  /**
   * Drops everything from `position` on, staged entries too. Throws `bad_offset` where `position` is inside an entry,
   * beyond the end, below the base, or below the checkpoint (which stands for entries that must not change).
   */
  truncateFrom(position: number): void {
    const least = Math.max(this.base, this.#checkpoint()?.position ?? 0);
    if (!(position >= least && position <= this.next)) throw badPosition(`Position ${position} is not between ${least} and ${this.next}.`);
    const keep = this.#staged.filter((entry) => entry.position < position);
    if (position >= this.head) {
      if (keep.length > 0 && endOf(keep.at(-1)!) !== position) throw insideEntry(position);
      this.#storage.enlist(this.#participant);
      this.#setStaged(keep, position);
      return;
    }
    this.#write(() => {
      this.#set({ last: undefined, head: position, totals: position === this.base ? this.#state.baseTotals : this.#cutRow(position) });
      this.#storage.deleteRowsFrom(position);
      this.#setStaged([], position);
    });
  }

  /**
   * Replaces the checkpoint by `bytes`, the caller's state after every entry below `position`. Throws `bad_offset`
   * where `position` is inside an entry, not committed, below the base or below the previous checkpoint.
   */
  checkpoint(position: number, bytes: Uint8Array): { rows: number } {
    const previous = this.#checkpoint();
    const least = Math.max(this.base, previous?.position ?? 0);
    if (!(position >= least && position <= this.head)) {
      throw badPosition(`A checkpoint must be between ${least} and the head ${this.head}, not at ${position}.`);
    }
    const at = { position, before: this.#totalsAt(position) };
    const rows = this.#write(() => {
      this.#set({ checkpoint: writeCheckpoint(this.#storage, at, bytes, previous, this.#maxRowBytes) });
    });
    return { rows };
  }

  /** The checkpoint, verified, or null. Throws `corrupt`. */
  latestCheckpoint(): { position: number; bytes: Uint8Array } | null {
    const stored = readCheckpoint(this.#storage);
    return stored === null ? null : { position: stored.header.position, bytes: stored.bytes };
  }

  latestCheckpointPosition(): number | null {
    return this.#checkpoint()?.position ?? null;
  }

  /** What a replay has to read, from the checkpoint or from the base, whichever is later. For `shouldCheckpoint`. */
  costSinceCheckpoint(): Totals {
    const { totals, baseTotals } = this.#state;
    const then = this.#checkpoint()?.before ?? baseTotals;
    const since = (what: keyof Totals) => totals[what] - Math.max(then[what], baseTotals[what]);
    return { rows: since("rows"), bytes: since("bytes"), entries: since("entries") };
  }

  /**
   * Drops whole rows below `before`: a row that reaches beyond stays, so look at `base` afterwards. Stops at the
   * checkpoint (drops nothing if there is none) unless `force`: what a wake replays is not lost by mistake.
   */
  trim(before: number, options: { force?: boolean } = {}): { rows: number } {
    if (!(before <= this.head)) throw badPosition(`Cannot trim up to ${before}, beyond the head ${this.head}.`);
    const limit = options.force ? before : Math.min(before, this.#checkpoint()?.position ?? this.base);
    return { rows: this.#dropBelow(limit) };
  }

  /** Drops all entries and goes on at `position`: for a replica that installs a state from elsewhere and checkpoints it. */
  resetTo(position: number): { rows: number } {
    checkPosition(position);
    const least = Math.max(this.base, this.#checkpoint()?.position ?? 0);
    if (position < least) throw badPosition(`Cannot go on at ${position}, below ${least}.`);
    const rows = this.#write(() => {
      this.#storage.deleteRowsFrom(0);
      this.#setStaged([], position);
      this.#set({ headWritten: false, last: null, base: position, head: position, baseTotals: this.#state.totals });
    });
    return { rows };
  }

  /**
   * Drops the rows of a plan whose bytes are safely stored under `key`, and remembers the segment. Throws
   * `stale_metadata` if what is here is not what the plan holds: plan again. Harmless when repeated.
   */
  markOffloaded(plan: OffloadPlan, key: string): { rows: number } {
    const segment: Segment = { key, from: plan.from, to: plan.to, bytes: plan.bytes.length, checksum: plan.checksum };
    const known = plan.from < this.base ? findSegment(this.#storage, plan.from) : null;
    if (known?.from === plan.from && known.checksum === plan.checksum) return { rows: 0 };
    if (plan.from !== this.base || plan.to > this.head || this.#checksumUpTo(plan.to) !== plan.checksum) {
      throw new SkerryError("stale_metadata", `Positions ${plan.from} to ${plan.to} changed since the offload was planned.`);
    }
    const rows = this.#write(() => {
      putSegment(this.#storage, segment);
      this.#dropBelow(plan.to);
    });
    return { rows };
  }

  /** The segments that left, ascending. */
  segments(): Segment[] {
    return listSegments(this.#storage);
  }

  /** Forgets the segments that end at or below `before`, and returns them. Delete their objects first, so that a crash between leaves none. */
  forgetSegments(before: number): Segment[] {
    const gone = this.segments().filter((segment) => segment.to <= before);
    if (gone.length > 0) {
      this.#write(() => {
        for (const segment of gone) deleteSegment(this.#storage, segment);
      });
    }
    return gone;
  }

  /**
   * Runs `run` atomically, over this journal, others on the same storage, and any other writes to the same database.
   * If it throws, all of them stand as before, staged entries included.
   */
  transaction<T>(run: () => T): T {
    return this.#storage.transaction(run);
  }

  /** The rows from the one that holds `from`, decoded and verified, a few in memory at a time. */
  wholeRows(from: number): Generator<WholeRow, void> {
    return scanRows(this.#storage, from, this.head);
  }

  /** One transaction, and the head record if it is due. Returns the rows written. */
  #write(run: () => void): number {
    const before = this.#storage.rowsWritten();
    this.#storage.transaction(() => {
      this.#storage.enlist(this.#participant);
      run();
      if (this.#state.headWritten) return;
      writeHead(this.#storage, { payload: this.#state.payload, base: this.base, before: this.#state.baseTotals });
      this.#set({ headWritten: true });
    });
    return this.#storage.rowsWritten() - before;
  }

  #set(change: Partial<State>): void {
    this.#state = { ...this.#state, ...change };
  }

  #setStaged(staged: JournalEntry[], next: number): void {
    this.#staged = staged;
    this.#next = next;
  }

  /** Puts what is staged into the last row, if there is one with room that no checkpoint reaches into; false if not. */
  #fillLast(limit: number): boolean {
    const size = packedSize(this.#staged);
    if (size + ROW_HEADER_BYTES > limit || this.head === this.base) return false;
    const last = this.#state.last === undefined ? readLast(this.#storage) : this.#state.last;
    this.#set({ last });
    if (last === null || last.body.length + size + ROW_HEADER_BYTES > limit) return false;
    if ((this.#checkpoint()?.position ?? 0) > last.first) return false;
    const { stored, filled } = fillRow(last, this.#staged);
    this.#storage.replaceRow(stored, this.head - 1);
    this.#set({ head: this.#next, totals: addTotals(this.#state.totals, 0, this.#staged), last: filled });
    return true;
  }

  #rowAt(position: number): WholeRow {
    for (const row of this.wholeRows(position)) return row;
    throw corrupt(`The journal lacks the row at ${position}.`, { row: { first: position, part: 0 } });
  }

  /** Makes `position` the end of a row and of a commit, and returns the totals there. */
  #cutRow(position: number): Totals {
    const row = this.#rowAt(position - 1);
    const keep = row.entries.filter((entry) => endOf(entry) <= position);
    if (keep.length === 0 || endOf(keep.at(-1)!) !== position) throw insideEntry(position);
    if (row.commitEnd === position) return row.after;
    this.#storage.deleteRowsFrom(row.first);
    const { rows, after } = encodeRows(keep, row.before, this.#maxRowBytes);
    for (const rewritten of rows) this.#storage.putRow(rewritten);
    return after;
  }

  #totalsAt(position: number): Totals {
    if (position === this.head) return this.#state.totals;
    const row = this.#rowAt(position);
    if (row.first === position) return row.before;
    const below = row.entries.filter((entry) => endOf(entry) <= position);
    if (below.length === 0 || endOf(below.at(-1)!) !== position) throw insideEntry(position);
    // The row counts as one still to be replayed.
    return addTotals(row.before, 0, below);
  }

  #dropBelow(limit: number): number {
    if (limit <= this.base) return 0;
    const row = limit < this.head ? this.#rowAt(limit) : null;
    const base = row?.first ?? this.head;
    if (base <= this.base) return 0;
    return this.#write(() => {
      this.#storage.deleteRowsBefore(base);
      this.#set({ headWritten: false, last: undefined, base, baseTotals: row?.before ?? this.#state.totals });
    });
  }

  #checksumUpTo(end: number): number {
    const entries: JournalEntry[] = [];
    for (const row of this.wholeRows(this.base)) {
      if (row.end > end) break;
      for (const entry of row.entries) entries.push(entry);
    }
    return entries.length > 0 && endOf(entries.at(-1)!) === end ? encodeSegment(entries).checksum : -1;
  }

  #checkpoint(): CheckpointHeader | null {
    if (this.#state.checkpoint === undefined) this.#set({ checkpoint: readCheckpointHeader(this.#storage) });
    return this.#state.checkpoint ?? null;
  }

  #refuseBelowBase(from: number): void {
    checkPosition(from);
    const found = this.locate(from);
    if (found.kind === "local") return;
    const extra = { base: this.base };
    if (found.kind === "trimmed")
      throw new SkerryError("offset_trimmed", `Position ${from} is older than ${this.base}, the first one retained.`, { extra });
    throw new SkerryError("offset_archived", `Position ${from} is in the archive.`, { extra: { ...extra, segment: found.segment } });
  }

  #migratePayload(payload: NonNullable<JournalOptions["payload"]>): void {
    const stored = this.#state.payload;
    if (stored > payload.version) throw newerFormat("The journal's payload", stored, payload.version);
    if (stored === payload.version) return;
    this.transaction(() => {
      for (let from = stored; from < payload.version; from++) payload.migrate?.(this, from);
      this.#write(() => this.#set({ headWritten: false, payload: payload.version }));
    });
  }
}

function insideEntry(position: number): SkerryError {
  return badPosition(`Position ${position} is not where an entry begins.`);
}

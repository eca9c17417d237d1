/**
 * The storage a journal needs, synchronous and transactional: a promise inside a transaction would let another event
 * interleave. Two implementations (`memory.ts` here, SQLite in `durable-objects/shared`), one contract suite.
 */
export interface JournalStorage {
  /**
   * Runs `run` atomically: all of its writes or none. A nested call is a savepoint of the outer one: if it throws and
   * the outer one catches, only the nested writes are undone. Refuses a `run` that returns a promise.
   */
  transaction<T>(run: () => T): T;
  /**
   * Tells the open transaction, if there is one, that `participant` is about to change what it holds in memory, so
   * that an abort can put it back. Outside of a transaction it does nothing.
   */
  enlist(participant: Participant): void;
  /** The same medium and the same transactions, with other rows and blobs: an object can hold several journals. */
  within(prefix: string): JournalStorage;

  /** Writes one row of the log. Throws where there is one with the same `first` and `part`. Does not keep `row.bytes`. */
  putRow(row: StoredRow): void;
  /** Writes a row over the one with the same `first` and `part` 0, billed as one. Throws where that one's `last` is not `last`, or there is none. */
  replaceRow(row: StoredRow, last: number): void;
  /**
   * At most `limit` rows ascending by (`first`, `part`): from the last row with `first <= from` (or else the very first
   * row), leaving out parts of that row below `part`. The bytes belong to the caller.
   */
  rows(from: number, part: number, limit: number): StoredRow[];
  lastRow(): StoredRow | null;
  /** Deletes every row whose `first` is at or above the given one. */
  deleteRowsFrom(first: number): void;
  /** Deletes every row whose `first` is below the given one. */
  deleteRowsBefore(first: number): void;

  /** Writes or replaces a named blob: the journal's own head record, chunks of the checkpoint, the index of archived segments. */
  putBlob(key: string, bytes: Uint8Array): void;
  getBlob(key: string): Uint8Array | null;
  /** The keys that begin with `prefix`, ascending. */
  listBlobs(prefix: string): string[];
  deleteBlob(key: string): void;

  /** Rows written since the storage was opened, all views of it together, as the platform bills them; a deleted row counts as one too. */
  rowsWritten(): number;
}

/**
 * One row of the log: the entries at positions `first` to `last` inclusive. An entry above the row limit takes several
 * rows with the same `first` and `part` 0, 1, 2…; otherwise `part` is 0. The checksum covers all the other fields.
 */
export type StoredRow = { first: number; last: number; part: number; bytes: Uint8Array; checksum: number };

/** Something with state in memory that mirrors what is stored. */
export type Participant = {
  /** Notes the present state and returns the function that restores it. */
  capture(): () => void;
};

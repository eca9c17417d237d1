/**
 * The storage a journal needs, synchronous and transactional: a promise inside a transaction would let another event
 * interleave. Two implementations (memory here, SQLite in `durable-objects/shared`), one contract suite.
 */
export interface JournalStorage {
  /** Runs `run` atomically: all of its writes or none. A nested call joins the outer transaction. */
  transaction<T>(run: () => T): T;
  /** Rows of the log, in order of `first`. */
  putRow(row: StoredRow): void;
  /** Rows whose `last >= from`, ascending, at most `limit`. */
  rows(from: number, limit: number): StoredRow[];
  lastRow(): StoredRow | null;
  deleteRowsFrom(first: number): void;
  deleteRowsBefore(last: number): void;
  /** Named blobs: chunks of checkpoints, the journal's own head record, archive segment index. */
  putBlob(key: string, bytes: Uint8Array): void;
  getBlob(key: string): Uint8Array | null;
  listBlobs(prefix: string): string[];
  deleteBlob(key: string): void;
  /** Rows written since the storage was opened, as the platform bills them. */
  rowsWritten(): number;
}

/** One packed row: positions `first` to `last` inclusive, its checksum over everything else. */
export type StoredRow = { first: number; last: number; bytes: Uint8Array; checksum: number };

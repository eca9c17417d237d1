import type { ProducerStorage } from "../../core/streams/log.ts";

/**
 * Producer claims in SQLite, one row each, with the ones in use kept in memory. The table is made at the first write, so
 * that a partition which is only asked stores nothing.
 */
export class SqliteProducers implements ProducerStorage {
  readonly #sql: SqlStorage;
  readonly #cache = new Map<string, { epoch: number; seq: number }>();
  #written = 0;
  #made: boolean | undefined;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  get rowsWritten(): number {
    return this.#written;
  }

  get(id: string): { epoch: number; seq: number } | null {
    const cached = this.#cache.get(id);
    if (cached !== undefined) return cached;
    if (!this.#isMade()) return null;
    const row = this.#sql.exec<{ epoch: number; seq: number }>("SELECT epoch, seq FROM producers WHERE id = ?", id).toArray()[0];
    if (row !== undefined) this.#remember(id, row);
    return row ?? null;
  }

  put(id: string, epoch: number, seq: number): void {
    if (!this.#isMade()) {
      this.#sql.exec("CREATE TABLE producers (id TEXT PRIMARY KEY, epoch INTEGER NOT NULL, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID");
      this.#made = true;
    }
    const cursor = this.#sql.exec(
      "INSERT INTO producers VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch, seq = excluded.seq",
      id,
      epoch,
      seq,
    );
    this.#written += cursor.rowsWritten;
    this.#remember(id, { epoch, seq });
  }

  /** After a rolled-back transaction the cache may say more than the table. */
  forget(): void {
    this.#cache.clear();
    this.#made = undefined;
  }

  #isMade(): boolean {
    this.#made ??= this.#sql.exec("SELECT 1 FROM sqlite_schema WHERE name = 'producers'").toArray().length > 0;
    return this.#made;
  }

  #remember(id: string, claim: { epoch: number; seq: number }): void {
    if (this.#cache.size >= MAX_CACHED) this.#cache.clear();
    this.#cache.set(id, claim);
  }
}

const MAX_CACHED = 10_000;

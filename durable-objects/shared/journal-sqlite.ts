import { replaced } from "../../core/journal/errors.ts";
import type { JournalStorage, Participant, StoredRow } from "../../core/journal/port.ts";
import { TransactionScope } from "../../core/journal/scope.ts";
import { SkerryError } from "../../core/wire/errors.ts";

const PREFIX = /^[a-z][a-z0-9_]{0,39}$/;
/** One scope an object, whatever the number of journals in it: they share its transactions. */
const scopes = new WeakMap<DurableObjectStorage, TransactionScope>();

/**
 * The journal's storage in the SQLite database of a Durable Object: tables `{prefix}_log` and `{prefix}_blob`
 * (default prefix `journal`), made at the first write, so that an object which is only asked stores nothing.
 *
 * A packed row costs exactly one row written: no secondary index, and no rowid beside the key. Make changes of other
 * tables that belong together with a journal's inside `journal.transaction`, which is this storage's `transactionSync`.
 * After `deleteAll` make a new one: this one would look for its tables.
 */
export function sqliteJournalStorage(storage: DurableObjectStorage, options: { prefix?: string } = {}): JournalStorage {
  return new SqliteJournalStorage(storage, options.prefix ?? "journal");
}

class SqliteJournalStorage implements JournalStorage {
  readonly #storage: DurableObjectStorage;
  readonly #prefix: string;
  readonly #log: string;
  readonly #blob: string;
  readonly #scope: TransactionScope;
  /** Whether the tables exist; `undefined`: not looked up yet. */
  #made: boolean | undefined;
  /** Shared by all views of one storage. */
  readonly #written: { rows: number };
  readonly #participant: Participant = {
    capture: () => () => {
      this.#made = undefined;
    },
  };

  constructor(storage: DurableObjectStorage, prefix: string, written = { rows: 0 }) {
    if (!PREFIX.test(prefix))
      throw new SkerryError("misconfigured", `"${prefix}" is no table prefix: 1 to 40 of a-z, 0-9 and _, a letter first.`);
    this.#storage = storage;
    this.#written = written;
    this.#prefix = prefix;
    this.#log = `${prefix}_log`;
    this.#blob = `${prefix}_blob`;
    this.#scope = scopes.get(storage) ?? new TransactionScope();
    scopes.set(storage, this.#scope);
  }

  within(prefix: string): JournalStorage {
    return new SqliteJournalStorage(this.#storage, `${this.#prefix}_${prefix}`, this.#written);
  }

  transaction<T>(run: () => T): T {
    return this.#scope.run((body) => this.#storage.transactionSync(body), run);
  }

  enlist(participant: Participant): void {
    this.#scope.enlist(participant);
  }

  putRow(row: StoredRow): void {
    this.#write(
      `INSERT INTO ${this.#log} (first, part, last, checksum, bytes) VALUES (?, ?, ?, ?, ?)`,
      row.first,
      row.part,
      row.last,
      row.checksum,
      row.bytes,
    );
  }

  replaceRow(row: StoredRow, last: number): void {
    const before = this.#written.rows;
    if (this.#isMade()) {
      const set = `UPDATE ${this.#log} SET last = ?, checksum = ?, bytes = ? WHERE first = ? AND part = 0 AND last = ?`;
      this.#write(set, row.last, row.checksum, row.bytes, row.first, last);
    }
    if (this.#written.rows === before) throw replaced(row.first, last);
  }

  rows(from: number, part: number, limit: number): StoredRow[] {
    return this.#readRows(
      `SELECT * FROM ${this.#log} WHERE (first, part) >= (coalesce((SELECT max(first) FROM ${this.#log} WHERE first <= ?), 0), ?)
       ORDER BY first, part LIMIT ?`,
      from,
      part,
      limit,
    );
  }

  lastRow(): StoredRow | null {
    return this.#readRows(`SELECT * FROM ${this.#log} ORDER BY first DESC, part DESC LIMIT 1`)[0] ?? null;
  }

  deleteRowsFrom(first: number): void {
    this.#delete(`DELETE FROM ${this.#log} WHERE first >= ?`, first);
  }

  deleteRowsBefore(first: number): void {
    this.#delete(`DELETE FROM ${this.#log} WHERE first < ?`, first);
  }

  putBlob(key: string, bytes: Uint8Array): void {
    this.#write(`INSERT OR REPLACE INTO ${this.#blob} (key, bytes) VALUES (?, ?)`, key, bytes);
  }

  getBlob(key: string): Uint8Array | null {
    const row = this.#read<{ bytes: ArrayBuffer }>(`SELECT bytes FROM ${this.#blob} WHERE key = ?`, key)[0];
    return row === undefined ? null : new Uint8Array(row.bytes);
  }

  listBlobs(prefix: string): string[] {
    // A range, not LIKE: it runs on the key whatever characters the prefix has. U+10FFFF sorts after all others.
    return this.#read<{ key: string }>(
      `SELECT key FROM ${this.#blob} WHERE key >= ? AND key < ? ORDER BY key`,
      prefix,
      `${prefix}\u{10ffff}`,
    ).map((row) => row.key);
  }

  deleteBlob(key: string): void {
    this.#delete(`DELETE FROM ${this.#blob} WHERE key = ?`, key);
  }

  rowsWritten(): number {
    return this.#written.rows;
  }

  #readRows(query: string, ...bindings: SqlStorageValue[]): StoredRow[] {
    type Stored = Omit<StoredRow, "bytes"> & { bytes: ArrayBuffer };
    return this.#read<Stored>(query, ...bindings).map((row) => ({
      first: row.first,
      last: row.last,
      part: row.part,
      bytes: new Uint8Array(row.bytes),
      checksum: row.checksum,
    }));
  }

  #read<T extends Record<string, SqlStorageValue>>(query: string, ...bindings: SqlStorageValue[]): T[] {
    return this.#isMade() ? this.#storage.sql.exec<T>(query, ...bindings).toArray() : [];
  }

  #delete(query: string, ...bindings: SqlStorageValue[]): void {
    if (this.#isMade()) this.#written.rows += this.#storage.sql.exec(query, ...bindings).rowsWritten;
  }

  #write(query: string, ...bindings: (SqlStorageValue | Uint8Array)[]): void {
    if (!this.#isMade()) this.#make();
    this.#written.rows += this.#storage.sql.exec(query, ...bindings).rowsWritten;
  }

  #isMade(): boolean {
    this.#made ??= this.#storage.sql.exec("SELECT 1 FROM sqlite_schema WHERE name = ?", this.#blob).toArray().length > 0;
    return this.#made;
  }

  #make(): void {
    this.#scope.enlist(this.#participant);
    const log = "first INTEGER NOT NULL, part INTEGER NOT NULL, last INTEGER NOT NULL, checksum INTEGER NOT NULL, bytes BLOB NOT NULL";
    for (const table of [
      `CREATE TABLE ${this.#log} (${log}, PRIMARY KEY (first, part)) STRICT, WITHOUT ROWID`,
      `CREATE TABLE ${this.#blob} (key TEXT PRIMARY KEY NOT NULL, bytes BLOB NOT NULL) STRICT, WITHOUT ROWID`,
    ]) {
      this.#written.rows += this.#storage.sql.exec(table).rowsWritten;
    }
    this.#made = true;
  }
}

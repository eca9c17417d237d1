import type { EntryKind, EntryRecord, EntryStore, Told } from "../../core/wire/entries.ts";

const FORMAT = 1;

/** The SQLite adapter of a directory shard. Reading a shard that nobody wrote to creates nothing. */
export class DirectoryStore implements EntryStore {
  readonly #sql: SqlStorage;
  #ready = false;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  async get(kind: EntryKind, name: string): Promise<Told & { value: EntryRecord | null }> {
    return told(this.#get(kind, name));
  }

  async put(entries: readonly EntryRecord[], standing: readonly EntryRecord[] = []): Promise<Told & { value: boolean }> {
    const isAt = ({ kind, name }: EntryRecord, version: number) => (this.#get(kind, name)?.version ?? 0) === version;
    if (!entries.every((each) => isAt(each, each.version - 1)) || !standing.every((each) => isAt(each, each.version))) return told(false);
    this.#open();
    // Nothing is awaited in between, so they are durable together.
    for (const { kind, name, version, generation, createdAt, deletedAt, config } of entries) {
      const values = [kind, name, version, generation, createdAt, deletedAt, config];
      this.#sql.exec("INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?, ?, ?)", ...values);
    }
    return told(true, entries.length);
  }

  async list(kind: EntryKind, after: string | null, limit: number): Promise<Told & { value: EntryRecord[] }> {
    if (!this.#exists()) return told([]);
    return told(
      this.#sql
        .exec<EntryRecord>(`${SELECT} WHERE kind = ? AND name > ? AND deleted_at IS NULL ORDER BY name LIMIT ?`, kind, after ?? "", limit)
        .toArray(),
    );
  }

  async former(): Promise<EntryRecord[]> {
    return this.#exists() ? this.#sql.exec<EntryRecord>(`${SELECT} WHERE kind <> 'room'`).toArray() : [];
  }

  #get(kind: EntryKind, name: string): EntryRecord | null {
    if (!this.#exists()) return null;
    return this.#sql.exec<EntryRecord>(`${SELECT} WHERE kind = ? AND name = ?`, kind, name).toArray()[0] ?? null;
  }

  #exists(): boolean {
    if (!this.#ready && this.#sql.exec("SELECT 1 FROM sqlite_master WHERE name = '_meta'").toArray().length > 0) this.#open();
    return this.#ready;
  }

  #open(): void {
    if (this.#ready) return;
    this.#sql.exec("CREATE TABLE IF NOT EXISTS _meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID");
    this.#sql.exec(`CREATE TABLE IF NOT EXISTS entries (kind TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL,
      generation INTEGER NOT NULL, created_at INTEGER NOT NULL, deleted_at INTEGER, config TEXT NOT NULL,
      PRIMARY KEY (kind, name)) STRICT, WITHOUT ROWID`);
    const [meta] = this.#sql.exec<{ value: number }>("SELECT value FROM _meta WHERE key = 'format'").toArray();
    if (meta === undefined) this.#sql.exec("INSERT INTO _meta VALUES ('format', ?)", FORMAT);
    else if (meta.value > FORMAT) throw new Error(`The directory is stored in format ${meta.value}; this version reads up to ${FORMAT}.`);
    this.#ready = true;
  }
}

const SELECT = "SELECT kind, name, version, generation, created_at AS createdAt, deleted_at AS deletedAt, config FROM entries";

function told<T>(value: T, rows = 0): Told & { value: T } {
  return { value, position: null, level: "durable", rows };
}

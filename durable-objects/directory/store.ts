/** One name of a shard; `deletedAt` in Unix milliseconds marks one that is gone. */
export type EntryRecord = {
  kind: "topic" | "room" | "group";
  name: string;
  version: number;
  generation: number;
  createdAt: number;
  deletedAt: number | null;
  /** JSON of what the kind is made with. */
  config: string;
};

const FORMAT = 1;

/** The SQLite adapter of a directory shard. Reading a shard that nobody wrote to creates nothing. */
export class DirectoryStore {
  readonly #sql: SqlStorage;
  #ready = false;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  get(kind: EntryRecord["kind"], name: string): EntryRecord | null {
    if (!this.#exists()) return null;
    return this.#sql.exec<EntryRecord>(`${SELECT} WHERE kind = ? AND name = ?`, kind, name).toArray()[0] ?? null;
  }

  /** Names that exist, after `after` in byte order of UTF-8. */
  list(kind: EntryRecord["kind"], after: string | null, limit: number): EntryRecord[] {
    if (!this.#exists()) return [];
    return this.#sql
      .exec<EntryRecord>(`${SELECT} WHERE kind = ? AND name > ? AND deleted_at IS NULL ORDER BY name LIMIT ?`, kind, after ?? "", limit)
      .toArray();
  }

  put({ kind, name, version, generation, createdAt, deletedAt, config }: EntryRecord): void {
    this.#open();
    this.#sql.exec(
      "INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?, ?, ?)",
      ...[kind, name, version, generation, createdAt, deletedAt, config],
    );
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

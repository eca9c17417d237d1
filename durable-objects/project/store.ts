import type { JWK } from "jose";
import type { KeyRecord } from "../../core/auth/keyring.ts";
import type { UsageBucket } from "../../core/usage/usage.ts";
import type { Grant } from "../../core/wire/grant.ts";

export type StoredKey = KeyRecord & { privateJwk: JWK; publicJwk: JWK };
/** A token as its maker lists it: never the token itself, which nobody stores. Times in Unix milliseconds. */
export type TokenRecord = {
  id: string;
  keyId: string;
  subject: string;
  grants: Grant[];
  createdAt: number;
  expiresAt: number;
  maxExpiresAt: number;
  revokedAt: number | null;
};
/** The Durable Object classes that hold sockets of tokens. */
export type SocketClass = "ROOM" | "TASK" | "TOPIC" | "GROUP";
/** An object that must hear of a revocation; `round` counts how often it has. */
export type Notice = { tokenId: string; class: SocketClass; object: string; round: number; tries: number };

const FORMAT = 1;
const SCHEMA = [
  "CREATE TABLE IF NOT EXISTS _meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID",
  `CREATE TABLE IF NOT EXISTS keys (id TEXT PRIMARY KEY, created_at INTEGER NOT NULL, retired_at INTEGER,
     private_jwk TEXT NOT NULL, public_jwk TEXT NOT NULL) STRICT, WITHOUT ROWID`,
  `CREATE TABLE IF NOT EXISTS tokens (id TEXT PRIMARY KEY, key_id TEXT NOT NULL, subject TEXT NOT NULL, grants TEXT NOT NULL,
     created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, max_expires_at INTEGER NOT NULL, revoked_at INTEGER) STRICT, WITHOUT ROWID`,
  "CREATE TABLE IF NOT EXISTS revoked (seq INTEGER PRIMARY KEY AUTOINCREMENT, token_id TEXT NOT NULL, until INTEGER NOT NULL) STRICT",
  `CREATE TABLE IF NOT EXISTS attached (token_id TEXT NOT NULL, class TEXT NOT NULL, object TEXT NOT NULL, until INTEGER NOT NULL,
     PRIMARY KEY (token_id, class, object)) STRICT, WITHOUT ROWID`,
  `CREATE TABLE IF NOT EXISTS notices (token_id TEXT NOT NULL, class TEXT NOT NULL, object TEXT NOT NULL, round INTEGER NOT NULL,
     tries INTEGER NOT NULL, due INTEGER NOT NULL, PRIMARY KEY (token_id, class, object)) STRICT, WITHOUT ROWID`,
  `CREATE TABLE IF NOT EXISTS usage (hour INTEGER NOT NULL, capability TEXT NOT NULL, requests INTEGER NOT NULL, rows INTEGER NOT NULL,
     bytes_in INTEGER NOT NULL, bytes_out INTEGER NOT NULL, PRIMARY KEY (hour, capability)) STRICT, WITHOUT ROWID`,
];

type TokenRow = Record<"id" | "key_id" | "subject" | "grants", string> &
  Record<"created_at" | "expires_at" | "max_expires_at", number> & { revoked_at: number | null };

/** The SQLite adapter of a project's keys, tokens, revocations and usage. Every method is synchronous. */
export class ProjectStore {
  readonly #sql: SqlStorage;
  #ready = false;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** Whether anything was ever written. Reading a project that nobody made must not make it. */
  exists(): boolean {
    if (this.#ready) return true;
    const found = this.#sql.exec("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = '_meta'").toArray();
    if (found.length > 0) this.open();
    return this.#ready;
  }

  /** Creates or migrates the schema. */
  open(): void {
    if (this.#ready) return;
    for (const statement of SCHEMA) this.#sql.exec(statement);
    const [meta] = this.#sql.exec<{ value: number }>("SELECT value FROM _meta WHERE key = 'format'").toArray();
    if (meta === undefined) this.#sql.exec("INSERT INTO _meta VALUES ('format', ?)", FORMAT);
    else if (meta.value > FORMAT) throw new Error(`The project is stored in format ${meta.value}; this version reads up to ${FORMAT}.`);
    this.#ready = true;
  }

  keys(): StoredKey[] {
    type Row = { id: string; created_at: number; retired_at: number | null; private_jwk: string; public_jwk: string };
    return this.#sql
      .exec<Row>("SELECT * FROM keys ORDER BY created_at DESC, id")
      .toArray()
      .map((row) => ({
        id: row.id,
        createdAt: row.created_at,
        retiredAt: row.retired_at,
        privateJwk: JSON.parse(row.private_jwk),
        publicJwk: JSON.parse(row.public_jwk),
      }));
  }

  addKey(key: StoredKey): void {
    const { id, createdAt, retiredAt, privateJwk, publicJwk } = key;
    this.#sql.exec(
      "INSERT INTO keys VALUES (?, ?, ?, ?, ?)",
      id,
      createdAt,
      retiredAt,
      JSON.stringify(privateJwk),
      JSON.stringify(publicJwk),
    );
  }

  retireKey(id: string, at: number): void {
    // A retired key only verifies: what could sign with it is forgotten at once.
    this.#sql.exec("UPDATE keys SET retired_at = ?, private_jwk = '{}' WHERE id = ?", at, id);
  }

  deleteKey(id: string): void {
    this.#sql.exec("DELETE FROM keys WHERE id = ?", id);
  }

  putToken(token: TokenRecord): void {
    this.#sql.exec(
      "INSERT INTO tokens VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET key_id = excluded.key_id, expires_at = excluded.expires_at",
      ...[token.id, token.keyId, token.subject, JSON.stringify(token.grants)],
      ...[token.createdAt, token.expiresAt, token.maxExpiresAt, token.revokedAt],
    );
  }

  token(id: string): TokenRecord | null {
    const [row] = this.#sql.exec<TokenRow>("SELECT * FROM tokens WHERE id = ?", id).toArray();
    return row ? tokenOf(row) : null;
  }

  tokens(after: string, limit: number, now: number): TokenRecord[] {
    const rows = this.#sql.exec<TokenRow>("SELECT * FROM tokens WHERE id > ? AND expires_at > ? ORDER BY id LIMIT ?", after, now, limit);
    return rows.toArray().map(tokenOf);
  }

  liveTokensOf(keyIds: string[], now: number): TokenRecord[] {
    const rows = this.#sql.exec<TokenRow>(
      "SELECT * FROM tokens WHERE key_id IN (SELECT value FROM json_each(?)) AND expires_at > ? AND revoked_at IS NULL",
      JSON.stringify(keyIds),
      now,
    );
    return rows.toArray().map(tokenOf);
  }

  /** Marks a token revoked and moves the objects that hold its sockets to the notices, in one commit. */
  revoke(id: string, until: number, now: number): void {
    this.#sql.exec("UPDATE tokens SET revoked_at = ? WHERE id = ?", now, id);
    this.#sql.exec("INSERT INTO revoked (token_id, until) VALUES (?, ?)", id, until);
    this.#sql.exec("INSERT OR IGNORE INTO notices SELECT token_id, class, object, 0, 0, ? FROM attached WHERE token_id = ?", now, id);
    this.#sql.exec("DELETE FROM attached WHERE token_id = ?", id);
  }

  /** Revocations after `seq` of tokens that could still be valid. */
  revokedSince(seq: number, now: number): { seq: number; ids: string[] } {
    const rows = this.#sql
      .exec<{ seq: number; token_id: string }>("SELECT seq, token_id FROM revoked WHERE seq > ? AND until > ? ORDER BY seq", seq, now)
      .toArray();
    return { seq: rows.at(-1)?.seq ?? seq, ids: rows.map((row) => row.token_id) };
  }

  attach(tokenId: string, socketClass: SocketClass, object: string, until: number): number {
    return this.#sql.exec(
      "INSERT INTO attached VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET until = excluded.until WHERE excluded.until > until",
      ...[tokenId, socketClass, object, until],
    ).rowsWritten;
  }

  dueNotices(now: number, limit: number): Notice[] {
    type Row = { token_id: string; class: SocketClass; object: string; round: number; tries: number };
    return this.#sql
      .exec<Row>("SELECT token_id, class, object, round, tries FROM notices WHERE due <= ? ORDER BY due LIMIT ?", now, limit)
      .toArray()
      .map((row) => ({ tokenId: row.token_id, class: row.class, object: row.object, round: row.round, tries: row.tries }));
  }

  nextNotice(): number | null {
    return this.#sql.exec<{ due: number | null }>("SELECT min(due) AS due FROM notices").one().due;
  }

  putNotice(notice: Notice, due: number): void {
    const { tokenId, class: socketClass, object, round, tries } = notice;
    this.#sql.exec("INSERT OR REPLACE INTO notices VALUES (?, ?, ?, ?, ?, ?)", tokenId, socketClass, object, round, tries, due);
  }

  deleteNotice({ tokenId, class: socketClass, object }: Notice): void {
    this.#sql.exec("DELETE FROM notices WHERE token_id = ? AND class = ? AND object = ?", tokenId, socketClass, object);
  }

  addUsage(buckets: readonly UsageBucket[]): void {
    for (const { hour, capability, requests, rows, bytesIn, bytesOut } of buckets) {
      this.#sql.exec(
        `INSERT INTO usage VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET requests = requests + excluded.requests,
           rows = rows + excluded.rows, bytes_in = bytes_in + excluded.bytes_in, bytes_out = bytes_out + excluded.bytes_out`,
        ...[hour, capability, requests, rows, bytesIn, bytesOut],
      );
    }
  }

  /** Buckets from hour `from` to `to`, both inclusive. */
  usage(from: number, to: number): UsageBucket[] {
    return this.#sql
      .exec<UsageBucket>(
        `SELECT hour, capability, requests, rows, bytes_in AS bytesIn, bytes_out AS bytesOut FROM usage
           WHERE hour BETWEEN ? AND ? ORDER BY hour, capability`,
        from,
        to,
      )
      .toArray();
  }

  /** Forgets what can no longer matter; a bounded piece at a time, since it runs inside other calls. */
  prune(now: number, oldestHour: number): void {
    this.#sql.exec("DELETE FROM tokens WHERE id IN (SELECT id FROM tokens WHERE expires_at <= ? LIMIT 100)", now);
    this.#sql.exec("DELETE FROM revoked WHERE seq IN (SELECT seq FROM revoked WHERE until <= ? LIMIT 100)", now);
    this.#sql.exec(
      "DELETE FROM attached WHERE (token_id, class, object) IN (SELECT token_id, class, object FROM attached WHERE until <= ? LIMIT 100)",
      now,
    );
    this.#sql.exec("DELETE FROM usage WHERE hour < ?", oldestHour);
  }
}

function tokenOf(row: TokenRow): TokenRecord {
  return {
    id: row.id,
    keyId: row.key_id,
    subject: row.subject,
    grants: JSON.parse(row.grants),
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    maxExpiresAt: row.max_expires_at,
    revokedAt: row.revoked_at,
  };
}

/**
 * One Durable Object has one alarm; this multiplexes it over named deadlines kept in SQLite, so that compaction, token
 * expiry, a retried doorbell… each have their own and survive eviction.
 *
 * Rows: setting or moving a deadline writes one row, and one more where the platform's alarm itself has to move. A
 * deadline set to the time it already has writes nothing. Call these methods outside `transactionSync`: a rolled back
 * transaction would take the row with it and leave this class believing that the alarm is set.
 *
 * @example
 * ```ts
 * async alarm() {
 *   await this.alarms.fire(Date.now(), (name) => { if (name === "compact") this.compact(); });
 * }
 * ```
 */
export class Alarms {
  readonly #storage: DurableObjectStorage;
  /** The time the platform's alarm is known to be set to; `undefined` while unknown (after a wake). */
  #armed: number | null | undefined;
  #ready = false;
  #failures = new Map<string, number>();
  /** Whose time has come: its deadline is over, although its row is still there. */
  #firing: string | null = null;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  /** Sets the deadline of `name` to `at` (unix milliseconds), in place of an earlier or later one. */
  schedule(name: string, at: number): void {
    const time = Math.ceil(at);
    if (this.at(name) === time) return;
    // After a wake the alarm covers the earliest deadline there is: the row and the alarm were written in one commit.
    if (this.#armed === undefined) this.#armed = this.next();
    this.#open();
    this.#storage.sql.exec("INSERT INTO _alarms (name, at) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET at = excluded.at", name, time);
    this.#arm(time);
  }

  /** Like {@link schedule}, but an earlier deadline of that name stays as it is. */
  scheduleBy(name: string, at: number): void {
    const current = name === this.#firing ? null : this.at(name);
    this.schedule(name, current === null ? at : Math.min(current, at));
  }

  /** Forgets the deadline. The platform's alarm stays: a wake with nothing due costs less than a row to move it. */
  cancel(name: string): void {
    this.#failures.delete(name);
    if (this.at(name) !== null) this.#storage.sql.exec("DELETE FROM _alarms WHERE name = ?", name);
  }

  /** The deadline of `name`, or null. */
  at(name: string): number | null {
    if (!this.#exists()) return null;
    const row = this.#storage.sql.exec<{ at: number }>("SELECT at FROM _alarms WHERE name = ?", name).toArray()[0];
    return row?.at ?? null;
  }

  /** The names whose time has come, earliest first. They stay until cancelled or scheduled anew. */
  due(now: number): string[] {
    if (!this.#exists()) return [];
    return this.#storage.sql
      .exec<{ name: string }>("SELECT name FROM _alarms WHERE at <= ? ORDER BY at, name", now)
      .toArray()
      .map((row) => row.name);
  }

  /** The earliest deadline, or null. */
  next(): number | null {
    if (!this.#exists()) return null;
    return this.#storage.sql.exec<{ at: number | null }>("SELECT min(at) AS at FROM _alarms").one().at;
  }

  /**
   * The body of an object's `alarm()`: runs `handle` for each name that is due, forgets the ones that succeed (unless
   * the handler scheduled them anew), and sets the platform's alarm for the next. A handler that throws is reported to
   * `failed` and tried again later, 2 s at first and at most 5 min apart, for ever: the platform itself gives up after
   * six attempts, and a deadline must never be lost.
   */
  async fire(now: number, handle: (name: string) => void | Promise<void>, failed?: (name: string, error: unknown) => void): Promise<void> {
    this.#armed = null;
    for (const name of this.due(now)) {
      const before = this.at(name);
      if (before === null || before > now) continue; // an earlier handler cancelled or moved it
      this.#firing = name;
      try {
        await handle(name);
        this.#failures.delete(name);
        if (this.at(name) === before) this.cancel(name);
      } catch (error) {
        const failures = (this.#failures.get(name) ?? 0) + 1;
        this.#failures.set(name, failures);
        failed?.(name, error);
        this.schedule(name, now + Math.min(RETRY_MAX, RETRY_FIRST * 2 ** (failures - 1)));
      } finally {
        this.#firing = null;
      }
    }
    const next = this.next();
    if (next !== null) this.#arm(next);
  }

  /** After `deleteAll()`, which takes the table and the alarm with it. */
  forget(): void {
    this.#ready = false;
    this.#armed = null;
    this.#failures.clear();
  }

  #arm(at: number): void {
    if (typeof this.#armed === "number" && this.#armed <= at) return;
    this.#armed = at;
    void this.#storage.setAlarm(at);
  }

  /** Only writes create the table: asking an object that was never used must leave no trace. */
  #open(): void {
    if (this.#exists()) return;
    this.#storage.sql.exec("CREATE TABLE IF NOT EXISTS _alarms (name TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID");
    this.#ready = true;
  }

  #exists(): boolean {
    if (!this.#ready) {
      this.#ready = this.#storage.sql.exec("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = '_alarms'").toArray().length > 0;
    }
    return this.#ready;
  }
}

const RETRY_FIRST = 2_000;
const RETRY_MAX = 300_000;

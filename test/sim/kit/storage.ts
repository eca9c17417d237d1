/** Storage kept in memory that can be taken back to what was committed, such as `MemoryJournalStorage`. */
export interface Snapshotable<S = unknown> {
  snapshot(): S;
  restore(snapshot: S): void;
  /** If present, a count that grows with every write: a turn that wrote nothing is then not copied. */
  rowsWritten?(): number;
}

/** What an object has committed: it survives crashes, and only it. */
export type Disk = { values: Map<string, unknown>; media: Map<string, unknown>; alarm: number | null };

export function emptyDisk(): Disk {
  return { values: new Map(), media: new Map(), alarm: null };
}

type Medium = { medium: Snapshotable; written: number | undefined };

/**
 * The storage of one incarnation of an object. Writes of one turn are committed together at its end, as the platform
 * does with writes that have no await between them; a crash before that undoes them all.
 */
export class SimStorage {
  readonly #disk: Disk;
  #values = new Map<string, unknown>();
  readonly #media = new Map<string, Medium>();
  #alarm: number | null;
  #erased = false;
  readonly #check: () => void;

  /** `check` throws once the incarnation is dead: what a dead object still runs must not write. */
  constructor(disk: Disk, check: () => void) {
    this.#disk = disk;
    this.#alarm = disk.alarm;
    this.#check = check;
  }

  get<T>(key: string): T | undefined {
    this.#check();
    const value = this.#values.has(key) ? this.#values.get(key) : this.#disk.values.get(key);
    return structuredClone(value) as T | undefined;
  }

  put(key: string, value: unknown): void {
    this.#check();
    if (value === undefined) throw new TypeError(`storage.put("${key}", undefined)`);
    this.#values.set(key, structuredClone(value));
  }

  delete(key: string): void {
    this.#check();
    this.#values.set(key, undefined);
  }

  /** The keys that begin with `prefix`, ascending. */
  list(prefix = ""): string[] {
    this.#check();
    const keys = new Set([...this.#disk.values.keys(), ...this.#values.keys()]);
    return [...keys].filter((key) => key.startsWith(prefix) && this.get(key) !== undefined).sort();
  }

  /** A storage of another kind, as it was last committed under `name`. `create` makes it empty. */
  open<T extends Snapshotable>(name: string, create: () => T): T {
    this.#check();
    const known = this.#media.get(name);
    if (known !== undefined) return known.medium as T;
    const medium = create();
    if (!this.#erased && this.#disk.media.has(name)) medium.restore(this.#disk.media.get(name));
    this.#media.set(name, { medium, written: medium.rowsWritten?.() });
    return medium;
  }

  /** One alarm an object; `at` in Unix milliseconds, null for none. */
  setAlarm(at: number | null): void {
    this.#check();
    this.#alarm = at;
  }

  getAlarm(): number | null {
    this.#check();
    return this.#alarm;
  }

  /** Erases everything, the alarm too. A storage from {@link open} has to be opened again. */
  deleteAll(): void {
    for (const key of this.list()) this.delete(key);
    this.#media.clear();
    this.#erased = true;
    this.#alarm = null;
  }

  /** Makes the writes since the last commit durable. The kit calls it at the end of a turn. */
  commit(): void {
    for (const [key, value] of this.#values) {
      if (value === undefined) this.#disk.values.delete(key);
      else this.#disk.values.set(key, value);
    }
    this.#values.clear();
    if (this.#erased) this.#disk.media.clear();
    this.#erased = false;
    for (const [name, each] of this.#media) {
      const written = each.medium.rowsWritten?.();
      if (written !== undefined && written === each.written && this.#disk.media.has(name)) continue;
      each.written = written;
      this.#disk.media.set(name, each.medium.snapshot());
    }
    this.#disk.alarm = this.#alarm;
  }

  /** The alarm has fired: it is no longer set, unless this turn set it anew. */
  alarmFired(): void {
    this.#alarm = null;
  }
}

import { SkerryError } from "../wire/errors.ts";
import { replaced } from "./errors.ts";
import type { JournalStorage, Participant, StoredRow } from "./port.ts";
import { TransactionScope } from "./scope.ts";

/** What one journal's storage holds. Bytes are never changed in place, so copies of a store share them. */
type Store = { rows: StoredRow[]; blobs: Map<string, Uint8Array> };
/** What a medium holds at one moment, by prefix. */
export type MemorySnapshot = ReadonlyMap<string, Readonly<Store>>;

/** What all views of one medium share. */
type Medium = { stores: Map<string, Store>; scope: TransactionScope; undo: (() => void)[]; written: number };

/**
 * The journal's storage in memory, for tests and simulations: transactional, with rows counted as the platform bills
 * them, and with {@link snapshot} and {@link restore} so that a simulator can take a machine back to what it had
 * committed. Copies what goes in and out, as a database does.
 */
export class MemoryJournalStorage implements JournalStorage {
  #medium: Medium = { stores: new Map(), scope: new TransactionScope(), undo: [], written: 0 };
  #prefix = "";

  within(prefix: string): MemoryJournalStorage {
    const view = new MemoryJournalStorage();
    view.#medium = this.#medium;
    view.#prefix = this.#prefix + prefix;
    return view;
  }

  transaction<T>(run: () => T): T {
    const { scope, undo } = this.#medium;
    return scope.run((body) => {
      const mark = undo.length;
      try {
        const value = body();
        if (scope.depth === 1) undo.length = 0;
        return value;
      } catch (error) {
        while (undo.length > mark) undo.pop()!();
        throw error;
      }
    }, run);
  }

  enlist(participant: Participant): void {
    this.#medium.scope.enlist(participant);
  }

  putRow(row: StoredRow): void {
    const { rows } = this.#store();
    const at = lowerBound(rows, row.first, row.part);
    const old = rows[at];
    if (old?.first === row.first && old.part === row.part) throw new SkerryError("internal", `There is a row at ${row.first} already.`);
    this.#splice(rows, at, 0, [copyOf(row)]);
    this.#medium.written++;
  }

  replaceRow(row: StoredRow, last: number): void {
    const { rows } = this.#store();
    const at = lowerBound(rows, row.first, 0);
    const old = rows[at];
    if (old?.first !== row.first || old.part !== 0 || old.last !== last) throw replaced(row.first, last);
    this.#splice(rows, at, 1, [copyOf(row)]);
    this.#medium.written++;
  }

  rows(from: number, part: number, limit: number): StoredRow[] {
    const { rows } = this.#store();
    let start = lowerBound(rows, from, 0);
    if (rows[start]?.first !== from) start = start === 0 ? 0 : lowerBound(rows, rows[start - 1]!.first, 0);
    const first = rows[start]?.first;
    while (rows[start] !== undefined && rows[start]!.first === first && rows[start]!.part < part) start++;
    return rows.slice(start, start + limit).map(copyOf);
  }

  lastRow(): StoredRow | null {
    const last = this.#store().rows.at(-1);
    return last === undefined ? null : copyOf(last);
  }

  deleteRowsFrom(first: number): void {
    const { rows } = this.#store();
    const at = lowerBound(rows, first, 0);
    this.#medium.written += this.#splice(rows, at, rows.length - at, []);
  }

  deleteRowsBefore(first: number): void {
    const { rows } = this.#store();
    this.#medium.written += this.#splice(rows, 0, lowerBound(rows, first, 0), []);
  }

  putBlob(key: string, bytes: Uint8Array): void {
    this.#setBlob(key, bytes.slice());
    this.#medium.written++;
  }

  getBlob(key: string): Uint8Array | null {
    return this.#store().blobs.get(key)?.slice() ?? null;
  }

  listBlobs(prefix: string): string[] {
    return [...this.#store().blobs.keys()].filter((key) => key.startsWith(prefix)).sort();
  }

  deleteBlob(key: string): void {
    if (!this.#store().blobs.has(key)) return;
    this.#setBlob(key, undefined);
    this.#medium.written++;
  }

  rowsWritten(): number {
    return this.#medium.written;
  }

  /** A copy of what is committed on the whole medium, whatever the prefix of this view. Not inside a transaction. */
  snapshot(): MemorySnapshot {
    this.#refuseInTransaction();
    return copyStores(this.#medium.stores);
  }

  /** Puts the whole medium back. Journals opened before still believe what they knew: open them again. */
  restore(snapshot: MemorySnapshot): void {
    this.#refuseInTransaction();
    this.#medium.stores = copyStores(snapshot);
  }

  #refuseInTransaction(): void {
    if (this.#medium.scope.depth > 0) throw new SkerryError("internal", "A transaction is open: what is committed is not decided yet.");
  }

  #store(): Store {
    const store = this.#medium.stores.get(this.#prefix) ?? { rows: [], blobs: new Map() };
    this.#medium.stores.set(this.#prefix, store);
    return store;
  }

  /** Replaces rows, returns how many went. */
  #splice(rows: StoredRow[], at: number, count: number, put: StoredRow[]): number {
    const gone = rows.splice(at, count, ...put);
    this.#onAbort(() => rows.splice(at, put.length, ...gone));
    return gone.length;
  }

  #setBlob(key: string, bytes: Uint8Array | undefined): void {
    const { blobs } = this.#store();
    const old = blobs.get(key);
    const set = (value: Uint8Array | undefined) => (value === undefined ? blobs.delete(key) : blobs.set(key, value));
    set(bytes);
    this.#onAbort(() => set(old));
  }

  #onAbort(undo: () => void): void {
    if (this.#medium.scope.depth > 0) this.#medium.undo.push(undo);
  }
}

function copyOf(row: StoredRow): StoredRow {
  return { ...row, bytes: row.bytes.slice() };
}

function copyStores(stores: MemorySnapshot): Map<string, Store> {
  return new Map([...stores].map(([prefix, { rows, blobs }]) => [prefix, { rows: [...rows], blobs: new Map(blobs) }]));
}

/** The index of the first row at or after (`first`, `part`). */
function lowerBound(rows: readonly StoredRow[], first: number, part: number): number {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const row = rows[middle]!;
    if (row.first < first || (row.first === first && row.part < part)) low = middle + 1;
    else high = middle;
  }
  return low;
}

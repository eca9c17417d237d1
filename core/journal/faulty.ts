import type { JournalStorage, Participant, StoredRow } from "./port.ts";

/** What a {@link FaultyStorage} throws where it was told to stop. */
export class Crash extends Error {
  override name = "Crash";
}

export type Faults = {
  /** Crash just before this step, counted from 1; from then on every step crashes, as on a machine that is gone. */
  crashAt?: number;
  /** Break the promise of atomicity: what an aborted transaction has written stays. */
  torn?: boolean;
};

/**
 * A storage that fails on purpose, around one that works. A step is every read, every write, the beginning of a
 * transaction, the moment before it commits and the one after. Open the inner storage again to see what survived.
 *
 * @example
 * for (let crashAt = 1; ; crashAt++) {
 *   const faulty = new FaultyStorage(inner, { crashAt });
 *   try { change(Journal.open(faulty)); } catch (error) { if (error instanceof Crash) … }
 * }
 */
export class FaultyStorage implements JournalStorage {
  readonly #inner: JournalStorage;
  readonly #faults: Faults;
  readonly #clock: { steps: number };

  constructor(inner: JournalStorage, faults: Faults, clock = { steps: 0 }) {
    this.#inner = inner;
    this.#faults = faults;
    this.#clock = clock;
  }

  /** Steps taken so far, views of {@link within} included. */
  get steps(): number {
    return this.#clock.steps;
  }

  within(prefix: string): JournalStorage {
    return new FaultyStorage(this.#inner.within(prefix), this.#faults, this.#clock);
  }

  transaction<T>(run: () => T): T {
    this.#step();
    const body = () => {
      const value = run();
      this.#step();
      return value;
    };
    const value = this.#faults.torn ? body() : this.#inner.transaction(body);
    this.#step();
    return value;
  }

  enlist(participant: Participant): void {
    this.#inner.enlist(participant);
  }

  putRow(row: StoredRow): void {
    this.#step().putRow(row);
  }

  replaceRow(row: StoredRow, last: number): void {
    this.#step().replaceRow(row, last);
  }

  rows(from: number, part: number, limit: number): StoredRow[] {
    return this.#step().rows(from, part, limit);
  }

  lastRow(): StoredRow | null {
    return this.#step().lastRow();
  }

  deleteRowsFrom(first: number): void {
    this.#step().deleteRowsFrom(first);
  }

  deleteRowsBefore(first: number): void {
    this.#step().deleteRowsBefore(first);
  }

  putBlob(key: string, bytes: Uint8Array): void {
    this.#step().putBlob(key, bytes);
  }

  getBlob(key: string): Uint8Array | null {
    return this.#step().getBlob(key);
  }

  listBlobs(prefix: string): string[] {
    return this.#step().listBlobs(prefix);
  }

  deleteBlob(key: string): void {
    this.#step().deleteBlob(key);
  }

  rowsWritten(): number {
    return this.#inner.rowsWritten();
  }

  #step(): JournalStorage {
    this.#clock.steps++;
    if (this.#clock.steps >= (this.#faults.crashAt ?? Number.POSITIVE_INFINITY)) throw new Crash(`Crashed at step ${this.#clock.steps}.`);
    return this.#inner;
  }
}

/** Rewrites one stored row behind the journal's back. */
export function damageRow(storage: JournalStorage, first: number, part: number, change: (row: StoredRow) => StoredRow): void {
  const rows = storage.rows(first, 0, Number.MAX_SAFE_INTEGER);
  storage.transaction(() => {
    storage.deleteRowsFrom(first);
    for (const row of rows) storage.putRow(row.first === first && row.part === part ? change(row) : row);
  });
}

/** A copy of `bytes` with one bit turned. */
export function flipBit(bytes: Uint8Array, at: number, bit: number): Uint8Array {
  const flipped = bytes.slice();
  flipped[at] = flipped[at]! ^ (1 << bit);
  return flipped;
}

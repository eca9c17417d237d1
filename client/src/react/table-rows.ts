import type { AnyValue, TableEvent, TableRow } from "../streams/table.ts";

type Partition<V> = { rows: Map<string, TableRow<V>>; coming: Map<string, TableRow<V>> | null } & Marks;
type Marks = { late: number; streamTime: number; closedBefore: number };

/**
 * The rows of a table as events tell of them. While a partition starts over, its old rows stand until the new ones are
 * whole, so that nothing flickers.
 */
export class TableRows<V = AnyValue> {
  readonly #partitions: Partition<V>[];

  constructor(partitions: number) {
    this.#partitions = Array.from({ length: partitions }, () => ({
      ...{ rows: new Map(), coming: new Map() },
      ...{ late: 0, streamTime: 0, closedBefore: Number.NEGATIVE_INFINITY },
    }));
  }

  /** Whether every partition is whole. */
  get complete(): boolean {
    return this.#partitions.every(({ coming }) => coming === null);
  }

  /** Records that came too late to count. */
  get late(): number {
    return this.#partitions.reduce((sum, { late }) => sum + late, 0);
  }

  /** The latest event time seen, Unix milliseconds. */
  get streamTime(): number {
    return Math.max(0, ...this.#partitions.map(({ streamTime }) => streamTime));
  }

  take(event: TableEvent<V>): void {
    const partition = this.#partitions[event.partition];
    if (partition === undefined) return;
    if (event.kind === "reset") {
      partition.coming = new Map();
      return;
    }
    const rows = partition.coming ?? partition.rows;
    for (const row of event.rows) rows.set(`${row.window.start} ${row.key}`, row);
    partition.late = event.late;
    partition.streamTime = event.streamTime;
    partition.closedBefore = event.closedBefore;
    if (!event.complete) return;
    partition.rows = rows;
    partition.coming = null;
  }

  /** In the order (window start, key). */
  sorted(): TableRow<V>[] {
    for (const { rows, closedBefore } of this.#partitions) {
      // A window closes by time alone, without a word of its rows.
      for (const [id, row] of rows) if (!row.final && row.window.end <= closedBefore) rows.set(id, { ...row, final: true });
    }
    return this.#partitions
      .flatMap(({ rows }) => [...rows.values()])
      .sort((a, b) => a.window.start - b.window.start || (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  }
}

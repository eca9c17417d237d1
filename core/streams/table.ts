import { SkerryError } from "../wire/errors.ts";
import { type Cell, CellStore, type Dirty, type PageStorage } from "./pages.ts";
import type { Lane } from "./stateless.ts";
import type { AggregateNode, TableRow } from "./topology.ts";
import { firstStart, isClosed } from "./windows.ts";

/** The part of a table that a checkpoint keeps beside its pages. */
export type TableMeta = { streamTime: number; late: number; windows: [number, number][] };

export type TableQuery = {
  key?: string | undefined;
  keyFrom?: string | undefined;
  keyTo?: string | undefined;
  /** Window starts, Unix ms: `from` inclusive, `to` exclusive. */
  from?: number | undefined;
  to?: number | undefined;
  final?: boolean | undefined;
  /** Only rows that changed after this revision. */
  since?: number | undefined;
  limit: number;
  /** Continue after this row of the order (window start, key). */
  after?: { start: number; key: string } | undefined;
};

/**
 * One windowed table of one task: Kafka Streams' windowed aggregate, with a persisted stream time and one closing
 * rule. Every change is a pure function of the records in their order, so that a replay gives the same table.
 */
export class WindowedTable {
  readonly node: AggregateNode;
  readonly #cells: CellStore;
  /** Largest event time seen by this table, late records included; -1 before the first. */
  streamTime: number;
  /** Records dropped because the window they belong to was closed, counted once a window. */
  late: number;
  #nextClose: number;

  constructor(node: AggregateNode, storage: PageStorage, meta?: TableMeta) {
    this.node = node;
    this.#cells = new CellStore(node.table, storage, meta?.windows);
    this.streamTime = meta?.streamTime ?? -1;
    this.late = meta?.late ?? 0;
    this.#nextClose = this.#firstClose();
  }

  get bytes(): number {
    return this.#cells.bytes;
  }

  get dirty(): Dirty {
    return this.#cells.dirty;
  }

  /**
   * Applies a lane in its order. Stream time moves first, then each window takes the record or, if closed, drops it.
   * @returns the cells that changed, and the rows of windows that closed meanwhile, in the order they closed
   */
  apply(
    lane: Extract<Lane, { kind: "aggregate" }>,
    revision: number,
    poison: (error: unknown) => void,
  ): { changed: Cell[]; closed: TableRow[] } {
    const { windows, fields, width } = this.node;
    const init = () => {
      const state = new Array<unknown>(width);
      for (const { aggregator, at } of fields) aggregator.init(state, at);
      return state;
    };
    const fallible = fields.some(({ aggregator }) => aggregator.fallible);
    const changed: Cell[] = [];
    const closed: TableRow[] = [];
    for (let index = 0; index < lane.times.length; index++) {
      const time = lane.times[index] as number;
      if (time > this.streamTime) {
        this.streamTime = time;
        if (time >= this.#nextClose) closed.push(...this.#close(time));
      }
      const key = lane.keys[lane.keyAt[index] as number] as string;
      for (let start = firstStart(windows, time); start <= time; start += windows.advance) {
        if (isClosed(windows, start, this.streamTime)) {
          this.late++;
          continue;
        }
        const cell = this.#cells.update(start, key, init);
        const before = fallible ? [...cell.state] : [];
        try {
          for (const { aggregator, at, column } of fields)
            aggregator.add(cell.state, at, column < 0 ? undefined : (lane.columns[column] as unknown[])[index]);
        } catch (thrown) {
          // Skipped as a whole: what other aggregators made of the record goes too.
          poison(thrown);
          cell.state = before;
          if (cell.revision < 0) this.#cells.remove(start, key);
          continue;
        }
        if (cell.revision !== revision) {
          cell.revision = revision;
          changed.push(cell);
        }
        this.#nextClose = Math.min(this.#nextClose, start + windows.size + windows.grace);
      }
    }
    return { changed, closed };
  }

  /** Stream time that would close every open window; null if none is open, or if they never close. */
  closingTime(): number | null {
    const { size, grace } = this.node.windows;
    const last = this.#cells.starts().at(-1);
    if (last === undefined || isClosed(this.node.windows, last, this.streamTime)) return null;
    const time = last + size + grace;
    return time < Number.MAX_SAFE_INTEGER ? time : null;
  }

  /** Moves stream time without a record (a logged tick). Returns the rows of the windows this closes. */
  advance(time: number): TableRow[] {
    if (time <= this.streamTime) return [];
    this.streamTime = time;
    return time >= this.#nextClose ? this.#close(time) : [];
  }

  #close(time: number): TableRow[] {
    const { windows } = this.node;
    const since = this.#nextClose;
    const rows: TableRow[] = [];
    for (const start of this.#cells.starts()) {
      const closesAt = start + windows.size + windows.grace;
      if (closesAt >= since && closesAt <= time) for (const cell of this.#cells.cells(start)) rows.push(this.row(cell));
    }
    for (const start of [...this.#cells.starts()]) if (start + windows.retention <= time) this.#cells.drop(start);
    this.#nextClose = this.#firstClose();
    return rows;
  }

  #firstClose(): number {
    const { windows } = this.node;
    const open = this.#cells.starts().find((start) => !isClosed(windows, start, this.streamTime));
    return open === undefined ? Number.POSITIVE_INFINITY : open + windows.size + windows.grace;
  }

  row(cell: Cell): TableRow {
    const { windows, fields } = this.node;
    const value: Record<string, unknown> = {};
    for (const { name, at, aggregator } of fields) value[name] = aggregator.result(cell.state, at);
    return {
      key: cell.key,
      window: { start: cell.start, end: cell.start + windows.size },
      value,
      final: isClosed(windows, cell.start, this.streamTime),
      revision: cell.revision,
    };
  }

  /** Rows in the order (window start, key). */
  query(query: TableQuery): TableRow[] {
    const rows: TableRow[] = [];
    for (const start of this.#cells.starts()) {
      if (rows.length >= query.limit) break;
      if ((query.from !== undefined && start < query.from) || (query.to !== undefined && start >= query.to)) continue;
      if (query.after !== undefined && start < query.after.start) continue;
      if (query.final !== undefined && query.final !== isClosed(this.node.windows, start, this.streamTime)) continue;
      for (const cell of this.#candidates(start, query.key)) {
        if (query.keyFrom !== undefined && cell.key < query.keyFrom) continue;
        if (query.keyTo !== undefined && cell.key >= query.keyTo) continue;
        if (query.since !== undefined && cell.revision <= query.since) continue;
        if (query.after !== undefined && start === query.after.start && cell.key <= query.after.key) continue;
        rows.push(this.row(cell));
        if (rows.length >= query.limit) break;
      }
    }
    return rows;
  }

  #candidates(start: number, key: string | undefined): Cell[] {
    if (key === undefined) return this.#cells.cells(start);
    const cell = this.#cells.get(start, key);
    return cell === undefined ? [] : [cell];
  }

  flush(): TableMeta {
    return { streamTime: this.streamTime, late: this.late, windows: this.#cells.flush() };
  }

  shrink(budget: number): void {
    this.#cells.shrink(budget);
  }
}

/** Checks a query's ranges. Throws `bad_query` with a sentence that says which part contradicts which. */
export function checkQuery(query: TableQuery): TableQuery {
  const { key, keyFrom, keyTo, from, to } = query;
  if (key !== undefined && (keyFrom !== undefined || keyTo !== undefined))
    throw new SkerryError("bad_query", "Ask for one key or for a range of keys, not both.");
  if (keyFrom !== undefined && keyTo !== undefined && keyFrom >= keyTo)
    throw new SkerryError("bad_query", "keyFrom is not below keyTo (which is exclusive), so no key can match.");
  if (from !== undefined && to !== undefined && from >= to)
    throw new SkerryError("bad_query", "from is not before to (which is exclusive), so no window can match.");
  return query;
}

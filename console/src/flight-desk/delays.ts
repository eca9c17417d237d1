import { computed, signal } from "@preact/signals";
import type { TableEvent } from "@skerry/client";
import type { Api } from "../platform/api.ts";
import { type Connection, report } from "../platform/connections.ts";
import { type Following, followTable } from "../platform/follow.ts";

/** A row of the table `delays`: one airport in one hour. Minutes; `delayed` is a share. */
export type Delays = { count: number; mean: number | null; max: number | null; delayed: number };
/** A window as the charts see it; `final` once no record can change it any more. */
export type Cell = Delays & { start: number; end: number; closed: boolean; partition: number };

export const TABLE = "delays";
export const HOUR = 3_600_000;
const NAME = "Delay windows";
/** Changes within this many ms are shown together: nobody reads faster, and a redraw is not free. */
const CONFLATE_MS = 200;

type Partition = { streamTime: number; closedBefore: number; late: number };
const UNKNOWN: Partition = { streamTime: -1, closedBefore: -1, late: 0 };
export type Overview = { windows: number; open: number; flights: number; late: number; first: number; last: number; streamTime: number };

/** The table `delays` as it stands, followed live. Readers look at `version` and then into the rows. */
export class DelayTable {
  readonly version = signal(0);
  readonly problem = signal<string | null>(null);
  /** Whether every partition has given its snapshot. */
  readonly complete = signal(false);
  readonly airports = new Map<string, Map<number, Cell>>();
  /** Both at once, so that they tell of the same moment: the rows below may be newer than the version. */
  readonly #moment = computed(() => {
    const version = this.version.value;
    return { overview: this.#summarise(version), busiest: this.#rank(version) };
  });
  readonly overview = computed(() => this.#moment.value.overview);
  /** Airports by number of flights, most first. */
  readonly busiest = computed(() => this.#moment.value.busiest);
  readonly #flights = new Map<string, number>();
  readonly #following: Following;
  readonly #onActivity: () => void;
  #partitions: Partition[] = [];
  /** Partitions whose snapshot is not whole yet. */
  #awaited = new Set<number>();
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(api: Api, onActivity: () => void) {
    this.#onActivity = onActivity;
    this.#following = followTable(api, TABLE, {
      onOpen: (partitions) => this.#open(partitions),
      onEvent: (event) => this.#take(event),
      onState: (connection) => this.#state(connection),
    });
  }

  /** The server answers again: does not wait long for the table. */
  nudge(): void {
    this.#following.nudge();
  }

  close(): void {
    this.#following.close();
    if (this.#timer !== null) clearTimeout(this.#timer);
    report(NAME, null);
  }

  cell(airport: string, start: number): Cell | undefined {
    return this.airports.get(airport)?.get(start);
  }

  isFinal(cell: Cell): boolean {
    return cell.closed || cell.end <= this.#partitions[cell.partition]!.closedBefore;
  }

  #state(connection: Connection): void {
    report(NAME, connection);
    this.problem.value = connection.state === "refused" ? connection.detail : null;
  }

  #open(partitions: number): void {
    this.airports.clear();
    this.#flights.clear();
    this.#partitions = Array.from({ length: partitions }, () => ({ ...UNKNOWN }));
    this.#awaited = new Set(this.#partitions.keys());
    this.#show();
  }

  #take(event: TableEvent): void {
    const { partition } = event;
    if (event.kind === "reset") this.#reset(partition);
    else {
      const { rows, streamTime, closedBefore, late, complete } = event;
      this.#partitions[partition] = { streamTime, closedBefore, late };
      for (const { key, window, value, final } of rows) {
        const cells = this.airports.get(key) ?? new Map<number, Cell>();
        this.airports.set(key, cells);
        const before = cells.get(window.start)?.count ?? 0;
        const delays = value as Delays;
        cells.set(window.start, { ...delays, start: window.start, end: window.end, closed: final, partition });
        this.#flights.set(key, (this.#flights.get(key) ?? 0) + delays.count - before);
      }
      if (complete) this.#awaited.delete(partition);
      if (this.complete.value) this.#onActivity();
    }
    this.#show();
  }

  #reset(partition: number): void {
    for (const [airport, cells] of this.airports) {
      if (cells.values().next().value?.partition === partition) {
        this.airports.delete(airport);
        this.#flights.delete(airport);
      }
    }
    this.#partitions[partition] = { ...UNKNOWN };
    this.#awaited.add(partition);
  }

  #show(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.complete.value = this.#awaited.size === 0;
      this.version.value++;
    }, CONFLATE_MS);
  }

  #summarise(_version: number): Overview {
    const overview: Overview = { windows: 0, open: 0, flights: 0, late: 0, first: Number.POSITIVE_INFINITY, last: -1, streamTime: -1 };
    for (const cells of this.airports.values()) {
      for (const cell of cells.values()) {
        overview.windows++;
        overview.flights += cell.count;
        if (!this.isFinal(cell)) overview.open++;
        if (cell.start < overview.first) overview.first = cell.start;
        if (cell.start > overview.last) overview.last = cell.start;
      }
    }
    for (const { late, streamTime } of this.#partitions) {
      overview.late += late;
      overview.streamTime = Math.max(overview.streamTime, streamTime);
    }
    return overview;
  }

  #rank(_version: number): { airport: string; flights: number }[] {
    return [...this.#flights]
      .map(([airport, flights]) => ({ airport, flights }))
      .sort((a, b) => b.flights - a.flights || (a.airport < b.airport ? -1 : 1));
  }
}

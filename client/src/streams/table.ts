import type { CallOptions, Http } from "../http.ts";
import { LiveFeed } from "../live.ts";

/** What a table holds where nothing is said of its values. */
export type AnyValue = Record<string, unknown>;

/** One key in one window (Unix milliseconds, end exclusive). `final`: no record can change it any more. */
export type TableRow<V = AnyValue> = {
  key: string;
  window: { start: number; end: number };
  value: V;
  final: boolean;
  /** Grows with each change. */
  revision: number;
};

/** Times in Unix milliseconds. `from` and `to` bound the windows' starts; key ranges exclude `keyTo`. */
export type TableQuery = {
  key?: string;
  keyFrom?: string;
  keyTo?: string;
  from?: number;
  to?: number;
  /** Only windows that are closed, or only those that are open. */
  final?: boolean;
  /** Rows of a page, at most 10,000; 1,000 unless given. */
  limit?: number;
  /** From the page before. */
  cursor?: string;
};

/** `applied` names, by source, the offset up to which its records are in the table. */
export type TablePage<V = AnyValue> = {
  rows: TableRow<V>[];
  cursor: string | null;
  partitions: { partition: number; streamTime: number; late: number; applied: Record<string, number> }[];
};

/**
 * `reset`: the partition starts over, forget its rows. `rows`: rows whose values stand in place of earlier ones with
 * the same key and window; `complete` once the partition's snapshot is whole. Windows with `end <= closedBefore` are final.
 */
export type TableEvent<V = AnyValue> =
  | { kind: "reset"; partition: number }
  | { kind: "rows"; partition: number; rows: TableRow<V>[]; complete: boolean; streamTime: number; closedBefore: number; late: number };

export type SubscribeOptions = CallOptions & {
  /** {@link TableSubscription.positions} of an earlier subscription whose rows the caller has kept. */
  from?: readonly (string | null)[];
  /** Frames a partition that may wait to be read; 32 unless given, at most 256. */
  credit?: number;
};

/** An async iterator over the changes of a table, through reconnections. `break` ends it. */
export interface TableSubscription<V = AnyValue> extends AsyncIterableIterator<TableEvent<V>> {
  /** Where the reader is, a position for each partition. */
  positions(): (string | null)[];
}

type Payload<V> = { rows: TableRow<V>[]; streamTime: number; closedBefore: number; late: number };

/**
 * One table of a topology.
 * @example
 * const delays = client.streams.table<{ count: number; mean: number | null }>("delays");
 * const { rows } = await delays.query({ key: "ATL" });
 */
export class Table<V = AnyValue> {
  readonly name: string;
  readonly #http: Http;

  constructor(http: Http, name: string) {
    this.#http = http;
    this.name = name;
  }

  /** One page, in the order (window start, key). It holds what this client has appended. */
  query(query: TableQuery = {}, options: CallOptions = {}): Promise<TablePage<V>> {
    return this.#http.json("GET", this.#path, { query, signal: options.signal });
  }

  /**
   * All rows that match, page by page.
   * @example for await (const row of client.streams.table("delays").rows({ final: true })) console.log(row.key, row.value);
   */
  async *rows(query: Omit<TableQuery, "cursor"> = {}, options: CallOptions = {}): AsyncGenerator<TableRow<V>, void, undefined> {
    let cursor: string | null = null;
    do {
      const page: TablePage<V> = await this.query(cursor === null ? query : { ...query, cursor }, options);
      yield* page.rows;
      cursor = page.cursor;
    } while (cursor !== null);
  }

  /**
   * Follows the table: first its rows, then what changes, through reconnections and restarts of the server. Reading
   * slowly slows the server, not this process. Throws what no new attempt can mend, such as `forbidden`.
   * @example
   * for await (const event of await client.streams.table("delays").subscribe()) {
   *   if (event.kind === "rows") for (const row of event.rows) console.log(row.key, row.window.start, row.value);
   * }
   */
  async subscribe(options: SubscribeOptions = {}): Promise<TableSubscription<V>> {
    const { from, credit = 32, signal } = options;
    const partitions = async (attempts?: number): Promise<number> => {
      const page = { query: { limit: 1 }, signal, ...(attempts !== undefined && { attempts }) };
      return (await this.#http.json<TablePage>("GET", this.#path, page)).partitions.length;
    };
    const count = await partitions();
    const feed = new LiveFeed(this.#http, {
      path: `${this.#path}/live`,
      targets: Array.from({ length: count }, (_, partition) => `${this.name}/${partition}`),
      ...(from !== undefined && { from }),
      credit,
      signal,
      probe: async () => void (await partitions(1)),
    });
    return new Subscription<V>(feed, count, from);
  }

  get #path(): string {
    return `/v1/tables/${encodeURIComponent(this.name)}`;
  }
}

class Subscription<V> implements TableSubscription<V> {
  readonly #feed: LiveFeed;
  readonly #complete: boolean[];

  constructor(feed: LiveFeed, partitions: number, from: readonly (string | null)[] | undefined) {
    this.#feed = feed;
    this.#complete = Array.from({ length: partitions }, (_, i) => (from?.[i] ?? null) !== null);
  }

  positions(): (string | null)[] {
    return this.#feed.positions();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<TableEvent<V>>> {
    for (;;) {
      const { value: event, done } = await this.#feed.next();
      if (done) return { value: undefined, done: true };
      const partition = event.index;
      if (event.kind === "subscribed") {
        if (event.mode === "resume") continue;
        this.#complete[partition] = false;
        return { value: { kind: "reset", partition }, done: false };
      }
      const { item } = event;
      const { rows, streamTime, closedBefore, late } = item.payload as Payload<V>;
      // A delta follows only a whole snapshot.
      this.#complete[partition] = item.kind === "delta" || item.last === true;
      const complete = this.#complete[partition];
      return { value: { kind: "rows", partition, rows, complete, streamTime, closedBefore, late }, done: false };
    }
  }

  async return(): Promise<IteratorResult<TableEvent<V>>> {
    await this.#feed.return();
    return { value: undefined, done: true };
  }
}

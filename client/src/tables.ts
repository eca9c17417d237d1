import type { TableRow } from "../../core/streams/topology.ts";
import type { Http } from "./http.ts";
import { LiveFeed } from "./live.ts";
import type { Tokens } from "./tokens.ts";

export type { TableRow };

/** Times in Unix milliseconds. `from` and `to` bound the windows' starts; key ranges exclude `keyTo`. */
export type TableQuery = {
  key?: string;
  keyFrom?: string;
  keyTo?: string;
  from?: number;
  to?: number;
  /** Only windows that are closed, or only those that are open. */
  final?: boolean;
  limit?: number;
  /** From the page before. */
  cursor?: string;
};

/** `applied` names, by source, the offset up to which its records are in the table. */
export type TablePage = {
  rows: TableRow[];
  cursor: string | null;
  partitions: { partition: number; streamTime: number; late: number; applied: Record<string, number> }[];
};

/**
 * `reset`: the partition starts over, forget its rows. `rows`: rows whose values stand in place of earlier ones with
 * the same key and window; `complete` once the partition's snapshot is whole. Windows with `end <= closedBefore` are final.
 */
export type TableEvent =
  | { kind: "reset"; partition: number }
  | { kind: "rows"; partition: number; rows: TableRow[]; complete: boolean; streamTime: number; closedBefore: number; late: number };

export type SubscribeOptions = {
  /** {@link TableSubscription.positions} of an earlier subscription whose rows the caller has kept. */
  from?: readonly (string | null)[];
  /** Frames a partition that may wait to be read; 32 unless given. */
  credit?: number;
  signal?: AbortSignal;
};

/** An async iterator over the changes of a table, through reconnections. `break` ends it. */
export interface TableSubscription extends AsyncIterableIterator<TableEvent> {
  /** Where the reader is, a position for each partition. */
  positions(): (string | null)[];
}

type Payload = { rows: TableRow[]; streamTime: number; closedBefore: number; late: number };

export class Tables {
  readonly #http: Http;
  readonly #tokens: Tokens;

  constructor(http: Http, tokens: Tokens) {
    this.#http = http;
    this.#tokens = tokens;
  }

  /** One page of a table, in the order (window start, key). */
  query(table: string, query: TableQuery = {}, options: { signal?: AbortSignal } = {}): Promise<TablePage> {
    return this.#http.json("GET", path(table), { query, signal: options.signal });
  }

  /**
   * Follows a table: first its rows, then what changes.
   * @example for await (const event of await client.tables.subscribe("delays")) if (event.kind === "rows") show(event.rows);
   */
  async subscribe(table: string, options: SubscribeOptions = {}): Promise<TableSubscription> {
    const { from, credit = 32, signal } = options;
    const partitions = async () => (await this.query(table, { limit: 1 }, signal === undefined ? {} : { signal })).partitions.length;
    const count = await partitions();
    const feed = new LiveFeed(this.#http, this.#tokens, {
      path: `${path(table)}/live`,
      targets: Array.from({ length: count }, (_, partition) => `${table}/${partition}`),
      ...(from !== undefined && { from }),
      credit,
      signal,
      probe: async () => void (await partitions()),
    });
    return new Subscription(feed, count, from);
  }
}

class Subscription implements TableSubscription {
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

  async next(): Promise<IteratorResult<TableEvent>> {
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
      const { rows, streamTime, closedBefore, late } = item.payload as Payload;
      // A delta follows only a whole snapshot.
      this.#complete[partition] = item.kind === "delta" || item.last === true;
      const complete = this.#complete[partition];
      return { value: { kind: "rows", partition, rows, complete, streamTime, closedBefore, late }, done: false };
    }
  }

  async return(): Promise<IteratorResult<TableEvent>> {
    await this.#feed.return();
    return { value: undefined, done: true };
  }
}

function path(table: string): string {
  return `/v1/tables/${encodeURIComponent(table)}`;
}

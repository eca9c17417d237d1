import type { CallOptions, Http } from "../http.ts";
import { type AnyValue, Table } from "./table.ts";
import { Topic, type TopicInfo } from "./topic.ts";

export type PageOptions = CallOptions & {
  /** The `next` of the page before. */
  after?: string;
  /** Entries of a page, at most 1,000; 100 unless given. */
  limit?: number;
};

/** A table of the deployment: which topology keeps it, and the fields of its values. */
export type TableInfo = { name: string; topology: string; partitions: number; fields: string[] };

export type TopologyInfo = {
  name: string;
  /** Of the deployment. */
  version: number;
  /** The version that is live in the project, since when (Unix ms), and its topics; null before its first record. */
  live: { version: number; since: number; topics: string[] } | null;
  partitions: number;
  sources: string[];
  tables: string[];
  sinks: string[];
  /** Names of the models that score its records. */
  models: string[];
  closeOnIdle: number | null;
};

/** A partition of a source that no task reads: the topic is older than the topology and has more of them. `head`: records in it. */
export type UnreadPartition = { topic: string; partition: number; head: number };

/** `lag`: records appended and not yet applied. `late` by table. */
export type TaskStatus = {
  partition: number;
  revision: number;
  records: number;
  applied: Record<string, number>;
  head: Record<string, number>;
  lag: number;
  late: Record<string, number>;
  poisoned: number;
  lastPoison: unknown[];
  outbox: number;
  /** Receivers that do not take what they are sent, and why. */
  waiting: { sink: string; to: string; code: string; detail: string }[];
  bytes: number;
};

/** Topics, and the tables and topologies that read them. */
export class Streams {
  readonly #http: Http;

  constructor(http: Http) {
    this.#http = http;
  }

  /** A topic by its name; nothing is sent yet. `T` says what its records are. */
  topic<T = unknown>(name: string): Topic<T> {
    return new Topic<T>(this.#http, name);
  }

  /** A table by its name; nothing is sent yet. `V` says what its values are. */
  table<V = AnyValue>(name: string): Table<V> {
    return new Table<V>(this.#http, name);
  }

  /** Topics by name, page by page. */
  topics({ after, limit, signal }: PageOptions = {}): Promise<{ topics: TopicInfo[]; next: string | null }> {
    return this.#http.json("GET", "/v1/topics", { query: { after, limit }, signal });
  }

  async tables(options: CallOptions = {}): Promise<TableInfo[]> {
    return (await this.#http.json<{ tables: TableInfo[] }>("GET", "/v1/tables", { signal: options.signal })).tables;
  }

  async topologies(options: CallOptions = {}): Promise<TopologyInfo[]> {
    return (await this.#http.json<{ topologies: TopologyInfo[] }>("GET", "/v1/topologies", { signal: options.signal })).topologies;
  }

  /** A topology with the state of its tasks. */
  topology(name: string, options: CallOptions = {}): Promise<TopologyInfo & { tasks: TaskStatus[]; unread: UnreadPartition[] }> {
    return this.#http.json("GET", `/v1/topologies/${encodeURIComponent(name)}`, { signal: options.signal });
  }
}

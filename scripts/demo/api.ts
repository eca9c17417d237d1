import type { Flight } from "./data.ts";
import { persist, REAL_TIME, Refused, type RetryOptions } from "./http.ts";
import type { DelayRow } from "./oracle.ts";

/** A running Skerry and a key that may use it. */
export type Server = { url: string; key: string };

export const FLIGHTS = {
  partitions: 4,
  key: "/origin",
  timestamp: "/date",
  contentType: "application/json",
  maxFutureMs: 300_000,
} as const;

export type TableRow = DelayRow & { final: boolean; revision: number };
/** Where one task is: for each source partition the offset before which everything is in the table. */
export type TaskPosition = { partition: number; streamTime: number; applied: Record<string, number>; late: number };
type TaskStatus = { partition: number; applied: Record<string, number>; head: Record<string, number>; lag: number };
export type TablePage = { rows: TableRow[]; cursor: string | null; partitions: TaskPosition[] };
export type TableQuery = { key?: string; keyFrom?: string; keyTo?: string; from?: number; to?: number; final?: boolean; limit?: number };

/** The few calls of the public interface that the demo, its tests and its checks need. */
export class Api {
  readonly server: Server;
  readonly #retry: RetryOptions;

  constructor(server: Server, retry: Partial<RetryOptions> = {}) {
    this.server = server;
    this.#retry = { ...REAL_TIME, ...retry };
  }

  async #call(method: string, path: string, body?: unknown): Promise<{ response: Response; body: string }> {
    const what = `${method} ${path}`;
    const headers: Record<string, string> = { Authorization: `Bearer ${this.server.key}` };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const init: RequestInit = { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) };
    const answer = await persist(what, `${this.server.url}${path}`, init, this.#retry);
    if (!answer.response.ok) throw new Refused(what, answer.response, answer.body);
    return answer;
  }

  async #json<T>(path: string): Promise<T> {
    return JSON.parse((await this.#call("GET", path)).body) as T;
  }

  /** Makes the flight desk live: all of its topics appear together, where they are not there yet. */
  async createFlights(): Promise<void> {
    for (const topology of ["flight-desk", "flight-board"]) await this.#call("PUT", `/v1/topologies/${topology}/live`);
  }

  page(table: string, query: TableQuery & { cursor?: string } = {}): Promise<TablePage> {
    const parameters = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) if (value !== undefined) parameters.set(name, String(value));
    return this.#json(`/v1/tables/${table}?${parameters}`);
  }

  /** All rows of a query, page after page; the positions are those of the first page. */
  async rows(table: string, query: TableQuery = {}): Promise<{ rows: TableRow[]; partitions: TaskPosition[] }> {
    const first = await this.page(table, query);
    const rows = [...first.rows];
    for (let cursor = first.cursor; cursor !== null; ) {
      const page: TablePage = await this.page(table, { ...query, cursor });
      rows.push(...page.rows);
      cursor = page.cursor;
    }
    return { rows, partitions: first.partitions };
  }

  /** The ends of a topic's partitions, added up: how many records it was ever given. */
  async size(topic: string): Promise<number> {
    const { extents } = await this.#json<{ extents: { head: number }[] }>(`/v1/topics/${topic}`);
    return extents.reduce((sum, { head }) => sum + head, 0);
  }

  /** Every record of a partition, in order, as a reader of the Durable Streams protocol sees it. */
  async read(topic: string, partition: number): Promise<{ records: Flight[]; next: number }> {
    const records: Flight[] = [];
    for (let offset = "-1"; ; ) {
      const { response, body } = await this.#call("GET", `/v1/stream/${topic}/${partition}?offset=${offset}`);
      for (const record of JSON.parse(body) as Flight[]) records.push(record);
      const next = response.headers.get("Stream-Next-Offset");
      if (next === null) throw new Error(`GET /v1/stream/${topic}/${partition} answered without Stream-Next-Offset.`);
      if (response.headers.get("Stream-Up-To-Date") === "true") return { records, next: Number(next) };
      if (next === offset) throw new Error(`GET /v1/stream/${topic}/${partition} stands still at offset ${offset}.`);
      offset = next;
    }
  }

  /** How much of its sources a topology has applied. */
  async progress(topology: string): Promise<{ applied: number; head: number; lag: number }> {
    const { tasks } = await this.#json<{ tasks: TaskStatus[] }>(`/v1/topologies/${topology}`);
    const sum = (each: Record<string, number>) => Object.values(each).reduce((total, offset) => total + offset, 0);
    return tasks.reduce(
      (total, task) => ({ applied: total.applied + sum(task.applied), head: total.head + sum(task.head), lag: total.lag + task.lag }),
      { applied: 0, head: 0, lag: 0 },
    );
  }

  /** Waits until a topology has applied all that its sources hold. Throws when it makes no progress for `patienceMs`. */
  async untilApplied(topology: string, patienceMs = 120_000, onProgress?: (applied: number, head: number) => void) {
    let best = -1;
    for (let since = performance.now(); ; ) {
      const { applied, head, lag } = await this.progress(topology);
      onProgress?.(applied, head);
      if (lag === 0) return { applied, head };
      if (applied > best) [best, since] = [applied, performance.now()];
      if (performance.now() - since > patienceMs) {
        throw new Error(`The topology ${topology} stands at ${applied} of ${head} records for ${Math.round(patienceMs / 1000)} s.`);
      }
      await REAL_TIME.sleep(50);
    }
  }

  /** Waits until every window of a table is closed, which `closeOnIdle` does some time after the last record. */
  async untilFinal(table: string, patienceMs = 120_000): Promise<void> {
    for (const since = performance.now(); ; ) {
      const { rows } = await this.page(table, { final: false, limit: 1 });
      if (rows.length === 0) return;
      if (performance.now() - since > patienceMs) {
        throw new Error(`The table ${table} still has open windows after ${Math.round(patienceMs / 1000)} s, ${rows[0]!.key} for one.`);
      }
      await REAL_TIME.sleep(500);
    }
  }

  /** A room's document as JSON, all its shared types by name; null where there is no such room yet. */
  async doc(room: string): Promise<Record<string, unknown> | null> {
    return this.#json<Record<string, unknown>>(`/v1/rooms/${room}/doc`).catch((error) => {
      if (error instanceof Refused && error.code === "room_not_found") return null;
      throw error;
    });
  }

  usage(): Promise<{ total: { requests: number; rows: number }; dollars: { total: number } }> {
    return this.#json("/v1/usage");
  }
}

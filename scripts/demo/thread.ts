import { partitionOf } from "../../core/streams/partition.ts";
import { Api, FLIGHTS, type Server, type TableRow } from "./api.ts";
import type { Arrival, Flight } from "./data.ts";
import type { RetryOptions } from "./http.ts";
import { differences, type Expected, expectedTable } from "./oracle.ts";
import { batchesOf, lanesOf, newRun } from "./progress.ts";
import { send } from "./sender.ts";

/** The partition of a flight, by the server's own rule. */
export const homeOf = (flight: Pick<Flight, "origin">): number => partitionOf(flight.origin, FLIGHTS.partitions);

export type SendAllOptions = {
  /** Records a request. */
  batch?: number;
  /** Producers side by side, each with partitions of its own, so that every partition's order stays. */
  producers?: number;
  /** Requests a producer has under way. */
  inFlight?: number;
  retry?: Partial<RetryOptions>;
};

export type Sent = {
  records: number;
  batches: number;
  /** Batches whose first acknowledgement was lost. */
  duplicates: number;
  seconds: number;
  /** Of each batch from its first attempt to its acknowledgement, ms, ascending. */
  latencies: number[];
};

/** Creates the topic and sends everything to it as fast as the server takes it. */
export async function sendAll(server: Server, arrivals: readonly Arrival[], options: SendAllOptions = {}): Promise<Sent> {
  const { batch = 500, producers = 1, inFlight = 1, retry } = options;
  await new Api(server, retry).createFlights();
  const run = newRun("all", batch, producers);
  const lanes = lanesOf(arrivals, producers, (key) => partitionOf(key, FLIGHTS.partitions));
  const sent: Sent = { records: 0, batches: 0, duplicates: 0, seconds: 0, latencies: [] };
  const began = performance.now();
  await Promise.all(
    lanes.map((lane, index) =>
      send({
        url: `${server.url}/v1/stream/flights`,
        key: server.key,
        producer: run.producers[index]!,
        batchAt: batchesOf(lane, batch),
        inFlight,
        ...(retry && { retry }),
        onAcknowledged: ({ records, duplicate, latencyMs }) => {
          sent.records += records;
          sent.batches++;
          if (duplicate) sent.duplicates++;
          sent.latencies.push(latencyMs);
        },
      }),
    ),
  );
  sent.seconds = (performance.now() - began) / 1000;
  sent.latencies.sort((a, b) => a - b);
  return sent;
}

/** The value below which a share of ascending numbers lies. */
export const quantile = (ascending: readonly number[], share: number): number =>
  ascending[Math.min(ascending.length - 1, Math.floor(share * ascending.length))] ?? Number.NaN;

export type Comparison = {
  expected: Expected;
  rows: TableRow[];
  /** Every difference in words; empty when the table is DuckDB's. */
  differences: string[];
};

/** Compares the whole table `delays`, and the counts of late records, with DuckDB's answer on the same records. */
export async function compareTable(server: Server, arrivals: readonly Arrival[]): Promise<Comparison> {
  const flights = arrivals.map(({ flight }) => flight);
  const expected = await expectedTable(flights, { partitions: FLIGHTS.partitions, partitionOf });
  const { rows, partitions } = await new Api(server).rows("delays", { limit: 1000 });
  const found = differences(expected.rows, rows);
  for (const { partition, records, late } of expected.partitions) {
    const task = partitions.find((other) => other.partition === partition);
    if (task?.late !== late) found.push(`partition ${partition}: ${task?.late} late, not ${late}`);
    const applied = task?.applied[`flights/${partition}`];
    if (applied !== records) found.push(`partition ${partition}: ${applied} records applied, not ${records}`);
  }
  return { expected, rows, differences: found };
}

export type Audit = {
  /** Acknowledged records that the topic does not have. */
  lost: number;
  /** Records that the topic has more often than they were sent. */
  extra: number;
  /** Whether each partition has exactly its records in the order in which they were sent. */
  inOrder: boolean;
  /** The ends of the partitions, added up. */
  records: number;
};

/** Reads the whole topic back and counts what is missing from it and what is too much. */
export async function auditTopic(server: Server, acknowledged: readonly Arrival[]): Promise<Audit> {
  const api = new Api(server);
  const audit: Audit = { lost: 0, extra: 0, inOrder: true, records: 0 };
  for (let partition = 0; partition < FLIGHTS.partitions; partition++) {
    const wanted = acknowledged.filter(({ flight }) => homeOf(flight) === partition).map(({ flight }) => JSON.stringify(flight));
    const { records, next } = await api.read("flights", partition);
    const found = records.map((record) => JSON.stringify(record));
    audit.records += next;
    if (next !== found.length) audit.inOrder = false;
    if (wanted.length !== found.length || wanted.some((text, index) => text !== found[index])) audit.inOrder = false;
    const balance = tally(wanted);
    for (const [text, times] of tally(found)) balance.set(text, (balance.get(text) ?? 0) - times);
    for (const times of balance.values()) {
      audit.lost += Math.max(0, times);
      audit.extra += Math.max(0, -times);
    }
  }
  return audit;
}

/** How often each text occurs. */
export function tally(texts: readonly string[]): Map<string, number> {
  const times = new Map<string, number>();
  for (const text of texts) times.set(text, (times.get(text) ?? 0) + 1);
  return times;
}

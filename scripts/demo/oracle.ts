import { DuckDBInstance } from "@duckdb/node-api";
import type { Flight } from "./data.ts";

/** One window of one airport, as DuckDB computes it and as the table `delays` answers it. */
export type DelayRow = {
  key: string;
  /** Unix milliseconds; `[start, end)`. */
  window: { start: number; end: number };
  value: { count: number; mean: number; max: number; delayed: number };
};

export type Expected = {
  /** Ordered by key, then window. */
  rows: DelayRow[];
  /** Per partition: its records, how many of them were late, and its stream time (null where it has no record). */
  partitions: { partition: number; records: number; late: number; streamTime: number | null }[];
};

export type OracleOptions = {
  partitions: number;
  /** The partition of a key, by the server's own rule. */
  partitionOf: (key: string, partitions: number) => number;
  windowMs?: number;
  graceMs?: number;
};

/**
 * The rule of the thread, in SQL alone. Stream time is the greatest event time seen so far in the partition, the record
 * itself included; a record is late iff its window had closed by then: `end + grace <= stream time`.
 */
const TIMED = `
  CREATE TABLE timed AS
  SELECT *, (late_at <= stream_time) AS late FROM (
    SELECT position, partition, origin, date, delay,
           date - date % $window AS opens,
           date - date % $window + $window + $grace AS late_at,
           max(date) OVER (PARTITION BY partition ORDER BY position ROWS UNBOUNDED PRECEDING) AS stream_time
    FROM sent
  )`;

const WINDOWS = `
  SELECT origin AS key, opens::DOUBLE AS opens, count(*)::DOUBLE AS count, avg(delay) AS mean, max(delay) AS max,
         count(*) FILTER (delay > 15) / count(*) AS delayed
  FROM timed WHERE NOT late GROUP BY origin, opens ORDER BY origin, opens`;

const PARTITIONS = `
  SELECT partition::INTEGER AS partition, count(*)::DOUBLE AS records, count(*) FILTER (late)::DOUBLE AS late,
         max(stream_time)::DOUBLE AS "streamTime"
  FROM timed GROUP BY partition ORDER BY partition`;

/**
 * What the table `delays` must hold after the given records, by DuckDB: independent of every line of the stream engine
 * but the partitioner.
 *
 * @param records in the order in which each partition receives them
 */
export async function expectedTable(records: readonly Flight[], options: OracleOptions): Promise<Expected> {
  const { partitions, partitionOf, windowMs = 3_600_000, graceMs = 7_200_000 } = options;
  const database = await DuckDBInstance.create(":memory:");
  const connection = await database.connect();
  try {
    await connection.run("CREATE TABLE sent (position BIGINT, partition INTEGER, origin VARCHAR, date BIGINT, delay DOUBLE)");
    const appender = await connection.createAppender("sent");
    records.forEach((record, position) => {
      appender.appendBigInt(BigInt(position));
      appender.appendInteger(partitionOf(record.origin, partitions));
      appender.appendVarchar(record.origin);
      appender.appendBigInt(BigInt(record.date));
      appender.appendDouble(record.delay);
      appender.endRow();
    });
    appender.closeSync();
    await connection.run(TIMED, { window: BigInt(windowMs), grace: BigInt(graceMs) });
    const windows = (await connection.runAndReadAll(WINDOWS)).getRowObjectsJS() as WindowRow[];
    const counted = (await connection.runAndReadAll(PARTITIONS)).getRowObjectsJS() as Expected["partitions"];
    return {
      rows: windows.map(({ key, opens, ...value }) => ({ key, window: { start: opens, end: opens + windowMs }, value })),
      partitions: Array.from(
        { length: partitions },
        (_, partition) => counted.find((row) => row.partition === partition) ?? { partition, records: 0, late: 0, streamTime: null },
      ),
    };
  } finally {
    connection.closeSync();
    database.closeSync();
  }
}

type WindowRow = { key: string; opens: number; count: number; mean: number; max: number; delayed: number };

/**
 * Every way in which a table differs from the expected one, in words; empty when they are equal. Counts and maxima must
 * be exact, means and shares equal to 1e-9.
 */
export function differences(expected: readonly DelayRow[], actual: readonly DelayRow[]): string[] {
  const found: string[] = [];
  const name = (row: DelayRow) => `${row.key} @ ${new Date(row.window.start).toISOString().slice(0, 16)}`;
  const rest = new Map<string, DelayRow>();
  for (const row of actual) {
    const id = `${row.key} ${row.window.start}`;
    if (rest.has(id)) found.push(`${name(row)}: answered twice`);
    rest.set(id, row);
  }
  for (const want of expected) {
    const id = `${want.key} ${want.window.start}`;
    const got = rest.get(id);
    rest.delete(id);
    if (got === undefined) {
      found.push(`${name(want)}: missing`);
      continue;
    }
    if (got.window.end !== want.window.end) found.push(`${name(want)}: ends at ${got.window.end}, not ${want.window.end}`);
    for (const field of ["count", "max"] as const) {
      if (got.value[field] !== want.value[field]) found.push(`${name(want)}: ${field} is ${got.value[field]}, not ${want.value[field]}`);
    }
    for (const field of ["mean", "delayed"] as const) {
      const near = Math.abs(got.value[field] - want.value[field]) <= 1e-9 * Math.max(1, Math.abs(want.value[field]));
      if (!near) found.push(`${name(want)}: ${field} is ${got.value[field]}, not ${want.value[field]}`); // so a NaN or null differs too
    }
  }
  for (const row of rest.values()) found.push(`${name(row)}: not expected`);
  return found;
}

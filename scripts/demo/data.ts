import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { DuckDBInstance } from "@duckdb/node-api";

/** A flight as it is sent to the topic `flights`. */
export type Flight = {
  /** Scheduled departure, Unix milliseconds; the parquet file has no zone, so its wall clock is read as UTC. */
  date: number;
  /** Minutes late; negative is early. */
  delay: number;
  /** Miles. */
  distance: number;
  origin: string;
  destination: string;
  /** `YYYYMMDD-NNNNN`: the day and the flight's rank in it. A duplicate carries the id of its original. */
  id: string;
};

/** A flight and when it reaches the sender, Unix milliseconds of event time. */
export type Arrival = { arrival: number; flight: Flight };

/** How event order is turned into arrival order. The same values give the same bytes. */
export type Disorder = {
  seed: number;
  /** Every record is displaced by a uniform 0 to this many minutes. */
  spreadMinutes: number;
  /** The share that comes later still, by a further 2 to 6 hours. */
  lateRate: number;
  /** The share that comes twice, the second time up to 10 minutes after the first. */
  duplicateRate: number;
};

export type FlightOptions = Disorder & {
  /** First day, `YYYY-MM-DD`, between 2001-01-01 and 2001-06-30. */
  start: string;
  days: number;
};

export const DEFAULTS: FlightOptions = {
  start: "2001-01-01",
  days: 3,
  seed: 2001,
  spreadMinutes: 90,
  lateRate: 0.01,
  duplicateRate: 0.01,
};

const MINUTE = 60_000;
/** Part of the cache's file name: raise it when the same options give other bytes. */
const CACHE_FORMAT = 1;
const root = join(dirname(fileURLToPath(import.meta.url)), "../..");

/**
 * Uniform numbers in [0, 1) from a 32-bit seed: a Weyl sequence through the finalizer of MurmurHash3, with 24 bits
 * of each word used. Not for secrets.
 */
export function uniform(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let word = state;
    word = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
    word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35);
    return ((word ^ (word >>> 16)) >>> 8) / 0x1000000;
  };
}

/**
 * Puts flights, given in event order, into the order of their arrival.
 *
 * Five numbers are drawn for every flight whatever becomes of it, so changing a rate moves only the flights it concerns.
 */
export function disorder(flights: readonly Flight[], options: Disorder): Arrival[] {
  const random = uniform(options.seed);
  const arrivals: (Arrival & { rank: number })[] = [];
  flights.forEach((flight, index) => {
    const [spread, late, lateBy, duplicate, duplicateBy] = [random(), random(), random(), random(), random()] as const;
    const displaced = flight.date + spread * options.spreadMinutes * MINUTE;
    const arrival = Math.round(displaced + (late < options.lateRate ? (120 + lateBy * 240) * MINUTE : 0));
    arrivals.push({ arrival, flight, rank: 2 * index });
    if (duplicate < options.duplicateRate) {
      arrivals.push({ arrival: Math.round(arrival + duplicateBy * 10 * MINUTE), flight, rank: 2 * index + 1 });
    }
  });
  arrivals.sort((a, b) => a.arrival - b.arrival || a.rank - b.rank);
  return arrivals.map(({ arrival, flight }) => ({ arrival, flight }));
}

/**
 * The flights of some days in event order, read from npm `vega-datasets`' parquet file.
 *
 * @throws RangeError when the days are not in the file.
 */
export async function readFlights(start: string, days: number): Promise<Flight[]> {
  const from = Date.parse(`${start}T00:00:00Z`);
  if (!/^\d{4}-\d{2}-\d{2}$/.test(start) || Number.isNaN(from)) throw new RangeError(`The first day must be YYYY-MM-DD, not "${start}".`);
  if (!Number.isInteger(days) || days < 1) throw new RangeError(`The number of days must be a positive integer, not ${days}.`);
  const file = join(root, "node_modules/vega-datasets/data/flights-3m.parquet"); // the package does not export its data files
  const database = await DuckDBInstance.create(":memory:");
  const connection = await database.connect();
  try {
    const reader = await connection.runAndReadAll(
      `SELECT epoch_ms(date)::DOUBLE AS date, delay::DOUBLE AS delay, distance::DOUBLE AS distance, origin, destination,
              strftime(date, '%Y%m%d') || '-' || lpad((row_number() OVER (
                PARTITION BY date_trunc('day', date) ORDER BY date, origin, destination, delay, distance))::VARCHAR, 5, '0') AS id
       FROM read_parquet($file)
       WHERE epoch_ms(date) >= $from AND epoch_ms(date) < $to
       ORDER BY id`,
      { file, from, to: from + days * 1440 * MINUTE },
    );
    const flights = reader.getRowObjectsJS() as Flight[];
    if (flights.length === 0) throw new RangeError(`There are no flights from ${start} on: the file covers 2001-01-01 to 2001-06-30.`);
    return flights;
  } finally {
    connection.closeSync();
    database.closeSync();
  }
}

/** Names a data set: equal names have equal bytes. */
export function nameOf(options: FlightOptions): string {
  const { start, days, seed, spreadMinutes, lateRate, duplicateRate } = options;
  return `flights-v${CACHE_FORMAT}-${start}-${days}d-s${seed}-w${spreadMinutes}-l${lateRate}-d${duplicateRate}`;
}

/**
 * The flights in the order in which they are sent, from `.cache/` where it has them.
 *
 * @param options any of {@link DEFAULTS} to change
 * @param cache the folder to keep the result in
 */
export async function loadFlights(
  options: Partial<FlightOptions> = {},
  cache = join(root, ".cache/demo"),
): Promise<{ name: string; arrivals: Arrival[] }> {
  const all = { ...DEFAULTS, ...options };
  const name = nameOf(all);
  const file = join(cache, `${name}.ndjson`);
  const cached = await readFile(file, "utf8").catch(() => null);
  if (cached !== null) return { name, arrivals: cached.trimEnd().split("\n").map(parseLine) };
  const arrivals = disorder(await readFlights(all.start, all.days), all);
  await mkdir(cache, { recursive: true });
  const draft = `${file}.${process.pid}`;
  await writeFile(draft, encode(arrivals));
  await rename(draft, file);
  return { name, arrivals };
}

/** The bytes of a data set: one JSON line an arrival. */
export function encode(arrivals: readonly Arrival[]): string {
  return arrivals.map((arrival) => `${JSON.stringify(arrival)}\n`).join("");
}

const parseLine = (line: string): Arrival => JSON.parse(line);

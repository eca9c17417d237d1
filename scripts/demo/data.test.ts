import { createHash } from "node:crypto";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DEFAULTS, disorder, encode, type Flight, loadFlights, nameOf, readFlights, uniform } from "./data.ts";

const MINUTE = 60_000;
const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
let flights: Flight[];
let cache: string;

beforeAll(async () => {
  flights = await readFlights("2001-01-01", 1);
  cache = await mkdtemp(join(tmpdir(), "skerry-demo-"));
});
afterAll(() => rm(cache, { recursive: true, force: true }));

describe("readFlights", () => {
  it("reads a day in event order with a stable, unique id each", () => {
    expect(flights).toHaveLength(14_828);
    expect(flights.every((flight, index) => index === 0 || flights[index - 1]!.date <= flight.date)).toBe(true);
    expect(new Set(flights.map((flight) => flight.id)).size).toBe(flights.length);
    expect(flights[0]).toEqual({ date: 978307260000, delay: -13, distance: 2345, origin: "ANC", destination: "LAX", id: "20010101-00001" });
  });

  it("refuses days that are not in the file", async () => {
    await expect(readFlights("2002-01-01", 1)).rejects.toThrow(/covers 2001-01-01/);
    await expect(readFlights("yesterday", 1)).rejects.toThrow(/YYYY-MM-DD/);
    await expect(readFlights("2001-01-01", 0)).rejects.toThrow(/positive integer/);
  });
});

describe("disorder", () => {
  it("gives the same bytes for a seed, and others for another", () => {
    const bytes = sha256(encode(disorder(flights, DEFAULTS)));
    expect(sha256(encode(disorder(flights, DEFAULTS)))).toBe(bytes);
    expect(sha256(encode(disorder(flights, { ...DEFAULTS, seed: 7 })))).not.toBe(bytes);
    // Pinned: another value means that everyone's runs and figures change. Raise CACHE_FORMAT with it.
    expect(bytes).toBe("c69b2d4a2eb57315dde8143721ba74587964a8fe376c04c5d4753a47db30d26d");
  });

  it("displaces by up to 90 minutes, a hundredth further, and repeats a hundredth", () => {
    const arrivals = disorder(flights, DEFAULTS);
    const first = new Map<string, number>();
    let repeats = 0;
    for (const { arrival, flight } of arrivals) {
      if (first.has(flight.id)) {
        repeats++;
        expect(arrival - first.get(flight.id)!).toBeLessThanOrEqual(10 * MINUTE);
      } else first.set(flight.id, arrival);
    }
    expect(first.size).toBe(flights.length);
    const displaced = flights.map((flight) => first.get(flight.id)! - flight.date);
    const late = displaced.filter((by) => by > 90 * MINUTE);
    expect(Math.min(...displaced)).toBeGreaterThanOrEqual(0);
    expect(late.every((by) => by >= 120 * MINUTE && by <= 450 * MINUTE)).toBe(true);
    expect(late.length / flights.length).toBeGreaterThan(0.007);
    expect(late.length / flights.length).toBeLessThan(0.013);
    expect(repeats / flights.length).toBeGreaterThan(0.007);
    expect(repeats / flights.length).toBeLessThan(0.013);
    expect(arrivals.every((entry, index) => index === 0 || arrivals[index - 1]!.arrival <= entry.arrival)).toBe(true);
  });

  it("keeps event order when there is no disorder", () => {
    const calm = disorder(flights, { seed: 1, spreadMinutes: 0, lateRate: 0, duplicateRate: 0 });
    expect(calm.map((entry) => entry.flight)).toEqual(flights);
  });
});

describe("loadFlights", () => {
  it("answers from its cache what it generated, and leaves no draft behind", async () => {
    const options = { days: 1, seed: 5 };
    const made = await loadFlights(options, cache);
    expect(await readdir(cache)).toEqual([`${made.name}.ndjson`]);
    expect(await loadFlights(options, cache)).toEqual(made);
  });

  it("keeps one file per set of options", async () => {
    const one = { arrival: 1, flight: flights[0]! };
    await writeFile(join(cache, `${nameOf({ ...DEFAULTS, seed: 9 })}.ndjson`), encode([one]));
    expect((await loadFlights({ seed: 9 }, cache)).arrivals).toEqual([one]);
    expect((await loadFlights({ seed: 9, days: 1 }, cache)).arrivals.length).toBeGreaterThan(14_000);
  });
});

describe("uniform", () => {
  it("is even over [0, 1)", () => {
    const random = uniform(42);
    const bins = Array(10).fill(0);
    for (let i = 0; i < 100_000; i++) bins[Math.floor(random() * 10)]++;
    expect(bins.every((count) => Math.abs(count - 10_000) < 400)).toBe(true);
  });
});

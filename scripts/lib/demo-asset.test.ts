import { gzipSync } from "node:zlib";
import { expect, it } from "vitest";
import { unpackFlights } from "../../console/src/flight-desk/demo-data.ts";
import { loadFlights } from "../demo/data.ts";
import { packFlights } from "./demo-asset.ts";
import { usMap } from "./us-map.ts";

it("packs the demo's flights into less than 600 KB, and the console reads the same records in the same order", async () => {
  const { name, arrivals } = await loadFlights();
  const packed = packFlights(name, arrivals);
  expect(packed.length).toBeLessThan(600_000);
  const { dataset, count, arrivals: read } = unpackFlights(new Uint8Array(packed).buffer);
  expect(dataset).toBe(name);
  expect(count).toBe(arrivals.length);
  expect(read(0, 1000)).toEqual(arrivals.slice(0, 1000).map(({ flight }) => flight));
  const bodies = read(0, count).map((flight) => JSON.stringify(flight));
  expect(bodies.findIndex((body, at) => body !== JSON.stringify(arrivals[at]!.flight))).toBe(-1);
  expect(read(count - 1, count + 10)).toHaveLength(1);
});

it("refuses what the format cannot say", () => {
  const flight = { date: 61_000, delay: 0, distance: 1, origin: "A", destination: "B", id: "19700101-00002" };
  const first = { ...flight, date: 0, id: "19700101-00001" };
  expect(() =>
    packFlights(
      "x",
      [first, flight].map((each) => ({ arrival: 0, flight: each })),
    ),
  ).toThrow(/whole minutes/);
});

it("draws the states and the demo's airports in less than 40 KB gzip", async () => {
  const { arrivals } = await loadFlights();
  const wanted = new Set(arrivals.flatMap(({ flight }) => [flight.origin, flight.destination]));
  const map = usMap(wanted);
  expect(gzipSync(JSON.stringify(map)).length).toBeLessThan(40_000);
  expect(Object.keys(map.airports).sort()).toEqual([...wanted].sort());
  for (const [, x, y] of Object.values(map.airports)) {
    expect(x).toBeGreaterThanOrEqual(0);
    expect(x).toBeLessThanOrEqual(map.width);
    expect(y).toBeGreaterThanOrEqual(0);
    expect(y).toBeLessThanOrEqual(map.height);
  }
  // West is left, north is up, and the islands have a place of their own below.
  const at = (airport: string) => map.airports[airport]!;
  expect(at("SFO")[1]).toBeLessThan(at("JFK")[1]);
  expect(at("SEA")[2]).toBeLessThan(at("MIA")[2]);
  expect(at("HNL")[2]).toBeGreaterThan(at("LAX")[2]);
  expect(map.land).toMatch(/^M\d+ \d+l/);
});

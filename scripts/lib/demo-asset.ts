import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Arrival, type Flight, loadFlights } from "../demo/data.ts";
import { usMap } from "./us-map.ts";

const MINUTE = 60_000;

/** What the console fetches when it is asked to run the demo, or shows its map: `demo/flights.bin` and `demo/map.json`. */
export async function buildDemoAssets(assets: string): Promise<void> {
  const { name, arrivals } = await loadFlights();
  const airports = new Set(arrivals.flatMap(({ flight }) => [flight.origin, flight.destination]));
  mkdirSync(join(assets, "demo"), { recursive: true });
  writeFileSync(join(assets, "demo/flights.bin"), packFlights(name, arrivals));
  writeFileSync(join(assets, "demo/map.json"), JSON.stringify(usMap(airports)));
}

/**
 * Packs flights into seven bytes each; see `unpackFlights` of the console for the format.
 *
 * @throws RangeError for what the format cannot say, such as more than 65,536 flights
 */
export function packFlights(dataset: string, arrivals: readonly Arrival[]): Uint8Array {
  const flights = [...new Map(arrivals.map(({ flight }) => [flight.id, flight])).values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  if (flights.length > 65_536) throw new RangeError(`The console's demo holds at most 65,536 flights, not ${flights.length}.`);
  const routes = new Map<string, number>();
  const routeOf = ({ origin, destination, distance }: Flight) => {
    const route = JSON.stringify([origin, destination, distance]);
    if (!routes.has(route)) routes.set(route, routes.size);
    return routes.get(route)!;
  };
  const start = flights[0]?.date ?? 0;
  const gaps = flights.map(({ date }, at) => (at === 0 ? 0 : (date - flights[at - 1]!.date) / MINUTE));
  if (gaps.some((gap) => !Number.isInteger(gap) || gap < 0))
    throw new RangeError("Flights leave at whole minutes, in the order of their ids.");
  const ranks = new Map(flights.map(({ id }, at) => [id, at]));
  const columns = [
    Uint16Array.from(flights.map(routeOf)),
    Int16Array.from(flights.map(({ delay }) => delay)),
    Uint16Array.from(gaps),
    Uint16Array.from(arrivals.map(({ flight }) => ranks.get(flight.id)!)),
  ];
  const header = {
    format: 1,
    dataset,
    start,
    flights: flights.length,
    arrivals: arrivals.length,
    routes: [...routes.keys()].map((route) => JSON.parse(route)),
  };
  const head = new TextEncoder().encode(JSON.stringify(header));
  const size = Buffer.alloc(4);
  size.writeUInt32LE(head.length);
  return Buffer.concat([size, head, ...columns.map(({ buffer }) => new Uint8Array(buffer))]);
}

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { DEFAULTS, disorder, type Flight, readFlights } from "./data.ts";

/** Airports large and small, far enough apart in the alphabet to fall into several partitions. */
const ORIGINS = ["ABQ", "ANC", "BOS", "HNL", "JFK", "MDW", "PDX", "SFO"];

export const SAMPLE = join(fileURLToPath(import.meta.url), "../../../test/golden/flights-sample.json");

/** One day of eight airports in arrival order: small enough for unit tests, long enough that some records are late. */
export async function sample(): Promise<Flight[]> {
  const flights = await readFlights(DEFAULTS.start, 1);
  const some = flights.filter((flight) => ORIGINS.includes(flight.origin));
  return disorder(some, DEFAULTS).map(({ flight }) => flight);
}

/** The fixture's text: a JSON array with a record a line. */
export function encodeSample(flights: readonly Flight[]): string {
  const line = (flight: Flight) => `  { ${JSON.stringify(flight).slice(1, -1).replaceAll('":', '": ').replaceAll(',"', ', "')} }`;
  return `[\n${flights.map(line).join(",\n")}\n]\n`;
}

if (import.meta.main) {
  await writeFile(SAMPLE, encodeSample(await sample()));
  console.log(`wrote ${SAMPLE}`);
}

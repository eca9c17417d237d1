import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Forest } from "../../core/inference/forest.ts";
import { type InferenceExports, MAX_ROWS } from "../../core/inference/port.ts";
import { flightRows, UNUSUAL_SCORE } from "../../topologies/flight-features.ts";
import { ROOT } from "../lib/paths.ts";
import type { Api } from "./api.ts";
import type { Arrival, Flight } from "./data.ts";
import { REAL_TIME, Refused } from "./http.ts";

/** The ids that the topic `unusual` must hold after these records, sorted: each flight scored here, outside of the platform. */
export function expectedUnusual(arrivals: readonly Arrival[]): string[] {
  const module = new WebAssembly.Module(readFileSync(join(ROOT, "wasm/artifacts/skerry_inference.wasm")));
  const exports = new WebAssembly.Instance(module).exports as unknown as InferenceExports;
  const forest = Forest.load(exports, new Uint8Array(readFileSync(join(ROOT, "wasm/artifacts/flight-forest.bin"))));
  const ids: string[] = [];
  for (let from = 0; from < arrivals.length; from += MAX_ROWS) {
    const flights = arrivals.slice(from, from + MAX_ROWS).map(({ flight }) => flight);
    const scores = forest.score(flightRows(flights), flights.length);
    ids.push(...flights.filter((_, index) => scores[index]! >= UNUSUAL_SCORE).map(({ id }) => id));
  }
  return ids.sort();
}

/**
 * The ids that the topic `unusual` holds, sorted: waits until there are `atLeast`, and then a second more in which an output
 * that comes twice would show.
 */
export async function unusualIds(api: Api, atLeast: number, patienceMs = 30_000): Promise<string[]> {
  const read = async () => {
    const { records } = await api.read("unusual", 0).catch(whereThereIsNone);
    return records.map(({ id }) => id).sort();
  };
  for (const since = performance.now(); (await read()).length < atLeast && performance.now() - since < patienceMs; )
    await REAL_TIME.sleep(200);
  await REAL_TIME.sleep(1000);
  return read();
}

/** The topic is made when its topology goes live. */
function whereThereIsNone(error: unknown): { records: Flight[] } {
  if (error instanceof Refused && error.code === "topic_not_found") return { records: [] };
  throw error;
}

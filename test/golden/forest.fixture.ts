import { readFileSync } from "node:fs";
import type { InferenceExports } from "../../core/inference/port.ts";

/** The committed artifacts, as tests in Node read them. */
const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url));

export const module = new WebAssembly.Module(read("wasm/artifacts/skerry_inference.wasm"));
export const artifact = new Uint8Array(read("wasm/artifacts/flight-forest.bin"));
export const instantiate = () => new WebAssembly.Instance(module).exports as unknown as InferenceExports;

export type Golden = {
  scikit_learn: string;
  threshold: number;
  flights: { date: string; delay: number; distance: number }[];
  rows: number[][];
  scores: number[];
};
export const golden = JSON.parse(read("test/golden/forest.golden.json").toString("utf8")) as Golden;

/** CRC-32 (IEEE), for artifacts that a test changes on purpose and seals again. */
export function reseal(bytes: Uint8Array): Uint8Array {
  let crc = 0xffffffff;
  for (const byte of bytes.subarray(0, -4)) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(bytes.length - 4, ~crc >>> 0, true);
  return bytes;
}

import { buildWorkers } from "../../scripts/lib/build-workers.ts";

/** Builds once per run what every server of the end-to-end and browser tests serves. */
export async function setup(): Promise<void> {
  await buildWorkers();
}

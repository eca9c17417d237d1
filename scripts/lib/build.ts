import { buildConsole } from "./build-console.ts";
import { type BuiltWorker, buildWorkers, type WorkerKey } from "./build-workers.ts";

/** Builds everything that is served: the console's assets first, because the main Worker's configuration names them. */
export async function build(): Promise<Record<WorkerKey, BuiltWorker>> {
  await buildConsole();
  return buildWorkers();
}

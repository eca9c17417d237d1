import { buildWorkers } from "../../scripts/lib/build-workers.ts";

/**
 * Builds once per run the Workers that the servers of the end-to-end tests serve. The result travels to the servers in
 * the environment, so that all restarts of one run are of the same build whatever happens to the sources meanwhile.
 */
export async function setup(): Promise<void> {
  process.env.E2E_BUILT = JSON.stringify(await buildWorkers());
}

// A thread that runs seeds: what pool.ts starts.
import { parentPort, workerData } from "node:worker_threads";
import { plant } from "./mutation.ts";
import type { Batch, BatchResult, WorkerOptions } from "./pool.ts";

const port = parentPort;
if (port === null) throw new Error("worker.ts is started by pool.ts.");
const { scenario: name, mutations } = workerData as WorkerOptions;
const planted = plant(mutations);
const { runSeed } = await import("../kit/index.ts");
const { findScenario } = await import("../scenarios/index.ts");
planted();
const scenario = findScenario(name);
if (scenario === undefined) throw new Error(`There is no scenario "${name}".`);

port.on("message", async ({ seeds }: Batch) => {
  const result: BatchResult = { seeds: 0, events: 0, virtualMs: 0, failures: [] };
  for (const seed of seeds) {
    result.seeds++;
    try {
      const { events, virtualMs } = await runSeed(scenario, seed);
      result.events += events;
      result.virtualMs += virtualMs;
    } catch (error) {
      const { message, cause } = error as Error;
      const thrown = cause instanceof Error ? (cause.stack?.split("\n").slice(1, 6).join("\n") ?? "") : "";
      const reason = cause instanceof Error ? cause.message : String(cause);
      result.failures.push({ seed, message, reason, thrown });
    }
  }
  port.postMessage(result);
});
port.postMessage(null);

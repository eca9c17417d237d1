// The process that the harness starts, kills and restarts: `npm start` without its talk, and with faults where asked.
// argv: port, state directory, queue faults as JSON or "". E2E_BUILT: what build.setup.ts has built.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type BuiltWorker, buildWorkers, type WorkerKey } from "../../scripts/lib/build-workers.ts";
import type { Wrapper } from "../../scripts/lib/options.ts";
import { command } from "../../scripts/lib/refusal.ts";
import { serve, stopOnSignals } from "../../scripts/lib/serve.ts";

await command(async () => {
  const [port, state, faults] = process.argv.slice(2) as [string, string, string];
  const built =
    process.env.E2E_BUILT === undefined ? await buildWorkers() : (JSON.parse(process.env.E2E_BUILT) as Record<WorkerKey, BuiltWorker>);
  // The runtime resolves the wrapper's `./index.js` beside the built Worker, so that is where it is said to lie.
  const wrapper: Wrapper | undefined =
    faults === ""
      ? undefined
      : {
          modules: ["faulty-queue.mjs", "queue-faults.mjs"].map((name) => ({
            type: "ESModule",
            path: join(built.main.dir, name),
            contents: readFileSync(new URL(name, import.meta.url), "utf8"),
          })),
          bindings: { QUEUE_FAULTS: JSON.parse(faults) },
        };
  const serving = await serve({ built, host: "127.0.0.1", port: Number(port), state, env: process.env, ...(wrapper && { wrapper }) });
  stopOnSignals(serving);
  console.log(`ready ${serving.url}`);
});

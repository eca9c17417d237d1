import { availableParallelism } from "node:os";
import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";
import { buildWorker } from "./scripts/lib/build-workers.ts";
import { FILES } from "./scripts/lib/suites.ts";

/** The admin key of the in-runtime tests; it is written to no deployment. */
const TEST_ADMIN_KEY = "test-only-8Yt1nCq0ZkVb3xRw5LmJ7hGd";
const COMPATIBILITY_DATE = "2026-10-31";

/** A `.wasm` import is a compiled module in a Worker; in Node it is compiled from the file. */
const wasmModules = {
  name: "skerry:wasm",
  enforce: "pre" as const,
  load(id: string) {
    if (!id.endsWith(".wasm")) return null;
    return `import { readFileSync } from "node:fs";\nexport default new WebAssembly.Module(readFileSync(${JSON.stringify(id)}));`;
  },
};

/** `skerry-models` as the in-runtime tests see it: the script as it is deployed, bound as a service. */
async function modelsWorker() {
  const { script, modules, dir } = await buildWorker("models");
  return { name: script, compatibilityDate: COMPATIBILITY_DATE, modules, modulesRoot: dir };
}

/**
 * Far beyond what anything takes: a limit is there to end what hangs, and must not fail what a busy machine makes slow.
 * The same of what a test waits for: vitest's own second is less than a pause of a loaded machine.
 */
const patient = { testTimeout: 180_000, hookTimeout: 180_000, expect: { poll: { timeout: 30_000, interval: 20 } } };
/**
 * Property tests draw the same cases in every run, so that a change is judged by what it changes. `SEED=random` draws
 * others, to look for more; a failure names its seed, and `SEED=N` replays it.
 */
const { SEED } = process.env;
const seed = SEED === undefined ? 20_010_101 : SEED === "random" ? Math.floor(Math.random() * 2 ** 31) : Number(SEED);
if (!Number.isInteger(seed)) throw new Error(`SEED is a whole number or "random", not "${SEED}".`);
if (SEED === "random") console.log(`SEED=${seed}`);
/** Vitest would leave one core idle: on a machine of two, half of it. */
const parallel = { maxWorkers: availableParallelism() };

const seeded = { setupFiles: ["test/seed.ts"], provide: { seed } };

/** Each file starts servers and browsers of its own, and mostly waits for them: two at a time, whatever the machine has. */
const few = { environment: "node" as const, maxWorkers: 2, ...patient, ...seeded };

export default defineConfig({
  test: {
    projects: [
      {
        plugins: [wasmModules],
        test: { name: "unit", environment: "node", include: FILES.unit, ...patient, ...seeded, ...parallel },
      },
      {
        plugins: [
          cloudflareTest(async () => {
            // wrangler looks for the secrets that wrangler.toml requires in the environment.
            process.env.SKERRY_ADMIN_KEY = TEST_ADMIN_KEY;
            return {
              wrangler: { configPath: "./wrangler.toml" },
              miniflare: { bindings: { SKERRY_PLACEMENT: "simulated", SKERRY_FAULTS: "1" }, workers: [await modelsWorker()] },
            };
          }),
        ],
        test: { name: "runtime", include: FILES.runtime, ...patient, ...seeded, ...parallel },
      },
      { test: { name: "e2e", include: FILES.e2e, globalSetup: ["test/e2e/build.setup.ts"], ...few } },
      {
        test: {
          name: "browser",
          include: FILES.browser,
          globalSetup: ["test/browser/build.setup.ts"],
          ...few,
          testTimeout: 600_000,
        },
      },
    ],
  },
});

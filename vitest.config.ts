import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";
import { buildWorker } from "./scripts/lib/build-workers.ts";

/** The admin key of the in-runtime tests; it is written to no deployment. */
const TEST_ADMIN_KEY = "test-only-8Yt1nCq0ZkVb3xRw5LmJ7hGd";
const COMPATIBILITY_DATE = "2026-10-31";

/** Unit tests stand beside what they test; these suites need no runtime either. */
const UNIT = ["core", "client", "durable-objects", "workers", "topologies", "scripts", "bench", "test/sim", "test/contract", "test/golden"];

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

const sequential = {
  environment: "node" as const,
  fileParallelism: false,
  testTimeout: 120_000,
  hookTimeout: 120_000,
};

export default defineConfig({
  test: {
    projects: [
      {
        plugins: [wasmModules],
        test: { name: "unit", environment: "node", include: UNIT.map((folder) => `${folder}/**/*.test.{ts,tsx,mjs}`), testTimeout: 20_000 },
      },
      {
        plugins: [
          cloudflareTest(async () => {
            // wrangler looks for the secrets that wrangler.toml requires in the environment.
            process.env.SKERRY_ADMIN_KEY = TEST_ADMIN_KEY;
            return { wrangler: { configPath: "./wrangler.toml" }, miniflare: { workers: [await modelsWorker()] } };
          }),
        ],
        test: { name: "runtime", include: ["test/runtime/**/*.test.ts"], testTimeout: 30_000, hookTimeout: 30_000 },
      },
      { test: { name: "e2e", include: ["test/e2e/**/*.test.ts"], globalSetup: ["test/e2e/build.setup.ts"], ...sequential } },
      { test: { name: "browser", include: ["test/browser/**/*.test.ts"], globalSetup: ["test/browser/build.setup.ts"], ...sequential } },
    ],
  },
});

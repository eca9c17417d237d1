import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { buildWorker, inputsOfBuild } from "./build-workers.ts";
import { DIST } from "./paths.ts";

it("builds the Worker once and uses it again while nothing it was made of changes", async () => {
  const first = await buildWorker("main");
  expect(first.modules[0]).toMatchObject({ type: "ESModule" });
  expect(readFileSync(first.modules[0]!.path, "utf8")).toContain("export");
  // Every build ends by noting what it was made of.
  const noted = () => statSync(join(DIST, "workers/main.json")).mtimeMs;
  const before = noted();
  const second = await buildWorker("main");
  expect(second.dir).toBe(first.dir);
  expect(noted()).toBe(before);
});

it("knows every file that a Worker is made of, modules that are no code included", async () => {
  await buildWorker("models");
  const inputs = inputsOfBuild("models");
  expect(Object.keys(inputs)).toEqual(
    expect.arrayContaining([
      "workers/models/index.ts",
      "core/wire/errors.ts",
      "wasm/artifacts/skerry_inference.wasm",
      "workers/models/wrangler.toml",
    ]),
  );
  expect(Object.entries(inputs).filter(([, hash]) => hash === "absent")).toEqual([]);
});

it("keeps the bindings that wrangler.toml declares with the build, and no secret", async () => {
  const { options } = await buildWorker("main");
  expect(options).toMatchObject({ bindings: { SKERRY_ANONYMOUS_GRANTS: "[]" }, compatibilityDate: expect.any(String) });
  expect(options.bindings).not.toHaveProperty("SKERRY_ADMIN_KEY");
});

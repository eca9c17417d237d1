import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { buildWorker } from "./build-workers.ts";

it("builds the Worker once and uses it again while nothing it was made of changes", async () => {
  const first = await buildWorker("main");
  expect(first.modules[0]).toMatchObject({ type: "ESModule" });
  expect(readFileSync(first.modules[0]!.path, "utf8")).toContain("export");
  const started = performance.now();
  const second = await buildWorker("main");
  expect(second.dir).toBe(first.dir);
  expect(performance.now() - started).toBeLessThan(500);
});

import { execFileSync } from "node:child_process";
import { expect, it } from "vitest";

it("the committed Wasm is the one built from the committed Rust, and keeps the promises its bytes can show", () => {
  const script = new URL("../../scripts/build-wasm.mjs", import.meta.url).pathname;
  expect(execFileSync(process.execPath, [script, "--check", "--no-rebuild"], { encoding: "utf8" })).toMatch(/^ok: /);
});

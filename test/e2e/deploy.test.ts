import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";

const BOOTSTRAP = fileURLToPath(new URL("../../scripts/bootstrap.mjs", import.meta.url));

it("rehearses a deployment without an account", async () => {
  // Nothing that could sign in: a dry run must not need it.
  const env = { ...process.env, CLOUDFLARE_API_TOKEN: "", HOME: "/nonexistent" };
  const { stdout } = await promisify(execFile)(process.execPath, [BOOTSTRAP, "deploy", "--dry-run"], { env });
  expect(stdout).toMatch(/skerry-models +\d+ KiB compressed/);
  expect(stdout).toMatch(/skerry +\d+ KiB compressed/);
  expect(stdout).toContain("would deploy skerry-models, then skerry. Nothing was sent.");
});

// `npm run verify -- kserve`: a stock Open Inference Protocol client (NVIDIA's tritonclient) against the served platform.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { startServer } from "../../test/e2e/harness.ts";
import { buildWorkers } from "../lib/build-workers.ts";
import { ROOT } from "../lib/paths.ts";
import { command, Refusal } from "../lib/refusal.ts";

const VENV = join(ROOT, ".cache/venv-kserve");
const PYTHON = join(VENV, "bin/python");

await command(async () => {
  if (!existsSync(PYTHON))
    run("python3", ["-m", "venv", VENV], "This needs Python 3.11 or newer with venv (Debian: apt-get install python3-venv).");
  const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "tritonclient[http]==2.73.0"];
  run(PYTHON, pip, "pip could not install tritonclient: it needs a network connection and Python 3.11 or newer.");
  await buildWorkers();
  const server = await startServer();
  try {
    const golden = join(ROOT, "test/golden/forest.golden.json");
    const args = [join(ROOT, "scripts/verify/kserve.py"), new URL(server.url).host, server.adminKey, golden];
    run(PYTHON, args, "Not ok: the client did not get what the protocol promises.");
  } finally {
    await server.close();
  }
});

function run(program: string, args: string[], advice: string): void {
  if (spawnSync(program, args, { cwd: ROOT, stdio: "inherit" }).status !== 0) throw new Refusal(advice);
}

import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { Api } from "../../scripts/demo/api.ts";
import { loadFlights } from "../../scripts/demo/data.ts";
import { sendAll } from "../../scripts/demo/thread.ts";
import { startServer } from "./harness.ts";

const EXAMPLE = fileURLToPath(new URL("../../examples/flight-desk/board.mjs", import.meta.url));

it("shows the board to a client, and keeps its note through a kill", async () => {
  let server = await startServer();
  const run = (...args: string[]) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [EXAMPLE, "--url", server.url, "--once", ...args], {
      encoding: "utf8",
      timeout: 90_000,
      env: { ...process.env, SKERRY_ADMIN_KEY: server.adminKey },
    });
    return { status, said: stdout + stderr };
  };
  expect(run()).toMatchObject({ status: 0, said: expect.stringContaining("The board is empty") });

  const api = new Api({ url: server.url, key: server.adminKey });
  await sendAll(api.server, (await loadFlights()).arrivals.slice(0, 3000));
  await expect.poll(async () => Object.keys((await api.doc("flight-desk"))?.board ?? {}), { timeout: 60_000 }).not.toEqual([]);
  const first = run("--note", "runway 2 closed");
  expect(first).toMatchObject({ status: 0 });
  expect(first.said).toMatch(/The most delayed airports, 2001-01-01T\d\d:00\n {2}01 {2}[A-Z]{3} +-?\d+\.\d min +\d+ flights/);

  server = await server.restart();
  expect(run().said).toContain("Notes:\n  runway 2 closed");
});

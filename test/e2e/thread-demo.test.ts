import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Api } from "../../scripts/demo/api.ts";
import { loadFlights } from "../../scripts/demo/data.ts";
import { auditTopic, homeOf } from "../../scripts/demo/thread.ts";
import { freePort } from "../../scripts/lib/processes.ts";
import { type Server, startServer } from "./harness.ts";

const CLI = fileURLToPath(new URL("../../scripts/demo.ts", import.meta.url));
let folder: string;
let server: Server;
let progress: string;

beforeAll(async () => {
  await loadFlights(); // generated once, so that no run below waits for it
  folder = mkdtempSync(join(tmpdir(), "skerry-demo-"));
  progress = join(folder, "progress.json");
  server = await startServer();
});
afterAll(async () => {
  await server?.close();
  rmSync(folder, { recursive: true, force: true });
});

function demo(options: Record<string, string | number | boolean>, key: string | null = server.adminKey) {
  const given: Record<string, string | number | boolean> = { url: server.url, progress, state: join(folder, "none"), ...options };
  const args = Object.entries(given).flatMap(([name, value]) => (value === true ? [`--${name}`] : [`--${name}`, String(value)]));
  const { SKERRY_ADMIN_KEY: _, ...env } = process.env;
  const child = spawn(process.execPath, [CLI, ...args], { env: key === null ? env : { ...env, SKERRY_ADMIN_KEY: key } });
  const said: string[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text: string) => said.push(text));
  // Not at its exit: what it said last may still be on its way then.
  const ended = once(child, "close").then(([code]) => ({ code, said: said.join("") }));
  return { child, ended, said: () => said.join("") };
}

/** Pastes the command that the demo prints last into a shell; the rows it answers, of which there is one an hour. */
function ask(said: string, env: Record<string, string> = {}): { key: string }[] {
  const command = said.trimEnd().split("\n").at(-1)!;
  expect(command).toMatch(/^ {2}curl /);
  const { SKERRY_ADMIN_KEY: _, ...inherited } = process.env;
  const { stdout, stderr } = spawnSync("bash", ["-c", `${command} --silent --show-error`], {
    encoding: "utf8",
    env: { ...inherited, ...env },
  });
  expect(stdout, `${command}\n${stderr}`).toMatch(/^\{"rows"/);
  return (JSON.parse(stdout) as { rows: { key: string }[] }).rows.slice(0, 1);
}

describe("npm run demo", () => {
  it("stops at Ctrl-C with a sentence, goes on where it stood, and sends nothing twice", async () => {
    // Slow enough that it is still under way whenever this process gets to look.
    const first = demo({ speed: 250, limit: 4000, batch: 250 });
    await expect.poll(() => first.said()).toMatch(/flights .*[1-9]\d*\/4000/);
    await expect.poll(() => new Api({ url: server.url, key: server.adminKey }).size("flights")).toBeGreaterThan(500);
    first.child.kill("SIGINT");
    const stopped = await first.ended;
    expect(stopped.code).toBe(1);
    expect(stopped.said).toMatch(/Stopped: \d+ of 4000 records are acknowledged\. The same command goes on from there\./);

    const second = await demo({ speed: "max", limit: 4000 }).ended;
    expect(second).toMatchObject({ code: 0 });
    expect(second.said).toMatch(/\d+ records acknowledged in .*, [1-9]\d* before\./);
    expect(second.said).toMatch(/Table "delays": \d+ windows of \d+ airports hold \d+ flights; \d+ came too late/);
    const api = new Api({ url: server.url, key: server.adminKey });
    const sent = (await loadFlights()).arrivals.slice(0, 4000);
    expect(await auditTopic(api.server, sent)).toEqual({ lost: 0, extra: 0, inOrder: true, records: 4000 });
    expect(ask(second.said, { SKERRY_ADMIN_KEY: server.adminKey })).toMatchObject([{ key: "ORD" }]);
  });

  it("prints a request at its end that works as it stands, with the key that the server keeps", async () => {
    const state = join(folder, "it's here");
    mkdirSync(state);
    writeFileSync(join(state, "admin-key"), `${server.adminKey}\n`);
    const { said } = await demo({ speed: "max", limit: 4000, state }, null).ended;
    expect(ask(said)).toMatchObject([{ key: "ORD" }]);
    expect(said).not.toContain(server.adminKey);
  });

  it("says at once that there is no server yet, how to start one, and goes on when there is", async () => {
    const port = await freePort();
    const waiting = demo({ url: `http://127.0.0.1:${port}`, progress: join(folder, "early.json"), speed: "max", limit: 1000 });
    await expect
      .poll(waiting.said)
      .toBe(
        `Waiting for a server at http://127.0.0.1:${port}, where nothing answers yet. Start one: npm start -- --port ${port} (in another terminal).\n`,
      );
    await startServer({ port });
    expect(await waiting.ended).toMatchObject({ code: 0, said: expect.stringMatching(/1000 records acknowledged/) });

    const stopped = demo({ url: `http://127.0.0.1:${await freePort()}`, progress: join(folder, "none.json") });
    await expect.poll(stopped.said).toContain("Waiting for a server");
    stopped.child.kill("SIGINT");
    expect(await stopped.ended).toMatchObject({ code: 1, said: expect.stringMatching(/\nStopped, before anything was sent\.\n$/) });
  });

  it("refuses to change what a run sends, and says how to begin again", async () => {
    const { code, said } = await demo({ seed: 5, producers: 2, limit: 100 }).ended;
    expect(code).toBe(1);
    expect(said).toMatch(/The run to go on with sends the records of .* and 1 producers/);
    expect(said).toContain("--restart");
  });

  it("keeps each partition's order with several producers", async () => {
    const { code } = await demo({ restart: true, speed: "max", batch: 200, producers: 4, limit: 4000 }).ended;
    expect(code).toBe(0);
    const api = new Api({ url: server.url, key: server.adminKey });
    const { arrivals } = await loadFlights();
    for (const partition of [0, 1, 2, 3]) {
      const sent = arrivals.map(({ flight }) => flight).filter((flight) => homeOf(flight) === partition);
      const { records } = await api.read("flights", partition);
      expect(records.slice(-1000)).toEqual(sent.slice(0, 1000));
    }
  });

  it("says that a server does not know what it acknowledged", async () => {
    const other = await startServer();
    copyFileSync(progress, join(folder, "other.json"));
    const { code, said } = await demo({ url: other.url, progress: join(folder, "other.json"), speed: "max" }).ended;
    expect(code).toBe(1);
    expect(said).toMatch(/The server expects sequence number 0 .* --restart/s);
  });

  it.each([
    ["a wrong key", { speed: "max" }, "wrong-key-0123456789abcdefghijkl", /401 token_invalid.*Is this the right key\?/s],
    ["no key", {}, null, /No admin key: set SKERRY_ADMIN_KEY, or start the server once \(npm start\)/],
    ["a speed that is none", { speed: "fast" }, "k", /--speed takes records a second, "max" or "realtime\*60", not "fast"/],
    ["too many producers", { producers: 9 }, "k", /--producers takes a whole number from 1 to 4/],
    ["an address that is none", { url: "localhost" }, "k", /--url takes an address/],
    ["days that are not in the file", { start: "2010-01-01" }, "k", /the file covers 2001-01-01 to 2001-06-30/],
    ["an option that does not exist", { turbo: true }, "k", /Unknown option '--turbo'/],
  ] as const)("helps with %s", async (_, options, key, sentence) => {
    const { code, said } = await demo({ ...options, progress: join(folder, "fresh.json") }, key).ended;
    expect(code).toBe(1);
    expect(said).toMatch(sentence);
    expect(said).not.toMatch(/\n\s+at /);
  });
});

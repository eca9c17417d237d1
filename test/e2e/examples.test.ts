import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Server, startServer } from "./harness.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
let server: Server;

beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server?.close());

/** Runs an example as `npm run example` does; rejects, with what it said, where it fails. */
async function run(name: string, ...args: string[]): Promise<string> {
  const env = { ...process.env, SKERRY_URL: server.url, SKERRY_ADMIN_KEY: server.adminKey };
  const options = { cwd: ROOT, env, timeout: 170_000 };
  return (await promisify(execFile)(process.execPath, ["scripts/bootstrap.mjs", "example", name, ...args], options)).stdout;
}

it("hello-stream: what goes in is durable, in the table at once, and seen live; again, too", async () => {
  for (let n = 0; n < 2; n++) {
    const said = await run("hello-stream");
    expect(said).toMatch(/1000 flights are durable after \d+ ms\./);
    const rows = [...said.matchAll(/^ {2}(\w{3}) \S+ {2}(\d+) flights/gm)];
    expect(new Set(rows.map(([, airport]) => airport))).toEqual(new Set(["ATL", "DFW", "ORD", "OSL", "SFO"]));
    expect(rows.reduce((sum, [, , count]) => sum + Number(count), 0)).toBe(1000);
    expect(said).toMatch(/Refused: bad_record\. Record 0 has no key/);
    expect(said).toMatch(/Live: 1000 flights in \d+ windows/);
  }
});

it("hello-room: the SDK and the stock client meet, and what one wrote is on disk", async () => {
  const said = await run("hello-room");
  expect(said).toMatch(/Bob sees: .*Ada/);
  expect(said).toMatch(/Bob reads: hello at [\s\S]*It is on disk\.\nREST reads: \{"note":"hello at/);
  server = await server.restart();
  expect(await run("hello-room")).toMatch(/REST reads: \{"note":"hello at [^.]*\. hello at /);
});

it("flight-desk: the board leaves a note that outlives a kill right after it", async () => {
  expect(await run("flight-desk", "--once", "--note", "runway 2 closed")).toContain("Notes:\n  runway 2 closed");
  await server.kill();
  server = await server.restart();
  expect(await run("flight-desk", "--once")).toContain("Notes:\n  runway 2 closed");
});

it("agents: twenty processes lose their coordinator and a third of their number, and every job is done once", async () => {
  const said = await run("agents");
  const [, first, firstFence] = /^(agent-\d\d) coordinates \(fence (\d+)\), from job 0 on$/m.exec(said) ?? [];
  const [, dead, others] = /^Killed \(SIGKILL\) (agent-\d\d), who coordinated, and six more: (.*)\.$/m.exec(said) ?? [];
  expect(dead).toBe(first);
  expect(new Set([dead, ...others!.split(", ")]).size).toBe(7);
  expect(said).toContain("\n100 jobs are done, 100 of them exactly once, by ");
  expect(said).toContain("\nThe depot has 100 parcels, 0 of them of somebody else than the group says.\n");
  // Somebody else coordinates, under a higher fence.
  const [, next, fence, before] =
    /^13 agents are left; (agent-\d\d) coordinates \(fence (\d+)\) in place of (agent-\d\d)/m.exec(said) ?? [];
  expect(before).toBe(dead);
  expect([dead, ...others!.split(", ")]).not.toContain(next);
  expect(Number(fence)).toBeGreaterThan(Number(firstFence));
  // Who was frozen for too long comes too late with what it had, outside of the group and inside.
  const [, frozen, job, old] = /^(agent-\d\d) is frozen with (job-\d+) \(fence (\d+)\) in its hands\.$/m.exec(said) ?? [];
  expect(said).toContain(`${frozen}: the depot refused ${job}: fence ${old} is older than `);
  expect(said).toContain(`${frozen} was refused: The job "${job}" is not held any more`);
  expect(said).toContain(`${frozen} was given up by the others, and joins again.`);
});

it("says which examples there are", async () => {
  await expect(run("nothing")).rejects.toMatchObject({
    stderr: expect.stringMatching(/one of agents, flight-desk, hello-room, hello-stream/),
  });
});

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it, onTestFinished } from "vitest";
import { freePort, until } from "../../scripts/lib/processes.ts";

const BOOTSTRAP = fileURLToPath(new URL("../../scripts/bootstrap.mjs", import.meta.url));
/** The limit from the end of installation to `ready`, in milliseconds. */
const READY_WITHIN = 30_000;

type Started = { child: ChildProcess; said(): string; ready(): Promise<boolean>; end(signal: NodeJS.Signals): Promise<number | null> };

/** Runs `npm start -- ARGUMENTS` as npm does, and kills what is left of it when the test ends. */
function start(args: string[], env: Record<string, string> = {}): Started {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("SKERRY_"));
  const child = spawn(process.execPath, [BOOTSTRAP, "start", ...args], {
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...Object.fromEntries(inherited), ...env },
  });
  let text = "";
  for (const stream of [child.stdout!, child.stderr!]) stream.setEncoding("utf8").on("data", (part: string) => (text += part));
  onTestFinished(() => {
    try {
      process.kill(-child.pid!, "SIGKILL");
    } catch {
      // The group has ended by itself.
    }
  });
  const ended = () => child.exitCode !== null || child.signalCode !== null;
  return {
    child,
    said: () => text,
    ready: () => until(() => /^ready /m.test(text) || ended(), READY_WITHIN).then((met) => met && !ended()),
    async end(signal) {
      const closed = once(child, "close");
      child.kill(signal);
      await closed;
      return child.exitCode;
    },
  };
}

function freshState(): string {
  const state = mkdtempSync(join(tmpdir(), "skerry-start-"));
  onTestFinished(() => rmSync(state, { recursive: true, force: true }));
  return state;
}

/** A start that is refused: what it said, and its status. */
async function refused(args: string[], env: Record<string, string> = {}): Promise<{ said: string; status: number | null }> {
  const attempt = start(args, env);
  // Not at its exit: what it said last may still be on its way then.
  const [status] = (await once(attempt.child, "close")) as [number | null];
  return { said: attempt.said(), status };
}

it("is ready in under 30 s, mints an admin key once, and prints a request that works", async () => {
  const state = freshState();
  const args = ["--port", String(await freePort("localhost")), "--state", state];
  const before = performance.now();
  const first = start(args);
  expect(await first.ready(), first.said()).toBe(true);
  expect(performance.now() - before).toBeLessThan(READY_WITHIN);

  const [, key] = /admin key {2}(\S+)/.exec(first.said())!;
  expect(statSync(join(state, "admin-key")).mode & 0o777).toBe(0o600);
  const [, url] = /curl -X POST (\S+)/.exec(first.said())!;
  const [, authorization] = /-H 'Authorization: ([^']+)'/.exec(first.said())!;
  const [, body] = /-d '([^']+)'/.exec(first.said())!;
  const response = await fetch(url!, {
    method: "POST",
    headers: { Authorization: authorization!, "Content-Type": "application/json" },
    body: body!,
  });
  expect(response.status, await response.clone().text()).toBeLessThan(300);
  expect(await response.json()).toMatchObject({ token: expect.any(String) });
  // What went well is not logged, and what is said at the end of the start stays the last word.
  expect(await first.end("SIGTERM")).toBe(0);
  expect(first.said()).toMatch(/To see every request: SKERRY_LOG=info npm start\n\n$/);

  const second = start(args);
  expect(await second.ready(), second.said()).toBe(true);
  expect(second.said()).toContain(key!);
  expect(second.said()).not.toContain("minted");
});

it("serves the console's page and the reference page's files", async () => {
  const port = await freePort("localhost");
  const server = start(["--port", String(port), "--state", freshState()], { SKERRY_LOG: "info" });
  expect(await server.ready(), server.said()).toBe(true);
  expect(server.said()).not.toContain("SKERRY_LOG=info");
  const page = await fetch(`http://localhost:${port}/`);
  expect([page.status, page.headers.get("content-type")]).toEqual([200, expect.stringContaining("text/html")]);
  const style = await fetch(`http://localhost:${port}/docs/swagger-ui.css`);
  expect([style.status, style.headers.get("content-type")]).toEqual([200, expect.stringContaining("text/css")]);
  expect(await until(() => server.said().includes('"path":"/docs/swagger-ui.css"'), READY_WITHIN)).toBe(true);
});

it("takes the admin key from the environment, and refuses one that is short or a placeholder", async () => {
  for (const key of ["short", "change-me-change-me-change-me-change-me"]) {
    const { said, status } = await refused(["--port", String(await freePort("localhost")), "--state", freshState()], {
      SKERRY_ADMIN_KEY: key,
    });
    expect(status).toBe(1);
    expect(said).toMatch(/SKERRY_ADMIN_KEY .*random value/);
  }
  const given = "fT5wQ2nX8kL4vB7cJ1zR9mD3hS6pG0yE";
  const server = start(["--port", String(await freePort("localhost")), "--state", freshState()], { SKERRY_ADMIN_KEY: given });
  expect(await server.ready(), server.said()).toBe(true);
  expect(server.said()).toContain(given);
});

it.each([
  ["SKERRY_ANONYMOUS_GRANTS", "[{", /SKERRY_ANONYMOUS_GRANTS cannot be read: It is not valid JSON\. Set it to \[\] or/],
  ["SKERRY_ANONYMOUS_GRANTS", '[{"capability":"rooms"}]', /SKERRY_ANONYMOUS_GRANTS cannot be read: "grants\[0\]/],
  ["SKERRY_CORS_ORIGINS", "app.example", /SKERRY_CORS_ORIGINS has "app\.example", which is not an origin/],
  ["SKERRY_LOG", "loud", /SKERRY_LOG is one of info, warn, off, not "loud"/],
])("refuses to start with %s=%s, with which every request would fail", async (name, value, sentence) => {
  const { said, status } = await refused(["--port", String(await freePort("localhost")), "--state", freshState()], { [name]: value });
  expect([status, said]).toEqual([1, expect.stringMatching(sentence)]);
  expect(said).not.toMatch(/^ready|\n\s+at /m);
});

it("says whose the port is when it is taken, and that the state is in use", async () => {
  const other = createServer().listen(0, "localhost");
  await once(other, "listening");
  onTestFinished(() => void other.close());
  const taken = (other.address() as { port: number }).port;
  const busy = await refused(["--port", String(taken), "--state", freshState()]);
  expect(busy).toMatchObject({ status: 1, said: expect.stringContaining(`Port ${taken} is in use by another program.`) });

  const state = freshState();
  const server = start(["--port", String(await freePort("localhost")), "--state", state]);
  expect(await server.ready(), server.said()).toBe(true);
  const second = await refused(["--port", String(await freePort("localhost")), "--state", state]);
  expect(second).toMatchObject({ status: 1, said: expect.stringContaining("is in use by another Skerry") });
});

it("says what it takes when it is called wrongly", async () => {
  expect(await refused(["--prot", "1"])).toMatchObject({ status: 1, said: expect.stringContaining("--port 8787") });
  expect(await refused(["--port", "many"])).toMatchObject({ status: 1, said: expect.stringContaining("1 to 65535") });
});

it("ends when the npm that started it is killed", async () => {
  const port = await freePort("localhost");
  // As under npm: a shell in between, which dies without a word to its child.
  const shell = spawn("sh", ["-c", `"${process.execPath}" "${BOOTSTRAP}" start --port ${port} --state "${freshState()}"; true`], {
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, npm_lifecycle_event: "start" },
  });
  onTestFinished(() => {
    try {
      process.kill(-shell.pid!, "SIGKILL");
    } catch {
      // The group has ended by itself.
    }
  });
  let text = "";
  shell.stdout!.setEncoding("utf8").on("data", (part: string) => (text += part));
  expect(await until(() => text.includes("ready "), READY_WITHIN)).toBe(true);
  shell.kill("SIGKILL");
  const answers = () =>
    fetch(`http://localhost:${port}/healthz`).then(
      () => true,
      () => false,
    );
  expect(await until(async () => !(await answers()), READY_WITHIN)).toBe(true);
});

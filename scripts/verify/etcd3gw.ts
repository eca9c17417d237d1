// `npm run verify -- etcd3gw`: Python's etcd3gw, unchanged, against the served platform: its own functional tests, and a script with a token.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { startServer } from "../../test/e2e/harness.ts";
import { buildWorkers } from "../lib/build-workers.ts";
import { ROOT } from "../lib/paths.ts";
import { command, Refusal } from "../lib/refusal.ts";

const VENV = join(ROOT, ".cache/venv-etcd3gw");
const PYTHON = join(VENV, "bin/python");
/** Its tests take no token: they act as anonymous, who may do all with the default group here. */
const PUBLIC = [{ capability: "groups", name: "default", rights: ["read", "write"] }];

await command(async () => {
  if (!existsSync(PYTHON))
    run("python3", ["-m", "venv", VENV], "This needs Python 3.11 or newer with venv (Debian: apt-get install python3-venv).");
  const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "etcd3gw==2.7.0", "oslotest==6.1.1"];
  run(PYTHON, pip, "pip could not install etcd3gw: it needs a network connection and Python 3.11 or newer.");
  await buildWorkers();
  const env = { SKERRY_LOG: "warn", SKERRY_PLACEMENT: "simulated" };
  const open = await startServer({ env: { ...env, SKERRY_ANONYMOUS_GRANTS: JSON.stringify(PUBLIC) } });
  try {
    ownTests(open.url);
  } finally {
    await open.close();
  }
  const closed = await startServer({ env });
  try {
    const { hostname, port } = new URL(closed.url);
    const args = [join(ROOT, "scripts/verify/etcd3gw-client.py"), hostname, port, await token(closed.url, closed.adminKey)];
    run(PYTHON, args, "Not ok: the client did not get what etcd would give it.");
  } finally {
    await closed.close();
  }
});

/** The tests that come with the client and need a server; where one is skipped they did not find it. */
function ownTests(url: string): void {
  const { status, stderr } = spawnSync(PYTHON, ["-m", "unittest", "etcd3gw.tests.test_etcd3gw"], {
    encoding: "utf8",
    env: { ...process.env, TOOZ_TEST_ETCD_PORT: new URL(url).port, TOOZ_TEST_HTTP_URL: url },
    maxBuffer: 64 * 1024 * 1024,
  });
  const ran = /^Ran (\d+) tests? in/m.exec(stderr)?.[1];
  if (status !== 0 || ran === undefined || /skipped=/.test(stderr))
    throw new Refusal(`Not ok: etcd3gw's own tests.\n${stderr.slice(-4_000)}`);
  console.log(`ok: ${ran} functional tests of etcd3gw 2.7.0's own`);
}

async function token(url: string, adminKey: string): Promise<string> {
  const headers = { authorization: `Bearer ${adminKey}`, "content-type": "application/json" };
  const answered = await fetch(`${url}/v1/tokens`, { method: "POST", headers, body: JSON.stringify({ grants: PUBLIC, expiresIn: 3600 }) });
  if (!answered.ok) throw new Refusal(`A token could not be minted: ${answered.status} ${await answered.text()}`);
  return ((await answered.json()) as { token: string }).token;
}

function run(program: string, args: string[], advice: string): void {
  if (spawnSync(program, args, { cwd: ROOT, stdio: "inherit" }).status !== 0) throw new Refusal(advice);
}

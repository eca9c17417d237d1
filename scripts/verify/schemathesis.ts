// `npm run verify -- schemathesis`: schemathesis makes requests from /openapi.json, valid and invalid, and holds every
// answer against it: as admin, as admin over a topic and a group that stay, with a narrow token, and with none. `--only NAME`: one of these.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Server, startServer } from "../../test/e2e/harness.ts";
import { buildWorkers } from "../lib/build-workers.ts";
import { ROOT } from "../lib/paths.ts";
import { command, Refusal } from "../lib/refusal.ts";

const VENV = join(ROOT, ".cache/venv-schemathesis");
const PYTHON = join(VENV, "bin/python");

/**
 * Left out of all checks:
 * - positive_data_acceptance: a schema cannot say all there is to a valid request ("from" before "to", UTF-8 bytes of a name);
 * - ignored_auth: some routes answer anyone by design, with what anonymous may see.
 */
const LEFT_OUT = "positive_data_acceptance,ignored_auth";
/** Sockets are not for an HTTP client, and what waits or follows has no end. */
const ENDLESS = "/live$|/sync$|/v3/(watch|lock/lock|election/(campaign|observe))$";
/** The HTTP server itself refuses a request line beyond its buffer, before any code of ours runs. */
const OF_THE_SERVER = /^\[431\]/m;
/** etcd's locks, elections and streams answer what is wrong with a request as UNKNOWN, which its gateway maps to 500. Ours would be 13. */
const OF_ETCD = /^\[500\][^\n]*\n[^{]*\{"error":.*"code":2\}/m;
/** Keep-alives are a line for each request of the body, and of nothing asked there is nothing to say, as in etcd. */
const NO_LINES = /ST109[\s\S]*^\[200\] OK:\s+<EMPTY>/m;
/** A change of members waits for the new one to catch up. */
const REQUEST_SECONDS = 30;

/** `parameters`: of the path, to be always so. `breaks`: replicas may be broken on purpose, after which nothing answers as it should. */
type Run = { name: string; token: string | null; args: string[]; parameters?: Record<string, string>; breaks?: boolean };
type Ran = { requests: number; operations: number; seed: string; failures: string[] };

const { values } = parseArgs({
  options: { examples: { type: "string", default: "25" }, seed: { type: "string" }, only: { type: "string" } },
});

await command(async () => {
  install();
  await buildWorkers();
  const scratch = mkdtempSync(join(tmpdir(), "skerry-schemathesis-"));
  const server = await startServer({ env: { SKERRY_LOG: "warn" } });
  try {
    const wrong: string[] = [];
    for (const run of (await runs(server)).filter(({ name }) => values.only === undefined || name === values.only)) {
      const { requests, operations, seed, failures } = schemathesis(server, scratch, run);
      console.log(`${run.name.padEnd(18)} ${requests} requests to ${operations} operations, ${failures.length} failures (seed ${seed})`);
      wrong.push(...failures.map((failure) => `${run.name}: ${failure}`));
    }
    // What no answer shows: an error in the background.
    for (const line of server.logs().split("\n")) if (/"level":"error"|uncaught exception/i.test(line)) wrong.push(line.slice(0, 500));
    for (const each of wrong) console.log(`\n${each}`);
    if (wrong.length > 0) throw new Refusal(`Not ok: ${wrong.length} answers or errors that the document does not allow.`);
    console.log("ok: no error of the server's, and no answer that /openapi.json does not describe");
  } finally {
    await server.close();
    rmSync(scratch, { recursive: true, force: true });
  }
});

function install(): void {
  if (!existsSync(PYTHON))
    must("python3", ["-m", "venv", VENV], "This needs Python 3.11 or newer with venv (Debian: apt-get install python3-venv).");
  const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "schemathesis==4.32.5"];
  must(PYTHON, pip, "pip could not install schemathesis: it needs a network connection and Python 3.11 or newer.");
}

/** Makes what the runs need: a topic to write to, and a token that may do little. */
async function runs(server: Server): Promise<Run[]> {
  const call = async (method: string, path: string, body: unknown) => {
    const headers = { authorization: `Bearer ${server.adminKey}`, "content-type": "application/json" };
    const answered = await fetch(server.url + path, { method, headers, body: JSON.stringify(body) });
    if (!answered.ok) throw new Refusal(`${method} ${path} was answered with ${answered.status}: ${await answered.text()}`);
    return answered;
  };
  await call("PUT", "/v1/topics/fuzz", {});
  await call("PUT", "/v1/topics/flights", { partitions: 4, key: "/origin", timestamp: "/date" });
  await call("POST", "/v1/stream/fuzz", [1, "two", { three: 3 }]);
  await call("PUT", "/v1/groups/fuzz", { replicas: 3 });
  await call("POST", "/v1/groups/fuzz/v3/kv/put", { key: "YQ==", value: "MQ==" });
  const grants = [{ capability: "streams", name: "flights", rights: ["read"] }];
  const { token } = (await (await call("POST", "/v1/tokens", { grants, expiresIn: 3600 })).json()) as { token: string };
  return [
    // First what keeps the topic, then what may delete it, and the keys of the narrow token last.
    {
      name: "admin, one topic",
      token: server.adminKey,
      args: ["--include-path-regex", "^/v1/(stream|topics|tables|topologies)", "--exclude-method", "DELETE"],
      parameters: { "path.topic": "fuzz", "path.partition": "0" },
    },
    {
      name: "admin, one group",
      token: server.adminKey,
      args: ["--include-path-regex", "^/(v1/groups|v3/)", "--exclude-method", "DELETE"],
      parameters: { "path.group": "fuzz" },
    },
    { name: "narrow token", token, args: [] },
    { name: "no token", token: null, args: [] },
    { name: "admin", token: server.adminKey, args: [] },
    {
      name: "admin, faults",
      token: server.adminKey,
      args: ["--include-path-regex", "/fault$"],
      parameters: { "path.group": "fuzz" },
      breaks: true,
    },
  ];
}

function schemathesis(server: Server, scratch: string, { token, args, parameters = {}, breaks = false }: Run): Ran {
  const config = join(scratch, "schemathesis.toml");
  const fixed = Object.entries(parameters).map(([name, value]) => `${JSON.stringify(name)} = ${JSON.stringify(value)}`);
  writeFileSync(config, fixed.length === 0 ? "" : `[parameters]\n${fixed.join("\n")}\n`);
  const { stdout, stderr } = spawnSync(
    join(VENV, "bin/schemathesis"),
    [
      ...["--config-file", config, "run", `${server.url}/openapi.json`, "--checks", "all", "--exclude-checks", LEFT_OUT],
      ...[
        "--phases",
        "examples,coverage,fuzzing",
        "--max-examples",
        values.examples,
        "--continue-on-failure",
        "--request-timeout",
        `${REQUEST_SECONDS}`,
      ],
      ...["--output-truncate", "false", "--warnings", "off"],
      ...["--exclude-path-regex", ENDLESS + (breaks ? "" : "|/fault$"), ...args],
      ...(values.seed === undefined ? [] : ["--seed", values.seed]),
      ...(token === null ? [] : ["--header", `Authorization: Bearer ${token}`]),
    ],
    { cwd: scratch, encoding: "utf8", maxBuffer: 256 * 1024 * 1024 },
  );
  const count = (pattern: RegExp) => Number(pattern.exec(stdout)?.[1] ?? 0);
  const ran = {
    requests: count(/^ {2}(\d+) generated/m),
    operations: count(/^ {2}Tested: (\d+)/m),
    seed: /^Seed: (\d+)/m.exec(stdout)?.[1] ?? "",
  };
  if (ran.requests === 0) throw new Refusal(`schemathesis did not run:\n${stdout}\n${stderr}`);
  return { ...ran, failures: failuresIn(stdout) };
}

/** The failures and errors of its report, each with its operation. */
function failuresIn(stdout: string): string[] {
  const told = stdout
    .slice(0, stdout.search(/^=+ SUMMARY =+$/m))
    .split(/^=+ (?:FAILURES|ERRORS) =+$/m)
    .slice(1)
    .join("\n");
  return told
    .split(/^(?=_{3,} .+ _{3,}$)/m)
    .slice(1)
    .flatMap((operation) => {
      const [heading = "", ...cases] = operation.split(/^(?=\d+\. Test Case ID)/m);
      const each = cases.length === 0 ? [operation] : cases;
      return each
        .filter((text) => !OF_THE_SERVER.test(text) && !OF_ETCD.test(text))
        .filter((text) => !heading.includes("/lease/keepalive") || !NO_LINES.test(text))
        .map((text) => `${heading.replaceAll("_", "").trim()}\n${text.trim()}`);
    });
}

function must(program: string, args: string[], advice: string): void {
  if (spawnSync(program, args, { cwd: ROOT, stdio: "inherit" }).status !== 0) throw new Refusal(advice);
}

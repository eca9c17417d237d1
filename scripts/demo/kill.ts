import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Api } from "./api.ts";
import { type Arrival, DEFAULTS, loadFlights, uniform } from "./data.ts";
import { readRun } from "./progress.ts";
import { type Audit, auditTopic, compareTable } from "./thread.ts";
import { expectedUnusual, unusualIds } from "./unusual.ts";

/** A server that can be killed and started again on the same state, such as the end-to-end harness gives. */
export type Mortal = { url: string; adminKey: string; kill(): Promise<void>; restart(): Promise<Mortal> };

export type KillOptions = {
  server: Mortal;
  /** How often the server's process group is killed; every third time the sender is killed too. */
  kills: number;
  /** Records to send, rounded up to whole batches. */
  limit: number;
  /** Records a second. */
  speed: number;
  seed: number;
  say?: (line: string) => void;
};

export type KillReport = {
  server: Mortal;
  sent: Arrival[];
  /** After each kill: what was acknowledged before it, and how much of that the restarted server did not have. */
  rounds: { acknowledged: number; missing: number; senderKilled: boolean }[];
  audit: Audit;
  /** How the table differs from DuckDB's. */
  differences: string[];
  /** Ids in the topic `unusual`, and those that belong there: the outputs count once, too. */
  unusual: { found: string[]; expected: string[] };
};

const BATCH = 250;
const CLI = fileURLToPath(new URL("../demo.ts", import.meta.url));

/**
 * Runs the real demo command against a server and kills, at moments spread over the run by a seed, the server and at
 * times the demo too. In the end it reads the topic back and compares the table with DuckDB's.
 */
export async function killRun({ server: first, kills, limit, speed, seed, say = () => {} }: KillOptions): Promise<KillReport> {
  const folder = mkdtempSync(join(tmpdir(), "skerry-kill-"));
  const progress = join(folder, "progress.json");
  const random = uniform(seed);
  let server = first;
  let sender = startSender(server, progress, limit, speed);
  const rounds: KillReport["rounds"] = [];
  try {
    const { arrivals } = await loadFlights(DEFAULTS);
    const sent = arrivals.slice(0, Math.ceil(limit / BATCH) * BATCH);
    for (let round = 0; round < kills; round++) {
      const senderKilled = round % 3 === 2;
      const threshold = (sent.length * (round + 1)) / (kills + 1);
      await until(() => acknowledgedIn(progress) >= threshold, sender);
      await pause(random() * 150); // not right after an acknowledgement, but anywhere
      if (senderKilled) await sender.kill();
      const before = acknowledgedIn(progress);
      await server.kill();
      const acknowledged = Math.max(before, acknowledgedIn(progress));
      server = await server.restart();
      const missing = Math.max(0, acknowledged - (await new Api({ url: server.url, key: server.adminKey }).size("flights")));
      rounds.push({ acknowledged, missing, senderKilled });
      say(
        `kill ${round + 1}: ${acknowledged} records acknowledged, ${missing} missing after the restart${senderKilled ? "; the sender was killed too" : ""}`,
      );
      if (senderKilled) sender = startSender(server, progress, limit, speed);
    }
    await sender.finished();
    const api = new Api({ url: server.url, key: server.adminKey });
    await api.untilApplied("flight-desk");
    const audit = await auditTopic(api.server, sent);
    const { differences } = await compareTable(api.server, sent);
    const expected = expectedUnusual(sent);
    const unusual = { found: await unusualIds(api, expected.length), expected };
    return { server, sent, rounds, audit, differences, unusual };
  } finally {
    await sender.kill();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Records acknowledged to the sender, as it noted them. */
function acknowledgedIn(progress: string): number {
  return (readRun(progress)?.producers ?? []).reduce((sum, producer) => sum + producer.next * BATCH, 0);
}

type Sender = { failed(): string | null; kill(): Promise<void>; finished(): Promise<void> };

function startSender(server: Mortal, progress: string, limit: number, speed: number): Sender {
  const options = { url: server.url, progress, limit, speed, batch: BATCH };
  const child: ChildProcess = spawn(
    process.execPath,
    [CLI, ...Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)])],
    {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, SKERRY_ADMIN_KEY: server.adminKey },
    },
  );
  const exit = once(child, "exit");
  const said: string[] = [];
  for (const stream of [child.stdout!, child.stderr!]) stream.setEncoding("utf8").on("data", (text: string) => said.push(text));
  const ended = () => child.exitCode !== null || child.signalCode !== null;
  return {
    failed: () => (ended() ? `The sender ended with ${child.exitCode ?? child.signalCode}. It said:\n${said.join("")}` : null),
    async kill() {
      if (!ended()) child.kill("SIGKILL");
      await exit;
    },
    async finished() {
      const [code] = await exit;
      if (code !== 0) throw new Error(`The sender ended with ${code}. It said:\n${said.join("")}`);
    },
  };
}

async function until(condition: () => boolean, sender: Sender): Promise<void> {
  while (!condition()) {
    const failure = sender.failed();
    if (failure !== null) throw new Error(failure);
    await pause(5);
  }
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

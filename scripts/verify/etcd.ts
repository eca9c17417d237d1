// `npm run verify -- etcd`: random operations over the JSON gateway, on a real etcd and on Skerry's core, and every answer,
// revision and watch event compared. `--golden`: writes test/golden/etcd anew. `--server`: on a whole server, started here; `--url URL --token KEY`: on one that runs.
import { existsSync } from "node:fs";
import { parseArgs } from "node:util";
import { startServer } from "../../test/e2e/harness.ts";
import { buildWorkers } from "../lib/build-workers.ts";
import { startEtcd } from "../lib/etcd.ts";
import { command, Refusal } from "../lib/refusal.ts";
import { Generator } from "./etcd/generate.ts";
import { writeGolden, writeRefusals } from "./etcd/golden.ts";
import { LocalTarget } from "./etcd/local.ts";
import { explained, type Mismatch, Run } from "./etcd/run.ts";
import { type Sides, shrink } from "./etcd/shrink.ts";
import { Stalls } from "./etcd/stalls.ts";
import { type Numbered, told } from "./etcd/steps.ts";
import { HttpTarget, type Target } from "./etcd/target.ts";

const { values } = parseArgs({
  options: {
    operations: { type: "string", short: "n", default: "100000" },
    seed: { type: "string" },
    /** Steps on one pair of empty stores. */
    epoch: { type: "string", default: "5000" },
    golden: { type: "boolean", default: false },
    server: { type: "boolean", default: false },
    url: { type: "string" },
    /** The admin key, or a token that may make groups. */
    token: { type: "string" },
    replicas: { type: "string", default: "3" },
    /** Seconds to look for a shorter list of requests that shows a difference. */
    shrink: { type: "string", default: "300" },
  },
});

/** Either side gives a request up after some seconds. */
const STALL_MS = 1_500;
/** How often the same operations are done anew because the machine stood still meanwhile. */
const MAX_AGAIN = 20;

await command(async () => {
  const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed);
  const [operations, epoch] = [Number(values.operations), Number(values.epoch)];
  if (![seed, operations, epoch].every((each) => Number.isSafeInteger(each) && each >= 0) || epoch === 0)
    throw new Refusal("--seed, --operations and --epoch are whole numbers.");
  // etcd waits for the disk at every write; nothing here depends on what is on it.
  if (existsSync("/dev/shm")) process.env.TMPDIR = "/dev/shm";
  console.log(`seed ${seed}, ${operations} operations, a fresh pair of stores every ${epoch}`);

  let version = "";
  const ours = await skerry();
  const sides: Sides = async () => {
    const etcd = await startEtcd();
    version = etcd.version;
    const reference = new HttpTarget(`etcd ${etcd.version}`, `${etcd.urls[0]}/v3`, { ended: async () => etcd.stop() });
    return [reference, await ours.fresh()] satisfies [Target, Target];
  };
  try {
    if (values.golden) {
      await writeGolden(sides, () => version);
      const etcd = await startEtcd();
      await writeRefusals(`${etcd.urls[0]}/v3`, etcd.version).finally(() => etcd.stop());
      return;
    }
    await run(seed, operations, epoch, sides);
  } finally {
    await ours.close();
  }
  console.log(`no difference from etcd ${version}`);
});

async function run(seed: number, operations: number, epoch: number, sides: Sides): Promise<void> {
  const began = performance.now();
  const count = new Map<string, number>();
  const stalls = new Stalls();
  for (let done = 0, again = 0; done < operations; ) {
    // An epoch has a seed of its own, so that it can be run alone: `--seed` of the epoch, `-n` of its size.
    const own = (seed + done / epoch) | 0;
    const most = Math.min(epoch, operations - done);
    const steps: Numbered[] = [];
    stalls.forget();
    const mismatch = await compare(own, most, sides, steps);
    if (mismatch !== null) {
      // Deadlines of either side passed while nothing ran: what they then answered says nothing about them.
      if (stalls.longest < STALL_MS || ++again > MAX_AGAIN) await explain(own, mismatch, steps, sides);
      console.log(`seed ${own}: the machine stood still for ${Math.round(stalls.longest / 100) / 10} s; these ${most} operations again`);
      continue;
    }
    again = 0;
    for (const { step } of steps) {
      const kind = "path" in step ? step.path : step.do;
      count.set(kind, (count.get(kind) ?? 0) + 1);
    }
    done += most;
    const rate = Math.round(done / ((performance.now() - began) / 1000));
    console.log(`${String(done).padStart(8)} operations the same (${rate} a second)`);
  }
  const kinds = [...count].sort(([, a], [, b]) => b - a).map(([path, times]) => `${path} ${times}`);
  stalls.end();
  console.log(`ok: ${operations} operations\n${kinds.join(", ")}`);
}

/** Our side: each run on a store, or a group, that nobody has written to. */
async function skerry(): Promise<{ fresh(): Promise<Target>; close(): Promise<void> }> {
  if (!values.server && values.url === undefined) return { fresh: async () => new LocalTarget(), close: async () => {} };
  let [url, token, close] = [values.url, values.token, async () => {}];
  if (url === undefined) {
    await buildWorkers();
    const server = await startServer({ env: { SKERRY_LOG: "warn", SKERRY_PLACEMENT: "simulated" } });
    [url, token, close] = [server.url, server.adminKey, () => server.close()];
  }
  const unique = Date.now().toString(36);
  const headers = { "content-type": "application/json", ...(token !== undefined && { authorization: `Bearer ${token}` }) };
  let groups = 0;
  return {
    close,
    async fresh() {
      const group = `${url}/v1/groups/verify-${unique}-${groups++}`;
      const made = await fetch(group, { method: "PUT", headers, body: JSON.stringify({ replicas: Number(values.replicas) }) });
      if (!made.ok) throw new Refusal(`No group could be made: ${made.status} ${await made.text()}`);
      const ended = async () => void (await fetch(group, { method: "DELETE", headers }));
      return new HttpTarget("Skerry", `${group}/v3`, { ...(token !== undefined && { token }), ended });
    },
  };
}

/** Compares the operations of one epoch, up to the first difference. `steps` gets what was done. */
async function compare(seed: number, operations: number, sides: Sides, steps: Numbered[]): Promise<Mismatch | null> {
  const generator = new Generator(seed);
  const run = new Run(await sides());
  try {
    for (;;) {
      const ending = steps.length >= operations;
      const step = ending ? generator.end(run.revision) : generator.next(run.revision);
      if (step === null) return null;
      const at = { index: steps.length + 1, step };
      steps.push(at);
      const mismatch = await run.step(at);
      if (mismatch !== null) return mismatch;
    }
  } finally {
    await run.close();
  }
}

async function explain(seed: number, mismatch: Mismatch, steps: Numbered[], sides: Sides): Promise<never> {
  const names: [string, string] = ["etcd", "Skerry"];
  console.log(`\nseed ${seed}, after ${steps.length} operations: ${explained(mismatch, names)}\n\nlooking for fewer requests…`);
  const short = await shrink(steps, mismatch, sides, Number(values.shrink) * 1000);
  console.log(`${short.steps.map(told).join("\n")}\n\n${explained(short.mismatch, names)}`);
  throw new Refusal(`Not ok: a difference. Again: npm run verify -- etcd --seed ${seed} -n ${steps.length}`);
}

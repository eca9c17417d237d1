// `npm run bench -- groups`: groups beside a real etcd of three members on this machine, over the same JSON calls, in one run.
// Beside both, what the runtime itself can do; then the SDK's socket, and how long no write gets through when the leader dies or hangs.
import { availableParallelism, cpus } from "node:os";
import { parseArgs } from "node:util";
import { createClient } from "../client/src/client.ts";
import { openGroup } from "../client/src/groups/index.ts";
import { quantile } from "../scripts/demo/thread.ts";
import { buildWorkers } from "../scripts/lib/build-workers.ts";
import { startEtcd } from "../scripts/lib/etcd.ts";
import { type Server, startServer } from "../test/e2e/harness.ts";
import { startCeiling } from "./groups/ceiling.ts";
import { etcdFailover, skerryFailover } from "./groups/failover.ts";
import { type Load, load, type Target, target } from "./groups/load.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "4" },
    rounds: { type: "string", default: "3" },
    failovers: { type: "string", default: "7" },
  },
});
const [seconds, rounds] = [Number(values.seconds), Number(values.rounds)];
const CLIENTS = [1, 16, 64];
const encode = (text: string) => Buffer.from(text).toString("base64");
let turn = 0;
const key = () => `bench/${turn++ % 1_000}`;
const VALUE = "v".repeat(256);
const put = () => JSON.stringify({ key: encode(key()), value: encode(VALUE) });
const range = () => JSON.stringify({ key: encode(key()) });

await buildWorkers();
console.log(`${availableParallelism()} cores of ${cpus()[0]?.model ?? "unknown make"}, shared by load and server; values of 256 bytes\n`);
const etcd = await startEtcd(3);
const ceiling = await startCeiling();
const server = await startServer({ env: { SKERRY_LOG: "off", SKERRY_FAULTS: "1" } });
// Each token has a limit a minute, which one alone would reach.
const tokens = await Promise.all(Array.from({ length: 16 }, () => mint(server)));
const group = openGroup(createClient({ url: server.url, token: tokens[0]! }), "default");
await createClient({ url: server.url, token: server.adminKey }).groups.create("default");
await group.put("bench/0", VALUE);

type Row = { what: string; to: Target[]; body: () => string };
const rows: Row[] = [
  { what: "the runtime: a Worker that does nothing", to: [target(`${ceiling.url}/empty`)], body: put },
  { what: "the runtime: an object that does nothing", to: [target(`${ceiling.url}/nothing`)], body: put },
  { what: "the runtime: an object that writes a row", to: [target(`${ceiling.url}/row`)], body: put },
  { what: "etcd: put", to: [target(`${etcd.urls[0]}/v3/kv/put`)], body: put },
  { what: "Skerry: put, quorum", to: tokens.map((token) => target(`${server.url}/v3/kv/put`, token)), body: put },
  { what: "etcd: range, linearizable", to: [target(`${etcd.urls[0]}/v3/kv/range`)], body: range },
  { what: "Skerry: range, linearizable", to: tokens.map((token) => target(`${server.url}/v3/kv/range`, token)), body: range },
];
const figures = new Map<string, Load>();
for (const clients of CLIENTS) {
  console.log(`${clients} client${clients === 1 ? "" : "s"}`);
  const runs = new Map<Row, Load[]>(rows.map((row) => [row, []]));
  // Round by round, so that a machine that slows down slows all of them.
  for (const row of rows) await load(row.to, row.body, clients, 1);
  for (let round = 0; round < rounds; round++) for (const row of rows) runs.get(row)!.push(await load(row.to, row.body, clients, seconds));
  for (const row of rows) {
    const all = runs.get(row)!;
    const median = (of: (run: Load) => number) =>
      quantile(
        all.map(of).sort((a, b) => a - b),
        0.5,
      );
    const figure = {
      perSecond: median((run) => run.perSecond),
      p50: median((run) => run.p50),
      p99: median((run) => run.p99),
      failed: 0,
      requests: 0,
    };
    figures.set(`${row.what} ${clients}`, figure);
    const failed = all.reduce((sum, run) => sum + run.failed, 0);
    print(row.what, figure, failed);
  }
  console.log();
}

console.log("the SDK's socket");
for (const inFlight of CLIENTS) {
  const runs: Load[] = [];
  for (let round = 0; round < rounds; round++) runs.push(await overSocket(inFlight));
  const median = (of: (run: Load) => number) =>
    quantile(
      runs.map(of).sort((a, b) => a - b),
      0.5,
    );
  const figure = {
    perSecond: median((run) => run.perSecond),
    p50: median((run) => run.p50),
    p99: median((run) => run.p99),
    failed: 0,
    requests: 0,
  };
  figures.set(`socket ${inFlight}`, figure);
  print(`Skerry: put, quorum, ${inFlight} in flight`, figure, 0);
}
for (const inFlight of [512]) print(`Skerry: put, quorum, ${inFlight} in flight`, await overSocket(inFlight), 0);

const at = (what: string, clients: number) => figures.get(`${what} ${clients}`)!;
const ratio = (a: number, b: number) => (a / b).toFixed(2);
console.log("\nratios (the aim in brackets)");
console.log(
  `  writes a second at 64, Skerry / etcd                       ${ratio(at("Skerry: put, quorum", 64).perSecond, at("etcd: put", 64).perSecond)} (1)`,
);
console.log(
  `  writes a second at 64, Skerry / an object that writes a row  ${ratio(at("Skerry: put, quorum", 64).perSecond, at("the runtime: an object that writes a row", 64).perSecond)}`,
);
console.log(
  `  and that object itself / etcd                              ${ratio(at("the runtime: an object that writes a row", 64).perSecond, at("etcd: put", 64).perSecond)}`,
);
console.log(
  `  linearizable reads at 64, Skerry / an object that does nothing ${ratio(at("Skerry: range, linearizable", 64).perSecond, at("the runtime: an object that does nothing", 64).perSecond)} (0.6)`,
);
console.log(
  `  p50 of a write at 1, Skerry / etcd                         ${ratio(at("Skerry: put, quorum", 1).p50, at("etcd: put", 1).p50)} (at most 1.5)`,
);
console.log(
  `  p50 of a read at 1, Skerry / etcd                          ${ratio(at("Skerry: range, linearizable", 1).p50, at("etcd: range, linearizable", 1).p50)}`,
);
console.log(
  `  writes a second over the socket at 64 / etcd at 64         ${ratio(figures.get("socket 64")!.perSecond, at("etcd: put", 64).perSecond)} (5)`,
);
group.close();
await ceiling.stop();

const failovers = Number(values.failovers);
if (failovers > 0) {
  console.log(`\nfailover: milliseconds without an acknowledged write, ${failovers} times, 8 clients writing`);
  const ours = await skerryFailover(server, failovers);
  console.log(`  Skerry, the leader hangs        median ${median(ours)}, worst ${Math.max(...ours)}`);
  etcd.stop();
  const theirs = await etcdFailover(failovers);
  console.log(`  etcd, the leader is killed      median ${median(theirs)}, worst ${Math.max(...theirs)}`);
} else etcd.stop();
await server.close();

function median(numbers: number[]): number {
  return quantile(
    [...numbers].sort((a, b) => a - b),
    0.5,
  );
}

function print(what: string, { perSecond, p50, p99 }: Load, failed: number): void {
  const rate = `${Math.round(perSecond).toLocaleString("en")}/s`;
  const lost = failed === 0 ? "" : `   ${failed} FAILED`;
  console.log(
    `  ${what.padEnd(44)} ${rate.padStart(9)}   p50 ${p50.toFixed(2).padStart(6)} ms   p99 ${p99.toFixed(2).padStart(6)} ms${lost}`,
  );
}

async function overSocket(inFlight: number): Promise<Load> {
  const ends = performance.now() + seconds * 1_000;
  const latencies: number[] = [];
  const began = performance.now();
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      while (performance.now() < ends) {
        const sent = performance.now();
        await group.put(key(), VALUE);
        latencies.push(performance.now() - sent);
      }
    }),
  );
  const perSecond = (1_000 * latencies.length) / (performance.now() - began);
  latencies.sort((a, b) => a - b);
  return { perSecond, p50: quantile(latencies, 0.5), p99: quantile(latencies, 0.99), failed: 0, requests: latencies.length };
}

async function mint({ url, adminKey }: Server): Promise<string> {
  const response = await fetch(`${url}/v1/tokens`, {
    method: "POST",
    headers: { Authorization: `Bearer ${adminKey}`, "Content-Type": "application/json" },
    body: JSON.stringify({ grants: [{ capability: "groups", name: "*", rights: ["write"] }], expiresIn: 3_600 }),
  });
  return ((await response.json()) as { token: string }).token;
}

// `npm run verify -- groups-idle [--minutes 10] [--watchers 10]`: a group on the real runtime, watched and otherwise left alone, makes no
// call, sets no alarm and writes nothing for so long; then its first write takes less than three round trips.
import { readdirSync, readFileSync, statSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type GroupWatch, openGroup } from "../../client/src/groups/index.ts";
import { createClient, type GroupStatus } from "../../client/src/index.ts";
import { type Server, startServer } from "../../test/e2e/harness.ts";
import { buildWorkers } from "../lib/build-workers.ts";
import { sleep, until } from "../lib/processes.ts";
import { command, Refusal } from "../lib/refusal.ts";
import { Stalls } from "./etcd/stalls.ts";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" },
    watchers: { type: "string", default: "10" },
    replicas: { type: "string", default: "3" },
  },
});
const GROUP = "idle";
/** An object without anything to do hibernates after 10 s, and closes its database, which tidies up the files. */
const ASLEEP_WITHIN_MS = 120_000;
/** The runtime's own, of all objects of the class: it is open as long as the runtime is. */
const ALARMS = "metadata.sqlite";
/** Then it is looked at for so long, often enough to keep it from hibernating, which would forget its counters. */
const [LOOKED_AT_MS, LOOK_MS] = [60_000, 5_000];
/** What a call from replica to replica is made to take in the last part, so that round trips can be told apart. */
const ROUND_TRIP_MS = 500;

await command(async () => {
  await buildWorkers();
  const server = await startServer({ env: { SKERRY_FAULTS: "1", SKERRY_LOG: "warn", SKERRY_PLACEMENT: "simulated" } });
  try {
    await idle(server);
  } finally {
    await server.close();
  }
});

async function idle(server: Server): Promise<void> {
  const [minutes, count] = [Number(values.minutes), Number(values.watchers)];
  const client = () => createClient({ url: server.url, token: server.adminKey });
  const admin = client();
  await admin.groups.create(GROUP, { replicas: Number(values.replicas) as 3 });
  const group = openGroup(admin, GROUP);
  await group.put("k", "0");
  const watchers = Array.from({ length: count }, () => openGroup(client(), GROUP));
  const watches = watchers.map((each) => each.watch("k"));
  await Promise.all(watches.map((watch) => watch.ready()));
  group.close();
  // etcd's own streams end in the Worker, which listens over a socket of the same kind.
  const streams = await Promise.all([
    stream(server, "watch", { create_request: { key: btoa("k") } }),
    stream(server, "election/observe", { name: btoa("nobody") }),
  ]);
  console.log(`${values.replicas} replicas, ${count} watchers, an HTTP watch and an HTTP observer; left alone for ${minutes} minutes`);
  const before = factsOf(await admin.groups.status(GROUP));
  const asleep = () => [...filesOf(server).keys()].every((name) => !name.endsWith("-wal") || name.startsWith(ALARMS));
  if (!(await until(asleep, ASLEEP_WITHIN_MS, 500))) throw new Refusal("Not ok: the replicas do not hibernate.");
  const files = filesOf(server);
  const cpu = cpuOf(server);
  await sleep(minutes * 60_000);
  const used = cpuOf(server) - cpu;
  const written = changed(files, filesOf(server));
  const after = factsOf(await admin.groups.status(GROUP));
  if (written.length > 0) throw new Refusal(`Something was written in the group's objects: ${written.join(", ")}`);
  if (JSON.stringify(after.durable) !== JSON.stringify(before.durable))
    differ("terms, logs and incarnations", before.durable, after.durable);
  // They hibernated, which forgets the counters: what woke them last was this question.
  if (after.counters.some((each) => Object.values(each).some((n) => n !== 0))) differ("counters", "all are 0", after.counters);
  console.log(
    `in ${minutes} minutes: no row written, no alarm set, no incarnation begun by any replica; ${used} ms of CPU for the whole platform`,
  );

  for (let ms = 0; ms < LOOKED_AT_MS; ms += LOOK_MS) {
    await sleep(LOOK_MS);
    const now = factsOf(await admin.groups.status(GROUP));
    if (JSON.stringify(now) !== JSON.stringify(after)) differ("counters", after, now);
  }
  console.log(`in another minute, looked at all the time so that no counter is forgotten: 0 requests, 0 calls, 0 alarms`);
  await firstWrite(server, watches);
  if (!(await until(() => streams[0]!.heard().includes(`"value":"${btoa("first")}"`), 10_000, 50)))
    throw new Refusal(`Not ok: the HTTP watch was not told of the first write. It was told: ${streams[0]!.heard()}`);
  console.log("and so was the HTTP watch");
  for (const each of streams) each.close();
  for (const each of watchers) each.close();
}

/** A stream of the JSON gateway that is read all the time. `fetch` would give one up on which nothing comes for five minutes. */
async function stream(server: Server, path: string, body: object): Promise<{ heard(): string; close(): void }> {
  const headers = { authorization: `Bearer ${server.adminKey}`, "content-type": "application/json" };
  let text = "";
  const sent = request(`${server.url}/v1/groups/${GROUP}/v3/${path}`, { method: "POST", headers }, (response) => {
    response.setEncoding("utf8").on("data", (piece: string) => {
      text += piece;
    });
    response.on("close", () => {
      text += " (it ended)";
    });
  });
  sent.on("error", () => {});
  sent.end(JSON.stringify(body));
  await sleep(2_000);
  return { heard: () => text, close: () => sent.destroy() };
}

async function firstWrite(server: Server, watches: GroupWatch[]): Promise<void> {
  const admin = createClient({ url: server.url, token: server.adminKey });
  const headers = { authorization: `Bearer ${server.adminKey}`, "content-type": "application/json" };
  const told = Promise.all(watches.map((watch) => watch.next()));
  const delay = JSON.stringify({ delay: ROUND_TRIP_MS });
  for (let id = 1; id <= Number(values.replicas); id++) {
    const fault = `${server.url}/v1/groups/${GROUP}/members/${id}/fault`;
    if (!(await fetch(fault, { method: "POST", headers, body: delay })).ok) throw new Refusal("The server takes no faults.");
  }
  const stalls = new Stalls();
  const body = JSON.stringify({ key: btoa("k"), value: btoa("first") });
  const began = performance.now();
  const answer = await fetch(`${server.url}/v1/groups/${GROUP}/v3/kv/put`, { method: "POST", headers, body });
  const took = performance.now() - began;
  stalls.end();
  if (!answer.ok) throw new Refusal(`The first write was refused: ${answer.status} ${await answer.text()}`);
  const events = await told;
  const right = events.filter(({ value }) => value?.events[0]?.entry.text === "first").length;
  if (right !== watches.length) throw new Refusal(`${right} of ${watches.length} watchers were told of the first write.`);
  const { counters } = factsOf(await admin.groups.status(GROUP));
  const roundTrips = took / ROUND_TRIP_MS;
  const said = `the first write took ${Math.round(took)} ms where a round trip takes ${ROUND_TRIP_MS}: ${roundTrips.toFixed(2)} round trips, ${sum(counters, "elections")} elections; all ${right} watchers were told`;
  if (roundTrips >= 3)
    throw new Refusal(
      stalls.longest > 100 ? `The machine stood still for ${Math.round(stalls.longest)} ms meanwhile; again. ${said}` : `Not ok: ${said}`,
    );
  console.log(`ok: ${said}`);
}

type Counters = { asks: number; served: number; calls: number; alarms: number; elections: number };

/** What outlives a replica's memory, and what does not. */
function factsOf({ status }: GroupStatus): { durable: object[]; counters: Counters[] } {
  const states = status.map(({ id, state }) => {
    if (state === null) throw new Refusal(`Replica ${id} did not answer.`);
    return state;
  });
  return {
    durable: states.map(({ term, index, incarnation }) => ({ term, index, incarnation })),
    counters: states.map(({ counters }) => counters),
  };
}

/** Every file of the replicas' storage, and of their alarms, by when it was written and how long it is. */
function filesOf(server: Server): Map<string, string> {
  const folder = join(server.stateDir, "platform/do/skerry-Group");
  return new Map(
    readdirSync(folder).map((name) => {
      const { mtimeMs, size } = statSync(join(folder, name));
      return [name, `${mtimeMs} ${size}`];
    }),
  );
}

function changed(before: Map<string, string>, after: Map<string, string>): string[] {
  return [...new Set([...before.keys(), ...after.keys()])].filter((name) => before.get(name) !== after.get(name));
}

/** CPU that the processes of the server have used, in milliseconds. A tick of /proc is a hundredth of a second. */
function cpuOf(server: Server): number {
  let ticks = 0;
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      if (Number(fields[2]) === server.pid) ticks += Number(fields[11]) + Number(fields[12]);
    } catch {
      // It has ended.
    }
  }
  return ticks * 10;
}

function differ(what: string, before: unknown, after: unknown): never {
  throw new Refusal(`Not ok: ${what} changed.\n  before: ${JSON.stringify(before)}\n  after:  ${JSON.stringify(after)}`);
}

function sum(counters: Counters[], name: keyof Counters): number {
  return counters.reduce((all, each) => all + each[name], 0);
}

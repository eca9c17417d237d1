// Twenty agents share out a hundred jobs and lose their coordinator and a third of their number on the way:
// `npm run example -- agents` while `npm start` runs.
//
// Each agent is a process. They meet in a group, which three replicas agree on: it knows who is there, elects who plans, gives each
// job to one agent at a time, and takes each result once. Seven are killed (SIGKILL), one is frozen with a parcel in its hands
// (SIGSTOP) until another has delivered it, and comes to itself late. Nothing is lost, and nothing counts twice.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { createClient, ERRORS } from "@skerry/client";
import { barrier, jobQueue, joinFleet } from "@skerry/client/agents";
import { openGroup, put, when } from "@skerry/client/groups";

const AGENTS = 20;
const JOBS = 100;
/** The coordinator plans so many at a time. */
const WAVE = 10;
/** Seconds after which an agent that is not heard is gone; one whose connection ended, as a killed one's does, is gone after a second. */
const TTL = 5;
const HOLD = 1;
const COORDINATOR = "fleets/couriers/coordinator";
/** How often the customer looks, ten times a second, before it gives up; on a busy machine most of the time goes into starting twenty processes. */
const LOOKS = 600;

const url = process.env.SKERRY_URL ?? "http://localhost:8787";
const [role, name] = process.argv.slice(2);
if (role === "--agent") await agent(name);
else if (role !== "--compile") await customer();

/** One agent: it works, plans when it is its turn to, and joins anew where the others have given it up. */
async function agent(id) {
  // Whoever started it is gone.
  process.stdin.on("end", () => process.exit()).resume();
  const group = openGroup(createClient({ url, token: process.env.SKERRY_TOKEN }), "fleet");
  const jobs = jobQueue(group, "deliveries");
  // Whatever else goes on, it ends when the customer has what it wanted.
  void group
    .watch("finished", { from: 0 })
    .next()
    .then(() => process.exit());
  for (let began = false; ; ) {
    const fleet = await enter(group, id);
    try {
      if (!began) await barrier(group, "start", AGENTS, { id, lease: fleet.lease });
      began = true;
      void fleet.coordinate((term) => plan(group, jobs, id, term)).catch(() => {});
      while (!fleet.signal.aborted) await work(jobs, id, fleet.lease);
    } catch (error) {
      // Cut off for longer than a request may last. Nobody knows what it still holds: it lets go of all of it.
      if (!fleet.signal.aborted && !passes(error)) throw error;
      await fleet.leave().catch(() => {});
    }
    console.log(`${id} was given up by the others, and joins again.`);
  }
}

async function work(jobs, id, lease) {
  try {
    const claim = await jobs.claim({ lease, by: id, wait: 500 });
    if (claim !== null) await deliver(id, claim);
  } catch (error) {
    if (error.code === "not_held") console.log(`${id} was refused: ${error.message}`);
    else if (error.code !== "lease_not_found") throw error;
  }
}

const passes = (error) => ERRORS[error.code]?.retryable === true;

async function enter(group, id) {
  for (;;) {
    try {
      return await joinFleet(group, "couriers", { id, liveness: "socket", ttl: TTL, hold: HOLD });
    } catch (error) {
      // Its former life is not over yet, as far as the others know.
      if (error.code !== "conflict" && !passes(error)) throw error;
      await sleep(500);
    }
  }
}

async function deliver(id, claim) {
  await sleep(100 + Math.random() * 200);
  // The world outside of the group has to look at the fence itself: a lower one than it has seen comes too late.
  const answer = await fetch(process.env.DEPOT, { method: "POST", body: JSON.stringify({ job: claim.id, fence: claim.fence, by: id }) });
  if (!answer.ok) console.log(`${id}: the depot refused ${claim.id}: ${await answer.text()}`);
  // Inside, the effect and the end of the job are one transaction, under the condition that it is still held.
  await claim.complete({ by: id }, put(`delivered/${claim.id}`, id));
}

/** The coordinator's work: to plan what is not planned yet. Each step is under the guard of its term, so a dead coordinator adds nothing. */
async function plan(group, jobs, id, term) {
  const cursor = (await group.get("planned")) ?? null;
  console.log(`${id} coordinates (fence ${term.fence}), from job ${cursor?.text ?? 0} on`);
  for (let next = Number(cursor?.text ?? 0); next < JOBS; next += WAVE) {
    const wave = Array.from({ length: WAVE }, (_, i) => jobs.adding(`job-${next + i}`, { parcel: next + i }));
    const at = next === 0 ? when("planned").absent() : when("planned").value.is(`${next}`);
    const { succeeded } = await group
      .txn()
      .if(term.guard, at)
      .do(...wave, put("planned", `${next + WAVE}`))
      .commit();
    if (!succeeded) throw new Error("another plans now");
    await sleep(700);
  }
  // In office for as long as it lives.
  await new Promise((resolve) => term.signal.addEventListener("abort", resolve, { once: true }));
}

/** Whoever wants the jobs done: starts the agents, kills some, and looks at what came of it. */
async function customer() {
  const key = process.env.SKERRY_ADMIN_KEY;
  if (key === undefined) {
    console.error("Set SKERRY_ADMIN_KEY to the admin key of the server.");
    process.exit(1);
  }
  // Each run is a project of its own, so that it can be repeated.
  const admin = createClient({ url, token: key, project: `agents-${Date.now().toString(36)}` });
  const grants = [{ capability: "groups", name: "fleet", rights: ["admin"] }];
  const { token } = await admin.tokens.create({ grants, expiresIn: 3600, subject: "agents" });
  const client = createClient({ url, token });
  const group = openGroup(client, "fleet");
  await group.create({ replicas: 3 });
  const jobs = jobQueue(group, "deliveries");

  // The world outside: a depot that takes parcels, each under the highest fence that it has seen for it.
  const parcels = new Map();
  const depot = createServer(async (request, response) => {
    let text = "";
    for await (const piece of request) text += piece;
    const { job, fence, by } = JSON.parse(text);
    const known = parcels.get(job);
    if (known !== undefined && known.fence > fence)
      response.writeHead(409).end(`fence ${fence} is older than ${known.fence} of ${known.by}`);
    else {
      parcels.set(job, { fence, by });
      response.end();
    }
  });
  depot.listen(0, "127.0.0.1");
  await once(depot, "listening");

  const env = { ...process.env, SKERRY_URL: url, SKERRY_TOKEN: token, DEPOT: `http://127.0.0.1:${depot.address().port}` };
  // In this repository the SDK is TypeScript: what one process has compiled the others need not.
  Object.assign(env, { NODE_COMPILE_CACHE: join(tmpdir(), "skerry-agents") });
  const run = (...args) => spawn(process.execPath, [fileURLToPath(import.meta.url), ...args], { env, stdio: ["pipe", "pipe", "inherit"] });
  await once(run("--compile"), "exit");
  const agents = new Map();
  for (let n = 1; n <= AGENTS; n++) {
    const id = `agent-${String(n).padStart(2, "0")}`;
    const child = run("--agent", id);
    createInterface(child.stdout).on("line", (line) => console.log(line));
    agents.set(id, child);
  }
  process.on("exit", () => {
    for (const child of agents.values()) child.kill("SIGKILL");
  });

  await until(async () => (await jobs.counts()).done >= JOBS / 4, "The agents do not get going");
  const { entry, fence } = await insist(() => group.leader(COORDINATOR));
  const coordinator = entry.text;
  const [frozen, ...more] = [...agents.keys()].filter((id) => id !== coordinator);
  const killed = [coordinator, ...more.slice(0, 6)];
  for (const id of killed) agents.get(id).kill("SIGKILL");
  await Promise.all(killed.map((id) => ended(agents.get(id))));
  const signals = new Set(killed.map((id) => agents.get(id).signalCode));
  console.log(`Killed (${[...signals]}) ${coordinator}, who coordinated, and six more: ${killed.slice(1).join(", ")}.`);
  await freeze(group, agents.get(frozen), frozen, parcels);

  await until(async () => (await jobs.counts()).done === JOBS, "The agents do not get done");
  const left = AGENTS - killed.length;
  await until(async () => (await group.range({ prefix: "fleets/couriers/members/" })).count === left, `There are not ${left} agents`);
  const successor = await insist(() => group.leader(COORDINATOR));
  await insist(() => group.put("finished", "yes"));

  // What was delivered is there once for each job, by whoever the group says completed it.
  const delivered = await group.range({ prefix: "delivered/" });
  const by = new Map();
  for await (const { id, result } of jobs.done()) by.set(id, result.by);
  const exactlyOnce = delivered.entries.filter(({ key, text, version }) => version === 1 && by.get(key.slice(10)) === text).length;
  const wrong = [...parcels].filter(([job, parcel]) => by.get(job) !== parcel.by).length;
  console.log(`${by.size} jobs are done, ${exactlyOnce} of them exactly once, by ${new Set(by.values()).size} agents.`);
  console.log(`The depot has ${parcels.size} parcels, ${wrong} of them of somebody else than the group says.`);
  console.log(
    `${left} agents are left; ${successor.entry.text} coordinates (fence ${successor.fence}) in place of ${coordinator} (${fence}).`,
  );
  if (by.size !== JOBS || exactlyOnce !== JOBS || parcels.size !== JOBS || wrong > 0 || successor.fence <= fence) process.exitCode = 1;
  group.close();
  depot.close();
  await Promise.all([...agents.values()].map(ended));
  process.exit();
}

/** Stops an agent that carries a parcel until another has delivered it, and then lets it go on. */
async function freeze(group, child, id, parcels) {
  const prefix = "jobs/deliveries/held/";
  for await (const told of group.follow({ prefix })) {
    const entries = told.entries ?? told.events.filter(({ type }) => type === "put").map(({ entry }) => entry);
    const held = entries.find((entry) => entry.json().by === id);
    if (held === undefined) continue;
    child.kill("SIGSTOP");
    const job = held.key.slice(prefix.length);
    const fence = held.createRevision;
    const holds = (await insist(() => group.get(held.key)))?.createRevision === fence;
    if (holds && !((parcels.get(job)?.fence ?? 0) >= fence)) {
      console.log(`${id} is frozen with ${job} (fence ${fence}) in its hands.`);
      await until(() => parcels.get(job)?.fence > fence, `Nobody else delivers ${job}`);
      console.log(
        `${parcels.get(job).by} has delivered ${job} (fence ${parcels.get(job).fence}) meanwhile; ${id} goes on as if nothing had happened.`,
      );
      child.kill("SIGCONT");
      return;
    }
    // It was faster.
    child.kill("SIGCONT");
  }
}

async function until(done, otherwise) {
  for (let looks = 0; !(await insist(done)); await sleep(100)) {
    if (++looks > LOOKS) throw new Error(`${otherwise} within ${LOOKS / 10} s.`);
  }
}

/** Asks again where that may help. */
async function insist(ask, attempts = 5) {
  try {
    return await ask();
  } catch (error) {
    if (attempts === 1 || !passes(error)) throw error;
    return insist(ask, attempts - 1);
  }
}

async function ended(child) {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
}

import { assertLinearizable } from "../../sim/linearizability/check.ts";
import { History } from "../../sim/linearizability/history.ts";
import { type KvInput, type KvOutput, keyValue } from "../../sim/linearizability/kv-model.ts";
import type { Server } from "../harness.ts";
import { client, type Tally } from "./clients.ts";

export type Plan = {
  seed: number;
  replicas: 1 | 3 | 5;
  clients: number;
  keys: number;
  /** How long clients work, in milliseconds; a fault each `faultEveryMs`. */
  forMs: number;
  faultEveryMs: number;
  /** SIGKILLs of the process group, spread over the run. */
  kills: number;
};

export type Outcome = { tally: Tally; faults: number; operations: number };

/**
 * Clients over HTTP on a group whose replicas are cut off, hung, slowed and made to lose calls, and whose server is killed: then
 * everything heals, each key is read, and the whole history must be that of one object.
 *
 * @throws with an explanation where the history is not linearizable
 */
export async function provoke(started: Server, plan: Plan): Promise<Outcome> {
  let server = started;
  const random = numbers(plan.seed);
  const headers = { Authorization: `Bearer ${server.adminKey}`, "Content-Type": "application/json" };
  const group = `g${plan.seed}`;
  const url = () => `${server.url}/v1/groups/${group}`;
  const call = async (method: string, path: string, body?: object) => {
    const response = await fetch(`${url()}${path}`, { method, headers, ...(body && { body: JSON.stringify(body) }) });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
  };
  await call("PUT", "", { replicas: plan.replicas });
  const fault = (member: number, body: object) => call("POST", `/members/${member}/fault`, body).catch(() => {});
  const heal = async () => {
    for (let id = 1; id <= plan.replicas; id++) await fault(id, { hang: false, cut: [], delay: 0, drop: 0 });
  };

  const history = new History<KvInput, KvOutput>();
  const ends = performance.now() + plan.forMs;
  const stopped = () => performance.now() >= ends;
  const working = Array.from({ length: plan.clients }, (_, i) => {
    const options = { token: server.adminKey, name: `c${i}`, history, random: numbers(plan.seed * 1_000 + i), keys: plan.keys, stopped };
    return client({ ...options, url: url() });
  });

  let faults = 0;
  const killAt = Array.from({ length: plan.kills }, (_, i) => ends - plan.forMs + ((i + 1) * plan.forMs) / (plan.kills + 1));
  while (!stopped()) {
    await sleep(Math.min(plan.faultEveryMs, Math.max(0, ends - performance.now())));
    if (stopped()) break;
    if (killAt[0] !== undefined && performance.now() >= killAt[0]) {
      killAt.shift();
      // The same port and state: clients go on as soon as it answers.
      server = await server.restart();
      faults++;
      continue;
    }
    await heal();
    const victim = 1 + random(plan.replicas);
    const others = Array.from({ length: plan.replicas }, (_, i) => i + 1).filter((id) => id !== victim);
    const kind = random(6);
    if (kind === 0) await fault(victim, { hang: true });
    else if (kind === 1) await fault(victim, { cut: others });
    else if (kind === 2) for (let id = 1; id <= plan.replicas; id++) await fault(id, { drop: 0.2 });
    else if (kind === 3) await fault(victim, { delay: 5 + random(80) });
    // One direction of a link: the one calls, and what the other says to it is never heard.
    else if (kind === 4) await fault(victim, { cut: [others[random(others.length)] ?? victim] });
    if (kind < 5) faults++;
  }
  const tallies = await Promise.all(working);
  await heal();

  // Once all is well again a group must take writes: and these reads pin down what became of the unknown ones.
  const deadline = performance.now() + 20_000;
  const lastly = client({
    ...{ url: url(), token: server.adminKey, name: "last", history, random: numbers(plan.seed + 7), keys: plan.keys },
    stopped: () => performance.now() > deadline || history.operations.filter((each) => each.process === "last" && each.output).length >= 30,
  });
  const { answered } = await lastly;
  if (answered < 30) throw new Error(`After the faults the group answered ${answered} of 30 operations in 20 s.`);
  assertLinearizable(keyValue, history.happened());
  const tally = tallies.reduce((sum, each) => ({
    answered: sum.answered + each.answered,
    unknown: sum.unknown + each.unknown,
    writes: sum.writes + each.writes,
  }));
  return { tally, faults, operations: history.operations.length };
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Whole numbers from 0 to below the given one: mulberry32. */
function numbers(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

import { type Scenario, type Sim, scenario } from "../../kit/index.ts";
import { checkHistory } from "./check.ts";
import { Clients, putOf } from "./clients.ts";
import { Leases } from "./leases.ts";
import { Nemesis } from "./nemesis.ts";
import { Operator } from "./operator.ts";
import { describePlan, drawPlan } from "./plan.ts";
import { Violation } from "./probe.ts";
import { steady } from "./steady.ts";
import { World } from "./world.ts";

/** Virtual milliseconds. */
const LIVELY_WITHIN = 30_000;
const CONVERGED_WITHIN = 60_000;
const REPAIRED_WITHIN = 60_000;
const LONGEST_RUN = 90_000;
/** Alarms may be late, and the cores make a few attempts at what cannot be done. */
const RESTS_WITHIN = 600_000;
/** Longer than any lease that the clients take. */
const LEASES_END_WITHIN = 90_000;
/** One seed in so many also checks what a calm group does with a member that is cut off. */
const STEADY_EVERY = 4;

/**
 * Clusters of 1 to 7 real replicas, clients through any of them, and everything that can go wrong on the platform, drawn anew
 * by each seed. What consensus promises is checked all along; what clients saw, when it is over; and that it goes on, once all is calm.
 */
export const groups: Scenario = scenario(
  "groups",
  async (sim: Sim) => {
    const plan = drawPlan(sim.random);
    sim.log(describePlan(plan));
    const world = new World(sim, plan);
    sim.onEnd(world.install());
    await play(world);
  },
  { maxEvents: 400_000 },
);

async function play(world: World): Promise<void> {
  const { sim, plan, probe } = world;
  const clients = new Clients(world);
  const leases = new Leases(world);
  const nemesis = new Nemesis(world);
  const operator = new Operator(world);
  const repairs: Promise<boolean>[] = [];
  nemesis.mayRollBack = () => operator.idle;
  nemesis.onRolledBack = (id) => {
    if (sim.random.chance(0.5)) repairs.push(operator.replace(id, sim.now() + REPAIRED_WITHIN));
  };

  const background = [nemesis.run(), operator.run()];
  const stop = sim.timer(LONGEST_RUN, () => {
    world.stopping = true;
  });
  const holders = plan.leases ? [leases.hold("tenant-0"), leases.hold("tenant-1")] : [];
  await Promise.all([...Array.from({ length: plan.clients }, (_, i) => clients.run(`client-${i}`)), ...holders]);
  stop();
  world.stopping = true;
  await Promise.all(background);
  sim.calm();
  world.upgrade();
  await Promise.all(repairs);
  for (const id of world.rolledBack) {
    if (world.members.includes(id) && !(await operator.replace(id, sim.now() + REPAIRED_WITHIN)))
      throw new Violation(
        "liveness",
        `${id}, whose disk was rolled back, could not be replaced within ${REPAIRED_WITHIN} ms\n${world.describe()}`,
      );
  }
  await commits(world, "1");
  if (sim.seed % STEADY_EVERY === 0) await steady(world);
  await operator.erase(sim.now() + REPAIRED_WITHIN);
  await converges(world);
  if (plan.leases) {
    await sim.sleep(LEASES_END_WITHIN);
    await leases.ended("tenant-0");
  }
  await rests(world);
  const { operations, unknown } = checkHistory(clients, probe, sim.seed % 16 === 0);
  const { elections, snapshots, truncations, checkpoints, confChanges, applied } = probe.seen;
  sim.log(
    `${operations} operations (${unknown} unknown), ${applied} entries, ${elections} elections, ${snapshots} snapshots, ${checkpoints} checkpoints, ${truncations} truncations, ${confChanges} changes`,
  );
}

/** Once all is calm, somebody is elected, and commits. */
async function commits(world: World, value: string): Promise<void> {
  const { sim } = world;
  const session = { client: "checker", seq: Number(value), ack: 0 };
  const write = { ask: "write", operation: { op: "put", request: putOf("calm", value) }, session } as const;
  const answer = await world.ask("checker", write, sim.now() + LIVELY_WITHIN);
  if (answer?.reply.reply !== "ok")
    throw new Violation("liveness", `no write was committed within ${LIVELY_WITHIN} ms of calm\n${world.describe()}`);
}

/** Nothing to do, so nothing happens: no timer, no alarm, no call is left. */
async function rests(world: World): Promise<void> {
  const { sim } = world;
  const cancel = sim.timer(RESTS_WITHIN, () => {
    throw new Violation("rest", `with nothing to do, something still happens ${RESTS_WITHIN} ms later\n${world.describe()}`);
  });
  while (sim.kernel.pending > 1) await sim.sleep(1_000);
  cancel();
}

/**
 * All members have the same log, and the same state. What a leader that was removed committed last, the others may learn only with
 * the next request.
 */
async function converges(world: World): Promise<void> {
  const { sim, probe } = world;
  const deadline = sim.now() + CONVERGED_WITHIN;
  let states: string[] = [];
  for (let polls = 1; sim.now() < deadline; polls++) {
    await sim.sleep(500);
    states = world.members.map((id) => {
      const replica = world.replica(id);
      return replica === null ? `${id} sleeps` : `${replica.inspect().applied} ${replica.store.digest()}`;
    });
    if (new Set(states).size === 1 && states[0]?.startsWith(`${probe.lastCommitted} `)) return;
    if (polls % 20 === 0) await commits(world, `${polls}`);
  }
  throw new Violation(
    "liveness",
    `the members did not become the same within ${CONVERGED_WITHIN} ms: ${states.join(", ")}\n${world.describe()}`,
  );
}

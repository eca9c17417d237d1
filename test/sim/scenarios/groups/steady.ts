import type { Ask, Reply } from "../../../../core/consensus/replica/types.ts";
import { putOf, rangeOf } from "./clients.ts";
import { LONGEST_CUT } from "./plan.ts";
import { Violation } from "./probe.ts";
import type { World } from "./world.ts";

/** What the replicas promise a caller, and a little for the way. Milliseconds. */
const REFUSED_WITHIN = 2_500;
const LIVELY_WITHIN = 30_000;
/** So often a leader at work is heard of: within the time for which others keep out of an election. */
const AT_WORK = 120;

const READ: Ask = { ask: "range", request: rangeOf("steady"), read: { level: "linearizable" }, after: 0 };

function write(value: string): Ask {
  return { ask: "write", operation: { op: "put", request: putOf("steady", value) }, session: null };
}

/** What must hold of a calm group of three voters or more, whatever it has been through. */
export async function steady(world: World): Promise<void> {
  if (world.voters.length < 3) return;
  // What the nemesis cut is to be healed by its own timers, and not what is cut here.
  await world.sim.sleep(LONGEST_CUT);
  await keepsItsLeader(world);
  await refusesAlone(world);
}

/** Pre-vote: a replica that was cut off, was asked to stand all the while, and comes back, does not depose a leader at work. */
async function keepsItsLeader(world: World): Promise<void> {
  const { sim } = world;
  const { random } = sim;
  const first = await world.ask("checker", write("0"), sim.now() + LIVELY_WITHIN);
  if (first?.reply.reply !== "ok") throw new Violation("liveness", `nobody takes a write\n${world.describe()}`);
  const leader = first.from;
  const { term } = first.reply;
  const follower = random.pick(world.voters.filter((id) => id !== leader));
  isolate(world, follower);
  for (let i = 1, rounds = random.int(8, 16); i <= rounds; i++) {
    if (i === rounds - 4) sim.network.heal();
    // It is told that the leader is silent, as it is for who is cut off.
    if (i < rounds - 4) void world.attempt("checker", follower, READ, REFUSED_WITHIN, leader);
    const reply = await world.attempt("checker", leader, write(`${i}`), REFUSED_WITHIN);
    if (reply?.reply !== "ok" || reply.term !== term)
      throw new Violation("pre-vote", `${follower}, which was cut off, deposed ${leader}: ${say(reply)}\n${world.describe()}`);
    await sim.sleep(random.int(1, AT_WORK));
  }
}

/** A leader that is cut off answers nothing as if it led; the others go on; and when it is back, it follows. */
async function refusesAlone(world: World): Promise<void> {
  const { sim } = world;
  const before = await world.ask("checker", write("before"), sim.now() + LIVELY_WITHIN);
  if (before === null) throw new Violation("liveness", `nobody takes a write\n${world.describe()}`);
  const leader = before.from;
  isolate(world, leader);
  const alone = await world.attempt("checker", leader, READ, REFUSED_WITHIN);
  if (alone === null || (alone.reply !== "unavailable" && alone.reply !== "notLeader"))
    throw new Violation("check-quorum", `${leader}, which is cut off, answers ${say(alone)}\n${world.describe()}`);
  const after = await world.ask("checker", write("after"), sim.now() + LIVELY_WITHIN);
  if (after?.reply.reply !== "ok")
    throw new Violation("liveness", `without ${leader}, which is cut off, nobody takes a write\n${world.describe()}`);
  sim.network.heal();
  const late = await world.attempt("checker", leader, READ, REFUSED_WITHIN);
  if (late?.reply === "ok" && late.revision < after.reply.revision)
    throw new Violation("reads", `${leader}, which was cut off, shows revision ${late.revision} after ${after.reply.revision}`);
}

function say(reply: Reply | null): string {
  return reply === null ? "nothing" : `"${reply.reply}"`;
}

/** Cuts a replica off from all others; callers still reach it. */
function isolate(world: World, id: number): void {
  const { network } = world.sim;
  const name = world.nameOf(id);
  for (const other of world.inService.map((each) => world.nameOf(each))) {
    if (other === name) continue;
    network.cut(name, other);
    network.cut(other, name);
  }
}

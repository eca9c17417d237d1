import { runPool } from "../../test/sim/runner/pool.ts";
import { mayShow, PLANTED_BUGS, type PlantedBug } from "../../test/sim/scenarios/groups/planted.ts";
import { Refusal } from "../lib/refusal.ts";

export type PlantedOptions = { bug: string | undefined; from: number; count: number; jobs: number };

/** Looks for each planted mistake, and says by which seed it was found and how. True if all were. */
export async function findPlanted({ bug, from, count, jobs }: PlantedOptions): Promise<boolean> {
  const bugs = PLANTED_BUGS.filter(({ name }) => bug === undefined || name === bug);
  if (bugs.length === 0)
    throw new Refusal(`No mistake "${bug}" is planted. There are: ${PLANTED_BUGS.map(({ name }) => name).join(", ")}.`);
  const width = Math.max(...bugs.map(({ name }) => name.length));
  let missed = 0;
  for (const each of bugs) {
    const found = await find(each, from, count, jobs);
    if (found === null) missed++;
    console.log(`${each.name.padEnd(width)}  ${found ?? `not found within ${count} seeds`}`);
  }
  return missed === 0;
}

async function find(bug: PlantedBug, from: number, count: number, jobs: number): Promise<string | null> {
  const { name, edits } = bug;
  const skips = (seed: number) => !mayShow(bug, seed);
  const { failures } = await runPool({ scenario: "groups", from, count, jobs, mostFailures: 1, mutations: edits, skips });
  const first = failures[0];
  if (first === undefined) return null;
  const needed = String(first.seed - from + 1).padStart(6);
  const replay = `npm run sim -- --planted --bug ${name} --from ${first.seed} --seeds 1`;
  return `${needed} seeds  ${first.reason.split("\n")[0]}\n${" ".repeat(8)}${replay}`;
}

// `npm run sim`: runs simulations, one seed or many.
import { parseArgs } from "node:util";
import { runSeed } from "../test/sim/kit/index.ts";
import { PINNED } from "../test/sim/pinned.ts";
import { findScenario, PLANTED, SCENARIOS } from "../test/sim/scenarios/index.ts";
import { command, Refusal } from "./lib/refusal.ts";
import { runMany } from "./sim/many.ts";
import { findPlanted } from "./sim/planted.ts";

const USAGE = `npm run sim -- [--scenario NAME] [--seed N | --seeds COUNT [--from N] [--jobs N] [--failures N]] [--trace]

  --scenario NAME  one scenario (default: all that must pass); with --list the names
  --seed N         replay one seed, with its trace where it fails
  --seeds COUNT    pinned seeds and COUNT more (default 1000), from --from (default 1) on
  --jobs N         so many at a time (default 1)
  --failures N     go on until so many seeds have failed (default 3)
  --trace          print every event (with --seed)
  --planted        plant one mistake after the other in the code of consensus, and look for each (10000 seeds); --bug NAME: one
  --list           name the scenarios`;

await command(async () => {
  const { scenario: name, seed, seeds, from, jobs, failures, trace, list, help, planted, bug } = options();
  if (help) {
    console.log(USAGE);
    return;
  }
  if (list) {
    for (const each of SCENARIOS) console.log(each.name);
    for (const each of PLANTED) console.log(`${each.name} (has a planted mistake)`);
    return;
  }
  const threads = Math.max(1, whole("jobs", jobs));
  if (planted) {
    const count = whole("seeds", seeds ?? "10000");
    if (!(await findPlanted({ bug, from: whole("from", from), count, jobs: threads }))) process.exitCode = 1;
    return;
  }
  for (const scenario of name === undefined ? SCENARIOS : [named(name)]) {
    if (seed !== undefined) {
      await replay(scenario, whole("seed", seed), trace);
      continue;
    }
    const range = { from: whole("from", from), count: whole("seeds", seeds ?? "1000"), pinned: PINNED[scenario.name] ?? [] };
    const limits = { jobs: threads, mostFailures: Math.max(1, whole("failures", failures)) };
    if (!(await runMany({ scenario: scenario.name, ...range, ...limits }))) process.exitCode = 1;
  }
});

function options() {
  try {
    return parseArgs({
      options: {
        scenario: { type: "string" },
        seed: { type: "string" },
        seeds: { type: "string" },
        from: { type: "string", default: "1" },
        jobs: { type: "string", default: "1" },
        failures: { type: "string", default: "3" },
        trace: { type: "boolean", default: false },
        planted: { type: "boolean", default: false },
        bug: { type: "string" },
        list: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    }).values;
  } catch (error) {
    throw new Refusal(`${(error as Error).message}\n\n${USAGE}`);
  }
}

function whole(option: string, text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 0 && text.trim() !== "") return value;
  throw new Refusal(`--${option} takes a whole number, not "${text}".`);
}

function named(name: string) {
  const scenario = findScenario(name);
  if (scenario === undefined) throw new Refusal(`There is no scenario "${name}"; --list names them.`);
  return scenario;
}

async function replay(scenario: ReturnType<typeof named>, seed: number, trace: boolean): Promise<void> {
  try {
    const { events, digest } = await runSeed(scenario, seed, trace ? console.log : null);
    console.log(`${scenario.name}: seed ${seed} passes, ${events} events, digest ${digest.toString(16).padStart(8, "0")}`);
  } catch (error) {
    const { message, cause } = error as Error;
    console.error(message);
    const at = cause instanceof Error ? cause.stack?.split("\n").slice(1, 6).join("\n") : undefined;
    if (at !== undefined) console.error(`thrown\n${at}`);
    process.exitCode = 1;
  }
}

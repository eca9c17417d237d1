// npm run sim: runs simulations, one seed or many. Node 24 runs the TypeScript of test/sim as it is.
import { parseArgs } from "node:util";

const USAGE = `npm run sim -- [--scenario NAME] [--seed N | --seeds COUNT [--from N]] [--trace]

  --scenario NAME  one scenario (default: all that must pass); with --list the names
  --seed N         replay one seed, with its trace where it fails
  --seeds COUNT    pinned seeds and COUNT more (default 1000), from --from (default 1) on
  --trace          print every event (with --seed)
  --list           name the scenarios`;

const { runSeed, runSeeds } = await import("../test/sim/kit/index.ts");
const { SCENARIOS, PLANTED, findScenario } = await import("../test/sim/scenarios/index.ts");
const { PINNED } = await import("../test/sim/pinned.ts");

function fail(message) {
  console.error(message);
  process.exit(2);
}

function options() {
  try {
    return parseArgs({
      options: {
        scenario: { type: "string" },
        seed: { type: "string" },
        seeds: { type: "string", default: "1000" },
        from: { type: "string", default: "1" },
        trace: { type: "boolean", default: false },
        list: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    }).values;
  } catch (error) {
    return fail(`${error.message}\n\n${USAGE}`);
  }
}

function whole(name, text) {
  const value = Number(text);
  return Number.isSafeInteger(value) && value >= 0 && text.trim() !== "" ? value : fail(`--${name} takes a whole number, not "${text}".`);
}

const { scenario: name, seed, seeds, from, trace, list, help } = options();
if (help) {
  console.log(USAGE);
  process.exit(0);
}
if (list) {
  for (const each of SCENARIOS) console.log(each.name);
  for (const each of PLANTED) console.log(`${each.name} (has a planted mistake)`);
  process.exit(0);
}

const chosen = name === undefined ? SCENARIOS : [findScenario(name) ?? fail(`There is no scenario "${name}"; --list names them.`)];
try {
  for (const each of chosen) {
    const began = performance.now();
    const seconds = () => ((performance.now() - began) / 1000).toFixed(1);
    if (seed !== undefined) {
      const result = await runSeed(each, whole("seed", seed), trace ? console.log : null);
      console.log(
        `${each.name}: seed ${result.seed} passes, ${result.events} events, digest ${result.digest.toString(16).padStart(8, "0")}`,
      );
      continue;
    }
    const done = await runSeeds(each, { count: whole("seeds", seeds), from: whole("from", from), pinned: PINNED[each.name] ?? [] });
    const hours = (done.virtualMs / 3_600_000).toFixed(1);
    console.log(`${each.name}: ${done.seeds} seeds pass, ${done.events} events, ${hours} hours of virtual time in ${seconds()} s`);
  }
} catch (error) {
  console.error(error.message);
  const at = error.cause?.stack?.split("\n").slice(1, 6).join("\n");
  if (at !== undefined) console.error(`thrown\n${at}`);
  process.exit(1);
}

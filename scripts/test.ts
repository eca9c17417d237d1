// `npm test [-- STAGE… | FILTER…]`: every check and every test, each stage timed. The last line is the tally.
import { build } from "./lib/build.ts";
import { checks } from "./lib/checks.ts";
import { CHROMIUM_MISSING, chromiumPath } from "./lib/chromium.ts";
import { runSuite, type Suite, type Tally } from "./lib/suites.ts";

const STAGES = ["check", "unit", "runtime", "build", "e2e", "browser"] as const;
type Stage = (typeof STAGES)[number];

const named = process.argv.slice(2);
const isStage = (name: string): name is Stage => (STAGES as readonly string[]).includes(name);
const chosen = named.filter(isStage);
const filters = named.filter((name) => !isStage(name));
const stages = STAGES.filter((stage) => chosen.length === 0 || chosen.includes(stage));

const results: { stage: Stage; seconds: number; tally: Tally; skipped?: boolean }[] = [];
for (const stage of stages) {
  console.log(`\n── ${stage} ${"─".repeat(60 - stage.length)}`);
  const started = performance.now();
  const outcome = await run(stage);
  results.push({
    stage,
    seconds: (performance.now() - started) / 1000,
    tally: outcome ?? { passed: 0, failed: 0 },
    skipped: outcome === null,
  });
}

console.log("\n── summary");
for (const { stage, seconds, tally, skipped } of results) {
  const said = skipped ? "SKIPPED" : `${String(tally.passed).padStart(5)} passed ${String(tally.failed).padStart(4)} failed`;
  console.log(`  ${stage.padEnd(8)} ${seconds.toFixed(1).padStart(6)} s  ${said}`);
}
const total = results.reduce((sum, { tally }) => ({ passed: sum.passed + tally.passed, failed: sum.failed + tally.failed }), {
  passed: 0,
  failed: 0,
});
console.log(
  `  ${"all".padEnd(8)} ${results
    .reduce((sum, { seconds }) => sum + seconds, 0)
    .toFixed(1)
    .padStart(6)} s\n`,
);
console.log(`${total.passed} passed, ${total.failed} failed`);
process.exit(total.failed === 0 ? 0 : 1);

/** One stage's tally; `null` where it was skipped, which is allowed outside of CI only. */
async function run(stage: Stage): Promise<Tally | null> {
  switch (stage) {
    case "check":
      return runChecks();
    case "build":
      return build().then(
        () => ({ passed: 1, failed: 0 }),
        (error: unknown) => {
          console.error(error instanceof Error ? error.message : error);
          return { passed: 0, failed: 1 };
        },
      );
    case "browser":
      if (chromiumPath() !== null) return runSuite(stage, filters);
      console.error(CHROMIUM_MISSING);
      if (process.env.CI) return { passed: 0, failed: 1 };
      console.error("Skipped here; in CI this is a failure.");
      return null;
    default:
      return runSuite(stage satisfies Suite, filters);
  }
}

async function runChecks(): Promise<Tally> {
  const tally = { passed: 0, failed: 0 };
  for (const check of checks()) {
    const started = performance.now();
    const complaint = await check.run();
    tally[complaint === null ? "passed" : "failed"] += 1;
    console.log(`  ${complaint === null ? "✓" : "✗"} ${check.name} (${((performance.now() - started) / 1000).toFixed(1)} s)`);
    if (complaint !== null) console.log(complaint.replace(/^/gm, "    "));
  }
  return tally;
}

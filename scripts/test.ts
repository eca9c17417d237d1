// `npm test [-- STAGE… PART…]`: every check and every test, each stage timed; or some stages; or the test files with a part
// in their path, of whichever stage they are. The last line is the tally.
import { build } from "./lib/build.ts";
import { checks } from "./lib/checks.ts";
import { CHROMIUM_MISSING, chromiumPath } from "./lib/chromium.ts";
import { command } from "./lib/refusal.ts";
import { type Stage, stagesOf } from "./lib/stages.ts";
import { type Outcome, runSuite, type Suite, type Tally } from "./lib/suites.ts";

type Result = Outcome & { stage: Stage; seconds: number; skipped: boolean };

/** How many of the slowest files the summary names. */
const SLOWEST = 15;

await command(async () => {
  const { stages, parts } = stagesOf(process.argv.slice(2));
  const results: Result[] = [];
  for (const stage of stages) {
    console.log(`\n── ${stage} ${"─".repeat(60 - stage.length)}`);
    const started = performance.now();
    const outcome = await run(stage, parts);
    const seconds = (performance.now() - started) / 1000;
    results.push({ stage, seconds, skipped: outcome === null, ...(outcome ?? { tally: { passed: 0, failed: 0 }, files: [] }) });
  }
  process.exit(summarize(results) ? 0 : 1);
});

/** Prints how everything ended, and says whether all is well. */
function summarize(results: readonly Result[]): boolean {
  const files = results.flatMap((result) => result.files).sort((a, b) => b.seconds - a.seconds);
  if (files.length > 1) {
    console.log("\n── slowest files");
    for (const { path, seconds } of files.slice(0, SLOWEST)) console.log(`  ${seconds.toFixed(1).padStart(6)} s  ${path}`);
  }
  console.log("\n── summary");
  for (const { stage, seconds, tally, skipped } of results) {
    const said = skipped ? "SKIPPED" : `${String(tally.passed).padStart(5)} passed ${String(tally.failed).padStart(4)} failed`;
    console.log(`  ${stage.padEnd(8)} ${seconds.toFixed(1).padStart(6)} s  ${said}`);
  }
  const sum = (figure: (result: Result) => number) => results.reduce((total, result) => total + figure(result), 0);
  const [passed, failed] = [sum(({ tally }) => tally.passed), sum(({ tally }) => tally.failed)];
  console.log(
    `  ${"all".padEnd(8)} ${sum(({ seconds }) => seconds)
      .toFixed(1)
      .padStart(6)} s\n`,
  );
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0;
}

/** How one stage ended; `null` where it was skipped, which is allowed outside of CI only. */
async function run(stage: Stage, parts: string[]): Promise<Outcome | null> {
  const plain = (tally: Tally): Outcome => ({ tally, files: [] });
  switch (stage) {
    case "check":
      return plain(await runChecks());
    case "build":
      return build().then(
        () => plain({ passed: 1, failed: 0 }),
        (error: unknown) => {
          console.error(error instanceof Error ? error.message : error);
          return plain({ passed: 0, failed: 1 });
        },
      );
    case "browser":
      if (chromiumPath() !== null) return runSuite(stage, parts);
      console.error(CHROMIUM_MISSING);
      if (process.env.CI) return plain({ passed: 0, failed: 1 });
      console.error("Skipped here; in CI this is a failure.");
      return null;
    default:
      return runSuite(stage satisfies Suite, parts);
  }
}

async function runChecks(): Promise<Tally> {
  const tally = { passed: 0, failed: 0 };
  const left = checks();
  // Two at a time: each is a process of its own on one core.
  const lane = async () => {
    for (let check = left.shift(); check !== undefined; check = left.shift()) {
      const started = performance.now();
      const complaint = await check.run();
      tally[complaint === null ? "passed" : "failed"] += 1;
      console.log(`  ${complaint === null ? "✓" : "✗"} ${check.name} (${((performance.now() - started) / 1000).toFixed(1)} s)`);
      if (complaint !== null) console.log(complaint.replace(/^/gm, "    "));
    }
  };
  await Promise.all([lane(), lane()]);
  return tally;
}

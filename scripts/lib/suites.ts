import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DIST } from "./paths.ts";
import { runTool } from "./tools.ts";

/** The vitest projects, in the order in which they run. */
export const SUITES = ["unit", "runtime", "e2e", "browser"] as const;
export type Suite = (typeof SUITES)[number];

export type Tally = { passed: number; failed: number };

/** The part of vitest's JSON report that is read here. */
type Report = { numPassedTests: number; numFailedTests: number; testResults: { status: string; assertionResults: { status: string }[] }[] };

/**
 * Runs one suite and counts its tests from vitest's own report. A file that could not even be loaded counts as one
 * failure, and so does a suite that ran no test at all: silence is no success.
 */
export async function runSuite(suite: Suite, filters: string[]): Promise<Tally> {
  const reports = join(DIST, "reports");
  mkdirSync(reports, { recursive: true });
  const file = join(reports, `${suite}-${process.pid}.json`);
  const args = ["run", "--project", suite, "--reporter=default", "--reporter=json", `--outputFile.json=${file}`, ...filters];
  const { status } = await runTool("vitest", args);
  const tally = tallyOf(readReport(file));
  rmSync(file, { force: true });
  // An error outside of any test shows only in the exit status.
  if (status !== 0 && tally.failed === 0) return { ...tally, failed: 1 };
  return tally;
}

function readReport(file: string): Report | null {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as Report;
  } catch {
    return null;
  }
}

export function tallyOf(report: Report | null): Tally {
  if (report === null) return { passed: 0, failed: 1 };
  const unloaded = report.testResults.filter(
    (file) => file.status === "failed" && !file.assertionResults.some((test) => test.status === "failed"),
  );
  const failed = report.numFailedTests + unloaded.length;
  const passed = report.numPassedTests;
  return { passed, failed: passed + failed === 0 ? 1 : failed };
}

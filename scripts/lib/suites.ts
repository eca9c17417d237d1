import { globSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join, relative } from "node:path";
import { DIST, ROOT } from "./paths.ts";
import { runTool } from "./tools.ts";

/** The vitest projects, in the order in which they run. */
export const SUITES = ["unit", "runtime", "e2e", "browser"] as const;
export type Suite = (typeof SUITES)[number];

/** Where each suite's files are. Unit tests stand beside what they test; simulations, contracts and formats need no runtime either. */
export const FILES: Record<Suite, string[]> = {
  unit: [
    "core",
    "client",
    "console",
    "durable-objects",
    "workers",
    "topologies",
    "scripts",
    "bench",
    "test/sim",
    "test/contract",
    "test/golden",
  ].map((folder) => `${folder}/**/*.test.{ts,tsx,mjs}`),
  runtime: ["test/runtime/**/*.test.ts"],
  e2e: ["test/e2e/**/*.test.ts"],
  browser: ["test/browser/**/*.test.ts"],
};

export type Tally = { passed: number; failed: number };
/** How a suite ended, and how long each of its files took, in seconds. */
export type Outcome = { tally: Tally; files: { path: string; seconds: number }[] };

/** The part of vitest's JSON report that is read here; times in milliseconds. */
type Report = {
  numPassedTests: number;
  numFailedTests: number;
  testResults: { name: string; status: string; startTime: number; endTime: number; assertionResults: { status: string }[] }[];
};

/** The files of a suite that have one of the parts in their path; all of them where no part is given. */
export function filesOf(suite: Suite, parts: readonly string[]): string[] {
  const files = globSync(FILES[suite], { cwd: ROOT, exclude: (name) => name === "node_modules" || name === "dist" });
  return files.filter((file) => parts.length === 0 || parts.some((part) => file.includes(part))).sort();
}

/**
 * Runs one suite and counts its tests from vitest's own report. A file that could not even be loaded counts as one
 * failure, and so does a suite that ran no test at all: silence is no success.
 */
export async function runSuite(suite: Suite, filters: string[]): Promise<Outcome> {
  const reports = join(DIST, "reports");
  mkdirSync(reports, { recursive: true });
  const file = join(reports, `${suite}-${process.pid}.json`);
  const args = ["run", "--project", suite, "--reporter=default", "--reporter=json", `--outputFile.json=${file}`, ...filters];
  const { status } = await runTool("vitest", args);
  const report = readReport(file);
  rmSync(file, { force: true });
  const tally = tallyOf(report);
  const files = (report?.testResults ?? []).map(({ name, startTime, endTime }) => ({
    path: relative(ROOT, name),
    seconds: (endTime - startTime) / 1000,
  }));
  // An error outside of any test shows only in the exit status.
  if (status !== 0 && tally.failed === 0) return { tally: { ...tally, failed: 1 }, files };
  return { tally, files };
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

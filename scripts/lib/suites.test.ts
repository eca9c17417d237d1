import { expect, it } from "vitest";
import { tallyOf } from "./suites.ts";

const file = (status: string, ...tests: string[]) => ({
  ...{ name: "/repo/a.test.ts", status, startTime: 0, endTime: 1000 },
  assertionResults: tests.map((each) => ({ status: each })),
});

it("counts the tests that vitest reports", () => {
  expect(
    tallyOf({ numPassedTests: 2, numFailedTests: 1, testResults: [file("failed", "passed", "failed"), file("passed", "passed")] }),
  ).toEqual({ passed: 2, failed: 1 });
});

it("counts a file that could not be loaded as a failure", () => {
  expect(tallyOf({ numPassedTests: 2, numFailedTests: 0, testResults: [file("failed"), file("passed", "passed", "passed")] })).toEqual({
    passed: 2,
    failed: 1,
  });
});

it("counts a suite that ran nothing, or left no report, as a failure", () => {
  expect(tallyOf({ numPassedTests: 0, numFailedTests: 0, testResults: [] })).toEqual({ passed: 0, failed: 1 });
  expect(tallyOf(null)).toEqual({ passed: 0, failed: 1 });
});

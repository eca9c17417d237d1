import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { describe, expect, it } from "vitest";
import { runSeed } from "./kit/index.ts";
import { mutate, sourceOf } from "./runner/mutation.ts";
import { runPool } from "./runner/pool.ts";
import { mayShow, PLANTED_BUGS } from "./scenarios/groups/planted.ts";
import { groups } from "./scenarios/groups/scenario.ts";

describe("mistakes planted in the code of consensus", () => {
  it("twelve of them at least, each an edit that fits the code as it is, and changes it", () => {
    expect(PLANTED_BUGS.length).toBeGreaterThanOrEqual(12);
    expect(new Set(PLANTED_BUGS.map(({ name }) => name)).size).toBe(PLANTED_BUGS.length);
    for (const { edits } of PLANTED_BUGS) {
      for (const edit of edits) {
        const source = readFileSync(sourceOf(edit.file), "utf8");
        expect(mutate(source, edit)).not.toBe(source);
      }
    }
  });

  it("are all in the table of the README", () => {
    const readme = readFileSync(new URL("README.md", import.meta.url), "utf8");
    const rows = readme.split("\n").filter((line) => /^\| `/.test(line));
    expect(rows.map((row) => row.split(" | ").slice(0, 3).join(" | "))).toEqual(
      PLANTED_BUGS.map(({ name, mistake, seed }) => `| \`${name}\` | ${mistake} | ${seed}`),
    );
  });

  it("an edit that fits nowhere, or in two places, is refused", () => {
    const edit = { file: "core/x.ts", from: "one", to: "two" };
    expect(mutate("a one b", edit)).toBe("a two b");
    for (const source of ["a b", "one one"]) expect(() => mutate(source, edit)).toThrow("core/x.ts");
  });

  it.each(PLANTED_BUGS)("$name is found by its seed, which passes without it", async (bug) => {
    const { name, edits, seed } = bug;
    const { failures } = await runPool({ scenario: "groups", from: seed, count: 1, jobs: 1, mostFailures: 1, mutations: edits });
    const advice = `A change of consensus or of the scenario gave seed ${seed} another course: npm run sim -- --planted --bug ${name} names another.`;
    expect(
      failures.map((failure) => failure.seed),
      advice,
    ).toEqual([seed]);
    expect(mayShow(bug, seed)).toBe(true);
    expect(failures[0]?.message).toContain(`groups fails with seed ${seed}: `);
    await runSeed(groups, seed);
  });
});

describe("seeds on threads", () => {
  it("are those that one thread runs, from where one likes; with a failure, all below it have been run", async () => {
    const range = { scenario: "counter-no-dedupe", from: 5, mostFailures: 1 };
    const one = await runPool({ ...range, count: 60, jobs: 1 });
    const many = await runPool({ ...range, count: 60, jobs: Math.max(2, availableParallelism()) });
    expect(one.failures.length).toBeGreaterThan(0);
    expect(many.failures[0]).toEqual(one.failures[0]);
    expect(many.next).toBeGreaterThan(one.failures[0]!.seed);
    const passing = await runPool({ scenario: "counter", from: 1, count: 40, jobs: 2, pinned: [7], mostFailures: 1 });
    expect(passing).toMatchObject({ seeds: 41, failures: [], next: 41 });
  });

  it("that do not load fail loudly", async () => {
    const options = { from: 1, count: 1, jobs: 1, mostFailures: 1 };
    await expect(runPool({ ...options, scenario: "nothing of the kind" })).rejects.toThrow("no scenario");
    const mutations = [{ file: "core/consensus/raft/log.ts", from: "this is not there", to: "" }];
    await expect(runPool({ ...options, scenario: "groups", mutations })).rejects.toThrow("finds it 0 times");
    const elsewhere = [{ file: "core/streams/partition.ts", from: "export", to: "export" }];
    await expect(runPool({ ...options, scenario: "counter", mutations: elsewhere })).rejects.toThrow(/Nothing imports|finds it/);
  });
});

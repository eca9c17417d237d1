import { describe, expect, it } from "vitest";
import { runSeed, runSeeds, SimFailure } from "./kit/index.ts";
import { PINNED } from "./pinned.ts";
import { findScenario, PLANTED, SCENARIOS } from "./scenarios/index.ts";

/** Seeds of each scenario in every run; thousands more by `npm run sim`. */
const COUNT: Readonly<Record<string, number>> = { groups: 300 };

describe("scenarios", () => {
  it.each(SCENARIOS)("$name passes under its pinned seeds and hundreds more", { timeout: 600_000 }, async (scenario) => {
    const count = COUNT[scenario.name] ?? 200;
    const { seeds, events } = await runSeeds(scenario, { count, pinned: PINNED[scenario.name] ?? [] });
    expect(seeds).toBe(count + (PINNED[scenario.name]?.length ?? 0));
    expect(events).toBeGreaterThan(seeds);
  });

  it.each(PLANTED)("the mistake in $name is found within 200 seeds, and its seed replays it", { timeout: 60_000 }, async (scenario) => {
    const failure = await runSeeds(scenario, { count: 200 }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(SimFailure);
    const { seed, message, trace } = failure as SimFailure;
    expect(message).toContain(`npm run sim -- --scenario ${scenario.name} --seed ${seed}`);
    const again = await runSeed(scenario, seed).catch((error: unknown) => error);
    expect((again as SimFailure).message).toBe(message);
    expect((again as SimFailure).trace).toEqual(trace);
  });

  it.each(SCENARIOS)("$name takes the same course under the same seed, another under another", async (scenario) => {
    const [one, same, other] = [await runSeed(scenario, 11), await runSeed(scenario, 11), await runSeed(scenario, 12)];
    expect(same).toEqual(one);
    expect(other.digest).not.toBe(one.digest);
  });

  it("pinned seeds belong to scenarios that exist", () => {
    for (const name of Object.keys(PINNED)) expect(findScenario(name)?.name).toBe(name);
    const names = [...SCENARIOS, ...PLANTED].map((each) => each.name);
    expect(new Set(names).size).toBe(names.length);
  });
});

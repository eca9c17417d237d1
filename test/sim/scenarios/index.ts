import type { Scenario } from "../kit/index.ts";
import { type CounterBug, counter } from "./counter.ts";
import { groups } from "./groups/scenario.ts";
import { type StreamsBug, streams } from "./streams.ts";
import { type WireBug, wire } from "./wire.ts";

/** Every scenario that must pass under any seed. */
export const SCENARIOS: readonly Scenario[] = [counter("none"), streams("none"), wire("none"), groups];

/** Scenarios with a mistake in them, which the kit must find. */
export const PLANTED: readonly Scenario[] = (
  ["no-dedupe", "memory-dedupe", "torn-commit", "early-ack", "no-outbox"] satisfies Exclude<CounterBug, "none">[]
)
  .map((bug) => counter(bug))
  .concat((["no-second-bell", "no-output-claims", "gap-ignored"] satisfies Exclude<StreamsBug, "none">[]).map((bug) => streams(bug)))
  .concat((["forgets-to-save", "takes-snapshot-for-head"] satisfies Exclude<WireBug, "none">[]).map((bug) => wire(bug)));

/** A scenario by its name, planted ones too; undefined if there is none. */
export function findScenario(name: string): Scenario | undefined {
  return [...SCENARIOS, ...PLANTED].find((each) => each.name === name);
}

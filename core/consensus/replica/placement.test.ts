import { expect, it } from "vitest";
import { survivesDomain } from "./placement.ts";

const conf = (voters: number[], votersOutgoing: number[] = []) => ({
  voters,
  votersOutgoing,
  learners: [],
  learnersNext: [],
  autoLeave: false,
});
const placed = (places: string[], voters = places.map((_, i) => i + 1)) => survivesDomain(conf(voters), (id) => places[id - 1] ?? "");

it.each([
  [["A", "B", "C"], true],
  [["A", "A", "B"], false],
  [["A", "B", ""], false],
  [["", "", ""], false],
  [["A"], false],
  [["A", "A", "B", "B", "C"], true],
  [["A", "A", "A", "B", "C"], false],
  [["A", "B", "C", "D", ""], true],
  [["A", "A", "C", "D", ""], false],
  [["A", "A", "B", "C"], false],
])("[GR16] places %j make a quorum that outlives any one of them: %s", (places, survives) => {
  expect(placed(places as string[])).toBe(survives);
});

it("[GR16] both halves of a joint configuration must", () => {
  const places = ["A", "B", "C", "C"];
  expect(survivesDomain(conf([1, 2, 3], [1, 3, 4]), (id) => places[id - 1]!)).toBe(false);
  expect(survivesDomain(conf([1, 2, 3], [1, 2, 4]), (id) => places[id - 1]!)).toBe(true);
});

import { Refusal } from "./refusal.ts";
import { filesOf, SUITES, type Suite } from "./suites.ts";

/** What `npm test` does, in this order. */
export const STAGES = ["check", "unit", "runtime", "build", "e2e", "browser"] as const;
export type Stage = (typeof STAGES)[number];

const isStage = (name: string): name is Stage => (STAGES as readonly string[]).includes(name);
const isSuite = (stage: Stage): stage is Suite => (SUITES as readonly string[]).includes(stage);

/**
 * What `npm test` is asked for: names of stages, and parts of the paths of test files. Nothing stands for all stages.
 * Where there are parts, the suites that have such files run (the named ones, if any is), and what else is named.
 *
 * @throws Refusal for a part that no file has.
 */
export function stagesOf(named: readonly string[]): { stages: Stage[]; parts: string[] } {
  const chosen = named.filter(isStage);
  const parts = named.filter((name) => !isStage(name));
  if (parts.length === 0) return { stages: STAGES.filter((stage) => chosen.length === 0 || chosen.includes(stage)), parts };
  const suites = chosen.some(isSuite) ? chosen.filter(isSuite) : SUITES;
  const unknown = parts.filter((part) => suites.every((suite) => filesOf(suite, [part]).length === 0));
  if (unknown.length > 0) {
    throw new Refusal(
      `No test file of ${suites.join(", ")} has ${unknown.map((part) => `"${part}"`).join(" or ")} in its path. ` +
        `The stages are ${STAGES.join(", ")}; anything else is taken for a part of a path.`,
    );
  }
  const wanted: readonly Stage[] = [
    ...chosen.filter((stage) => !isSuite(stage)),
    ...suites.filter((suite) => filesOf(suite, parts).length > 0),
  ];
  return { stages: STAGES.filter((stage) => wanted.includes(stage)), parts };
}

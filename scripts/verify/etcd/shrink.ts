import { type Mismatch, Run } from "./run.ts";
import type { Numbered } from "./steps.ts";
import type { Target } from "./target.ts";

/** Two fresh sides, for one run. */
export type Sides = () => Promise<[Target, Target]>;

/**
 * The fewest steps found that still end in the same kind of difference at the same step: pieces are left out, half of them at first, then ever smaller
 * ones, while that keeps the difference (Zeller's ddmin, without its complements).
 *
 * @param ms how long to try.
 */
export async function shrink(
  steps: Numbered[],
  mismatch: Mismatch,
  sides: Sides,
  ms: number,
): Promise<{ steps: Numbered[]; mismatch: Mismatch }> {
  const end = Date.now() + ms;
  const last = steps.at(-1) as Numbered;
  let kept = steps.slice(0, -1);
  let found = mismatch;
  for (let size = Math.ceil(kept.length / 2); size >= 1 && kept.length > 0; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let from = kept.length - size; from > -size && Date.now() < end; from -= size) {
      const fewer = [...kept.slice(0, Math.max(from, 0)), ...kept.slice(from + size)];
      const again = await replay([...fewer, last], sides);
      if (again?.at.index !== last.index || again.kind !== mismatch.kind) continue;
      kept = fewer;
      found = again;
    }
  }
  return { steps: [...kept, last], mismatch: found };
}

/** The first difference of a list of steps. */
export async function replay(steps: Numbered[], sides: Sides): Promise<Mismatch | null> {
  const run = new Run(await sides(), { settleMs: 800 });
  try {
    for (const step of steps) {
      const mismatch = await run.step(step);
      if (mismatch !== null) return mismatch;
    }
    return null;
  } finally {
    await run.close();
  }
}

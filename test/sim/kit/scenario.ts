import { START } from "./kernel.ts";
import { Sim } from "./sim.ts";

export type Scenario = { name: string; run: (sim: Sim) => Promise<void>; maxEvents: number };

export type SeedResult = { seed: number; events: number; digest: number; virtualMs: number };

const MAX_EVENTS = 200_000;

/** Names a simulation. The name is what `npm run sim -- --scenario NAME` takes. */
export function scenario(name: string, run: (sim: Sim) => Promise<void>, options: { maxEvents?: number } = {}): Scenario {
  return { name, run, maxEvents: options.maxEvents ?? MAX_EVENTS };
}

/** A scenario that failed: its message has the seed, how to replay it, and the end of the trace. */
export class SimFailure extends Error {
  readonly scenario: string;
  readonly seed: number;
  readonly trace: readonly string[];

  constructor(name: string, seed: number, trace: readonly string[], cause: unknown) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const tail = trace.slice(-25).join("\n");
    super(`${name} fails with seed ${seed}: ${reason}\nreplay: npm run sim -- --scenario ${name} --seed ${seed}\nlast events:\n${tail}`, {
      cause,
    });
    this.name = "SimFailure";
    this.scenario = name;
    this.seed = seed;
    this.trace = trace;
  }
}

/** Runs one seed. Throws {@link SimFailure}. `onTrace` gets every line of what happens. */
export async function runSeed(which: Scenario, seed: number, onTrace: ((line: string) => void) | null = null): Promise<SeedResult> {
  const sim = new Sim(seed);
  sim.kernel.onTrace = onTrace;
  try {
    await sim.run(which.run, which.maxEvents);
  } catch (cause) {
    throw new SimFailure(which.name, seed, sim.kernel.trace, cause);
  }
  return { seed, events: sim.kernel.events, digest: sim.kernel.digest, virtualMs: sim.kernel.now - START };
}

/** Runs `pinned` seeds, then `count` seeds from `from` on; throws the first {@link SimFailure}. */
export async function runSeeds(
  which: Scenario,
  options: { count: number; from?: number; pinned?: readonly number[]; onSeed?: (result: SeedResult) => void },
): Promise<{ seeds: number; events: number; virtualMs: number }> {
  const { count, from = 1, pinned = [], onSeed } = options;
  const total = { seeds: 0, events: 0, virtualMs: 0 };
  for (const seed of [...pinned, ...Array.from({ length: count }, (_, i) => from + i)]) {
    const result = await runSeed(which, seed);
    total.seeds++;
    total.events += result.events;
    total.virtualMs += result.virtualMs;
    onSeed?.(result);
  }
  return total;
}

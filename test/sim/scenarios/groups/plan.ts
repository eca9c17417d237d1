import type { Delay, Random } from "../../kit/index.ts";

/** What a run may be hurt by. Each seed draws its own few: runs in which everything goes wrong at once find less (swarm testing). */
export const FAULTS = [
  "crash",
  "crashAll",
  "crashTurns",
  "evict",
  "supersede",
  "rollBack",
  "partition",
  "oneWay",
  "hang",
  "drop",
  "slowNetwork",
  "slowDisk",
  "lateAlarms",
  "clockOffset",
  "clockFreeze",
  "clockJump",
  "versions",
  "membership",
  "transfer",
  "hunt",
] as const;
export type Fault = (typeof FAULTS)[number];

/** What one seed is about. Milliseconds unless it says otherwise. */
export type Plan = {
  size: number;
  faults: ReadonlySet<Fault>;
  /** Between two things that go wrong, on average. */
  pause: number;
  delay: Delay;
  clients: number;
  operations: number;
  keys: number;
  /** Between two operations of a client, at most. */
  think: number;
  leases: boolean;
  storage: { fillBytes: number; retainEntries: number };
  chunkBytes: number;
  /** Of commands in an entry and of entries in a message: where that is little, a follower gets what it lacks in pieces. */
  entryBytes: number;
  /** Checkpoints come so many times as often as the policy says: logs are short here. */
  checkpoints: number;
};

const SIZES = [1, 2, 3, 3, 3, 3, 3, 3, 4, 5, 5, 5, 6, 7];
/** Operations of a client: most runs are short, for many of those find more in the same time; some things take long to come about. */
const LENGTHS: readonly (readonly [number, number])[] = [
  [3, 8],
  [3, 8],
  [6, 14],
  [12, 30],
];

/** How long a cut of the nemesis lasts. */
export const LONGEST_CUT = 3_000;
/** How long the clocks of a run may stand still. */
export const LONGEST_FREEZE = 400;

export function drawPlan(random: Random): Plan {
  const share = random.pick([0.15, 0.3, 0.5]);
  const faults = new Set(FAULTS.filter(() => random.chance(share)));
  const far = random.chance(0.2);
  return {
    size: random.pick(SIZES),
    faults,
    pause: random.pick([80, 300, 1_000]),
    delay: far ? [20, 120] : random.pick([[1, 5] as const, [1, 2] as const, [1, 40] as const]),
    clients: random.pick([2, 3, 3, 4, 5]),
    operations: random.int(...random.pick(LENGTHS)),
    keys: random.int(1, 4),
    think: random.pick([5, 60, 400]),
    leases: random.chance(0.35),
    storage: { fillBytes: random.pick([64, 300, 16_384]), retainEntries: random.pick([1, 3, 10, 1_000]) },
    chunkBytes: random.pick([64, 500, 1_000_000]),
    checkpoints: random.pick([1, 100, 1_000, 1_000, 20_000]),
    entryBytes: random.pick([1, 1, 200, 1_000_000, 1_000_000]),
  };
}

/** A line for the trace. */
export function describePlan(plan: Plan): string {
  return `${plan.size} replicas, ${plan.clients} clients, ${plan.operations} operations each; ${[...plan.faults].join(" ") || "no faults"}`;
}

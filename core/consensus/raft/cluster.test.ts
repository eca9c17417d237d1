import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Cluster } from "./cluster.fixture.ts";
import type { ConfChange } from "./types.ts";

/** One thing that happens; `node` says to whom, `n` how. */
const step = fc.record({
  kind: fc.constantFrom(
    ...["deliver", "deliver", "deliver", "deliver", "deliver", "deliver", "deliver", "deliver", "oldest", "oldest", "oldest", "oldest"],
    ...[
      "all",
      "all",
      "all",
      "all",
      "all",
      "lose",
      "double",
      "tick",
      "tick",
      "ticks",
      "propose",
      "propose",
      "proposeMany",
      "read",
      "read",
      "fence",
      "fence",
    ],
    ...["campaign", "change", "change"],
    ...[
      "crash",
      "crashLosing",
      "compact",
      "change",
      "transfer",
      "unreachable",
      "snapshotFailed",
      "forget",
      "supersede",
      "twinRead",
      "twin",
    ],
  ),
  node: fc.integer({ min: 1, max: 5 }),
  n: fc.nat(1_000),
});
type Step = { kind: string; node: number; n: number };

/** Deterministic: an LCG seeded by the case. */
function randomOf(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 0x1_0000_0000) * below);
  };
}

function changeOf(n: number): Omit<ConfChange, "context"> {
  const kinds = ["addVoter", "addVoter", "addLearner", "remove"] as const;
  const one = { kind: kinds[n % 4]!, node: 1 + ((n >> 2) % 5) };
  const other = { kind: kinds[(n >> 5) % 4]!, node: 1 + ((n >> 7) % 5) };
  const transition = (["auto", "auto", "implicit", "explicit"] as const)[(n >> 3) % 4]!;
  if (n % 7 === 0) return { transition: "auto", changes: [] };
  return { transition, changes: n % 3 === 0 ? [one, other] : [one] };
}

function play(cluster: Cluster, { kind, node: id, n }: Step): void {
  const { network } = cluster;
  // Most of what happens is more telling where there is a leader.
  const leader = cluster.hosts.find(({ running }) => running?.node.raft.role === "leader");
  const host = n % 3 !== 0 && leader !== undefined ? leader : cluster.host(id);
  const target = host.id;
  const running = host.running!;
  const pick = network.length > 0 ? n % network.length : -1;
  switch (kind) {
    case "deliver":
      if (pick >= 0) cluster.deliver(network.splice(pick, 1)[0]!, n % 2 === 0);
      return;
    case "oldest":
      if (network.length > 0) cluster.deliver(network.shift()!);
      return;
    case "all":
      for (let i = 0; i < 60 && network.length > 0; i++) cluster.deliver(network.shift()!, n % 5 === 0);
      return;
    case "lose":
      if (pick >= 0) network.splice(pick, 1 + (n % 3));
      return;
    case "double":
      if (pick >= 0) network.push(structuredClone(network[pick]!));
      return;
    case "tick":
    case "ticks":
      for (let i = 0; i < (kind === "tick" ? 1 : 12); i++) running.node.tick();
      cluster.run(running);
      return;
    case "propose":
      cluster.propose(target);
      return;
    case "proposeMany":
      cluster.attempt(() => running.node.proposeMany([n, n + 1, n + 2].map((each) => Uint8Array.of(each % 251, target))));
      cluster.run(running);
      return;
    case "read":
      cluster.read(running);
      return;
    case "fence":
      cluster.fence(running);
      return;
    case "campaign":
      running.node.campaign();
      cluster.run(running);
      return;
    case "crash":
      cluster.restart(host, n % 4, n % 3 !== 0);
      return;
    case "crashLosing":
      // The Ready was taken, its write failed with the process.
      cluster.attempt(() => running.node.propose(Uint8Array.of(1, 2, 3)));
      if (running.node.hasReady()) running.node.ready();
      cluster.restart(host, n % 4, n % 2 === 0);
      return;
    case "compact":
      cluster.compact(host, n % 3);
      return;
    case "change":
      cluster.change(target, changeOf(n));
      return;
    case "transfer":
      running.node.transferLeader(1 + (n % 5));
      cluster.run(running);
      return;
    case "unreachable":
      running.node.reportUnreachable(1 + (n % 5));
      cluster.run(running);
      return;
    case "snapshotFailed":
      running.node.reportSnapshot(1 + (n % 5), n % 2 === 0);
      cluster.run(running);
      return;
    case "forget":
      running.node.forgetLeader();
      cluster.run(running);
      return;
    case "supersede":
      if (running.node.raft.role === "leader" && host.twin === null) cluster.supersede(host, n % 2 === 0);
      return;
    case "twinRead":
      if (host.twin?.node.raft.role === "leader") cluster.read(host.twin);
      return;
    case "twin":
      if (host.twin === null) return;
      for (let i = 0; i < 2; i++) host.twin?.node.tick();
      if (host.twin !== null && cluster.run(host.twin)) cluster.fence(host.twin);
      return;
    default:
      throw new Error(kind);
  }
}

const settings = fc.record({
  preVote: fc.boolean(),
  checkQuorum: fc.boolean(),
  stepDownOnRemoval: fc.boolean(),
  disableProposalForwarding: fc.boolean(),
});

describe("a group under faults", () => {
  it("[RE1][RL1][RL2][RL3][RS1][RR1][RR3] one leader a term, one log, nothing committed is lost, no read misses a write; healed, it goes on", () => {
    let answered = 0;
    let committed = 0;
    let stuck = 0;
    fc.assert(
      fc.property(settings, fc.nat(0xffff_ffff), fc.array(step, { minLength: 50, maxLength: 400, size: "max" }), (chosen, seed, steps) => {
        const cluster = new Cluster(5, [1, 2, 3], { ...chosen, readsNeedFence: true }, randomOf(seed));
        for (const each of steps) play(cluster, each);
        cluster.heal();
        answered += cluster.answered;
        committed += cluster.floor;
        if (cluster.stuck) stuck++;
      }),
      { numRuns: 400, seed: 20_261_126 },
    );
    // Otherwise this proved little.
    expect(answered).toBeGreaterThan(300);
    expect(stuck).toBeLessThan(3);
    expect(committed).toBeGreaterThan(3_000);
  }, 120_000);
});

import { describe, expect, it } from "vitest";
import { Cluster, get, put, type Settled, seeded } from "./cluster.fixture.ts";
import type { Ask } from "./types.ts";

/** One sequential client and faults of every kind; what it saw must never go back, and all replicas must end up the same. */
function torture(seed: number, size: number): void {
  const random = seeded(seed);
  const ids = Array.from({ length: size }, (_, i) => i + 1);
  const cluster = new Cluster(ids, { storage: { retainEntries: 3, fillBytes: 200 } }, seed);
  let seen = 0;
  let target = 1;
  let silent = 0;
  for (let op = 0; op < 60; op++) {
    fault(cluster, ids, random);
    const ask: Ask = random(3) === 0 ? get("k") : { ask: "write", operation: put("k", `${op}`), session: null };
    const before = seen;
    const settled = cluster.begin(target, ask, { silent });
    cluster.until(() => settled.done !== null, 100 + random(2_500));
    const reply = (settled.done as Settled | null)?.reply;
    if (reply?.reply === "ok") {
      if (reply.revision < before) throw new Error(`seed ${seed}: op ${op} saw revision ${reply.revision} after ${before}`);
      seen = Math.max(seen, reply.revision);
      silent = 0;
    } else if (reply?.reply === "notLeader" && reply.leader !== 0) {
      target = reply.leader;
      silent = 0;
    } else {
      silent = target;
      target = ids[random(size)]!;
    }
    if (random(4) === 0) cluster.run(random(1_000));
  }
  cluster.heal();
  cluster.run(3_000);
  const { reply } = cluster.write(put("end", "end"));
  if (reply.revision <= seen) throw new Error(`seed ${seed}: the last write got revision ${reply.revision} after ${seen}`);
  cluster.run(8_000);
  const digests = ids.map((id) => cluster.replica(id).store.digest());
  expect(new Set(digests).size, `seed ${seed}: the replicas differ`).toBe(1);
  expect(cluster.pending, `seed ${seed}: something is still going on`).toBe(0);
}

function fault(cluster: Cluster, ids: number[], random: (below: number) => number): void {
  const pick = () => ids[random(ids.length)]!;
  switch (random(12)) {
    case 0:
      cluster.evict(pick());
      break;
    case 1:
      for (const id of ids) cluster.evict(id);
      break;
    case 2:
      cluster.hung.add(pick());
      break;
    case 3:
      cluster.cuts.add(`${pick()}>${pick()}`);
      break;
    case 4:
      cluster.drop = random(30) / 100;
      break;
    case 5:
    case 6:
      cluster.heal();
      break;
    case 7:
      cluster.delay = 1 + random(200);
      break;
    case 8:
      cluster.delay = 1;
      break;
    default:
  }
}

describe("replicas under faults", () => {
  const seeds = Number(process.env.SEEDS ?? 40);
  const first = Number(process.env.SEED ?? 1);
  for (const size of [1, 2, 3, 5]) {
    it(`[GR1] ${size} of them never show less than they showed, and end up the same`, () => {
      for (let seed = first; seed < first + seeds; seed++) torture(seed, size);
    });
  }
});

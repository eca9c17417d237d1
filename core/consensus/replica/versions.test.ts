import { describe, expect, it } from "vitest";
import type { Entry } from "../raft/types.ts";
import { Cluster, get, put, shown } from "./cluster.fixture.ts";
import { LATER } from "./format.fixture.ts";
import { FORMAT, versionOf } from "./format.ts";
import { Replica } from "./replica.ts";
import { ReplicaStorage } from "./storage.ts";

const IDS = [1, 2, 3];

/** The versions of what a replica has in its log, in order; nothing of entries without commands. */
function written(cluster: Cluster, id: number): number[] {
  const storage = ReplicaStorage.open(cluster.member(id).rows);
  const entries: Entry[] = [];
  for (let next = storage.firstIndex(); next <= storage.lastIndex(); next = (entries.at(-1)?.index ?? 0) + 1)
    entries.push(...storage.entries(next, storage.lastIndex() + 1, Number.POSITIVE_INFINITY));
  return entries.filter(({ kind, data }) => kind === "data" && data.length > 0).map(({ data }) => versionOf(data));
}

/** Another version is deployed to a replica: it wakes with it. */
function deploy(cluster: Cluster, id: number, format: typeof FORMAT): void {
  cluster.formats.set(id, format);
  cluster.evict(id);
}

/** Enough that everybody has heard everybody. */
function talk(cluster: Cluster, key: string): number {
  cluster.write(put(key, "1"));
  cluster.run(1_000);
  const { leader } = cluster.write(put(key, "2"));
  cluster.run(10_000);
  return leader;
}

const states = (cluster: Cluster, ids: number[]) => new Set(ids.map((id) => cluster.replica(id).store.digest()));

describe("replicas of different versions", () => {
  it("[GR55] nothing of a later version is written until every member can apply it", () => {
    const cluster = new Cluster(IDS);
    talk(cluster, "a");
    for (const id of [1, 2]) deploy(cluster, id, LATER);
    const leader = talk(cluster, "b");
    expect(new Set(written(cluster, leader))).toEqual(new Set([1]));
    deploy(cluster, 3, LATER);
    expect(new Set(written(cluster, talk(cluster, "c")))).toEqual(new Set([1, 2]));
    for (const id of IDS) expect(cluster.replica(id).inspect().halted).toBeNull();
    expect(states(cluster, IDS).size).toBe(1);
  });

  it("[GR55] a learner counts too, and one that was not heard of may be old", () => {
    const cluster = new Cluster(IDS);
    for (const id of IDS) cluster.formats.set(id, LATER);
    const leader = talk(cluster, "a");
    expect(written(cluster, leader).at(-1)).toBe(2);
    Replica.join(cluster.add(4).rows);
    cluster.hung.add(4);
    cluster.persist({ ask: "reconfigure", changes: [{ kind: "addLearner", node: 4 }] }, leader);
    cluster.write(put("b", "1"), leader);
    expect(written(cluster, leader).at(-1)).toBe(1);
    cluster.heal();
    cluster.formats.set(4, LATER);
    talk(cluster, "c");
    talk(cluster, "d");
    expect(written(cluster, leader).at(-1)).toBe(2);
    expect(states(cluster, [...IDS, 4]).size).toBe(1);
  });

  it("[GR51] one that was taken back stops applying, says why, keeps what it acknowledges, leads nobody, and goes on once it is newer", () => {
    const cluster = new Cluster(IDS);
    for (const id of IDS) cluster.formats.set(id, LATER);
    const leader = talk(cluster, "a");
    deploy(cluster, leader, FORMAT);
    const other = IDS.find((id) => id !== leader)!;
    // It does not go on as the leader that it was.
    const { reply, leader: next } = cluster.write(put("b", "1"), leader);
    expect(reply.achieved).toBe("quorum");
    expect(next).not.toBe(leader);
    cluster.run(5_000);
    const { halted, applied, index } = cluster.replica(leader).inspect();
    expect(halted).toContain("Deploy the newer version");
    expect(applied).toBeLessThan(index);
    expect(index).toBe(cluster.replica(next).inspect().index);
    expect(cluster.ask(leader, get("a", { level: "stale" })).reply).toMatchObject({ reply: "notLeader", leader: next });
    // Its word counts: with one of the others the group goes on.
    const silent = IDS.find((id) => id !== leader && id !== next)!;
    cluster.hung.add(silent);
    expect(cluster.write(put("c", "1"), next).reply.achieved).toBe("quorum");
    // It does not stand, however long nobody leads.
    cluster.hung.add(next);
    expect(cluster.ask(leader, get("a"), { silent: next }).reply).toMatchObject({ reply: "notLeader" });
    expect(cluster.replica(leader).inspect().role).toBe("follower");
    cluster.heal();
    deploy(cluster, leader, LATER);
    talk(cluster, "d");
    expect(shown(cluster.ask(leader, get("c", { level: "stale" })))).toBe("1");
    expect(states(cluster, IDS).size).toBe(1);
    expect(cluster.replica(other).inspect().halted).toBeNull();
  });

  it("[GR51] one that gets leadership does not take it if it could not answer for what it has", () => {
    const cluster = new Cluster(IDS);
    for (const id of IDS) cluster.formats.set(id, LATER);
    const leader = talk(cluster, "a");
    const old = IDS.find((id) => id !== leader)!;
    deploy(cluster, old, FORMAT);
    cluster.write(put("b", "1"), leader);
    cluster.ask(leader, { ask: "transfer", to: old });
    cluster.run(3_000);
    expect(cluster.replica(old).inspect().role).toBe("follower");
    expect(cluster.write(put("c", "1"), leader).reply.achieved).toBe("quorum");
  });

  it("[GR51] a new member that is too old does not take the state, nor keep the others awake", () => {
    const cluster = new Cluster(IDS, { storage: { retainEntries: 1 }, limits: { chunkBytes: 40 } });
    for (const id of IDS) cluster.formats.set(id, LATER);
    const leader = talk(cluster, "a");
    for (let i = 0; i < 40; i++) cluster.write(put("k", "v".repeat(500)), leader);
    Replica.join(cluster.add(4).rows);
    cluster.persist({ ask: "reconfigure", changes: [{ kind: "addLearner", node: 4 }] }, leader);
    cluster.run(60_000);
    expect(cluster.replica(4).inspect()).toMatchObject({ applied: 0, halted: expect.stringContaining("Deploy the newer version") });
    expect(cluster.pending).toBe(0);
    deploy(cluster, 4, LATER);
    talk(cluster, "b");
    expect(states(cluster, [...IDS, 4]).size).toBe(1);
  });
});

import { describe, expect, it } from "vitest";
import { Cluster, get, put, shown } from "./cluster.fixture.ts";
import { Replica } from "./replica.ts";

function grown(options: ConstructorParameters<typeof Cluster>[1] = {}) {
  const cluster = new Cluster([1, 2, 3], options);
  for (let i = 0; i < 5; i++) cluster.write(put(`k${i}`, "v".repeat(3_000)));
  const { leader } = cluster.write(put("a", "5"));
  Replica.join(cluster.add(4).rows);
  return { cluster, leader };
}

const states = (cluster: Cluster, ids: number[]) => new Set(ids.map((id) => cluster.replica(id).store.digest()));

describe("members", () => {
  it("[GR3] one that is removed while there is news for it keeps nobody awake", () => {
    const cluster = new Cluster([1, 2, 3]);
    const { leader } = cluster.write(put("a", "1"));
    const gone = [1, 2, 3].findLast((id) => id !== leader)!;
    cluster.run(10_000);
    cluster.begin(leader, { ask: "write", operation: put("a", "2"), session: null });
    const removed = cluster.begin(leader, { ask: "reconfigure", changes: [{ kind: "remove", node: gone }] });
    cluster.until(() => removed.done !== null, 5_000);
    expect(removed.done?.reply).toMatchObject({ reply: "ok" });
    cluster.run(10_000);
    expect(cluster.pending).toBe(0);
  });

  it("[GR20] [GR21] a new one gets the state in chunks, votes once it is a voter, and outlives the leader that was removed", () => {
    const { cluster, leader } = grown({ limits: { chunkBytes: 1_000 } });
    const added = cluster.persist({ ask: "reconfigure", changes: [{ kind: "addLearner", node: 4 }] }, leader);
    expect(added.reply.value).toMatchObject({ told: "reconfigure", conf: { voters: [1, 2, 3], learners: [4] } });
    cluster.run(2_000);
    expect(cluster.replica(4).inspect()).toMatchObject({ committed: cluster.replica(leader).inspect().committed });
    expect(shown(cluster.ask(4, get("a", { level: "stale" })))).toBe("5");
    // A learner leads nothing, and knows who does.
    expect(cluster.ask(4, get("a")).reply).toMatchObject({ reply: "notLeader", leader });
    const promoted = cluster.persist({ ask: "reconfigure", changes: [{ kind: "addVoter", node: 4 }] }, leader);
    expect(promoted.reply.value).toMatchObject({ conf: { voters: [1, 2, 3, 4], learners: [] } });
    const rest = [1, 2, 3, 4].filter((id) => id !== leader);
    const removal = { ask: "reconfigure", changes: [{ kind: "remove", node: leader }] } as const;
    expect(cluster.ask(leader, { ...removal, changes: [...removal.changes] }).reply).toMatchObject({ reply: "refused", grpc: 9 });
    expect(cluster.ask(leader, { ask: "transfer", to: rest[0]! }).reply).toMatchObject({ reply: "ok" });
    cluster.persist({ ...removal, changes: [...removal.changes] }, rest[0]!);
    cluster.run(1_000);
    cluster.hung.add(leader);
    const { reply } = cluster.write(put("b", "1"), rest[0]!);
    expect(reply.achieved).toBe("quorum");
    cluster.run(8_000);
    expect(states(cluster, rest).size).toBe(1);
    expect(cluster.pending).toBe(0);
  });

  it("[GR20] a transfer of a snapshot goes on after it was cut off, and after the follower was evicted", () => {
    const { cluster, leader } = grown({ limits: { chunkBytes: 500 } });
    cluster.delay = 5;
    cluster.begin(leader, { ask: "reconfigure", changes: [{ kind: "addLearner", node: 4 }] });
    cluster.run(60);
    cluster.cut(leader, 4);
    cluster.run(300);
    cluster.heal();
    cluster.run(100);
    cluster.evict(4);
    cluster.run(4_000);
    expect(shown(cluster.ask(4, get("a", { level: "stale" })))).toBe("5");
  });

  it("[GR21] more than one change of voters goes through a joint configuration and is left by itself", () => {
    const { cluster, leader } = grown();
    Replica.join(cluster.add(5).rows);
    const other = [1, 2, 3].find((id) => id !== leader)!;
    const changes = [
      { kind: "addVoter", node: 4 },
      { kind: "addVoter", node: 5 },
      { kind: "remove", node: other },
    ] as const;
    cluster.persist({ ask: "reconfigure", changes: [...changes] }, leader);
    cluster.run(4_000);
    const conf = { voters: [1, 2, 3, 4, 5].filter((id) => id !== other), votersOutgoing: [] };
    expect(cluster.replica(leader).inspect().conf).toMatchObject(conf);
    expect(cluster.replica(5).inspect().conf).toMatchObject(conf);
  });

  it("[GR23] once a removal is answered, the one that was removed is needed no more, whoever sleeps", () => {
    const cluster = new Cluster([1, 2]);
    const { leader } = cluster.write(put("a", "1"));
    const gone = leader === 1 ? 2 : 1;
    cluster.persist({ ask: "reconfigure", changes: [{ kind: "remove", node: gone }] }, leader);
    cluster.evict(leader);
    cluster.hung.add(gone);
    expect(cluster.write(put("a", "2"), leader).reply).toMatchObject({ achieved: "single" });
  });

  it("[GR21] a change that does not fit, or comes on top of another, is refused or put off", () => {
    const { cluster, leader } = grown();
    const change = (node: number) => cluster.begin(leader, { ask: "reconfigure", changes: [{ kind: "addLearner", node }] });
    const [first, second] = [change(4), change(5)];
    cluster.until(() => first.done !== null && second.done !== null, 3_000);
    expect(first.done?.reply).toMatchObject({ reply: "ok" });
    expect(second.done?.reply).toMatchObject({ reply: "refused", grpc: 9 });
  });

  it("[GR22] leadership is handed over on request, and to a voter alone", () => {
    const { cluster, leader } = grown();
    const to = [1, 2, 3].find((id) => id !== leader)!;
    expect(cluster.ask(leader, { ask: "transfer", to: 9 }).reply).toMatchObject({ reply: "refused" });
    expect(cluster.ask(leader, { ask: "transfer", to }).reply).toMatchObject({ reply: "ok", value: { told: "transfer" } });
    expect(cluster.leader()).toBe(to);
    expect(cluster.write(put("b", "1"), to).leader).toBe(to);
    const third = [1, 2, 3].find((id) => id !== leader && id !== to)!;
    cluster.hung.add(third);
    expect(cluster.ask(to, { ask: "transfer", to: third }).reply).toMatchObject({ reply: "unavailable" });
    expect(cluster.write(put("b", "2"), to).leader).toBe(to);
  });

  it("[GR20] a follower that was away for longer than the log goes back gets the state instead", () => {
    const cluster = new Cluster([1, 2, 3], { storage: { retainEntries: 2, fillBytes: 100 } });
    const { leader } = cluster.write(put("a", "0"));
    const away = [1, 2, 3].find((id) => id !== leader)!;
    cluster.hung.add(away);
    for (let i = 1; i <= 150; i++) cluster.write(put("a", String(i)), leader);
    expect(cluster.replica(leader).inspect().firstIndex).toBeGreaterThan(10);
    cluster.heal();
    cluster.write(put("a", "end"), leader);
    cluster.run(6_000);
    expect(shown(cluster.ask(away, get("a", { level: "stale" })))).toBe("end");
    expect(states(cluster, [1, 2, 3]).size).toBe(1);
  });
});

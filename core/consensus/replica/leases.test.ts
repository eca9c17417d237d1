import { describe, expect, it } from "vitest";
import { decodeCommands } from "../kv/codec.ts";
import { Cluster, get, put, shown } from "./cluster.fixture.ts";
import { ReplicaStorage } from "./storage.ts";
import type { Reply } from "./types.ts";

const grant = (ttl: number, id = 0n) => ({ ask: "write", operation: { op: "leaseGrant", request: { id, ttl } }, session: null }) as const;

function leaseOf(reply: Reply): bigint {
  if (reply.reply !== "ok" || reply.value.told !== "write" || reply.value.result.op !== "leaseGrant")
    throw new Error(JSON.stringify(reply));
  return reply.value.result.response.id;
}

/** A group with a lease of `ttl` seconds and a key on it. */
function leased(ttl: number) {
  const cluster = new Cluster([1, 2, 3]);
  const { reply, leader } = cluster.persist(grant(ttl));
  const id = leaseOf(reply);
  cluster.write(put("held", "yes", id), leader);
  return { cluster, leader, id, at: cluster.now };
}
const held = (cluster: Cluster) => cluster.persist(get("held")).reply.value;
const keepAlive = (cluster: Cluster, id: bigint) => cluster.persist({ ask: "leaseKeepAlive", id }).reply.value;

describe("leases", () => {
  it("[GR30] a lease ends by the alarm alone, with nobody asking, and not before its time", () => {
    const { cluster, leader, at } = leased(5);
    cluster.run(4_900);
    expect(shown(cluster.ask(leader, get("held", { level: "stale" })))).toBe("yes");
    cluster.run(at + 5_400 - cluster.now);
    expect(shown(cluster.ask(leader, get("held", { level: "stale" })))).toBeNull();
    cluster.run(60_000);
    expect(cluster.pending).toBe(0);
  });

  it("[GR32] what a new leader logs of leases is durable with its leadership, whatever it is asked at once", () => {
    const { cluster, leader, id } = leased(60);
    cluster.run(5_000);
    const [next, third] = [1, 2, 3].filter((each) => each !== leader) as [number, number];
    cluster.hung.add(leader);
    cluster.run(1_000);
    // It is to hand over as soon as it leads: then it takes no proposals.
    cluster.begin(next, { ask: "transfer", to: third }, { silent: leader });
    cluster.until(() => cluster.replica(next).inspect().role === "leader", 2_000);
    const { term } = cluster.replica(next).inspect();
    cluster.evict(next);
    const storage = ReplicaStorage.open(cluster.member(next).rows);
    const entries = storage.entries(storage.lastIndex() - 1, storage.lastIndex() + 1, Number.POSITIVE_INFINITY);
    expect(storage.state).toMatchObject({ leads: true, term });
    expect(entries.map((entry) => entry.term)).toEqual([term, term]);
    expect(decodeCommands(entries[1]!.data).map(({ operation }) => operation)).toEqual([{ op: "leaseRenew", request: { ids: [id] } }]);
  });

  it("[GR30] [GR31] also where every replica was evicted meanwhile, and each time it is looked at", () => {
    const { cluster, at } = leased(6);
    for (let i = 0; i < 20; i++) {
      cluster.run(200);
      for (const id of [1, 2, 3]) cluster.evict(id);
    }
    expect(held(cluster)).toMatchObject({ response: { count: 1 } });
    for (const id of [1, 2, 3]) cluster.evict(id);
    cluster.run(at + 6_000 * (4 / 3) + 500 - cluster.now);
    expect(held(cluster)).toMatchObject({ response: { count: 0 } });
  });

  it("[GR31] keep-alives hold it, also those that no log has, over an eviction of the leader right after", () => {
    const { cluster, leader, id } = leased(6);
    const rows = cluster.replica(leader).rowsWritten;
    for (let i = 0; i < 10; i++) {
      cluster.run(1_000);
      expect(keepAlive(cluster, id)).toMatchObject({ response: { id, ttl: 6 } });
    }
    // One in three is logged or so.
    expect(cluster.replica(leader).rowsWritten - rows).toBeLessThan(8);
    cluster.run(1_900);
    expect(keepAlive(cluster, id)).toMatchObject({ response: { ttl: 6 } });
    const last = cluster.now;
    cluster.evict(leader);
    cluster.run(last + 5_900 - cluster.now);
    expect(held(cluster)).toMatchObject({ response: { count: 1 } });
    cluster.run(5_000);
    expect(held(cluster)).toMatchObject({ response: { count: 0 } });
    expect(keepAlive(cluster, id)).toMatchObject({ response: { ttl: 0 } });
  });

  it("[GR32] a new leader lets every lease live its whole time again, and logs that it does", () => {
    const { cluster, leader, id } = leased(5);
    cluster.run(4_000);
    cluster.hung.add(leader);
    const next = cluster.write(put("x", "1"), leader).leader;
    expect(next).not.toBe(leader);
    // What it promises is in its log: it may forget.
    cluster.evict(next);
    cluster.run(4_500);
    expect(cluster.persist({ ask: "leaseTimeToLive", id, keys: true }, next).reply.value).toMatchObject({
      response: { ttl: 2, grantedTtl: 5, keys: ["held"] },
    });
    expect(cluster.persist(get("held"), next).reply.value).toMatchObject({ response: { count: 1 } });
    cluster.evict(next);
    cluster.run(4_000);
    expect(cluster.persist(get("held"), next).reply.value).toMatchObject({ response: { count: 0 } });
  });

  it("[GR33] ends also where the leader is gone and nobody asks: a follower looks after it", () => {
    const { cluster, leader } = leased(5);
    cluster.hung.add(leader);
    for (const id of [1, 2, 3]) if (id !== leader) cluster.evict(id);
    cluster.run(60_000);
    const others = [1, 2, 3].filter((id) => id !== leader);
    expect(others.map((id) => shown(cluster.ask(id, get("held", { level: "stale" }))))).toEqual([null, null]);
  });

  it("[GR36] leases that nobody can end cost less and less: no storm of alarms, and no commands piled up", () => {
    for (const left of [1, 2]) {
      const { cluster, leader } = leased(2);
      const others = [1, 2, 3].filter((id) => id !== leader);
      // Either the leader is left alone, or a follower is.
      for (const id of left === 1 ? others : [leader, others[0]!]) cluster.hung.add(id);
      cluster.run(120_000);
      const { index } = cluster.replica(left === 1 ? leader : others[1]!).inspect();
      cluster.run(3_600_000);
      const only = cluster.replica(left === 1 ? leader : others[1]!).inspect();
      expect(only.index).toBe(index);
      expect(only.counters.alarms).toBeLessThan(60);
    }
  });

  describe("[GR37] whose holder is known to be gone", () => {
    const count = (cluster: Cluster) => {
      const value = held(cluster);
      return value.told === "range" ? value.response.count : -1;
    };
    /** Whom a replica was told that it holds the lease, in the term in which it was heard. */
    const heard = (cluster: Cluster, id: bigint) => {
      const { reply, leader } = cluster.persist({ ask: "leaseKeepAlive", id });
      return { leader, release: { id, within: 1_000, term: reply.term } };
    };

    it("end within the time given, also if the leader was evicted meanwhile", () => {
      for (const evicted of [false, true]) {
        const { cluster, id } = leased(60);
        const { leader, release } = heard(cluster, id);
        cluster.run(1_000);
        if (evicted) cluster.evict(leader);
        cluster.change(leader, (replica, now) => replica.released([release], now));
        cluster.run(900);
        expect(count(cluster)).toBe(1);
        cluster.run(500);
        expect(count(cluster)).toBe(0);
      }
    });

    it("live on where the holder is heard again in time", () => {
      const { cluster, id } = leased(20);
      const { leader, release } = heard(cluster, id);
      cluster.change(leader, (replica, now) => replica.released([release], now));
      cluster.run(800);
      expect(keepAlive(cluster, id)).toMatchObject({ response: { ttl: 20 } });
      cluster.run(19_000);
      expect(count(cluster)).toBe(1);
      cluster.run(2_000);
      expect(count(cluster)).toBe(0);
    });

    it("of another term wake nobody", () => {
      const { cluster, id, leader } = leased(60);
      const { release } = heard(cluster, id);
      cluster.evict(leader);
      const { incarnation } = cluster.replica(leader).inspect();
      cluster.change(leader, (replica, now) => replica.released([{ ...release, term: release.term - 1 }], now));
      expect(cluster.replica(leader).inspect().incarnation).toBe(incarnation);
      cluster.change(leader, (replica, now) => replica.released([release], now));
      expect(cluster.replica(leader).inspect().incarnation).toBe(incarnation + 1);
    });

    it("live on where a replica says so that does not lead, or led in another term: it cannot know", () => {
      const { cluster, id, leader: first } = leased(30);
      const { release } = heard(cluster, id);
      const others = [1, 2, 3].filter((each) => each !== first);
      cluster.change(others[0]!, (replica, now) => replica.released([release], now));
      cluster.run(1_500);
      expect(count(cluster)).toBe(1);
      // Away and back: the holder was heard by the one in between, and may have gone there.
      expect(cluster.persist({ ask: "transfer", to: others[0]! }, first).reply.value.told).toBe("transfer");
      expect(keepAlive(cluster, id)).toMatchObject({ response: { ttl: 30 } });
      expect(cluster.persist({ ask: "transfer", to: first }, others[0]!).reply.value.told).toBe("transfer");
      cluster.change(first, (replica, now) => replica.released([release], now));
      cluster.run(1_500);
      expect(count(cluster)).toBe(1);
    });
  });

  it("[GR34] without leases no alarm is set, and one more for each lease's life", () => {
    const cluster = new Cluster([1, 2, 3]);
    for (let i = 0; i < 10; i++) cluster.write(put("a", String(i)));
    cluster.run(60_000);
    expect(cluster.alarmsSet).toBe(0);
    cluster.persist(grant(60));
    cluster.run(600_000);
    expect(cluster.alarmsSet).toBeLessThan(12);
    expect(cluster.pending).toBe(0);
  });

  it("[GR35] ids that nobody chose are chosen at random; unknown leases are etcd's errors", () => {
    const cluster = new Cluster([1, 2, 3]);
    const ids = new Set(Array.from({ length: 20 }, () => leaseOf(cluster.persist(grant(60)).reply)));
    expect(ids.size).toBe(20);
    const leader = cluster.leader();
    expect(cluster.ask(leader, { ask: "leases" }).reply).toMatchObject({
      value: { response: { ids: [...ids].sort((a, b) => (a < b ? -1 : 1)) } },
    });
    expect(cluster.ask(leader, { ask: "write", operation: put("a", "1", 77n), session: null }).reply).toMatchObject({
      reply: "refused",
      grpc: 5,
      message: "etcdserver: requested lease not found",
    });
    expect(cluster.ask(leader, { ask: "leaseTimeToLive", id: 77n, keys: false }).reply).toMatchObject({ value: { response: { ttl: -1 } } });
  });
});

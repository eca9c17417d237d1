import { describe, expect, it } from "vitest";
import { Cluster, get, put, SMALL_QUOTA, shown } from "./cluster.fixture.ts";
import type { Ask } from "./types.ts";

const write = (key: string, value: string): Ask => ({ ask: "write", operation: put(key, value), session: null });

/** A group at rest, and who leads it. */
function settled(size = 3, options: ConstructorParameters<typeof Cluster>[1] = {}) {
  const ids = Array.from({ length: size }, (_, i) => i + 1);
  const cluster = new Cluster(ids, options);
  const { leader } = cluster.write(put("a", "1"));
  cluster.run(10_000);
  return { cluster, leader, ids, others: ids.filter((id) => id !== leader) };
}

describe("a group at work", () => {
  it("[GR1] elects, writes and reads; who does not lead says who does", () => {
    const cluster = new Cluster([1, 2, 3]);
    const first = cluster.ask(2, write("a", "1"));
    expect(first.reply).toMatchObject({ reply: "ok", achieved: "quorum", revision: 2, placement: "simulated" });
    expect(cluster.leader()).toBe(2);
    expect(shown(cluster.ask(2, get("a")))).toBe("1");
    expect(cluster.ask(1, get("a")).reply).toMatchObject({ reply: "notLeader", leader: 2 });
    expect(cluster.ask(1, { ask: "status" }).reply).toMatchObject({ value: { response: { leader: 2, role: "follower", term: 2 } } });
  });

  it("[GR2] a write takes one round trip and one row a replica; many at once take one row for all that waited", () => {
    const { cluster, leader, ids } = settled();
    const rows = () => ids.map((id) => cluster.replica(id).rowsWritten);
    let [written, calls, at] = [rows(), cluster.calls, cluster.now];
    expect(cluster.ask(leader, write("a", "2")).at).toBe(at + 2);
    cluster.run(20);
    expect(rows().map((after, i) => after - written[i]!)).toEqual([1, 1, 1]);
    // Two appends; who has nothing to hear but of the commit is told later.
    expect(cluster.calls - calls).toBe(2);
    cluster.run(1_000);
    expect(cluster.calls - calls).toBe(4);
    [written, calls, at] = [rows(), cluster.calls, cluster.now];
    const many = Array.from({ length: 64 }, (_, i) => cluster.begin(leader, write(`k${i}`, "v")));
    cluster.until(() => many.every(({ done }) => done !== null), 1_000);
    expect(cluster.now - at).toBe(4);
    expect(rows().map((after, i) => after - written[i]!)).toEqual([2, 2, 2]);
  });

  it("[GR2] over thousands of writes one at a time, checkpoints and trimming included: at most 1.5 rows a replica", () => {
    const { cluster, leader, ids } = settled();
    const before = ids.map((id) => cluster.replica(id).rowsWritten);
    const writes = 4_000;
    for (let i = 0; i < writes; i++) {
      const settledWrite = cluster.begin(leader, write(`k${i % 50}`, "v".repeat(256)));
      cluster.until(() => settledWrite.done !== null, 100);
    }
    const spent = ids.map((id, i) => (cluster.replica(id).rowsWritten - before[i]!) / writes);
    for (const each of spent) expect(each).toBeLessThan(1.2);
    expect(cluster.replica(leader).inspect().firstIndex).toBeGreaterThan(writes / 8);
  });

  it("[GR3] at rest nothing happens for ever: no calls, no timers, no alarms, ten watchers or none", () => {
    const { cluster, leader, ids } = settled();
    for (const id of ids) cluster.change(id, (replica, now) => replica.watch(true, now));
    cluster.ask(leader, write("a", "2"));
    cluster.run(10_000);
    const [calls, alarms] = [cluster.calls, cluster.alarmsSet];
    expect(cluster.pending).toBe(0);
    cluster.run(600_000);
    expect([cluster.calls, cluster.alarmsSet, cluster.pending]).toEqual([calls, alarms, 0]);
  });

  it("[GR3] nor for one that is gone for good: it is tried for a while, and again with the next request", () => {
    const { cluster, leader, others } = settled();
    cluster.hung.add(others[0]!);
    cluster.change(others[0]!, (replica, now) => replica.watch(true, now));
    for (let i = 0; i < 3; i++) cluster.ask(leader, write("a", `${i}`));
    cluster.run(20_000);
    const calls = cluster.calls;
    cluster.run(600_000);
    expect([cluster.calls - calls, cluster.pending]).toEqual([0, 0]);
    cluster.ask(leader, write("a", "more"));
    cluster.run(60_000);
    expect(cluster.calls - calls).toBeLessThan(20);
    cluster.heal();
    cluster.ask(leader, write("a", "end"));
    cluster.run(10_000);
    expect(shown(cluster.ask(others[0]!, get("a", { level: "stale" })))).toBe("end");
  });

  it("[GR3] a follower with watchers hears of a commit as soon as the leader knows it", () => {
    const { cluster, leader, others } = settled();
    cluster.change(others[0]!, (replica, now) => replica.watch(true, now));
    cluster.run(100);
    cluster.changes = [];
    const at = cluster.now;
    cluster.ask(leader, write("a", "2"));
    cluster.until(() => cluster.changes.some(({ id }) => id === others[0]), 1_000);
    expect(cluster.now - at).toBe(3);
    cluster.until(() => cluster.changes.some(({ id }) => id === others[1]), 1_000);
    expect(cluster.now - at).toBeGreaterThan(50);
  });

  it("[GR4] a leader that slept goes on in its term: the first write takes one round trip, the first read too", () => {
    const { cluster, leader, ids } = settled();
    const { term } = cluster.replica(leader).inspect();
    for (const first of [write("a", "2"), get("a")]) {
      for (const id of ids) cluster.evict(id);
      cluster.run(600_000);
      const at = cluster.now;
      expect(cluster.ask(leader, first)).toMatchObject({ at: at + 2, reply: { reply: "ok", term } });
      cluster.run(10_000);
    }
  });

  it("[GR5] a woken leader reads nothing before it knows what it may have answered itself", () => {
    const { cluster, leader, others } = settled();
    for (let i = 0; i < 5; i++) cluster.ask(leader, write("a", `w${i}`));
    // Acknowledged a moment ago: its log does not say yet that the last entry is committed.
    cluster.evict(leader);
    expect(shown(cluster.ask(leader, get("a")))).toBe("w4");
    cluster.ask(leader, write("a", "w5"));
    cluster.evict(leader);
    for (const id of others) cluster.cut(leader, id);
    expect(cluster.ask(leader, get("a")).reply).toMatchObject({ reply: "unavailable" });
  });

  it("[GR6] a silent leader: the request that meets it starts the election", () => {
    const { cluster, leader, others } = settled();
    cluster.ask(leader, write("a", "2"));
    cluster.hung.add(leader);
    cluster.run(400);
    const at = cluster.now;
    const { reply, at: done } = cluster.ask(others[0]!, write("a", "3"), { silent: leader });
    expect(reply).toMatchObject({ reply: "ok", revision: 4 });
    expect(done - at).toBeLessThan(20);
    // The old one finds out when it is back.
    cluster.heal();
    cluster.ask(others[0]!, write("a", "4"));
    cluster.run(2_000);
    expect(cluster.ask(leader, get("a")).reply).toMatchObject({ reply: "notLeader", leader: others[0] });
  });

  it("[GR6] also where whoever was told of it has less of the log than the third one", () => {
    const { cluster, leader, others } = settled();
    const [behind, ahead] = others as [number, number];
    cluster.cut(leader, behind);
    cluster.ask(leader, write("a", "2"));
    cluster.hung.add(leader);
    cluster.run(2_000);
    const asked = cluster.begin(behind, write("a", "3"), { silent: leader });
    cluster.until(() => asked.done !== null, 2_000);
    expect(asked.done?.reply).toMatchObject({ reply: "notLeader", leader: ahead });
  });

  it("[GR7] one confused caller does not disturb a group at work", () => {
    const { cluster, leader, others } = settled();
    const { term } = cluster.replica(leader).inspect();
    for (let i = 0; i < 50; i++) {
      const busy = cluster.begin(leader, write("a", `${i}`));
      cluster.begin(others[i % 2]!, get("a"), { silent: leader });
      cluster.until(() => busy.done !== null, 1_000);
      cluster.run(20);
    }
    expect(cluster.replica(leader).inspect()).toMatchObject({ role: "leader", term });
  });

  it("[GR7] nor does a replica that cannot hear the leader while the others do", () => {
    const { cluster, leader, others } = settled();
    const [deaf] = others as [number];
    const { term } = cluster.replica(leader).inspect();
    cluster.cut(leader, deaf);
    // Reads leave the logs as they are: it lacks nothing but the word of the leader.
    for (let i = 0; i < 60; i++) {
      const busy = cluster.begin(leader, get("a"));
      cluster.until(() => busy.done !== null, 1_000);
      if (i > 20) cluster.begin(deaf, get("a"), { silent: leader });
      cluster.run(20);
    }
    expect(cluster.replica(leader).inspect()).toMatchObject({ role: "leader", term });
  });

  it("[GR7] nor does one that was cut off, was asked to stand all the while, and comes back", () => {
    const { cluster, leader, others } = settled();
    const [away, third] = others as [number, number];
    const { term } = cluster.replica(leader).inspect();
    cluster.cut(away, leader);
    cluster.cut(away, third);
    for (let i = 0; i < 40; i++) {
      if (i === 30) cluster.heal();
      if (i < 30) cluster.begin(away, get("a"), { silent: leader });
      expect(cluster.ask(leader, write("a", `${i}`)).reply).toMatchObject({ reply: "ok", term });
      cluster.run(100);
    }
    cluster.run(5_000);
    expect(cluster.replica(away).inspect()).toMatchObject({ role: "follower", term, leader });
    expect(cluster.replica(leader).inspect()).toMatchObject({ role: "leader", term });
  });

  it("[GR8] a minority refuses within two seconds, and says that a retry makes sense", () => {
    const { cluster, leader, others } = settled();
    for (const id of others) cluster.cut(leader, id);
    const at = cluster.now;
    const refused = [cluster.begin(leader, write("a", "2")), cluster.begin(leader, get("a")), cluster.begin(others[0]!, get("a"))];
    cluster.until(() => refused.every(({ done }) => done !== null), 5_000);
    expect(cluster.now - at).toBeLessThanOrEqual(2_000);
    expect(refused.slice(0, 2).map(({ done }) => done?.reply.reply)).toEqual(["unavailable", "unavailable"]);
    // It tries for a while, then sleeps until it is asked again.
    cluster.run(60_000);
    expect(cluster.pending).toBe(0);
    cluster.heal();
    expect(cluster.write(put("a", "3"), leader).reply.revision).toBeGreaterThan(2);
  });

  it("[GR9] what is more than can wait is refused at once; what is no request of etcd's is refused as etcd does", () => {
    const { cluster, leader, others } = settled(3, { limits: { asks: 10, writeBytes: 20_000 }, kv: SMALL_QUOTA });
    for (const id of others) cluster.hung.add(id);
    const waiting = Array.from({ length: 15 }, (_, i) => cluster.begin(leader, write("a", `${i}`)));
    expect(waiting.filter(({ done }) => done !== null)).toHaveLength(5);
    expect(waiting.at(-1)!.done?.reply).toMatchObject({ reply: "unavailable", retryAfterMs: 100 });
    cluster.heal();
    cluster.run(5_000);
    expect(cluster.ask(leader, write("a", "x".repeat(30_000))).reply).toMatchObject({ reply: "unavailable" });
    expect(cluster.ask(leader, write("", "1")).reply).toMatchObject({
      reply: "refused",
      grpc: 3,
      message: "etcdserver: key is not provided",
    });
    expect(cluster.ask(leader, get("")).reply).toMatchObject({ reply: "refused", grpc: 3 });
    const future: Ask = {
      ask: "range",
      request: { ...(get("a") as { request: object }).request, revision: 999 } as never,
      read: { level: "linearizable" },
      after: 0,
    };
    expect(cluster.ask(leader, future).reply).toMatchObject({ reply: "refused", grpc: 11 });
  });

  it("[GR9] a store that fills up with history gives some of it up by itself, and refuses when the rest is too much", () => {
    const { cluster, leader } = settled(3, { kv: SMALL_QUOTA, limits: { retainRevisions: 20 } });
    for (let i = 0; i < 1_000; i++) {
      const done = cluster.begin(leader, write("a", "x".repeat(1_000)));
      cluster.until(() => done.done !== null, 1_000);
      expect(done.done?.reply.reply).toBe("ok");
    }
    expect(cluster.replica(leader).store.compactRevision).toBeGreaterThan(500);
    let refused = 0;
    for (let i = 0; i < 300; i++) {
      const done = cluster.ask(leader, write(`k${i}`, "x".repeat(1_000)));
      if (done.reply.reply === "refused") refused++;
    }
    expect(refused).toBeGreaterThan(50);
  });

  it("[GR15] a write with a session that is sent again answers what it answered, whoever leads by then", () => {
    const { cluster, leader, others } = settled();
    const once: Ask = { ask: "write", operation: put("a", "once"), session: { client: "me", seq: 1, ack: 0 } };
    const first = cluster.ask(leader, once).reply;
    cluster.hung.add(leader);
    cluster.run(500);
    const again = cluster.ask(others[0]!, once, { silent: leader }).reply;
    expect([first, again]).toMatchObject([{ revision: 3 }, { reply: "ok", value: { result: { response: { header: { revision: 3 } } } } }]);
  });

  it("[GR16] levels: one replica is `single`; where places are measured, so is a group one place of which holds a majority", () => {
    const single = settled(1);
    expect(single.cluster.ask(1, write("a", "2")).reply).toMatchObject({ achieved: "single" });
    const { cluster, leader, ids } = settled(3, { placement: "measured" });
    const level = () => {
      const { reply } = cluster.ask(leader, write("a", "2"));
      return reply.reply === "ok" ? [reply.achieved, reply.placement] : reply;
    };
    expect(level()).toEqual(["single", "measured"]);
    const places = ["AMS", "AMS", "IAD"];
    for (const id of ids) cluster.change(id, (replica, now) => replica.place(places[id - 1]!, now));
    level();
    expect(level()).toEqual(["single", "measured"]);
    const demanding: Ask = { ask: "write", operation: put("a", "3"), session: null, demand: "quorum" };
    expect(cluster.ask(leader, demanding).reply).toMatchObject({ reply: "refused", grpc: 9 });
    cluster.change(1, (replica, now) => replica.place("NRT", now));
    level();
    expect(level()).toEqual(["quorum", "measured"]);
    expect(cluster.ask(leader, demanding).reply).toMatchObject({ reply: "ok" });
    // It is remembered over a sleep.
    for (const id of ids) cluster.evict(id);
    expect(level()).toEqual(["quorum", "measured"]);
  });
});

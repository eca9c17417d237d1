import { describe, expect, it } from "vitest";
import { Cluster, get, put, shown } from "./cluster.fixture.ts";
import { ReadQueue } from "./reads.ts";

function settled(size = 3) {
  const ids = Array.from({ length: size }, (_, i) => i + 1);
  const cluster = new Cluster(ids);
  const { leader } = cluster.write(put("a", "1"));
  cluster.run(2_000);
  const rows = () => ids.map((id) => cluster.replica(id).rowsWritten);
  const others = ids.filter((id) => id !== leader);
  return { cluster, leader, others, rows };
}

describe("reads", () => {
  it("[GR10] a linearizable read costs one round trip and no row where the others answer, many reads no more than one", () => {
    const { cluster, leader, rows } = settled();
    const [written, calls, at] = [rows(), cluster.calls, cluster.now];
    expect(cluster.ask(leader, get("a"))).toMatchObject({ at: at + 2, reply: { achieved: "linearizable" } });
    expect(cluster.calls - calls).toBe(2);
    const many = Array.from({ length: 50 }, () => cluster.begin(leader, get("a")));
    cluster.until(() => many.every(({ done }) => done !== null), 100);
    // One for the first of them, one for all that came meanwhile.
    expect(cluster.calls - calls).toBe(6);
    expect(rows()).toEqual(written);
  });

  it("[GR3] a round that writes made needless keeps nobody awake, also where it cannot be confirmed any more", () => {
    const { cluster, leader, others } = settled();
    const away = others[1]!;
    cluster.cut(leader, away);
    // The round needs both of the others, and one of them is gone; what is written meanwhile confirms the read.
    const read = cluster.begin(leader, get("a"));
    const written = cluster.begin(leader, { ask: "write", operation: put("a", "2"), session: null });
    cluster.until(() => read.done !== null && written.done !== null, 1_000);
    expect([read.done?.reply.reply, written.done?.reply.reply]).toEqual(["ok", "ok"]);
    cluster.run(60_000);
    expect(cluster.pending).toBe(0);
  });

  it("[GR11] where one does not answer, whoever counts has written a row, and one round serves all", () => {
    const { cluster, leader, others, rows } = settled();
    cluster.hung.add(others[0]!);
    const written = rows();
    expect(shown(cluster.ask(leader, get("a")))).toBe("1");
    const spent = rows().map((after, i) => after - written[i]!);
    expect(spent[leader - 1]).toBe(1);
    expect(spent[others[1]! - 1]).toBe(1);
    // Known to be away, it is not waited for any more.
    cluster.run(2_000);
    const at = cluster.now;
    const many = Array.from({ length: 50 }, () => cluster.begin(leader, get("a")));
    cluster.until(() => many.every(({ done }) => done !== null), 1_000);
    expect(cluster.now - at).toBeLessThan(20);
  });

  it("[GR11] the only replica of a group writes a row for a round of reads", () => {
    const { cluster, rows } = settled(1);
    const [written] = rows();
    expect(cluster.ask(1, get("a"))).toMatchObject({ at: cluster.now, reply: { achieved: "linearizable" } });
    expect(rows()[0]! - written!).toBe(1);
  });

  it("[GR11] a group that trusts no instance writes rows for every round", () => {
    const cluster = new Cluster([1, 2, 3], { fences: "always" });
    const { leader } = cluster.write(put("a", "1"));
    cluster.run(2_000);
    const written = [1, 2, 3].map((id) => cluster.replica(id).rowsWritten);
    expect(cluster.ask(leader, get("a"))).toMatchObject({ reply: { achieved: "linearizable" } });
    cluster.run(10);
    expect([1, 2, 3].map((id, i) => cluster.replica(id).rowsWritten - written[i]!)).toEqual([1, 1, 1]);
  });

  it("[GR12] a round of writes confirms the reads before it, also where a read alone would need a fence", () => {
    const { cluster, leader, others, rows } = settled();
    cluster.hung.add(others[0]!);
    const written = rows();
    const reads = [cluster.begin(leader, get("a")), cluster.begin(leader, get("a"))];
    const at = cluster.now;
    const write = cluster.begin(leader, { ask: "write", operation: put("a", "2"), session: null });
    cluster.until(() => [...reads, write].every(({ done }) => done !== null), 1_000);
    expect(reads.map(({ done }) => [shown(done!), done!.at - at])).toEqual([["2", 2], ["2", 2]]); // biome-ignore format: pairs
    expect(rows()[leader - 1]! - written[leader - 1]!).toBe(1);
  });

  it("[GR13] a leader that was deposed without hearing of it answers no read", () => {
    const { cluster, leader, others } = settled(5);
    for (const id of others) cluster.cut(leader, id);
    const silent = { silent: leader };
    cluster.until(() => false, 500);
    const elected = cluster.begin(others[0]!, { ask: "write", operation: put("a", "2"), session: null }, silent);
    cluster.until(() => elected.done !== null, 3_000);
    expect(elected.done?.reply).toMatchObject({ reply: "ok" });
    expect(cluster.ask(leader, get("a")).reply).toMatchObject({ reply: "unavailable" });
  });

  it("[GR13] an acknowledgement of a follower that no longer is the replica it was does not confirm a round", () => {
    // Follower Z is a copy that does not know of its successor; the leader reaches it and nobody else.
    const { cluster, leader, others } = settled();
    const [follower, third] = others as [number, number];
    const before = cluster.member(follower).rows.snapshot();
    cluster.run(500);
    cluster.cut(leader, follower);
    cluster.cut(leader, third);
    const elected = cluster.begin(third, { ask: "write", operation: put("a", "2"), session: null }, { silent: leader });
    cluster.until(() => elected.done !== null, 3_000);
    expect(elected.done?.reply).toMatchObject({ reply: "ok" });
    const ghost = cluster.add(9);
    ghost.rows.restore(before);
    cluster.impostor = { from: leader, to: follower, served: 9 };
    expect(cluster.ask(leader, get("a")).reply).toMatchObject({ reply: "unavailable" });
  });

  it("[GR14] reads that may trail are answered by any replica, as fresh as they ask", () => {
    const { cluster, leader, others } = settled();
    const [follower] = others as [number];
    const calls = cluster.calls;
    expect(cluster.ask(follower, get("a", { level: "stale" }))).toMatchObject({ reply: { achieved: "stale" }, at: cluster.now });
    expect(cluster.ask(follower, get("a", { level: "session" }, 2))).toMatchObject({ reply: { achieved: "session" }, at: cluster.now });
    expect(cluster.calls).toBe(calls);
    const { reply } = cluster.write(put("a", "2"), leader);
    // It is told at once of what it is asked to show.
    const read = cluster.ask(follower, get("a", { level: "session" }, reply.revision));
    expect(shown(read)).toBe("2");
    expect(shown(cluster.ask(follower, get("a", { level: "bounded", ms: 0 })))).toBe("2");
    const [again, at] = [cluster.calls, cluster.now];
    expect(cluster.ask(follower, get("a", { level: "bounded", ms: 50 }))).toMatchObject({ at, reply: { achieved: "bounded" } });
    expect(cluster.calls).toBe(again);
    cluster.run(200);
    cluster.ask(follower, get("a", { level: "bounded", ms: 50 }));
    expect(cluster.calls).toBeGreaterThan(again);
  });

  it("[GR14] whom a follower takes for the leader may have forgotten it: it is not asked again and again", () => {
    const { cluster, leader, others } = settled();
    const [follower, third] = others as [number, number];
    cluster.ask(leader, { ask: "transfer", to: third });
    cluster.cut(third, follower);
    cluster.cut(third, leader);
    cluster.evict(follower);
    cluster.evict(leader);
    const calls = cluster.calls;
    const read = cluster.begin(follower, get("a", { level: "bounded", ms: 0 }));
    cluster.until(() => read.done !== null, 3_000);
    cluster.run(1_000);
    expect(read.done).not.toBeNull();
    expect(cluster.calls - calls).toBeLessThan(60);
  });

  it("[GR14] a follower cut off from everybody says stale things only where it may", () => {
    const { cluster, others } = settled();
    const [follower] = others as [number];
    for (const id of [1, 2, 3]) if (id !== follower) cluster.cut(follower, id);
    cluster.run(2_000);
    expect(shown(cluster.ask(follower, get("a", { level: "stale" })))).toBe("1");
    expect(cluster.ask(follower, get("a", { level: "bounded", ms: 1_000 })).reply.reply).toMatch(/unavailable|notLeader/);
    expect(cluster.ask(follower, get("a"), { silent: 0 }).reply.reply).toMatch(/unavailable|notLeader/);
  });

  it("[GR14] a bounded read is as fresh as when it was asked for, not as when it was answered", () => {
    const { cluster, leader, others } = settled();
    cluster.delay = 100;
    const [follower] = others as [number];
    const first = cluster.ask(follower, get("a", { level: "bounded", ms: 10_000 }));
    expect(first.reply).toMatchObject({ achieved: "bounded" });
    cluster.ask(leader, { ask: "write", operation: put("a", "2"), session: null });
    // Its answer came 400 ms or more after it had asked: 300 ms is too much to promise.
    expect(shown(cluster.ask(follower, get("a", { level: "bounded", ms: 300 })))).toBe("2");
  });

  it("[GR13] [GR14] a follower believes only a leader that made sure that it leads", () => {
    const { cluster, leader, others } = settled(5);
    const [friend, ...rest] = others as [number, number, number, number];
    for (const id of rest) for (const lonely of [leader, friend]) cluster.cut(lonely, id);
    const elected = cluster.begin(rest[0], { ask: "write", operation: put("a", "2"), session: null }, { silent: leader });
    cluster.until(() => elected.done !== null, 3_000);
    expect(elected.done?.reply).toMatchObject({ reply: "ok" });
    expect(cluster.ask(friend, get("a", { level: "bounded", ms: 50 })).reply.reply).toMatch(/unavailable|notLeader/);
  });
});

describe("a queue of reads", () => {
  /** A node that only notes which rounds were asked for. */
  function queue() {
    const rounds: Uint8Array[] = [];
    const fences: Uint8Array[] = [];
    const node = {
      readIndex: (context: Uint8Array) => rounds.push(context),
      acknowledgeRead: (context: Uint8Array) => fences.push(context),
    };
    return { rounds, fences, reads: new ReadQueue(node as never), served: [] as string[] };
  }

  it("[GR12] a round of writes confirms no read that was asked after it began", () => {
    const { reads, served } = queue();
    reads.add(() => served.push("before"));
    reads.pump(0, false, 50);
    reads.ride(7, 0);
    reads.add(() => served.push("after"));
    // The read round takes too long and is begun again, with both.
    expect(reads.pump(60, false, 50)).toBe(true);
    reads.applied(7);
    expect(served).toEqual(["before"]);
  });

  it("[GR11] what an unfenced round gets once a fenced one has begun counts for nothing", () => {
    const { reads, rounds, fences, served } = queue();
    reads.add(() => served.push("read"));
    reads.pump(0, false, 50);
    expect([rounds.length, fences.length]).toEqual([1, 0]);
    reads.pump(60, false, 50);
    expect([rounds.length, fences]).toEqual([2, [rounds[1]]]);
    reads.confirmed(rounds[0]!, 3);
    reads.applied(9);
    expect(served).toEqual([]);
    reads.confirmed(rounds[1]!, 3);
    reads.applied(9);
    expect(served).toEqual(["read"]);
  });

  it("[GR10] waits until what was committed when the round began is applied", () => {
    const { reads, rounds, served } = queue();
    reads.add(() => served.push("read"));
    reads.pump(0, false, 50);
    reads.confirmed(rounds[0]!, 3);
    reads.applied(2);
    expect(served).toEqual([]);
    reads.applied(3);
    expect(served).toEqual(["read"]);
  });
});

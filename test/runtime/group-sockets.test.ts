import { evictAllDurableObjects, evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { get, put } from "../../core/consensus/replica/cluster.fixture.ts";
import { callFrame, encode } from "../../core/wire/frames.ts";
import { mint } from "./gate-kit.ts";
import { connect, makeGroup } from "./group-kit.ts";

type Group = Awaited<ReturnType<typeof makeGroup>>;
type Peer = Awaited<ReturnType<typeof connect>>;

describe("a lease that a socket holds", () => {
  /** A group led by its first replica, and a lease of a minute with a key. */
  async function leased() {
    const group = await makeGroup([1, 2, 3]);
    await group.write(1, "a", "0");
    await group.ask(1, { ask: "write", operation: { op: "leaseGrant", request: { id: 7n, ttl: 60 } }, session: null });
    await group.ask(1, { ask: "write", operation: put("held", "yes", 7n), session: null });
    return group;
  }

  let calls = 0;
  async function call(peer: Peer, payload: object) {
    const id = ++calls;
    peer.socket.send(callFrame(id, 0, [JSON.stringify(payload)]));
    await peer.until(() => peer.results().some((result) => result.id === id));
    return peer.results().find((result) => result.id === id)!;
  }
  const hold = (peer: Peer, seconds: number) => call(peer, { leaseKeepAlive: { id: "7" }, hold: seconds });

  /** Whether the key is still there, once it has had `ms` to go. */
  async function there({ ask, stub }: Group, ms: number, leader = 1): Promise<boolean> {
    const until = Date.now() + ms;
    for (;;) {
      const read = await ask(leader, get("held"));
      if (read.reply !== "ok" || read.value.told !== "range") throw new Error(JSON.stringify(read));
      if (read.value.response.count === 0) return false;
      if (Date.now() > until) return true;
      await scheduler.wait(50);
      // The test's runtime runs no alarm by itself; one that is not due looks again.
      const due = await runInDurableObject(stub(leader), async (_, { storage }) => ((await storage.getAlarm()) ?? Infinity) <= Date.now());
      if (due) await runDurableObjectAlarm(stub(leader));
    }
  }

  it("[GH1] ends when the socket does, long before its time to live; one that is only kept alive on it does not", async () => {
    const group = await leased();
    const kept = await connect(group.stub(1));
    expect(await call(kept, { leaseKeepAlive: { id: "7" } })).toMatchObject({ value: { leaseKeepAlive: { ttl: 60 } } });
    kept.socket.close();
    expect(await there(group, 1_500)).toBe(true);
    const holder = await connect(group.stub(1));
    expect(await hold(holder, 0.5)).toMatchObject({ value: { leaseKeepAlive: { ttl: 60 }, held: true } });
    expect(await there(group, 1_000)).toBe(true);
    holder.socket.close();
    expect(await there(group, 10_000)).toBe(false);
    expect(await hold(await connect(group.stub(1)), 1)).toMatchObject({ value: { leaseKeepAlive: { ttl: 0 }, held: false } });
  });

  it("[GH5] ends also where the replicas slept meanwhile, with the socket open or closing", async () => {
    const group = await leased();
    const holder = await connect(group.stub(1));
    await hold(holder, 0.2);
    await evictAllDurableObjects();
    expect(await there(group, 500)).toBe(true);
    await evictAllDurableObjects();
    holder.socket.close();
    expect(await there(group, 10_000)).toBe(false);
  });

  it("[GH2] goes on where its holder comes back in time, and does not end with a connection that it left", async () => {
    const group = await leased();
    const first = await connect(group.stub(1));
    await hold(first, 1);
    first.socket.close();
    const second = await connect(group.stub(1));
    await hold(second, 1);
    expect(await there(group, 2_000)).toBe(true);
    await scheduler.wait(5);
    const third = await connect(group.stub(1));
    await hold(third, 0.2);
    await evictDurableObject(group.stub(1));
    second.socket.close();
    expect(await there(group, 1_500)).toBe(true);
    third.socket.close();
    expect(await there(group, 10_000)).toBe(false);
  });

  it("[GH3] is held by the leader's socket alone, and not by that of one who led before", async () => {
    const group = await leased();
    expect(await hold(await connect(group.stub(2)), 0.1)).toMatchObject({ error: { code: "not_leader" } });
    const holder = await connect(group.stub(1));
    await hold(holder, 0.1);
    expect(await group.ask(1, { ask: "transfer", to: 2 })).toMatchObject({ reply: "ok" });
    holder.socket.close();
    expect(await there(group, 1_500, 2)).toBe(true);
  });

  it.each(["awake", "asleep"])("ends with the token, with the replica %s", async (how) => {
    const group = await leased();
    const minted = await mint([{ capability: "groups", name: group.name, rights: ["write"] }]);
    const holder = await connect(group.stub(1), [{ capability: "groups", name: group.name, rights: ["write"] }], minted.id);
    await hold(holder, 0);
    if (how === "asleep") await evictAllDurableObjects();
    await group.stub(1).revoked(minted.id);
    expect(await there(group, 10_000)).toBe(false);
  });
});

describe("a socket of a replica that was evicted", () => {
  const subscribe = (peer: Peer, id: number, target: object, from?: string) =>
    peer.socket.send(encode({ type: "subscribe", id, target: JSON.stringify(target), credit: 256, ...(from !== undefined && { from }) }));
  /** The keys and revisions that a subscription was told, in order. */
  const told = (peer: Peer, id: number) =>
    peer.events(id).map((event) => (event as { put: [string, string, number, number] }).put.filter((_, i) => i === 0 || i === 3));

  it("[GW1] [GW7] tells every change once and in order, whenever it was evicted, while others write", async () => {
    const { stub, write } = await makeGroup([1, 2, 3]);
    await write(1, "w/first", "0");
    const peers = await Promise.all([1, 2, 3, 3].map((id) => connect(stub(id))));
    for (const [i, peer] of peers.entries()) subscribe(peer, 1, { key: "w/", prefix: true }, i === 3 ? "1" : undefined);
    for (const peer of peers) await peer.until(() => peer.frames.some(({ type }) => type === "subscribed"));
    const written: [string, number][] = [];
    let open = true;
    const evicting = (async () => {
      for (let n = 0; open; n++) {
        await scheduler.wait(15);
        // One that does not run cannot be evicted.
        await evictDurableObject(stub([1, 3, 2][n % 3]!)).catch(() => {});
      }
    })();
    for (let i = 0; i < 60; i++) {
      let reply = await write(1, `w/${i}`, "v", { silent: 0 });
      // Evicted in the middle: the answer is lost, and it may have happened or not.
      while (reply.reply !== "ok") reply = await write(1, `w/${i}`, "v");
      written.push([`w/${i}`, reply.revision]);
    }
    open = false;
    await evicting;
    await write(1, "w/last", "v");
    for (const [i, peer] of peers.entries()) {
      await peer.until(() => told(peer, 1).at(-1)?.[0] === "w/last");
      const all = told(peer, 1) as [string, number][];
      const revisions = all.map(([, revision]) => revision);
      expect(revisions).toEqual([...new Set(revisions)].sort((a, b) => a - b));
      // No revision in between is missing: nothing else was written.
      expect(revisions.at(-1)! - revisions[0]! + 1).toBe(revisions.length);
      expect(all.map(([key]) => key)).toEqual(expect.arrayContaining(written.map(([key]) => key)));
      // A follower may have heard of it only after it was asked.
      expect(i === 0 ? ["w/0"] : i === 3 ? ["w/first"] : ["w/0", "w/first"]).toContain(all[0]![0]);
    }
  });

  it("[GR3] is looked at without waking another replica, whoever watches there", async () => {
    const { stub, write, status, voters } = await makeGroup([1, 2, 3]);
    await write(1, "a", "0");
    const peers = await Promise.all(voters.map((id) => connect(stub(id))));
    for (const peer of peers) subscribe(peer, 1, { key: "a" });
    for (const peer of peers) await peer.until(() => peer.frames.some(({ type }) => type === "subscribed"));
    await scheduler.wait(500);
    const before = await Promise.all(voters.map(status));
    await evictAllDurableObjects();
    for (let look = 0; look < 3; look++) {
      const now = await Promise.all(voters.map(status));
      expect(now.map(({ incarnation }) => incarnation)).toEqual(before.map(({ incarnation }) => incarnation));
      expect(now.map(({ counters }) => counters)).toEqual(voters.map(() => ({ asks: 0, served: 0, calls: 0, alarms: 0, elections: 0 })));
      await scheduler.wait(200);
    }
    await write(1, "a", "1");
    for (const peer of peers) await peer.until(() => told(peer, 1).length === 1);
    // Awake for another reason, it hears at once from then on.
    await write(1, "a", "2");
    for (const peer of peers) await peer.until(() => told(peer, 1).length === 2);
  });

  it("says so where it crashed with a question unanswered, which asked again in its session is done once", async () => {
    const { stub, ask, write } = await makeGroup([1, 2, 3]);
    await write(1, "a", "0");
    for (const [n, commits] of [true, false].entries()) {
      const peer = await connect(stub(1));
      // The answers of the others do not reach it, or its words do not reach them.
      await stub(1).fault(commits ? { delay: 400 } : { cut: [2, 3] });
      const put = JSON.stringify({ put: { key: `k${n}`, value: "1" }, session: [`client-${n}`, 1, 0] });
      peer.socket.send(callFrame(1, 0, [put]));
      await scheduler.wait(100);
      expect(peer.results()).toEqual([]);
      await runInDurableObject(stub(1), (_, state) => state.abort("a crash")).catch(() => {});
      await peer.until(() => peer.closed.code !== 0);
      const again = await connect(stub(1));
      for (let id = 2; !again.results().some((result) => "value" in result); id++) {
        again.socket.send(callFrame(id, 0, [put]));
        await again.until(() => again.results().some((result) => result.id === id));
      }
      expect(await ask(1, get(`k${n}`))).toMatchObject({ value: { response: { kvs: [{ version: 1, value: "1" }] } } });
    }
  });

  it("closes when its token ends, also where nobody was awake to see it", async () => {
    const { stub, write } = await makeGroup([1]);
    await write(1, "a", "0");
    const ends = Date.now() + 1_500;
    const [short, long] = [await connect(stub(1), undefined, null, ends), await connect(stub(1), undefined, null, ends + 600_000)];
    for (const peer of [short, long]) subscribe(peer, 1, { key: "a" });
    await evictAllDurableObjects();
    await scheduler.wait(Math.max(0, ends - Date.now()) + 50);
    await runDurableObjectAlarm(stub(1));
    await short.until(() => short.closed.code !== 0);
    expect(short.closed).toMatchObject({ code: 4408, reason: expect.stringContaining("token_expired") });
    await write(1, "a", "1");
    await long.until(() => told(long, 1).length === 1);
    expect(long.closed.code).toBe(0);
    expect(told(short, 1)).toEqual([]);
    // The next one that ends is looked for.
    expect(await runInDurableObject(stub(1), (_, { storage }) => storage.getAlarm())).toBeGreaterThanOrEqual(ends + 600_000);
  });
});

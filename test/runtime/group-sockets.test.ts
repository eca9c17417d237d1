import { evictAllDurableObjects, evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { get, put } from "../../core/consensus/replica/cluster.fixture.ts";
import { callFrame } from "../../core/wire/frames.ts";
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

  it("ends with the token", async () => {
    const group = await leased();
    const minted = await mint([{ capability: "groups", name: group.name, rights: ["write"] }]);
    const holder = await connect(group.stub(1), [{ capability: "groups", name: group.name, rights: ["write"] }], minted.id);
    await hold(holder, 0);
    await group.stub(1).revoked(minted.id);
    expect(await there(group, 10_000)).toBe(false);
  });
});

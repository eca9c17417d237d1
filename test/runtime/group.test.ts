import { evictAllDurableObjects, evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { get, put } from "../../core/consensus/replica/cluster.fixture.ts";
import { NO_HINT } from "../../core/consensus/replica/types.ts";
import { callFrame, encode } from "../../core/wire/frames.ts";
import { replicaName } from "../../durable-objects/group/names.ts";
import { codeOf, mint } from "./gate-kit.ts";
import { connect, makeGroup, scope } from "./group-kit.ts";

describe("a group in workerd", () => {
  it("[GR1] [GR4] elects, writes, reads, and goes on after every replica was evicted", async () => {
    const { ask, write, status } = await makeGroup([1, 2, 3]);
    expect(await write(1, "a", "1")).toMatchObject({ reply: "ok", achieved: "quorum", placement: "simulated", revision: 2 });
    expect(await ask(1, get("a"))).toMatchObject({ reply: "ok", achieved: "linearizable" });
    for (let round = 0; round < 3; round++) {
      await evictAllDurableObjects();
      expect(await ask(1, get("a"))).toMatchObject({ reply: "ok", achieved: "linearizable", revision: 2 + round, term: 2 });
      await evictAllDurableObjects();
      expect(await write(1, "a", String(round))).toMatchObject({ reply: "ok", revision: 3 + round });
    }
    expect(await status(1)).toMatchObject({ role: "leader", term: 2, counters: { elections: 0 } });
  });

  it("[GR2] writes at most 1.5 rows a replica for a write, by the platform's count, one client or many", async () => {
    const { write, status, voters } = await makeGroup([1, 2, 3]);
    await write(1, "a", "0");
    const rows = () => Promise.all(voters.map(async (id) => (await status(id)).rows));
    let before = await rows();
    for (let i = 0; i < 200; i++) await write(1, `k${i % 10}`, "v".repeat(200));
    await scheduler.wait(300);
    for (const [i, after] of (await rows()).entries()) expect((after - before[i]!) / 200).toBeLessThan(1.3);
    before = await rows();
    await Promise.all(Array.from({ length: 200 }, (_, i) => write(1, `k${i % 10}`, "v".repeat(200))));
    await scheduler.wait(300);
    for (const [i, after] of (await rows()).entries()) expect((after - before[i]!) / 200).toBeLessThan(0.5);
  });

  it("[GR3] [GR34] idle with watchers attached: no call, no alarm, no timer, and the first write after it commits at once", async () => {
    const { stub, write, status, quiet, voters } = await makeGroup([1, 2, 3]);
    await write(1, "a", "0");
    const clients = await Promise.all([1, 2, 3, 1, 2].map((id) => connect(stub(id))));
    for (const { socket } of clients) socket.send(encode({ type: "subscribe", id: 1, target: '{"key":"a"}', credit: 16 }));
    for (const client of clients) await client.until(() => client.frames.some(({ type }) => type === "subscribed"));
    await quiet();
    const counters = async () => Promise.all(voters.map(async (id) => (await status(id)).counters));
    const before = await counters();
    await scheduler.wait(2_000);
    expect(await counters()).toEqual(before);
    for (const id of voters) expect(await runInDurableObject(stub(id), (_, state) => state.storage.getAlarm())).toBeNull();
    await evictAllDurableObjects();
    expect(await write(1, "a", "woken")).toMatchObject({ reply: "ok", term: 2 });
    for (const client of clients) await client.until(() => client.events(1).length === 1);
    expect((await status(1)).counters).toMatchObject({ elections: 0 });
  });

  it("[GW2] [GW7] watches over the eviction of everything, resumes where it was, and tells nothing twice", async () => {
    const { stub, write } = await makeGroup([1, 2, 3]);
    await write(1, "w/0", "0");
    const client = await connect(stub(2));
    client.socket.send(encode({ type: "subscribe", id: 7, target: '{"key":"w/","prefix":true}', from: "1", credit: 100 }));
    await client.until(() => client.events(7).length === 1);
    for (let i = 1; i <= 6; i++) {
      if (i % 2 === 0) await evictDurableObject(stub(2));
      if (i % 3 === 0) await evictAllDurableObjects();
      await write(1, `w/${i}`, String(i));
      await write(1, "elsewhere", String(i));
      await client.until(() => client.events(7).length === i + 1);
    }
    const keys = client.events(7).map((event) => (event as { put: [string] }).put[0]);
    expect(keys).toEqual(["w/0", "w/1", "w/2", "w/3", "w/4", "w/5", "w/6"]);
    client.socket.close();
  });

  it("[GC1] [GC6] takes calls on the same socket, many at a time, as far as the token's rights go", async () => {
    const { stub, write } = await makeGroup([1, 2, 3]);
    await write(1, "a", "0");
    const client = await connect(stub(1));
    const puts = Array.from({ length: 100 }, (_, i) => JSON.stringify({ put: { key: `k${i}`, value: "v" } }));
    client.socket.send(callFrame(1, 0, puts));
    await client.until(() => client.results().length === 100);
    expect(client.results().every((result) => "value" in result)).toBe(true);
    client.socket.send(
      callFrame(101, 0, [JSON.stringify({ range: { key: "k", rangeEnd: "l", limit: 1 } }), '{"bad":1}', '{"transfer":{"to":2}}']),
    );
    await client.until(() => client.results().length === 103);
    expect(
      client
        .results()
        .slice(100)
        .sort((a, b) => a.id - b.id),
    ).toMatchObject([
      { id: 101, value: { range: { count: 100 }, level: "linearizable", placement: "simulated" } },
      { id: 102, error: { code: "bad_request" } },
      { id: 103, error: { code: "forbidden" } },
    ]);
    const elsewhere = await connect(stub(2));
    elsewhere.socket.send(callFrame(1, 0, [JSON.stringify({ put: { key: "x", value: "1" } })]));
    await elsewhere.until(() => elsewhere.results().length === 1);
    expect(elsewhere.results()).toMatchObject([{ error: { code: "not_leader", extra: { leader: 1 } } }]);
  });

  it("[GR30] leases end by the alarm, also of a leader that was evicted", async () => {
    const { stub, ask, write } = await makeGroup([1, 2, 3]);
    await write(1, "a", "0");
    const granted = await ask(1, { ask: "write", operation: { op: "leaseGrant", request: { id: 5n, ttl: 2 } }, session: null });
    expect(granted).toMatchObject({ reply: "ok" });
    await ask(1, { ask: "write", operation: put("held", "yes", 5n), session: null });
    expect(await runInDurableObject(stub(1), (_, state) => state.storage.getAlarm())).toBeGreaterThan(Date.now());
    await evictAllDurableObjects();
    const gone = async () => {
      const read = await ask(1, get("held", { level: "stale" }));
      return read.reply === "ok" && read.value.told === "range" && read.value.response.count === 0;
    };
    for (let tries = 0; tries < 60 && !(await gone()); tries++) {
      await scheduler.wait(100);
      // The test's runtime runs no alarm by itself before its time is looked at.
      await runDurableObjectAlarm(stub(1));
    }
    expect(await gone()).toBe(true);
  });

  it("[GR6] a leader that hangs is replaced by the request that meets it", async () => {
    const { stub, write, ask } = await makeGroup([1, 2, 3]);
    await write(1, "a", "0");
    await stub(1).fault({ hang: true });
    await scheduler.wait(400);
    const began = Date.now();
    expect(await write(2, "a", "1", { silent: 1 })).toMatchObject({ reply: "ok", revision: 3 });
    expect(Date.now() - began).toBeLessThan(1_500);
    await stub(1).fault({ hang: false });
    await write(2, "a", "2");
    await scheduler.wait(300);
    expect(await ask(1, get("a"))).toMatchObject({ reply: "notLeader", leader: 2 });
  });

  it("goes on through links that are cut, slow, and lose calls", async () => {
    const { stub, write, ask, voters } = await makeGroup([1, 2, 3]);
    await write(1, "a", "0");
    await stub(1).fault({ cut: [3] });
    await stub(2).fault({ delay: 20, drop: 0.2 });
    for (let i = 0; i < 10; i++) {
      let reply = await write(1, "a", String(i));
      while (reply.reply !== "ok") reply = await write(1, "a", String(i));
    }
    for (const id of voters) await stub(id).fault({ cut: [], delay: 0, drop: 0 });
    const last = await write(1, "a", "end");
    const revision = last.reply === "ok" ? last.revision : 0;
    for (let tries = 0; tries < 100; tries++) {
      const read = await ask(3, get("a", { level: "stale" }));
      if (read.reply === "ok" && read.revision === revision) return;
      await scheduler.wait(50);
    }
    expect("the third replica").toBe("caught up");
  });

  it("is nothing before it is told, refuses faults where they are not allowed, and forgets everything when erased", async () => {
    const stub = env.GROUP.getByName(replicaName(scope, "never-made", 1, 1));
    expect(await codeOf(stub.asks([{ ask: get("a"), hint: NO_HINT }]))).toBe("stale_metadata");
    expect((await stub.status()).value).toBeNull();
    expect(await runInDurableObject(stub, (_, state) => state.storage.sql.exec("SELECT name FROM sqlite_master").toArray())).toEqual([]);
    await runInDurableObject(stub, async (instance) => {
      Object.assign(instance, { env: { ...env, SKERRY_FAULTS: "0" } });
      expect(await codeOf((instance as { fault(plan: object): Promise<unknown> }).fault({ hang: true }))).toBe("forbidden");
    });
    const { stub: replica, write, status } = await makeGroup([1]);
    expect(await write(1, "a", "1")).toMatchObject({ achieved: "single" });
    const client = await connect(replica(1));
    await replica(1).erase();
    await client.until(() => client.closed.code !== 0);
    expect(client.closed).toEqual({ code: 1012, reason: "stale_metadata: the replica was removed" });
    expect(await status(1)).toBeNull();
    expect(await runInDurableObject(replica(1), (_, state) => state.storage.getAlarm())).toBeNull();
  });

  it("closes sockets whose token was revoked, and takes the successor of a token that ends", async () => {
    const { name, stub, write } = await makeGroup([1]);
    await write(1, "a", "1");
    const minted = await mint([{ capability: "groups", name, rights: ["read"] }]);
    const client = await connect(stub(1), [{ capability: "groups", name, rights: ["read"] }], minted.id, minted.expiresAt);
    client.socket.send(encode({ type: "token", token: minted.token }));
    await client.until(() => client.frames.some(({ type }) => type === "token_ok"));
    client.socket.send(encode({ type: "token", token: '{"rights":["admin"]}' }));
    await client.until(() => client.frames.some((frame) => frame.type === "error" && frame.code === "token_invalid"));
    await stub(1).revoked(minted.id);
    await client.until(() => client.closed.code !== 0);
    expect(client.closed.reason).toContain("token_revoked");
  });
});

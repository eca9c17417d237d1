import { evictAllDurableObjects } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import type { WatchCreate, WatchEvent } from "../../core/consensus/kv/types.ts";
import { get, put, rangeOf } from "../../core/consensus/replica/cluster.fixture.ts";
import { type Ask, NO_HINT } from "../../core/consensus/replica/types.ts";
import { checkGroupConfig, type GroupMeta } from "../../core/wire/directory.ts";
import type { SkerryError } from "../../core/wire/errors.ts";
import { createGroup, restoreGroup } from "../../durable-objects/directory/groups.ts";
import { directory } from "../../durable-objects/directory/port.ts";
import { replicaName } from "../../durable-objects/group/names.ts";
import { configure } from "../../durable-objects/group/replicas.ts";
import { addMember, deleteGroup, groupStatus, removeMember, snapshotGroup, transferLeader } from "../../workers/groups/admin.ts";
import type { Caller, WatchHeader } from "../../workers/groups/door.ts";
import { groupDoor } from "../../workers/groups/index.ts";
import { call, problem } from "./gate-kit.ts";

const scope = { project: "main", jurisdiction: "global" } as const;
const caller: Caller = {
  scope,
  actor: { project: "main", subject: "admin", tokenId: null, expiresAt: null, grants: [{ capability: "*", name: "*", rights: ["admin"] }] },
  traceparent: "00-00000000000000000000000000000001-0000000000000001-01",
};
const door = groupDoor(env);
let groups = 0;

async function fresh(replicas = 3) {
  const name = `door-${groups++}`;
  await createGroup(env, scope, name, checkGroupConfig({ replicas }));
  const ask = (what: Ask) => door.ask(caller, name, what);
  const write = (key: string, value: string) => ask({ ask: "write", operation: put(key, value), session: null });
  const stub = (id: number, generation = 1) => env.GROUP.getByName(replicaName(scope, name, generation, id));
  const leader = async () => (await groupStatus(env, scope, name)).replicas.find((each) => each?.role === "leader")?.id ?? 0;
  return { name, ask, write, stub, leader };
}

const watchOf = (key: string, more: Partial<WatchCreate> = {}): WatchCreate => ({
  ...{ key, rangeEnd: "", startRevision: 0, progressNotify: false, filters: [], prevKv: false, fragment: false },
  ...more,
});

function recorder() {
  const heard: string[] = [];
  const events: WatchEvent[] = [];
  const until = async (done: () => boolean) => {
    for (let tries = 0; tries < 400 && !done(); tries++) await scheduler.wait(10);
    expect(done(), heard.join("\n")).toBe(true);
  };
  const listener = {
    created: (id: number, header: WatchHeader, refusal: string) => void heard.push(`created ${id} ${header.revision} ${refusal}`),
    events: (id: number, _header: WatchHeader, more: WatchEvent[]) => {
      events.push(...more);
      for (const { kv } of more) heard.push(`event ${id} ${kv.key}=${kv.value}@${kv.modRevision}`);
    },
    progress: (id: number | null, header: WatchHeader) => void heard.push(`progress ${id} ${header.revision}`),
    canceled: (id: number, _header: WatchHeader, reason: string, compact: number) => void heard.push(`canceled ${id} ${reason} ${compact}`),
    closed: (error: SkerryError) => void heard.push(`closed ${error.code}`),
  };
  return { heard, events, listener, until };
}

describe("the way to a group", () => {
  it("makes a group only where it may", async () => {
    await expect(door.ask(caller, "nowhere", get("a"))).rejects.toMatchObject({ code: "group_not_found" });
    expect(await door.find(caller, "nowhere")).toBeNull();
    const made = await door.ask(caller, "made-by-asking", get("a"), "yes");
    expect(made).toMatchObject({
      level: "linearizable",
      placement: "simulated",
      position: { object: "v1/main/global/groups/group/made-by-asking" },
    });
    expect((await door.find(caller, "made-by-asking"))?.members.map(({ id }) => id)).toEqual([1, 2, 3]);
  });

  it("finds the leader, goes on when it hangs, and when all were evicted", async () => {
    const { ask, write, stub, leader } = await fresh();
    expect(await write("a", "1")).toMatchObject({ level: "quorum", position: { at: 2 } });
    const first = await leader();
    await stub(first).fault({ hang: true });
    const began = Date.now();
    // A write without a session is not sent twice; a read finds the new leader.
    const read = await ask(get("a"));
    expect(read).toMatchObject({ level: "linearizable", position: { at: 2 } });
    expect(read.member).not.toBe(first);
    expect(Date.now() - began).toBeLessThan(2_500);
    expect(await write("a", "2")).toMatchObject({ position: { at: 3 } });
    await stub(first).fault({ hang: false });
    await evictAllDurableObjects();
    expect(await ask(get("a"))).toMatchObject({ position: { at: 3 } });
    expect(await ask(get("a", { level: "session" }, 3))).toMatchObject({ position: { at: 3 } });
    expect(await ask(get("a", { level: "bounded", ms: 100 }))).toMatchObject({ level: "bounded" });
  });

  it("a minority refuses writes and linearizable reads in time, and says that it may be tried again", async () => {
    const { ask, write, stub } = await fresh();
    const { member } = await write("a", "1");
    for (const id of [1, 2, 3]) await stub(id).fault({ cut: [1, 2, 3] });
    const began = Date.now();
    const alone = await stub(member).asks([{ ask: { ask: "write", operation: put("a", "2"), session: null }, hint: NO_HINT }]);
    expect(alone.value[0]).toMatchObject({ reply: "unavailable" });
    expect(Date.now() - began).toBeLessThan(4_000);
    expect((await stub(member).asks([{ ask: get("a"), hint: NO_HINT }])).value[0]).toMatchObject({ reply: "unavailable" });
    await expect(ask(get("a"))).rejects.toMatchObject({ code: "no_quorum" });
    for (const id of [1, 2, 3]) await stub(id).fault({ cut: [] });
    expect((await ask(get("a"))).level).toBe("linearizable");
  }, 60_000);

  it("watches over evictions, from any revision, and tells progress", async () => {
    const { write, name, ask } = await fresh();
    await write("w/1", "a");
    const { heard, listener, until } = recorder();
    const stream = await door.watch(caller, name, listener);
    stream.create(1, watchOf("w/", { rangeEnd: "w0" }));
    stream.create(2, watchOf("w/", { rangeEnd: "w0", startRevision: 2 }));
    stream.create(3, watchOf("w0", { rangeEnd: "w/" }));
    await until(() => heard.filter((line) => line.startsWith("created")).length === 3 && heard.some((line) => line.startsWith("event 2")));
    await write("w/2", "b");
    await write("x", "no");
    await until(() => heard.includes("event 1 w/2=b@3") && heard.includes("event 2 w/2=b@3"));
    stream.progress();
    await until(() => heard.some((line) => line.startsWith("progress null 4")));
    await evictAllDurableObjects();
    await write("w/3", "c");
    await until(() => heard.includes("event 1 w/3=c@5") && heard.includes("event 2 w/3=c@5"));
    stream.cancel(1);
    await until(() => heard.some((line) => line.startsWith("canceled 1")));
    expect(heard.filter((line) => line.includes("event 2"))).toEqual(["event 2 w/1=a@2", "event 2 w/2=b@3", "event 2 w/3=c@5"]);
    await ask({ ask: "write", operation: { op: "compact", request: { revision: 4 } }, session: null });
    stream.create(7, watchOf("w/1", { startRevision: 2 }));
    await until(() => heard.includes("canceled 7  4"));
    stream.close();
  });

  it("a watch goes to a replica that answers; where none does it is refused in time, and nobody waits for ever", async () => {
    const { write, name, stub } = await fresh();
    await write("w/1", "a");
    const { heard, listener, until } = recorder();
    // Nobody was asked anything yet but the leader: the next one that is tried says nothing.
    for (const id of [2, 3]) await stub(id).fault({ hang: true });
    const stream = await door.watch(caller, name, listener);
    expect(stream.header.member).toBe(1);
    stream.create(1, watchOf("w/", { rangeEnd: "w0", startRevision: 2 }));
    await until(() => heard.includes("event 1 w/1=a@2"));
    stream.close();
    await stub(1).fault({ hang: true });
    await expect(door.watch(caller, name, listener)).rejects.toMatchObject({ code: "unavailable" });
    for (const id of [1, 2, 3]) await stub(id).fault({ hang: false });
    (await door.watch(caller, name, listener)).close();
  });

  it("adds, promotes and removes members, moves the leader, restores a snapshot, and deletes", async () => {
    const { name, write, leader, ask } = await fresh();
    for (let i = 0; i < 5; i++) await write(`k${i}`, "v");
    const grown = await addMember(env, scope, name, "weur");
    expect(grown.members).toContainEqual({ id: 4, region: "weur", learner: false });
    const before = await leader();
    await removeMember(env, scope, name, before);
    expect((await write("after", "1")).position?.at).toBe(7);
    expect((await groupStatus(env, scope, name)).replicas.map((each) => each?.conf.voters)).toEqual(
      [1, 2, 3, 4].filter((id) => id !== before).map(() => [1, 2, 3, 4].filter((id) => id !== before)),
    );
    await transferLeader(env, scope, name, 4);
    expect((await ask(get("after"))).member).toBe(4);
    const { revision, state } = await snapshotGroup(env, scope, name);
    expect(revision).toBe(7);
    await write("late", "1");
    await deleteGroup(env, scope, name);
    const { group: restored } = await restoreGroup(env, scope, name, checkGroupConfig({}), state);
    expect(restored.generation).toBe(2);
    expect(await ask({ ask: "range", request: rangeOf("a", "\0"), read: { level: "linearizable" }, after: 0 })).toMatchObject({
      position: { at: 7 },
      value: { response: { count: 6 } },
    });
    expect(await deleteGroup(env, scope, name)).toBe(true);
    await expect(ask(get("a"))).rejects.toMatchObject({ code: "group_not_found" });
  }, 60_000);

  it("what a group may hold can be downloaded and restored, however large", async () => {
    const { name, write } = await fresh(1);
    for (let i = 0; i < 12; i++) await write(`large/${i}`, "v".repeat(1_000_000));
    const state = await (await call(`/v1/groups/${name}/snapshot`)).arrayBuffer();
    expect(state.byteLength).toBeGreaterThan(12_000_000);
    const headers = { "content-type": "application/octet-stream", "content-length": String(state.byteLength) };
    expect((await call(`/v1/groups/${name}-copy/snapshot`, { method: "PUT", body: state, headers })).status).toBe(201);
    const all: Ask = {
      ask: "range",
      request: { ...rangeOf("large/", "large0"), keysOnly: true },
      read: { level: "linearizable" },
      after: 0,
    };
    expect((await door.ask(caller, `${name}-copy`, all)).value).toMatchObject({ response: { count: 12 } });
  });

  it("says what is wrong with a change of members or a snapshot in words and codes of its own", async () => {
    const { name } = await fresh();
    const path = `/v1/groups/${name}`;
    const learner = await call(`${path}/members`, { json: { learner: true } });
    expect([learner.status, ((await learner.json()) as GroupMeta).members.at(-1)]).toEqual([201, { id: 4, region: null, learner: true }]);
    const transfer = await problem(await call(`${path}/transfer`, { json: { to: 4 } }));
    expect(transfer).toMatchObject({ status: 409, code: "conflict", detail: expect.stringContaining("only a voter") });
    // A voter votes already.
    const promoted = await call(`${path}/members/1/promote`, { method: "POST" });
    expect([promoted.status, ((await promoted.json()) as GroupMeta).members.length]).toEqual([200, 4]);
    expect(await problem(await call(`${path}/members/1/fault`, { method: "POST" }))).toMatchObject({ status: 400, code: "bad_request" });
    const headers = { "content-type": "application/octet-stream" };
    for (const [byte, why] of [
      [137, "format 137"],
      [1, "no snapshot"],
    ] as const) {
      const body = Uint8Array.of(byte, 80, 78, 71, 13, 10, 26, 10);
      const refused = await problem(await call("/v1/groups/not-restored/snapshot", { method: "PUT", headers, body }));
      expect(refused).toMatchObject({ status: 400, code: "bad_request", detail: expect.stringContaining(why) });
    }
    expect((await call("/v1/groups/not-restored")).status).toBe(404);
  });

  describe("restores a snapshot wholly or not at all", () => {
    async function snapshot() {
      const { name, write } = await fresh();
      for (let i = 0; i < 5; i++) await write(`k${i}`, "v");
      return (await snapshotGroup(env, scope, name)).state;
    }
    const config = checkGroupConfig({});
    const object = (name: string, generation: number, id: number) => env.GROUP.getByName(replicaName(scope, name, generation, id));
    const count = async (name: string) => {
      const range = rangeOf("a", "\0");
      const { value } = await door.ask(caller, name, { ask: "range", request: range, read: { level: "linearizable" }, after: 0 });
      return value.told === "range" ? value.response.count : -1;
    };

    it("where whoever restored it died half-way: there is no group, and the next attempt has nothing of it", async () => {
      const state = await snapshot();
      for (const next of ["restored", "made empty"]) {
        const name = `half-way-${next}`;
        // What a Worker did before it was killed: one of three replicas has the state.
        const { value } = await directory(env, scope).prepareGroup(name, config);
        await configure(env, scope, value.group, 2, state);
        expect((await object(name, 1, 2).status()).value).toMatchObject({ id: 2 });
        await expect(door.ask(caller, name, get("k1"))).rejects.toMatchObject({ code: "group_not_found" });
        const { group } =
          next === "restored" ? await restoreGroup(env, scope, name, config, state) : await createGroup(env, scope, name, config);
        expect(group.generation).toBe(2);
        expect(await count(name)).toBe(next === "restored" ? 5 : 0);
        for (const id of [1, 2, 3]) expect((await object(name, 2, id).status()).value).toMatchObject({ id });
        expect((await object(name, 1, 2).status()).value).toBeNull();
      }
    });

    it("where a replica cannot be told, or somebody makes a group of that name meanwhile", async () => {
      const state = await snapshot();
      /** The platform, but for one object: whatever it is asked first is done by `instead`. */
      const without = (object: string, instead: () => Promise<never>) =>
        new Proxy(env, {
          get: (target, key) =>
            key !== "GROUP"
              ? Reflect.get(target, key)
              : {
                  getByName: (name: string, options: object) =>
                    name === object ? { configure: instead, erase: async () => {} } : env.GROUP.getByName(name, options as never),
                },
        });
      const unreachable = without(replicaName(scope, "unreachable", 1, 3), () => Promise.reject(new Error("gone")));
      await expect(restoreGroup(unreachable, scope, "unreachable", config, state)).rejects.toThrow();
      await expect(door.ask(caller, "unreachable", get("k1"))).rejects.toMatchObject({ code: "group_not_found" });
      for (const id of [1, 2]) expect((await object("unreachable", 1, id).status()).value).toBeNull();

      const raced = without(replicaName(scope, "raced", 1, 3), async () => {
        await createGroup(env, scope, "raced", config);
        return { value: null } as never;
      });
      await expect(restoreGroup(raced, scope, "raced", config, state)).rejects.toMatchObject({ code: "conflict" });
      expect(await count("raced")).toBe(0);
      for (const id of [1, 2]) expect((await object("raced", 1, id).status()).value).toBeNull();
    });
  });
});

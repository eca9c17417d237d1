import { evictAllDurableObjects } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { BOUND_MS } from "../../core/consensus/directory/entries.ts";
import { checkTopicConfig, directoryShard, firstMembers } from "../../core/wire/directory.ts";
import type { EntryKind, EntryRecord } from "../../core/wire/entries.ts";
import { objectName, type Scope, SYSTEM_GROUP } from "../../core/wire/names.ts";
import { listGroups, listTopics, refreshTopic, takeRows, topicMeta } from "../../durable-objects/directory/lookup.ts";
import { directory } from "../../durable-objects/directory/port.ts";
import { replicaName } from "../../durable-objects/group/names.ts";
import { call, codeOf, mint, problem } from "./gate-kit.ts";

let count = 0;
const fresh = (): Scope => ({ project: `s${++count}`, jurisdiction: "global" });
const config = checkTopicConfig({ partitions: 2, key: "/a" });
const replica = (scope: Scope, id: number) => env.GROUP.getByName(replicaName(scope, SYSTEM_GROUP, 1, id));
const statuses = (scope: Scope) => Promise.all([1, 2, 3].map(async (id) => (await replica(scope, id).status()).value));

describe("the system group", () => {
  it("is founded once, however many ask at first, and stays so over evictions and repeated introductions", async () => {
    const scope = fresh();
    const names = Array.from({ length: 12 }, (_, i) => `t${String(i).padStart(2, "0")}`);
    const made = await Promise.all(names.map((name) => directory(env, scope).putTopic(name, config)));
    expect(made.every(({ value }) => value.created)).toBe(true);
    for (const { level, placement, position, rows } of made) {
      expect([level, placement, position?.object]).toEqual(["quorum", "simulated", `v1/${scope.project}/global/groups/group/_system`]);
      expect(rows ?? 0).toBeLessThan(100);
    }
    // Three replicas write what one writes.
    expect(made.reduce((sum, { rows = 0 }) => sum + rows, 0)).toBeGreaterThanOrEqual(3);
    for (let round = 0; round < 2; round++) {
      await evictAllDurableObjects();
      await Promise.all([1, 2, 3].map((id) => replica(scope, id).configure({ kind: "found", voters: [1, 2, 3], state: new Uint8Array() })));
      const both = await Promise.all([directory(env, scope).putTopic("race", config), directory(env, scope).putTopic("race", config)]);
      expect(both.filter(({ value }) => value.created)).toHaveLength(round === 0 ? 1 : 0);
    }
    expect((await listTopics(env, scope, null, 100)).value.items.map(({ name }) => name)).toEqual(["race", ...names]);
    const seen = await statuses(scope);
    expect(seen.map((each) => each?.conf.voters)).toEqual([1, 2, 3].map(() => [1, 2, 3]));
    expect(seen.filter((each) => each?.role === "leader")).toHaveLength(1);
  });

  it("takes over what shards held before it, once, whoever comes first, and goes on from there", async () => {
    const scope = fresh();
    const shard = (name: string) => env.DIRECTORY.getByName(objectName(scope, "platform", "directory", directoryShard(name)));
    const entry = (kind: EntryKind, name: string, more: Partial<EntryRecord>): EntryRecord => ({
      ...{ kind, name, version: 1, generation: 1, createdAt: 5, deletedAt: null, config: JSON.stringify(config), ...more },
    });
    const members = { ...firstMembers({ replicas: 3, regions: ["enam", "weur", "wnam"] }), replicas: 3, regions: ["enam", "weur", "wnam"] };
    const old = [
      entry("topic", "kept", {}),
      entry("topic", "gone", { version: 4, generation: 2, deletedAt: 9 }),
      entry("group", "desk", { version: 3, config: JSON.stringify(members) }),
    ];
    for (const each of old) for (let v = 1; v <= each.version; v++) await shard(each.name).put([{ ...each, version: v }]);
    await directory(env, scope).putRoom("room");

    const [kept, listed, made] = await Promise.all([
      directory(env, scope).getTopic("kept"),
      listGroups(env, scope),
      directory(env, scope).putTopic("new", config),
    ]);
    expect(kept.value).toEqual({ name: "kept", version: 1, generation: 1, createdAt: 5, ...config });
    expect(listed.value.items).toMatchObject([{ name: "desk", version: 3, nextId: 4 }]);
    expect(made.value.created).toBe(true);
    expect((await directory(env, scope).getTopic("gone")).value).toBeNull();
    expect((await directory(env, scope).putTopic("gone", config)).value.topic).toMatchObject({ version: 5, generation: 3 });
    const changed = { members: members.members, nextId: 9 };
    expect((await directory(env, scope).updateGroup("desk", 3, changed)).value).toMatchObject({ version: 4, nextId: 9 });
    // What an old shard says later is nobody's business.
    await shard("late").put([entry("topic", "late", {})]);
    expect((await directory(env, scope).getTopic("late")).value).toBeNull();
    expect((await directory(env, scope).getRoom("room")).value).toMatchObject({ generation: 1 });
    expect((await directory(env, scope).getGroup("desk")).value).toMatchObject({ version: 4 });
  });

  it("is not asked where the metadata is known", async () => {
    const scope = fresh();
    // Of callers, not of each other: what was committed last they still tell each other.
    const asks = async () => (await statuses(scope)).map((each) => each?.counters.asks ?? 0);
    await directory(env, scope).putTopic("t", config);
    await topicMeta(env, scope, "t");
    const before = await asks();
    for (let i = 0; i < 20; i++) await topicMeta(env, scope, "t");
    expect(await asks()).toEqual(before);
    // What a look did cost is told once: a replica that wakes writes.
    takeRows(scope);
    await evictAllDurableObjects();
    await refreshTopic(env, scope, "t");
    expect(takeRows(scope)).toBeGreaterThanOrEqual(3);
    expect(takeRows(scope)).toBe(0);
  });

  it("is the platform's own: nobody makes, changes or deletes it, and only who may do everything reads it", async () => {
    const level = (await call("/v1/topics/hidden", { method: "PUT" })).headers.get("skerry-level");
    expect(level).toBe("quorum; placement=simulated");
    const put = { key: btoa("directory/topic/x"), value: btoa("{}") };
    const refused: [string, Parameters<typeof call>[1]][] = [
      ["/v1/groups/_system", { method: "PUT" }],
      ["/v1/groups/_other", { method: "PUT" }],
      ["/v1/groups/_system", { method: "DELETE" }],
      ["/v1/groups/_system/members", { method: "POST", json: {} }],
      ["/v1/groups/_system/members/2", { method: "DELETE" }],
      ["/v1/groups/_system/transfer", { json: { to: 2 } }],
      ["/v1/groups/_system/v3/kv/put", { json: put }],
      ["/v1/groups/_system/v3/lease/grant", { json: { TTL: 10 } }],
    ];
    for (const [path, options] of refused) expect([path, (await call(path, options)).status]).toEqual([path, 403]);
    expect(await problem(await call("/v1/groups/_system", { method: "DELETE" }))).toMatchObject({
      code: "forbidden",
      detail: expect.stringMatching(/platform's own/),
    });
    const range = { json: { key: btoa("directory/"), range_end: btoa("directory0"), count_only: true } };
    const { token } = await mint([{ capability: "groups", name: "*", rights: ["admin"] }]);
    for (const path of ["/v1/groups/_system", "/v1/groups/_system/socket?v=1"]) expect((await call(path, { token })).status).toBe(403);
    expect((await call("/v1/groups/_system/v3/kv/range", { ...range, token })).status).toBe(403);
    const { count: keys } = (await (await call("/v1/groups/_system/v3/kv/range", range)).json()) as { count: string };
    expect(Number(keys)).toBeGreaterThan(0);
    expect(await (await call("/v1/groups/_system")).json()).toMatchObject({ name: "_system", generation: 1, quorum: true });
    expect(JSON.stringify(await (await call("/v1/groups")).json())).not.toContain("_system");
  });
});

describe("without a majority of the system group", () => {
  const scope: Scope = { project: "main", jurisdiction: "global" };
  const fault = async (id: number, hang: boolean) =>
    expect((await call(`/v1/groups/_system/members/${id}/fault`, { json: { hang } })).status).toBe(204);

  it("what is known goes on, what is new is refused for now, and then all is as before", async () => {
    const appendTo = (topic: string) => call(`/v1/stream/${topic}`, { json: [{ a: 1 }] });
    const write = (group: string) => call(`/v1/groups/${group}/v3/kv/put`, { json: { key: btoa("k"), value: btoa("v") } });
    const update = new Uint8Array([0, 0]);
    const edit = (room: string) =>
      call(`/v1/rooms/${room}/doc`, { method: "POST", body: update, headers: { "content-type": "application/octet-stream" } });
    expect((await call("/v1/topics/known", { method: "PUT" })).status).toBe(201);
    for (const name of ["cold", "deleted"]) await directory(env, scope).putTopic(name, config);
    expect((await call("/v1/topics/deleted", { method: "DELETE" })).status).toBe(204);
    expect((await appendTo("known")).ok).toBe(true);
    expect((await call("/v1/groups/known", { method: "PUT" })).status).toBe(201);
    expect((await write("known")).status).toBe(200);
    expect((await edit("known")).status).toBe(200);

    const leader = (await statuses(scope)).find((each) => each?.role === "leader")!.id;
    const other = (leader % 3) + 1;
    await fault(leader, true);
    await fault(other, true);
    // Everything this isolate knows is out of date by now.
    await scheduler.wait(5_000 + BOUND_MS);
    for (let again = 0; again < 2; again++) {
      expect((await appendTo("known")).ok).toBe(true);
      expect((await call("/v1/topics/known")).status).toBe(200);
      expect((await write("known")).status).toBe(200);
      expect((await edit("known")).status).toBe(200);
      expect((await edit("never-seen")).status).toBe(200);
    }
    // Nobody asked for this one here before, but the replica that is left knows it; of that one it may know too little.
    expect(await topicMeta(env, scope, "cold")).toMatchObject({ name: "cold", partitions: 2 });
    expect(await codeOf(topicMeta(env, scope, "deleted"))).toBe("no_quorum");
    for (const answered of await Promise.all([
      call("/v1/topics/new", { method: "PUT" }),
      call("/v1/topics/nowhere"),
      call("/v1/topics"),
      call("/v1/groups/new", { method: "PUT" }),
    ]))
      expect(await problem(answered)).toMatchObject({ status: 503, code: "no_quorum", retryable: true });

    await fault(leader, false);
    await fault(other, false);
    expect([200, 201]).toContain((await call("/v1/topics/new", { method: "PUT" })).status);
    expect((await call("/v1/topics/nowhere")).status).toBe(404);
    expect((await appendTo("new")).ok).toBe(true);
    const { topics } = (await (await call("/v1/topics")).json()) as { topics: { name: string }[] };
    expect(topics.map(({ name }) => name)).toEqual(expect.arrayContaining(["cold", "known", "new"]));
    expect(await codeOf(topicMeta(env, scope, "cold"))).toBe("accepted");
  }, 120_000);
});

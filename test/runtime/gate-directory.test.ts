import { evictAllDurableObjects, listDurableObjectIds } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it, vi } from "vitest";
import { checkGroupConfig, checkTopicConfig, DIRECTORY_SHARDS } from "../../core/wire/directory.ts";
import type { Scope } from "../../core/wire/names.ts";
import {
  forgetGroup,
  forgetTopic,
  groupMeta,
  listGroups,
  listRooms,
  listTopics,
  refreshTopic,
  topicMeta,
} from "../../durable-objects/directory/lookup.ts";
import { directory } from "../../durable-objects/directory/port.ts";
import { codeOf } from "./gate-kit.ts";

let count = 0;
const fresh = (): Scope => ({ project: `d${++count}`, jurisdiction: "global" });
const config = checkTopicConfig({ partitions: 4, key: "/origin" });

afterEach(() => {
  vi.useRealTimers();
});

describe("the directory", () => {
  it("[WD4] the same again changes nothing; another configuration is a conflict; through evictions", async () => {
    const scope = fresh();
    const port = directory(env, scope);
    const { value: made } = await port.putTopic("flights", config);
    expect(made).toMatchObject({ created: true, topic: { ...config, name: "flights", version: 1, generation: 1 } });
    await evictAllDurableObjects();
    expect((await port.putTopic("flights", config)).value).toEqual({ created: false, topic: made.topic });
    await evictAllDurableObjects();
    const other = await port.putTopic("flights", { ...config, partitions: 5 }).then(
      () => null,
      (thrown) => thrown,
    );
    expect(other).toMatchObject({ code: "conflict", extra: { existing: made.topic } });
    await evictAllDurableObjects();
    expect((await port.getTopic("flights")).value).toEqual(made.topic);
    expect((await port.getTopic("other")).value).toBeNull();
  });

  it("[WD5] a name made again has a higher generation and version, and may have another configuration", async () => {
    const scope = fresh();
    const port = directory(env, scope);
    let { topic } = (await port.putTopic("t", config)).value;
    for (let i = 1; i <= 3; i++) {
      expect((await port.deleteTopic("t")).value).toEqual({ deleted: true });
      await evictAllDurableObjects();
      expect((await port.deleteTopic("t")).value).toEqual({ deleted: false });
      expect((await port.getTopic("t")).value).toBeNull();
      const again = (await port.putTopic("t", { ...config, partitions: i })).value;
      expect(again).toMatchObject({ created: true, topic: { generation: topic.generation + 1, partitions: i } });
      expect(again.topic.version).toBeGreaterThan(topic.version);
      topic = again.topic;
    }
  });

  it("[WD5] rooms have generations of their own, apart from a topic of the same name", async () => {
    const scope = fresh();
    const port = directory(env, scope);
    await port.putTopic("x", config);
    expect((await port.putRoom("x")).value).toMatchObject({ created: true, room: { name: "x", generation: 1 } });
    expect((await port.putRoom("x")).value.created).toBe(false);
    expect((await port.deleteRoom("x")).value.deleted).toBe(true);
    await evictAllDurableObjects();
    expect((await port.getRoom("x")).value).toBeNull();
    expect((await port.putRoom("x")).value.room.generation).toBe(2);
    expect((await port.getTopic("x")).value?.generation).toBe(1);
  });

  it("[WD3] a name or a configuration that cannot be is refused, and leaves nothing", async () => {
    const scope = fresh();
    const port = directory(env, scope);
    for (const name of ["", "a\u0000b", "n".repeat(257)]) expect(await codeOf(port.putTopic(name, config))).toBe("bad_name");
    expect(await codeOf(port.putTopic("t", { ...config, partitions: 0 }))).toBe("bad_request");
    expect((await port.getTopic("t")).value).toBeNull();
  });

  it("[WD6] lists names of any script in the order of UTF-8, page by page, over all shards", async () => {
    const scope = fresh();
    const wanted = ["\u{1f600}", "\uffee", "z", "a", " ", "\u1348\u06d5", "\u{10ffff}", "A/b", "é", "%2F"];
    for (const each of wanted) await directory(env, scope).putRoom(each);
    const seen: string[] = [];
    let after: string | null = null;
    do {
      const { value: page }: Awaited<ReturnType<typeof listRooms>> = await listRooms(env, scope, after, 3);
      seen.push(...page.items.map((room) => room.name));
      after = page.next;
    } while (after !== null);
    expect(seen).toEqual([" ", "%2F", "A/b", "a", "z", "é", "\u1348\u06d5", "\uffee", "\u{1f600}", "\u{10ffff}"]);
    expect((await listTopics(env, scope)).value.items).toEqual([]);
  });

  it("[WD6] a page that ends exactly at a shard's last name still finds the names of the others", async () => {
    const scope = fresh();
    const names = Array.from({ length: 40 }, (_, i) => `n${String(i).padStart(2, "0")}`);
    for (const each of names) await directory(env, scope).putRoom(each);
    const { value: first } = await listRooms(env, scope, null, 39);
    expect([first.items.length, first.next]).toEqual([39, "n38"]);
    expect((await listRooms(env, scope, first.next, 39)).value).toMatchObject({ items: [{ name: "n39" }], next: null });
    expect((await listRooms(env, scope, null, 40)).value.next).toBeNull();
    expect((await listDurableObjectIds(env.DIRECTORY)).length).toBeGreaterThanOrEqual(DIRECTORY_SHARDS);
  });
});

describe("the Worker's copy of a topic", () => {
  it("is at most five minutes old, can be renewed at once, and never says that a topic is missing from memory", async () => {
    const scope = fresh();
    const port = directory(env, scope);
    expect(await codeOf(topicMeta(env, scope, "t"))).toBe("topic_not_found");
    await port.putTopic("t", config);
    const first = await topicMeta(env, scope, "t");
    expect(first.generation).toBe(1);
    await port.deleteTopic("t");
    await port.putTopic("t", config);
    expect((await topicMeta(env, scope, "t")).generation).toBe(1);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 300_000 });
    expect((await topicMeta(env, scope, "t")).generation).toBe(2);
    await port.deleteTopic("t");
    expect((await topicMeta(env, scope, "t")).generation).toBe(2);
    expect(await codeOf(refreshTopic(env, scope, "t"))).toBe("topic_not_found");
    expect(await codeOf(topicMeta(env, scope, "t"))).toBe("topic_not_found");
    await port.putTopic("t", config);
    await topicMeta(env, scope, "t");
    await port.deleteTopic("t");
    forgetTopic(scope, "t");
    expect(await codeOf(topicMeta(env, scope, "t"))).toBe("topic_not_found");
  });

  it("[WD9] a group's members change one after the other, and a group made again begins anew", async () => {
    const scope = fresh();
    const port = directory(env, scope);
    const wanted = checkGroupConfig({ regions: ["weur", "weur", "enam"] });
    const { group } = (await port.putGroup("g", wanted)).value;
    expect(group).toMatchObject({ ...wanted, generation: 1, nextId: 4, members: [{ id: 1, region: "weur" }, { id: 2 }, { id: 3 }] });
    expect((await port.putGroup("g", wanted)).value.created).toBe(false);
    expect(await codeOf(port.putGroup("g", checkGroupConfig({ replicas: 1 })))).toBe("conflict");
    const members = [...group.members, { id: 4, region: "me" as const, learner: true }];
    const { value: changed } = await port.updateGroup("g", group.version, { members, nextId: 5 });
    expect(changed).toMatchObject({ version: group.version + 1, members });
    await evictAllDurableObjects();
    expect(await codeOf(port.updateGroup("g", group.version, { members: [], nextId: 5 }))).toBe("stale_metadata");
    expect(await codeOf(port.updateGroup("g", changed.version, { members: [], nextId: 5 }))).toBe("bad_request");
    expect(await groupMeta(env, scope, "g")).toEqual(changed);
    expect((await listGroups(env, scope)).value.items).toEqual([changed]);
    await port.deleteGroup("g");
    forgetGroup(scope, "g");
    expect(await groupMeta(env, scope, "g")).toBeNull();
    expect(await codeOf(port.updateGroup("g", changed.version, { members, nextId: 5 }))).toBe("group_not_found");
    expect((await port.putGroup("g", checkGroupConfig({ replicas: 1 }))).value.group).toMatchObject({ generation: 2, nextId: 2 });
  });
});

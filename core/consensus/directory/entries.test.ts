import { expect, it } from "vitest";
import { checkGroupConfig, checkTopicConfig, type DirectoryPort } from "../../wire/directory.ts";
import { DirectoryRules } from "../../wire/directory-rules.ts";
import type { EntryRecord } from "../../wire/entries.ts";
import { refusal } from "../kv/refusals.ts";
import { KvStore } from "../kv/store.ts";
import type { Told } from "../replica/types.ts";
import { type AskGroup, GroupEntries } from "./entries.ts";

const config = checkTopicConfig({ partitions: 2, key: "/origin" });

/** A group of one store. `between` runs before each write: what another caller does in between. */
function group(store = new KvStore(), between: () => void | Promise<void> = () => {}) {
  const told = (value: Told) => ({ value, position: null, level: "linearizable" as const, rows: 0 });
  const ask: AskGroup = async (ask) => {
    if (ask.ask === "range") return told({ told: "range", response: store.range(ask.request) });
    if (ask.ask !== "write") throw new Error(ask.ask);
    await between();
    const applied = store.apply({ operation: ask.operation, at: 0, session: ask.session });
    if (!("result" in applied)) throw applied.error;
    return told({ told: "write", result: applied.result });
  };
  let now = 1_000;
  const entries = new GroupEntries(ask, () => ({ client: `c${++clients}`, seq: 1, ack: 0 }));
  const port: DirectoryPort = new DirectoryRules(entries, () => now++);
  return { port, store, entries };
}

let clients = 0;
const entry = (name: string, more: Partial<EntryRecord> = {}): EntryRecord => ({
  ...{ kind: "topic", name, version: 1, generation: 1, createdAt: 7, deletedAt: null, config: JSON.stringify(config), ...more },
});

it("[WD4] the same again changes nothing; another configuration is a conflict", async () => {
  const { port, store } = group();
  const { value: made } = await port.putTopic("flights", config);
  expect(made).toMatchObject({ created: true, topic: { ...config, version: 1, generation: 1 } });
  const { revision } = store;
  expect((await port.putTopic("flights", config)).value).toEqual({ created: false, topic: made.topic });
  await expect(port.putTopic("flights", { ...config, partitions: 3 })).rejects.toMatchObject({ code: "conflict" });
  expect(store.revision).toBe(revision);
  expect((await port.getTopic("flights")).value).toEqual(made.topic);
  expect((await port.getRoom("flights")).value).toBeNull();
});

it("[WD5] a name made again after it was deleted has a higher generation and a higher version", async () => {
  const { port } = group();
  await port.putTopic("t", config);
  expect((await port.deleteTopic("t")).value).toEqual({ deleted: true });
  expect((await port.deleteTopic("t")).value).toEqual({ deleted: false });
  expect((await port.getTopic("t")).value).toBeNull();
  expect((await port.putTopic("t", { ...config, partitions: 5 })).value).toMatchObject({
    created: true,
    topic: { version: 3, generation: 2, partitions: 5 },
  });
});

it("[WD6] a list has every name once, in the order of UTF-8 bytes, page by page", async () => {
  const { port } = group();
  const names = ["\u{1f600}", "\uffee", "z", "a", " ", "A/b", "é", "%2F", "a\u{10ffff}"];
  for (const name of names) await port.putRoom(name);
  await port.putTopic("b", config);
  await port.deleteRoom("a");
  const seen: string[] = [];
  for (let after: string | null = null; ; ) {
    const { value }: { value: { name: string }[] } = await port.listRooms(after, 2);
    seen.push(...value.map(({ name }) => name));
    if (value.length < 2) break;
    after = value.at(-1)!.name;
  }
  expect(seen).toEqual([" ", "%2F", "A/b", "a\u{10ffff}", "z", "é", "\uffee", "\u{1f600}"]);
});

it("[WD10] of two callers who make or change one name at once, one does it and the other is told what there is", async () => {
  const store = new KvStore();
  const other = group(store).port;
  let race = true;
  const { port } = group(store, async () => {
    if (race) {
      race = false;
      await other.putTopic("t", config);
    }
  });
  expect((await port.putTopic("t", config)).value).toMatchObject({ created: false, topic: { version: 1 } });

  const { value } = await port.putGroup("g", { replicas: 3, regions: ["enam", "weur", "wnam"] });
  race = false;
  const { group: made } = value;
  const learner = { id: 4, region: null, learner: true };
  await other.updateGroup("g", made.version, { members: [...made.members, learner], nextId: 5 });
  await expect(port.updateGroup("g", made.version, { members: made.members, nextId: 6 })).rejects.toMatchObject({ code: "stale_metadata" });
  expect((await port.getGroup("g")).value).toMatchObject({ version: 2, nextId: 5 });
});

it("[WD18] a group that is prepared is not there before it is opened, and nobody else gets its generation", async () => {
  const { port } = group();
  const config = checkGroupConfig({});
  const { value: first } = await port.prepareGroup("g", config);
  expect(first).toMatchObject({ group: { generation: 1, version: 1, members: [{ id: 1 }, { id: 2 }, { id: 3 }] }, left: null });
  expect((await port.getGroup("g")).value).toBeNull();
  expect((await port.listGroups(null, 9)).value).toEqual([]);
  expect((await port.deleteGroup("g")).value).toEqual({ deleted: false });
  // The first one is cut off; the second is told of it.
  const { value: second } = await port.prepareGroup("g", config);
  expect(second).toMatchObject({
    group: { generation: 2, version: 2 },
    left: { generation: 1, members: [{ id: 1 }, { id: 2 }, { id: 3 }] },
  });
  await expect(port.openGroup("g", first.group.version)).rejects.toMatchObject({ code: "conflict" });
  const { value: opened } = await port.openGroup("g", second.group.version);
  expect(opened).toMatchObject({ generation: 2, version: 3, replicas: 3 });
  expect(opened).not.toHaveProperty("prepared");
  expect((await port.getGroup("g")).value).toEqual(opened);
  await expect(port.openGroup("g", second.group.version)).rejects.toMatchObject({ code: "conflict" });
  await expect(port.prepareGroup("g", config)).rejects.toMatchObject({ code: "conflict", extra: { existing: { generation: 2 } } });
  await port.deleteGroup("g");
  await expect(port.openGroup("g", 4)).rejects.toMatchObject({ code: "conflict" });
  // Somebody makes one of that name in between.
  const { value: third } = await port.prepareGroup("g", config);
  expect(third).toMatchObject({ group: { generation: 3 }, left: null });
  expect((await port.putGroup("g", config)).value).toMatchObject({ created: true, group: { generation: 4 }, left: { generation: 3 } });
  await expect(port.openGroup("g", third.group.version)).rejects.toMatchObject({ code: "conflict" });
  expect((await port.putGroup("g", config)).value).toMatchObject({ created: false, left: null });
});

it("[WD11] entries change together or not at all", async () => {
  const { entries, port, store } = group();
  expect((await entries.put([entry("a"), entry("b")])).value).toBe(true);
  const { revision } = store;
  expect((await entries.put([entry("a", { version: 2 }), entry("b")])).value).toBe(false);
  expect((await entries.put([entry("c"), entry("a", { version: 3 })])).value).toBe(false);
  expect((await entries.put([entry("c")], [entry("b", { version: 2 })])).value).toBe(false);
  expect(store.revision).toBe(revision);
  expect((await entries.put([entry("c"), entry("a", { version: 2, deletedAt: 9 })])).value).toBe(true);
  expect(store.revision).toBe(revision + 1);
  expect((await port.listTopics(null, 9)).value.map(({ name }) => name)).toEqual(["b", "c"]);
});

it("[WD12] what was kept elsewhere is taken over with its versions, by several at once and after one was cut off", async () => {
  const old = [entry("kept", { version: 3, generation: 2 }), entry("gone", { version: 2, deletedAt: 9 }), entry("one")];
  const store = new KvStore();
  let writes = 0;
  const cut = group(store, () => {
    if (++writes === 3) throw new Error("cut off");
  });
  await expect(cut.entries.bring(old)).rejects.toThrow("cut off");
  expect(await cut.entries.brought("linearizable")).toBe(false);

  const [first, second] = [group(store), group(store)];
  await Promise.all([first.entries.bring(old), second.entries.bring(old)]);
  expect(await first.entries.brought("stale")).toBe(true);
  for (const each of old) expect((await first.entries.get("topic", each.name)).value).toEqual(each);
  expect((await first.port.putTopic("gone", config)).value.topic).toMatchObject({ version: 3, generation: 2 });
  expect((await first.port.deleteTopic("kept")).value.deleted).toBe(true);
  // One that comes late changes nothing.
  const { revision } = store;
  await second.entries.bring(old);
  expect(store.revision).toBe(revision);
  expect((await first.port.getTopic("kept")).value).toBeNull();
});

it("a group that is full says so as the platform does", async () => {
  const { port } = group(new KvStore(), () => {
    throw refusal("noSpace");
  });
  await expect(port.putTopic("t", config)).rejects.toMatchObject({ code: "group_full" });
});

it("[WD13] names of groups that are the platform's own cannot be made", async () => {
  const { port } = group();
  await expect(port.putGroup("_system", { replicas: 3, regions: [] })).rejects.toMatchObject({ code: "bad_name" });
  expect((await port.putGroup("system_", { replicas: 1, regions: [] })).value.created).toBe(true);
});

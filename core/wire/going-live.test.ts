import { expect, it } from "vitest";
import { GroupEntries } from "../consensus/directory/entries.ts";
import { KvStore } from "../consensus/kv/store.ts";
import type { Told } from "../consensus/replica/types.ts";
import { checkTopicConfig, type GoingLive } from "./directory.ts";
import { DirectoryRules } from "./directory-rules.ts";

/** A directory over a store of keys. `meanwhile` runs once, before the next write: what somebody else does in between. */
function world() {
  const store = new KvStore();
  let meanwhile: (() => Promise<unknown>) | null = null;
  let sessions = 0;
  const told = (value: Told) => ({ value, position: null, level: "linearizable" as const, rows: 0 });
  const entries = new GroupEntries(
    async (ask) => {
      if (ask.ask === "range") return told({ told: "range", response: store.range(ask.request) });
      if (ask.ask !== "write") throw new Error(ask.ask);
      const other = meanwhile;
      meanwhile = null;
      await other?.();
      const applied = store.apply({ operation: ask.operation, at: 0, session: ask.session });
      if (!("result" in applied)) throw applied.error;
      return told({ told: "write", result: applied.result });
    },
    () => ({ client: `s${++sessions}`, seq: 1, ack: 0 }),
  );
  let now = 100;
  const port = new DirectoryRules(entries, () => now++);
  const between = (work: () => Promise<unknown>) => {
    meanwhile = work;
  };
  return { store, port, between };
}

const source = { name: "flights", config: checkTopicConfig({ partitions: 4, key: "/origin" }) };
const sink = { name: "unusual", config: checkTopicConfig({ timestamp: "/date" }) };
const version = (live: number, more: Partial<GoingLive> = {}): GoingLive => ({ live, topics: [source, sink], adopt: false, ...more });
const names = (topics: { name: string }[]) => topics.map(({ name }) => name);

it("[WD14] all topics of a topology appear with its live version, in one revision", async () => {
  const { store, port } = world();
  expect((await port.getLive("desk")).value).toBeNull();
  const { revision } = store;
  const { value } = await port.goLive("desk", version(1));
  expect(store.revision).toBe(revision + 1);
  expect(names(value.created)).toEqual(["flights", "unusual"]);
  expect(value.topology).toMatchObject({ name: "desk", live: 1, topics: ["flights", "unusual"] });
  expect((await port.getTopic("flights")).value).toMatchObject({ ...source.config, generation: 1, version: 1 });
  expect((await port.getLive("desk")).value).toEqual(value.topology);
  // Again: nothing changes, not even when it went live.
  expect((await port.goLive("desk", version(1))).value).toEqual({ topology: value.topology, created: [] });
  expect(store.revision).toBe(revision + 1);
});

it("[WD14] what is there stays, what lacks is made: with the next generation where it was deleted", async () => {
  const { port } = world();
  await port.putTopic("flights", { ...source.config, maxFutureMs: 5 });
  await port.putTopic("unusual", sink.config);
  await port.deleteTopic("unusual");
  const { value } = await port.goLive("desk", version(1));
  expect(value.created).toMatchObject([{ name: "unusual", generation: 2 }]);
  expect((await port.getTopic("flights")).value).toMatchObject({ maxFutureMs: 5, generation: 1 });
  await port.deleteTopic("unusual");
  // Asked for, it is made once more; by the way, it is left to whoever deleted it. Since when it is live does not change.
  expect((await port.goLive("desk", version(1, { adopt: true }))).value.created).toEqual([]);
  const again = (await port.goLive("desk", version(1))).value;
  expect(again.created).toMatchObject([{ name: "unusual", generation: 3 }]);
  expect(again.topology.since).toBe(value.topology.since);
});

it("[WD15] a topic of another configuration refuses all of it, and is named; who adopts takes it as it is", async () => {
  const { store, port } = world();
  await port.putTopic("unusual", checkTopicConfig({ partitions: 3, timestamp: "/date" }));
  const { revision } = store;
  await expect(port.goLive("desk", version(1))).rejects.toMatchObject({
    code: "conflict",
    message: expect.stringMatching(/"unusual".*"partitions" is 3, not 1/),
    extra: { existing: { name: "unusual" } },
  });
  expect(store.revision).toBe(revision);
  expect((await port.getTopic("flights")).value).toBeNull();
  const { value } = await port.goLive("desk", version(1, { adopt: true }));
  expect(names(value.created)).toEqual(["flights"]);
  expect((await port.getTopic("unusual")).value).toMatchObject({ partitions: 3 });
});

it("[WD16] the live version moves from the one that was named, or not at all; going back must be asked for", async () => {
  const { store, port } = world();
  await expect(port.goLive("desk", version(2, { instead: 1 }))).rejects.toMatchObject({ code: "conflict", extra: { live: null } });
  await port.goLive("desk", version(1, { instead: null }));
  await port.goLive("desk", version(3, { instead: 1 }));
  const { revision } = store;
  await expect(port.goLive("desk", version(2, { instead: 1 }))).rejects.toMatchObject({ code: "conflict", extra: { live: 3 } });
  await expect(port.goLive("desk", version(2, { adopt: true }))).rejects.toMatchObject({ code: "conflict", extra: { live: 3 } });
  expect(store.revision).toBe(revision);
  expect((await port.goLive("desk", version(2))).value.topology.live).toBe(2);
  expect((await port.goLive("desk", version(3, { adopt: true }))).value.topology.live).toBe(3);
});

it("[WD17] what changes in between is seen: another version, a topic made otherwise, a topic deleted", async () => {
  const { port, between } = world();
  between(() => port.goLive("desk", version(2)));
  await expect(port.goLive("desk", version(1, { adopt: true }))).rejects.toMatchObject({ code: "conflict", extra: { live: 2 } });
  between(() => port.goLive("desk", version(4)));
  await expect(port.goLive("desk", version(3, { instead: 2 }))).rejects.toMatchObject({ code: "conflict", extra: { live: 4 } });

  const other = world();
  other.between(() => other.port.putTopic("unusual", checkTopicConfig({ key: "/x", timestamp: "/date" })));
  await expect(other.port.goLive("desk", version(1))).rejects.toMatchObject({ code: "conflict" });
  expect((await other.port.getTopic("flights")).value).toBeNull();

  const third = world();
  await third.port.putTopic("flights", source.config);
  third.between(() => third.port.deleteTopic("flights"));
  const { value } = await third.port.goLive("desk", version(1));
  expect(names(value.created)).toEqual(["flights", "unusual"]);
  expect((await third.port.getTopic("flights")).value).toMatchObject({ generation: 2 });
});

it("[WD14] more topics than a transaction holds are refused", async () => {
  const { port } = world();
  const topics = Array.from({ length: 101 }, (_, i) => ({ name: `t${i}`, config: checkTopicConfig({}) }));
  await expect(port.goLive("wide", version(1, { topics }))).rejects.toMatchObject({ code: "bad_request" });
  expect((await port.goLive("wide", version(1, { topics: topics.slice(1) }))).value.created).toHaveLength(100);
});

import { evictAllDurableObjects } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it } from "vitest";
import { DEFAULT_SCOPE } from "../../core/wire/names.ts";
import { directory } from "../../durable-objects/directory/port.ts";
import { call, codeOf, mint, problem } from "./gate-kit.ts";

type Topology = { name: string; models: string[]; unread?: { topic: string; partition: number; head: number }[]; tasks?: unknown[] };
const topology = async (name: string): Promise<Topology> => {
  const answered = await call(`/v1/topologies/${name}`);
  expect(answered.status, await answered.clone().text()).toBe(200);
  return answered.json();
};

describe("what a topology says of itself", () => {
  afterEach(async () => {
    await evictAllDurableObjects();
  });

  it("names the models that score its records", async () => {
    const { topologies } = (await (await call("/v1/topologies")).json()) as { topologies: Topology[] };
    expect(topologies.map(({ name, models }) => [name, models])).toEqual([
      ["flight-desk", ["flight-forest"]],
      ["flight-board", []],
    ]);
    expect((await topology("flight-desk")).models).toEqual(["flight-forest"]);
  });

  it("lists the partitions of a topic that is wider than it, with what lies in them", async () => {
    expect((await topology("flight-board")).unread).toEqual([]);
    // By the directory itself: the route refuses this width, as the topology is there already.
    const config = { partitions: 3, contentType: "application/json", key: null, timestamp: null, maxFutureMs: 300_000 };
    await directory(env, DEFAULT_SCOPE).putTopic("delays-changes", config);
    for (const [partition, records] of [
      [0, 1],
      [2, 5],
    ] as const) {
      const body = Array.from({ length: records }, () => ({ airport: "ATL", hour: 1, count: 3, mean: 2 }));
      const appended = await call(`/v1/stream/delays-changes/${partition}`, { json: body });
      expect(appended.status, await appended.clone().text()).toBeLessThan(300);
    }
    const { unread, tasks } = await topology("flight-board");
    expect(unread).toEqual([
      { topic: "delays-changes", partition: 1, head: 0 },
      { topic: "delays-changes", partition: 2, head: 5 },
    ]);
    expect(tasks).toHaveLength(1);
  });
});

describe("a topology that goes live", () => {
  const topicsNow = async () => {
    const { topics } = (await (await call("/v1/topics")).json()) as { topics: { name: string; partitions: number; key: string | null }[] };
    return topics;
  };
  const live = async (name: string) => ((await topology(name)) as Topology & { live: { version: number; topics: string[] } | null }).live;
  const projected = { headers: { "skerry-project": "fresh" } };

  it("appears with all of its topics, and says so; the same again changes nothing", async () => {
    const fresh = (path: string, method = "GET", json?: unknown) =>
      call(path, { method, ...projected, ...(json !== undefined && { json }) });
    const listed = async () => ((await (await fresh("/v1/topologies")).json()) as { topologies: { live: unknown }[] }).topologies[0]!.live;
    expect(await listed()).toBeNull();
    const made = await fresh("/v1/topologies/flight-desk/live", "PUT", { instead: null });
    expect([made.status, made.headers.get("skerry-level")]).toEqual([200, "quorum; placement=simulated"]);
    const body = (await made.json()) as { since: number; created: string[] };
    expect(body).toMatchObject({ version: 1, created: ["flights", "delays-changes", "unusual"] });
    const { topics } = (await (await fresh("/v1/topics")).json()) as { topics: unknown[] };
    expect(topics).toMatchObject([
      { name: "delays-changes", partitions: 1, key: null, timestamp: "/hour" },
      { name: "flights", partitions: 4, key: "/origin", timestamp: "/date" },
      { name: "unusual", partitions: 1, key: "/origin", timestamp: "/date" },
    ]);
    expect(await listed()).toEqual({ version: 1, since: body.since, topics: body.created });
    expect(await (await fresh("/v1/topologies/flight-desk/live", "PUT")).json()).toMatchObject({ since: body.since, created: [] });
    expect((await fresh("/v1/topologies/flight-desk/live", "PUT", { instead: 7 })).status).toBe(409);
    expect((await fresh("/v1/topologies/none/live", "PUT")).status).toBe(404);
    // What another topology made already it takes as it is.
    expect(await (await fresh("/v1/topologies/flight-board/live", "PUT")).json()).toMatchObject({ created: [] });
    expect((await fresh("/v1/stream/flights", "POST", [{ origin: "ABQ", date: 1, delay: 5, distance: 9 }])).ok).toBe(true);
  });

  it("needs the right on its topics, and refuses where one of them is another", async () => {
    const { token } = await mint([{ capability: "streams", name: "flight-desk", rights: ["admin"] }]);
    expect((await call("/v1/topologies/flight-desk/live", { method: "PUT", token })).status).toBe(403);
    const other = { method: "PUT", headers: { "skerry-project": "shaped" } };
    expect((await call("/v1/topics/unusual", { ...other, json: { partitions: 3 } })).status).toBe(201);
    const refused = await problem(await call("/v1/topologies/flight-desk/live", other));
    expect(refused).toMatchObject({ code: "conflict", detail: expect.stringMatching(/"unusual".*"partitions" is 3, not 1/) });
    const { topics } = (await (await call("/v1/topics", { headers: other.headers })).json()) as { topics: { name: string }[] };
    expect(topics.map(({ name }) => name)).toEqual(["unusual"]);
  });

  it("is live by its first record, with all of its topics, also after an eviction of everything", async () => {
    await call("/v1/topics/flights", { method: "PUT", json: { partitions: 4, key: "/origin", timestamp: "/date" } });
    expect(await live("flight-desk")).toBeNull();
    await evictAllDurableObjects();
    expect(
      (await call("/v1/stream/flights", { json: [{ id: "f", origin: "ABQ", date: 1, delay: 5, distance: 9, destination: "PHX" }] })).ok,
    ).toBe(true);
    await expect.poll(() => live("flight-desk")).toMatchObject({ version: 1, topics: ["flights", "delays-changes", "unusual"] });
    expect((await topicsNow()).map(({ name }) => name)).toEqual(["delays-changes", "flights", "unusual"]);
  });

  it("waits under a later version, until somebody goes back on purpose", async () => {
    const scope = { project: "later", jurisdiction: "global" } as const;
    const headers = { "skerry-project": "later" };
    const applied = async () => {
      const { tasks } = (await (await call("/v1/topologies/flight-desk", { headers })).json()) as { tasks: { records: number }[] };
      return tasks.length;
    };
    await directory(env, scope).goLive("flight-desk", { live: 9, topics: [], adopt: true });
    await call("/v1/topics/flights", { method: "PUT", headers, json: { partitions: 4, key: "/origin", timestamp: "/date" } });
    const task = env.TASK.getByName("v1/later/global/streams/task/flight-desk/v1/0");
    expect(await codeOf(task.catchUp("flights", 1, 0))).toBe("conflict");
    expect(await applied()).toBe(4);
    expect((await call("/v1/topologies/flight-desk/live", { method: "PUT", headers, json: { instead: 9 } })).status).toBe(200);
    expect(await codeOf(task.catchUp("flights", 1, 0))).toBe("accepted");
  });
});

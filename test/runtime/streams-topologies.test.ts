import { evictAllDurableObjects } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it } from "vitest";
import { DEFAULT_SCOPE } from "../../core/wire/names.ts";
import { directory } from "../../durable-objects/directory/port.ts";
import { call } from "./gate-kit.ts";

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

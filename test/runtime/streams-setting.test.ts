import { evictAllDurableObjects } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { DESK_GROUP, THRESHOLDS_KEY } from "../../topologies/flight-thresholds.ts";
import { call } from "./gate-kit.ts";

const T0 = 978_307_200_000;
let serial = 0;
/** Late enough on a short hop to be unusual for the model. */
const late = (delay = 600) => ({ id: `s${serial++}`, date: T0 + serial * 1_000, delay, distance: 100, origin: "SET", destination: "JFK" });
const append = async (records: unknown[]) => {
  const appended = await call("/v1/stream/flights", { json: records });
  expect(appended.status, await appended.clone().text()).toBe(204);
};
const set = async (value: string) => {
  const put = await call(`/v1/groups/${DESK_GROUP}/v3/kv/put`, { json: { key: btoa(THRESHOLDS_KEY), value: btoa(value) } });
  expect(put.status).toBe(200);
};
const unusual = async () => {
  const read = await call("/v1/stream/unusual?offset=-1");
  return read.status === 404 ? [] : ((await read.json()) as { id: string }[]).map(({ id }) => id);
};
/** The tasks have taken all there is, and sent all they made. */
const settled = async () => {
  await expect
    .poll(async () => {
      const { tasks } = (await (await call("/v1/topologies/flight-desk")).json()) as { tasks: { lag: number; outbox: number }[] };
      return tasks.reduce((sum, { lag, outbox }) => sum + lag + outbox, 0);
    })
    .toBe(0);
};
/** A change is heard of within so long. */
const heard = () => scheduler.wait(3_500);

describe("the thresholds of the flight desk", () => {
  it("[ST13] are what the group holds: without a group the model's own, and a change counts for what comes after it, once", async () => {
    await call("/v1/topics/flights", { method: "PUT", json: { partitions: 4, key: "/origin", timestamp: "/date" } });
    const first = late();
    await append([first, late(5)]);
    await expect.poll(unusual).toEqual([first.id]);

    expect((await call(`/v1/groups/${DESK_GROUP}`, { method: "PUT" })).status).toBe(201);
    await set('{"delay":700}');
    await heard();
    await append([late(), late(650)]);
    const second = late(800);
    await append([second]);
    await expect.poll(unusual).toEqual([first.id, second.id]);

    // Taken under one setting, replayed under another: what was decided stays so, and nothing comes twice.
    await settled();
    await set('{"score":0,"delay":-100}');
    await evictAllDurableObjects();
    await heard();
    const third = late(-1);
    await append([third]);
    await expect.poll(unusual).toEqual([first.id, second.id, third.id]);
    await settled();

    // A group that says nothing stops no stream: what was known last is gone by.
    const fault = async (member: number, hang: boolean) =>
      expect((await call(`/v1/groups/${DESK_GROUP}/members/${member}/fault`, { json: { hang } })).status).toBe(204);
    for (const member of [1, 2, 3]) await fault(member, true);
    await heard();
    const fourth = late(-2);
    await append([fourth]);
    await expect.poll(unusual).toEqual([first.id, second.id, third.id, fourth.id]);
    for (const member of [1, 2, 3]) await fault(member, false);
    await settled();

    await set("not a threshold at all");
    await evictAllDurableObjects();
    await heard();
    await append([late(5)]);
    await settled();
    expect(await unusual()).toEqual([first.id, second.id, third.id, fourth.id]);
  });
});

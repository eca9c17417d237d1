import { evictAllDurableObjects, evictDurableObject, runDurableObjectAlarm } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import { afterEach, describe, expect, it } from "vitest";
import { partitionOf } from "../../core/streams/partition.ts";
import { errorOf } from "../../core/wire/errors.ts";
import { asking } from "../../durable-objects/shared/refusals.ts";
import type { TablePage } from "../../durable-objects/task/task.ts";

const admin = { authorization: `Bearer ${env.SKERRY_ADMIN_KEY}`, "content-type": "application/json" };
const call = (path: string, init: RequestInit = {}) =>
  exports.default.fetch(new Request(`http://skerry.test${path}`, { headers: admin, ...init }));
const HOUR = 3_600_000;
const T0 = 978_307_200_000;

let serial = 0;
function flight(origin: string, at: number, delay: number) {
  return { id: `f${serial++}`, date: T0 + at, delay, distance: 500, origin, destination: "JFK" };
}
async function append(records: unknown[], headers: Record<string, string> = {}) {
  return call("/v1/stream/flights", { method: "POST", body: JSON.stringify(records), headers: { ...admin, ...headers } });
}
async function createFlights() {
  const made = await call("/v1/topics/flights", {
    method: "PUT",
    body: JSON.stringify({ partitions: 4, key: "/origin", timestamp: "/date" }),
  });
  expect([200, 201]).toContain(made.status);
}
/** The rows of an airport, once the append whose context is given is in them. */
async function rowsOf(key: string, context: string | null) {
  const answered = await call(`/v1/tables/delays?key=${key}`, {
    headers: { ...admin, ...(context !== null && { "Skerry-Context": context }) },
  });
  expect(answered.status, await answered.clone().text()).toBe(200);
  return { level: answered.headers.get("skerry-level"), rows: ((await answered.json()) as TablePage).rows };
}

describe("the thread in workerd", () => {
  afterEach(async () => {
    await evictAllDurableObjects();
  });

  it("[ST41] reads its own writes through the context, across evictions at every step", async () => {
    await createFlights();
    let context: string | null = null;
    for (let round = 1; round <= 4; round++) {
      const appended: Response = await append([flight("OWN", round, 10 * round)], context === null ? {} : { "Skerry-Context": context });
      expect(appended.status).toBe(204);
      context = appended.headers.get("skerry-context");
      await evictAllDurableObjects();
      const { level, rows } = await rowsOf("OWN", context);
      expect(level).toBe("session");
      expect(rows).toMatchObject([{ value: { count: round, max: 10 * round } }]);
      await evictAllDurableObjects();
    }
  });

  it("[ST4] keeps producers' claims, offsets and records through eviction", async () => {
    await createFlights();
    const batch = [flight("PRO", 1, 1), flight("PRO", 2, 2)];
    const producer = (epoch: number, seq: number) => ({
      "Producer-Id": "evicted",
      "Producer-Epoch": String(epoch),
      "Producer-Seq": String(seq),
    });
    const first = await append(batch, producer(0, 0));
    expect(first.status).toBe(200);
    const home = partitionOf("PRO", 4);
    const stub = env.TOPIC.getByName(`v1/main/global/streams/topic/flights/g1/${home}`);
    const { head } = (await stub.stats()).value;
    await evictDurableObject(stub);
    const again = await append(batch, producer(0, 0));
    expect(again.status).toBe(204);
    expect(again.headers.get("producer-seq")).toBe("0");
    const skipped = await append(batch, producer(0, 2));
    expect(skipped.status).toBe(409);
    expect(await skipped.json()).toMatchObject({
      code: "sequence_gap",
      expected: 1,
      received: 2,
      detail: 'Producer "evicted" sent sequence number 2, expected 1.',
    });
    expect(skipped.headers.get("producer-expected-seq")).toBe("1");
    expect((await append(batch, producer(1, 0))).status).toBe(200);
    const stale = await append(batch, producer(0, 1));
    expect([stale.status, stale.headers.get("producer-epoch")]).toEqual([403, "1"]);
    await evictDurableObject(stub);
    expect((await stub.stats()).value.head).toBe(head + 2);
    const read = await call(`/v1/stream/flights/${home}?offset=${String(head - 2).padStart(16, "0")}`);
    expect(await read.json()).toEqual([...batch, ...batch]);
    expect(read.headers.get("stream-up-to-date")).toBe("true");
  });

  it("[ST30] what is appended reaches its task although the partition is evicted at once", async () => {
    await createFlights();
    const home = partitionOf("ALA", 4);
    const topic = env.TOPIC.getByName(`v1/main/global/streams/topic/flights/g1/${home}`);
    const record = flight("ALA", 1, 7);
    const batch = JSON.stringify({ k: ["ALA"], t: [record.date], v: [record] });
    await topic.append({ count: 1, maxTime: record.date, batch }, null, null);
    await evictDurableObject(topic);
    // By the doorbell or by the alarm; that the alarm alone does is tested end to end, where every message is lost.
    await expect
      .poll(async () => (await rowsOf("ALA", null)).rows, { timeout: 60_000 })
      .toMatchObject([{ key: "ALA", value: { count: 1 } }]);
  });

  it("[ST31] a task answers the same after eviction, by its journal and by its checkpoint", async () => {
    await createFlights();
    const records = Array.from({ length: 300 }, (_, i) => flight("CHK", (i % 7) * HOUR, i % 50));
    const context = (await append(records)).headers.get("skerry-context");
    const before = (await rowsOf("CHK", context)).rows;
    expect(before.reduce((sum, row) => sum + (row.value.count as number), 0)).toBeGreaterThan(100);
    const task = env.TASK.getByName(`v1/main/global/streams/task/flight-desk/v1/${partitionOf("CHK", 4)}`);
    await evictDurableObject(task);
    expect((await rowsOf("CHK", null)).rows).toEqual(before);
    await evictDurableObject(task);
    expect(await runDurableObjectAlarm(task)).toBe(true);
    await evictDurableObject(task);
    expect((await rowsOf("CHK", null)).rows).toEqual(before);
  });

  it("[ST11] a record that an operator cannot take is counted aside and holds nobody up", async () => {
    await createFlights();
    // A delay that is no number is skipped by the aggregates; the flight itself still counts.
    const context = (await append([{ ...flight("BAD", 1, 0), delay: "late" }, flight("BAD", 2, 4)])).headers.get("skerry-context");
    expect((await rowsOf("BAD", context)).rows).toMatchObject([{ value: { count: 2, mean: 4, max: 4 } }]);
  });

  it("follows a table over a hibernated socket: snapshot, delta after eviction, resume", async () => {
    await createFlights();
    const home = partitionOf("LIV", 4);
    await rowsOf("LIV", (await append([flight("LIV", 1, 5)])).headers.get("skerry-context"));
    const open = async () => {
      const { webSocket } = await call("/v1/tables/delays/live", {
        headers: { ...admin, upgrade: "websocket", "sec-websocket-protocol": "skerry.v1" },
      });
      if (webSocket === null) throw new Error("no socket");
      const frames: Record<string, never>[] = [];
      let wake = () => {};
      webSocket.accept();
      webSocket.addEventListener("message", ({ data }) => {
        frames.push(JSON.parse(data as string));
        wake();
      });
      const next = async (match: (frame: Record<string, never>) => boolean): Promise<Record<string, never>> => {
        for (;;) {
          const at = frames.findIndex(match);
          if (at >= 0) return frames.splice(0, at + 1).at(-1) as Record<string, never>;
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      };
      return { webSocket, next };
    };
    const { webSocket, next } = await open();
    expect(await next((frame) => frame.type === "hello")).toMatchObject({ version: 1 });
    webSocket.send(JSON.stringify({ type: "subscribe", id: 1, target: `delays/${home}`, credit: 20 }));
    expect(await next((frame) => frame.type === "subscribed")).toMatchObject({ mode: "snapshot" });
    const snapshot = await next((frame) => frame.type === "data" && frame.last === true);
    await evictDurableObject(env.TASK.getByName(`v1/main/global/streams/task/flight-desk/v1/${home}`));
    await append([flight("LIV", 2, 6)]);
    const delta = (await next((frame) => frame.type === "data" && frame.kind === "delta")) as never as {
      position: string;
      payload: TablePage;
    };
    expect(delta.payload.rows).toMatchObject([{ key: "LIV", value: { count: 2 } }]);
    webSocket.close(1000);
    await append([flight("LIV", 3, 7)]);
    const again = await open();
    again.webSocket.send(
      JSON.stringify({
        type: "subscribe",
        id: 5,
        target: `delays/${home}`,
        credit: 20,
        from: (snapshot as never as { position: string }).position,
      }),
    );
    expect(await again.next((frame) => frame.type === "subscribed")).toMatchObject({ mode: "resume" });
    const missed = (await again.next((frame) => frame.type === "data")) as never as { kind: string; payload: TablePage };
    expect([missed.kind, missed.payload.rows.map(({ key }) => key)]).toEqual(["delta", ["LIV"]]);
    again.webSocket.send("{");
    expect(await again.next((frame) => frame.type === "error")).toMatchObject({ code: "bad_frame" });
  });

  it("[ST1] records keep their offsets in the archive, for readers and for a task that replays", async () => {
    expect((await call("/v1/topics/old", { method: "PUT", body: "{}" })).status).toBe(201);
    const all = Array.from({ length: 60 }, (_, i) => ({ n: i, filler: "x".repeat(500) }));
    for (let at = 0; at < 60; at += 10) await call("/v1/stream/old", { method: "POST", body: JSON.stringify(all.slice(at, at + 10)) });
    const stub = env.TOPIC.getByName("v1/main/global/streams/topic/old/g1/0");
    const moved = (await stub.offload({ above: 0, keep: 12_000, segment: 8_000 })).value.segments;
    expect(moved).toBeGreaterThan(1);
    await evictDurableObject(stub);
    expect((await stub.stats()).value).toMatchObject({ head: 60 });
    expect((await stub.stats()).value.base).toBeGreaterThan(10);
    const read: unknown[] = [];
    for (let offset = "-1"; ; ) {
      const answered = await call(`/v1/stream/old?offset=${offset}`);
      read.push(...((await answered.json()) as unknown[]));
      offset = answered.headers.get("stream-next-offset") as string;
      if (answered.headers.get("stream-up-to-date") === "true") break;
    }
    expect(read).toEqual(all);
    const listed = await env.ARCHIVE.list({ prefix: "v1/main/global/streams/topic/old/" });
    expect(listed.objects).toHaveLength(moved);
    expect((await call("/v1/topics/old", { method: "DELETE" })).status).toBe(204);
    expect((await env.ARCHIVE.list({ prefix: "v1/main/global/streams/topic/old/" })).objects).toHaveLength(0);
  });

  it("deleting a topic ends its records for good: a new one of the name begins at 0", async () => {
    const put = () => call("/v1/topics/passing", { method: "PUT", body: "{}" });
    expect((await put()).status).toBe(201);
    expect((await call("/v1/stream/passing", { method: "POST", body: "[1,2]" })).status).toBe(204);
    expect((await call("/v1/topics/passing", { method: "DELETE" })).status).toBe(204);
    expect((await call("/v1/stream/passing")).status).toBe(404);
    expect(await (await put()).json()).toMatchObject({ generation: 2 });
    const read = await call("/v1/stream/passing");
    expect([await read.json(), read.headers.get("stream-next-offset")]).toEqual([[], "0000000000000000"]);
    // The old partition refuses who still has its name.
    const old = asking(env).TOPIC.getByName("v1/main/global/streams/topic/passing/g1/0");
    const refused = await old.append({ count: 1, maxTime: 1, batch: '{"k":[null],"t":[1],"v":[1]}' }, null, null).then(
      () => null,
      (error: unknown) => errorOf(error).code,
    );
    expect(refused).toBe("stale_metadata");
  });
});

describe("what streams refuse", () => {
  it.each([
    ["POST", "/v1/stream/nowhere", "[1]", 404, "topic_not_found"],
    ["POST", "/v1/stream/flights", "{", 400, "bad_json"],
    ["POST", "/v1/stream/flights", "[]", 400, "bad_record"],
    ["POST", "/v1/stream/flights", '[{"origin":"A"}]', 400, "bad_record"],
    ["POST", "/v1/stream/flights", '[{"origin":"A","date":99999999999999}]', 422, "record_in_future"],
    ["POST", "/v1/stream/flights/9", '[{"origin":"A","date":1}]', 404, "partition_not_found"],
    ["POST", "/v1/stream/flights/x", "[1]", 404, "partition_not_found"],
    ["GET", "/v1/stream/flights", null, 404, "partition_not_found"],
    ["GET", "/v1/stream/flights/0?offset=7", null, 400, "bad_offset"],
    ["GET", "/v1/stream/flights/0?offset=9000000000000000", null, 400, "bad_offset"],
    ["GET", "/v1/tables/none", null, 404, "table_not_found"],
    ["GET", "/v1/tables/delays?from=5&to=5", null, 400, "bad_query"],
    ["GET", "/v1/tables/delays?from=yesterday", null, 400, "bad_query"],
    ["GET", "/v1/tables/delays?key=A&keyTo=B", null, 400, "bad_query"],
    ["GET", "/v1/tables/delays?limit=0", null, 400, "bad_query"],
    ["GET", "/v1/tables/delays?cursor=xyz", null, 400, "bad_query"],
    ["GET", "/v1/topologies/none", null, 404, "topology_not_found"],
    ["PUT", "/v1/topics/flights", '{"partitions":2,"key":"/origin"}', 409, "conflict"],
    ["PUT", "/v1/topics/x", '{"partitions":0}', 400, "bad_request"],
    ["PUT", "/v1/topics/x", '{"key":"origin"}', 400, "bad_request"],
    ["PUT", "/v1/topics/x", '{"contentType":"text/plain"}', 400, "bad_request"],
    ["PUT", "/v1/topics/x", '{"partition":4}', 400, "bad_request"],
    ["POST", "/v1/stream/flights", '[{"origin":"A","date":1,"x":1e400}]', 400, "bad_record"],
    ["POST", "/v1/stream/flights", '[{"origin":"\\ud800","date":1}]', 400, "bad_record"],
  ] as const)("%s %s %s: %i %s", async (method, path, body, status, code) => {
    await createFlights();
    const answered = await call(path, { method, body });
    expect({ status: answered.status, ...((await answered.json()) as object) }).toMatchObject({ status, code });
  });

  it.each([
    [{ "Producer-Id": "p" }, "producer_headers"],
    [{ "Producer-Id": "p", "Producer-Epoch": "-1", "Producer-Seq": "0" }, "producer_headers"],
    [{ "Producer-Id": "p", "Producer-Epoch": "0", "Producer-Seq": "1e3" }, "producer_headers"],
    [{ "Producer-Id": "", "Producer-Epoch": "0", "Producer-Seq": "0" }, "producer_headers"],
    [{ "content-type": "text/plain" }, "conflict"],
  ] as [Record<string, string>, string][])("an append with %o: %s", async (headers, code) => {
    await createFlights();
    expect(await (await append([flight("A", 1, 1)], headers)).json()).toMatchObject({ code });
  });
});

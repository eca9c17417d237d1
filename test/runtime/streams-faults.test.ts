import {
  createExecutionContext,
  createMessageBatch,
  evictAllDurableObjects,
  getQueueResult,
  runDurableObjectAlarm,
  runInDurableObject,
} from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import { afterEach, describe, expect, it } from "vitest";
import { partitionOf } from "../../core/streams/partition.ts";
import type { Answer } from "../../core/wire/answer.ts";
import type { TablePage, TaskStats } from "../../durable-objects/task/task.ts";
import { consumeRings } from "../../workers/consumers/ring.ts";

const admin = { authorization: `Bearer ${env.SKERRY_ADMIN_KEY}`, "content-type": "application/json" };
const call = (path: string, init: RequestInit = {}) =>
  exports.default.fetch(new Request(`http://skerry.test${path}`, { headers: admin, ...init }));
const T0 = 978_307_200_000;

let serial = 0;
function flight(origin: string, at: number, delay: number) {
  return { id: `f${serial++}`, date: T0 + at, delay, distance: 500, origin, destination: "JFK" };
}
async function createFlights(): Promise<number> {
  const made = await call("/v1/topics/flights", {
    method: "PUT",
    body: JSON.stringify({ partitions: 4, key: "/origin", timestamp: "/date" }),
  });
  expect([200, 201]).toContain(made.status);
  return ((await made.json()) as { generation: number }).generation;
}
/** Appends and waits until the table holds it. Returns the rows of the first record's key. */
async function appendAndRead(records: ReturnType<typeof flight>[]) {
  const appended = await call("/v1/stream/flights", { method: "POST", body: JSON.stringify(records) });
  expect(appended.status, await appended.clone().text()).toBe(204);
  return rowsOf(records[0]!.origin, appended.headers.get("skerry-context"));
}
async function rowsOf(key: string, context: string | null) {
  const headers = { ...admin, ...(context !== null && { "Skerry-Context": context }) };
  const answered = await call(`/v1/tables/delays?key=${key}`, { headers });
  expect(answered.status, await answered.clone().text()).toBe(200);
  return ((await answered.json()) as TablePage).rows;
}
const taskOf = (key: string) => env.TASK.getByName(`v1/main/global/streams/task/flight-desk/v1/${partitionOf(key, 4)}`);
const partitionAt = (generation: number, partition: number) =>
  env.TOPIC.getByName(`v1/main/global/streams/topic/flights/g${generation}/${partition}`);

describe("a source topic that is deleted", () => {
  afterEach(async () => {
    await evictAllDurableObjects();
  });

  it("[ST35] leaves its tables as they are, and a topic of the same name goes on from there", async () => {
    const generation = await createFlights();
    expect(await appendAndRead([flight("DEL", 1, 5), flight("DEL", 2, 6)])).toMatchObject([{ value: { count: 2 } }]);
    expect((await call("/v1/topics/flights", { method: "DELETE" })).status).toBe(204);
    // A crash: what the task had only journalled it would now look for in a log that is gone.
    await evictAllDurableObjects();
    expect(await rowsOf("DEL", null)).toMatchObject([{ value: { count: 2 } }]);
    // The alarm finds nothing to do that it could not do: windows close, and it ends.
    expect(await runDurableObjectAlarm(taskOf("DEL"))).toBe(true);
    expect(await createFlights()).toBe(generation + 1);
    expect(await appendAndRead([flight("DEL", 3, 7)])).toMatchObject([{ value: { count: 3 } }]);
    const { poisoned, applied } = ((await taskOf("DEL").stats()) as Answer<TaskStats>).value;
    expect([poisoned.count, applied.flights]).toEqual([0, { generation: generation + 1, offset: 1 }]);
  });

  it("[ST35] a deletion that was cut short is completed by asking again", async () => {
    const generation = await createFlights();
    await appendAndRead([flight("CUT", 1, 5)]);
    // As after a crash between two partitions.
    await partitionAt(generation, 0).erase();
    await partitionAt(generation, partitionOf("CUT", 4)).erase();
    await evictAllDurableObjects();
    const refused = await call("/v1/stream/flights", { method: "POST", body: JSON.stringify([flight("CUT", 2, 5)]) });
    expect(await refused.json()).toMatchObject({ code: "stale_metadata", retryable: true });
    expect((await call("/v1/topics/flights", { method: "DELETE" })).status).toBe(204);
    expect((await call("/v1/topics/flights", { method: "DELETE" })).status).toBe(404);
    expect((await call("/v1/topics/flights")).status).toBe(404);
    for (let partition = 0; partition < 4; partition++) {
      const left = await runInDurableObject(partitionAt(generation, partition), async (_, { storage }) => ({
        tables: storage.sql.exec("SELECT name FROM sqlite_schema WHERE name NOT LIKE '\\_cf%' ESCAPE '\\'").toArray(),
        alarm: await storage.getAlarm(),
      }));
      expect(left).toEqual({ tables: [], alarm: null });
    }
  });

  it("[ST35] a doorbell of a deleted topic is answered, with records or without", async () => {
    const generation = await createFlights();
    const before = await appendAndRead([flight("BEL", 1, 5)]);
    expect((await call("/v1/topics/flights", { method: "DELETE" })).status).toBe(204);
    const ring = { v: 1, project: "main", jurisdiction: "global", topic: "flights", generation, partition: partitionOf("BEL", 4) };
    const record = flight("BEL", 2, 6);
    const batch = JSON.stringify({ k: ["BEL"], t: [record.date], v: [record] });
    const bells = [
      { ...ring, from: 1, to: 2, batch, traceparent: null },
      { ...ring, from: 2, to: 3, batch: null, traceparent: null },
    ];
    const messages = bells.map((body, id) => ({ id: String(id), timestamp: new Date(), attempts: 1, body }));
    const queued = createMessageBatch("skerry-ring", messages);
    await consumeRings(queued, env);
    expect(await getQueueResult(queued, createExecutionContext())).toMatchObject({ explicitAcks: ["0", "1"], retryMessages: [] });
    expect(await rowsOf("BEL", null)).toEqual(before);
  });

  it("[ST35] two deletions and an append at once: one state, no error of ours", async () => {
    await createFlights();
    await appendAndRead([flight("TWO", 1, 5)]);
    const body = JSON.stringify([flight("TWO", 2, 5)]);
    const answers = await Promise.all([
      call("/v1/topics/flights", { method: "DELETE" }),
      call("/v1/topics/flights", { method: "DELETE" }),
      call("/v1/stream/flights", { method: "POST", body }),
    ]);
    const statuses = answers.map(({ status }) => status);
    expect(statuses.slice(0, 2)).toContain(204);
    for (const status of statuses) expect([204, 404, 409]).toContain(status);
    expect((await call("/v1/topics/flights")).status).toBe(404);
  });
});

describe("the level of an answer", () => {
  const levelOf = async (path: string, context: string | null) => {
    const answered = await call(path, { headers: { ...admin, ...(context !== null && { "Skerry-Context": context }) } });
    expect(answered.status, await answered.clone().text()).toBe(200);
    return answered.headers.get("skerry-level");
  };
  const appendTo = async (origin: string) => {
    const appended = await call("/v1/stream/flights", { method: "POST", body: JSON.stringify([flight(origin, 1, 1)]) });
    return appended.headers.get("skerry-context");
  };

  it("[ST41] is the session's also where the caller has seen one partition only, and not without a context", async () => {
    await createFlights();
    const context = await appendTo("LVL");
    expect(await levelOf("/v1/tables/delays", context)).toBe("session");
    expect(await levelOf("/v1/tables/delays?key=OTHER", context)).toBe("session");
    expect(await levelOf("/v1/tables/delays", null)).toBe("eventual");
  });

  it("[ST41] is not the session's where what the caller appended was deleted with its topic", async () => {
    await createFlights();
    const context = await appendTo("LVX");
    await call("/v1/topics/flights", { method: "DELETE" });
    expect(await levelOf("/v1/tables/delays?key=LVX", context)).toBe("eventual");
    await createFlights();
    expect(await levelOf("/v1/tables/delays?key=LVX", context)).toBe("eventual");
    // The answer's own context has let go of it.
    const answered = await call("/v1/tables/delays?key=LVX", { headers: { ...admin, "Skerry-Context": context as string } });
    expect(await levelOf("/v1/tables/delays?key=LVX", answered.headers.get("skerry-context"))).toBe("session");
    expect(await levelOf("/v1/tables/delays?key=LVX", await appendTo("LVX"))).toBe("session");
  });
});

describe("a receiver that does not take what a task sends", () => {
  afterEach(async () => {
    await evictAllDurableObjects();
  });

  /** Late enough on a short hop to be unusual for the model. */
  const unusual = (origin: string, more: object = {}) => ({ ...flight(origin, 60_000, 600), distance: 100, ...more });
  const post = async (records: unknown[]) => {
    const appended = await call("/v1/stream/flights", { method: "POST", body: JSON.stringify(records) });
    expect(appended.status, await appended.clone().text()).toBe(204);
    return appended.headers.get("skerry-context");
  };
  const statusOf = async (key: string) => {
    const answered = await call("/v1/topologies/flight-desk");
    expect(answered.status, await answered.clone().text()).toBe(200);
    const { tasks } = (await answered.json()) as {
      tasks: { outbox: number; poisoned: number; waiting: unknown[]; lastPoison: unknown[] }[];
    };
    return tasks[partitionOf(key, 4)]!;
  };
  /** How many records of an airport the topic of unusual flights holds. */
  const inUnusual = async (key: string) => {
    const found = await call("/v1/topics/unusual");
    if (found.status === 404) return 0;
    const { extents } = (await found.json()) as { extents: { head: number }[] };
    let records = 0;
    for (const partition of extents.keys()) {
      for (let offset = "-1"; ; ) {
        const read = await call(`/v1/stream/unusual/${partition}?offset=${offset}`);
        records += ((await read.json()) as { origin: string }[]).filter(({ origin }) => origin === key).length;
        offset = read.headers.get("stream-next-offset") as string;
        if (read.headers.has("stream-up-to-date")) break;
      }
    }
    return records;
  };
  const settle = async (key: string, records: number) => {
    await expect.poll(async () => [await inUnusual(key), (await statusOf(key)).outbox], { timeout: 60_000 }).toEqual([records, 0]);
  };
  /** Starts over with a topic of flights that this suite may shape as it likes. */
  const recreate = async (config: object) => {
    await call("/v1/topics/flights", { method: "DELETE" });
    expect((await call("/v1/topics/flights", { method: "PUT", body: JSON.stringify({ partitions: 4, ...config }) })).status).toBe(201);
  };

  it("[ST32] a record that its topic can never take is poison, and the next ones arrive", async () => {
    await recreate({ key: "/origin", timestamp: null });
    const before = (await statusOf("PSN")).poisoned;
    // A text that the model reads, and that is no RFC 3339 time: the topic `unusual` has no time for it.
    await rowsOf("PSN", await post([unusual("PSN", { date: "2001-01-01 00:01:00" }), unusual("PSN")]));
    await settle("PSN", 1);
    const { poisoned, lastPoison } = await statusOf("PSN");
    expect([poisoned - before, lastPoison.at(-1)]).toMatchObject([1, { topic: "unusual", error: expect.stringContaining("event time") }]);
  });

  it("[ST32] an output larger than an append arrives in several, once, also after a crash in between", async () => {
    await recreate({ key: "/origin", timestamp: "/date" });
    const batch = Array.from({ length: 1000 }, () => unusual("BIG", { pad: "x".repeat(1000) }));
    let context: string | null = null;
    for (let round = 0; round < 3; round++) context = await post(batch);
    await rowsOf("BIG", context);
    await evictAllDurableObjects();
    await settle("BIG", 3000);
    await evictAllDurableObjects();
    await settle("BIG", 3000);
  });

  it("[ST32] a topic that its owner shaped otherwise takes what fits it, and the rest is told", async () => {
    await recreate({ key: "/origin", timestamp: "/date" });
    const shape = async () => {
      await call("/v1/topics/unusual", { method: "DELETE" });
      return (await call("/v1/topics/unusual", { method: "PUT", body: JSON.stringify({ partitions: 3, key: "/tail" }) })).status;
    };
    // A task of an earlier test may be quicker in making it anew.
    await expect.poll(shape, { timeout: 60_000 }).toBe(201);
    const before = (await statusOf("SHP")).poisoned;
    await rowsOf("SHP", await post([unusual("SHP", { tail: "N1" }), unusual("SHP")]));
    await settle("SHP", 1);
    expect((await statusOf("SHP")).poisoned - before).toBe(1);
    // Made anew in the shape the topology asks for: nothing is refused any more by what the task knew of the old one.
    expect((await call("/v1/topics/unusual", { method: "DELETE" })).status).toBe(204);
    await rowsOf("SHP", await post([unusual("SHP")]));
    await settle("SHP", 1);
    expect((await statusOf("SHP")).poisoned - before).toBe(1);
  });

  it("a topic that is deleted under the task comes back with the next output", async () => {
    await recreate({ key: "/origin", timestamp: "/date" });
    await call("/v1/topics/unusual", { method: "DELETE" });
    await rowsOf("GON", await post([unusual("GON")]));
    await settle("GON", 1);
    expect((await call("/v1/topics/unusual", { method: "DELETE" })).status).toBe(204);
    await rowsOf("GON", await post([unusual("GON")]));
    await settle("GON", 1);
    expect((await statusOf("GON")).waiting).toEqual([]);
  });
});

describe("a live table's socket", () => {
  afterEach(async () => {
    await evictAllDurableObjects();
  });

  const open = async () => {
    const { webSocket } = await call("/v1/tables/delays/live", {
      headers: { ...admin, upgrade: "websocket", "sec-websocket-protocol": "skerry.v1" },
    });
    if (webSocket === null) throw new Error("no socket");
    const frames: { type: string; id?: number; code?: string }[] = [];
    const closed: number[] = [];
    webSocket.accept();
    webSocket.addEventListener("message", ({ data }) => frames.push(JSON.parse(data as string)));
    webSocket.addEventListener("close", ({ code }) => closed.push(code));
    return { webSocket, frames, closed, send: (frame: object) => webSocket.send(JSON.stringify(frame)) };
  };
  const subscribe = (id: number, target: string) => ({ type: "subscribe", id, target, credit: 5 });

  it("an id is one subscription's, whatever task has it, and free again after its end", async () => {
    const { frames, closed, send } = await open();
    send(subscribe(1, "delays/0"));
    await expect.poll(() => frames.map(({ type }) => type)).toContain("data");
    send({ type: "unsubscribe", id: 1 });
    await expect.poll(() => frames.map(({ type }) => type)).toContain("end");
    send(subscribe(1, "delays/1"));
    await expect.poll(() => frames.filter(({ type }) => type === "subscribed")).toHaveLength(2);
    send(subscribe(1, "delays/2"));
    await expect.poll(() => closed).toEqual([4400]);
    expect(frames.at(-1)).toMatchObject({ type: "error", code: "bad_frame" });
  });

  it("a target is written in one way: another spelling would never hear of a change", async () => {
    const { webSocket, frames, send, closed } = await open();
    const spellings = ["delays/00", "delays/+1", "delays/1.0", "delays/", "delays/4", "delays/-0", "board/0", "delays"];
    for (const [at, target] of spellings.entries()) send(subscribe(at + 1, target));
    await expect
      .poll(() => frames.filter(({ code }) => code === "table_not_found").map(({ id }) => id))
      .toEqual(spellings.map((_, at) => at + 1));
    expect(closed).toEqual([]);
    webSocket.close(1000);
  });

  it("what is sent behind a frame that closes it opens no task's socket again", async () => {
    const { webSocket, closed, send } = await open();
    webSocket.send("{");
    for (let partition = 0; partition < 4; partition++) send(subscribe(partition + 1, `delays/${partition}`));
    await expect.poll(() => closed).toEqual([4400]);
    for (let partition = 0; partition < 4; partition++) {
      const task = env.TASK.getByName(`v1/main/global/streams/task/flight-desk/v1/${partition}`);
      await expect
        .poll(() =>
          runInDurableObject(task, (_, state) => state.getWebSockets().filter((each) => each.readyState === WebSocket.OPEN).length),
        )
        .toBe(0);
    }
  });
});

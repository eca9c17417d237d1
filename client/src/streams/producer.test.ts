import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Journal } from "../../../core/journal/journal.ts";
import { MemoryJournalStorage } from "../../../core/journal/memory.ts";
import { PartitionLog, recordsFrom } from "../../../core/streams/log.ts";
import { parseBody, partitionRecords } from "../../../core/streams/records.ts";
import type { TopicMeta } from "../../../core/wire/directory.ts";
import { ERRORS, errorOf, problemOf, SkerryError } from "../../../core/wire/errors.ts";
import { createClient } from "../index.ts";
import { VirtualTime } from "../testing/virtual.fixture.ts";
import type { ProducerOptions } from "./producer.ts";

type Record = { id: number; key: string; at?: number };
/** What becomes of an append: it arrives, is lost on the way there or back, or is refused for now. */
type Fate = "arrives" | "lost" | "answer lost" | "overloaded";

/** A topic as the server keeps it: the true partitions behind a route that fails on demand. */
class FakeTopic {
  readonly time = new VirtualTime();
  readonly appends: { partition: number; seq: number; records: number; at: number }[] = [];
  readonly logs: PartitionLog[];
  fates: Fate[] = [];
  /** Stands between request and answer, in ms. */
  latency = 0;
  underWay = 0;
  mostUnderWay = 0;
  readonly #meta: TopicMeta;

  constructor(partitions = 3, config: Partial<TopicMeta> = {}) {
    this.#meta = {
      ...{ name: "t", version: 1, generation: 1, createdAt: 0, partitions, contentType: "application/json", key: "/key" },
      ...{ timestamp: null, maxFutureMs: 1000, ...config },
    } as TopicMeta;
    this.logs = Array.from({ length: partitions }, () => {
      const producers = new Map<string, { epoch: number; seq: number }>();
      const store = {
        get: (id: string) => producers.get(id) ?? null,
        put: (id: string, epoch: number, seq: number) => void producers.set(id, { epoch, seq }),
      };
      return new PartitionLog(Journal.open(new MemoryJournalStorage()), store);
    });
  }

  client(token: string | (() => string) = "t") {
    return createClient({
      url: "http://skerry.test",
      token,
      runtime: { ...this.time.runtime(), fetch: (url, init) => this.#answer(url, init) },
    });
  }

  producer(options: ProducerOptions<Record> = {}) {
    return this.client().streams.topic<Record>("t").producer(options);
  }

  records(partition: number): Record[] {
    const { batches } = (this.logs[partition] as PartitionLog).read(0, 1e9);
    return recordsFrom(0, batches).flatMap(({ records }) => records.v as Record[]);
  }

  all(): Record[] {
    return this.logs.flatMap((_, partition) => this.records(partition));
  }

  async #answer(url: string, init: RequestInit): Promise<Response> {
    if (init.method === "GET") return Response.json(this.#meta);
    const partition = Number(new URL(url).pathname.split("/").at(-1));
    const fate = this.fates.shift() ?? "arrives";
    if (fate === "lost") throw new TypeError("lost");
    if (fate === "overloaded") return this.#problem(new SkerryError("overloaded", "Later.", { retryAfter: 2 }));
    this.mostUnderWay = Math.max(this.mostUnderWay, ++this.underWay);
    const headers = new Headers(init.headers);
    const [epoch, seq] = [Number(headers.get("producer-epoch")), Number(headers.get("producer-seq"))];
    try {
      if (this.latency > 0) await new Promise<void>((resolve) => this.time.runtime().timer(this.latency, resolve));
      const values = parseBody(String(init.body));
      const shares = partitionRecords(values, this.#meta, this.time.now, partition);
      if (shares.some((share, home) => home !== partition && share.count > 0)) throw new SkerryError("bad_record", "It strayed.");
      const claim = { id: `c/${headers.get("producer-id")}`, epoch, seq, gapless: true };
      const outcome = (this.logs[partition] as PartitionLog).append(shares[partition]!, claim);
      this.appends.push({ partition, seq, records: values.length, at: this.time.now });
      if (fate === "answer lost") throw new TypeError("answer lost");
      return new Response(null, { status: outcome.appended ? 200 : 204, headers: { "producer-seq": String(outcome.seq) } });
    } catch (thrown) {
      if (thrown instanceof TypeError) throw thrown;
      return this.#problem(errorOf(thrown));
    } finally {
      this.underWay--;
    }
  }

  #problem(error: SkerryError): Response {
    const { status } = ERRORS[error.code];
    return Response.json(problemOf(error), {
      status,
      headers: error.retryAfter === undefined ? {} : { "retry-after": String(error.retryAfter) },
    });
  }
}

const record = (id: number, key = "k"): Record => ({ id, key });
const ids = (records: Record[]) => records.map(({ id }) => id);

describe("a producer", () => {
  it("neither loses nor doubles a record, and keeps the order of a key, whatever gets lost on the way", async () => {
    const fate = fc.constantFrom<Fate>("arrives", "lost", "answer lost", "overloaded");
    await fc.assert(
      fc.asyncProperty(
        fc.array(fate, { maxLength: 25 }),
        fc.array(fc.tuple(fc.constantFrom("a", "b", "c", "d", "e"), fc.nat(12)), { minLength: 1, maxLength: 80 }),
        fc.record({ linger: fc.nat(10), batchRecords: fc.integer({ min: 1, max: 20 }), maxBuffered: fc.integer({ min: 1, max: 2000 }) }),
        async (fates, sent, options) => {
          const topic = new FakeTopic();
          topic.fates = fates;
          topic.latency = 3;
          const producer = topic.producer(options);
          const sending = (async () => {
            for (const [i, [key, wait]] of sent.entries()) {
              if (wait > 8) await new Promise<void>((resolve) => topic.time.runtime().timer(wait, resolve));
              await producer.send(record(i, key));
            }
            await producer.close();
          })();
          let over = false;
          const done = sending.finally(() => {
            over = true;
          });
          while (!over) await topic.time.elapse(50);
          await done;
          expect(ids(topic.all()).sort((a, b) => a - b)).toEqual(sent.map((_, i) => i));
          for (const key of "abcde") {
            const own = ids(topic.all().filter((each) => each.key === key));
            expect(own).toEqual([...own].sort((a, b) => a - b));
          }
          expect(producer.buffered).toBe(0);
        },
      ),
      { numRuns: 60 },
    );
  });

  it("gathers what comes within the linger time, and sends a full batch at once", async () => {
    const topic = new FakeTopic(1);
    const producer = topic.producer({ linger: 5, batchRecords: 3 });
    for (let i = 0; i < 2; i++) void producer.send(record(i));
    await topic.time.elapse(4);
    expect(topic.appends).toEqual([]);
    await topic.time.elapse(2);
    expect(topic.appends).toMatchObject([{ seq: 0, records: 2 }]);
    for (let i = 2; i < 5; i++) void producer.send(record(i));
    await topic.time.settle();
    expect(topic.appends).toMatchObject([{ records: 2 }, { seq: 1, records: 3 }]);
  });

  it("cuts batches by bytes, with one batch of a partition under way at a time and all partitions at once", async () => {
    const topic = new FakeTopic(3, { key: null });
    topic.latency = 10;
    const producer = topic.producer({ batchBytes: 200 });
    for (let i = 0; i < 30; i++) void producer.send(record(i));
    const closing = producer.close();
    await topic.time.elapse(1000);
    await closing;
    expect(ids(topic.all()).sort((a, b) => a - b)).toEqual(Array.from({ length: 30 }, (_, i) => i));
    expect(topic.mostUnderWay).toBe(3);
    expect(topic.logs.every(({ head }) => head > 0)).toBe(true);
    for (const { records } of topic.appends) expect(records).toBeLessThanOrEqual(4);
    for (const partition of [0, 1, 2]) {
      const seqs = topic.appends.filter((each) => each.partition === partition).map(({ seq }) => seq);
      expect(seqs).toEqual(seqs.map((_, i) => i));
    }
  });

  it("holds its caller back while too much is under way", async () => {
    const topic = new FakeTopic(1);
    topic.latency = 100;
    const producer = topic.producer({ linger: 0, maxBuffered: 150 });
    let taken = 0;
    const sending = (async () => {
      for (let i = 0; i < 20; i++) {
        await producer.send(record(i));
        taken++;
        expect(producer.buffered).toBeLessThanOrEqual(150);
      }
    })();
    await topic.time.elapse(99);
    expect(taken).toBeLessThan(4);
    await topic.time.elapse(5000);
    await sending;
    expect(topic.logs[0]?.head).toBe(20);
  });

  it("waits as long as the server asks before it repeats a batch", async () => {
    const topic = new FakeTopic(1);
    topic.fates = ["overloaded", "overloaded"];
    const producer = topic.producer({ linger: 0 });
    const began = topic.time.now;
    const appended = producer.append([record(1)]);
    await topic.time.elapse(10_000);
    await appended;
    expect(topic.appends.map(({ at }) => at - began)).toEqual([4000]);
  });

  it("resolves an append when its records are durable, not before", async () => {
    const topic = new FakeTopic(1);
    topic.latency = 50;
    const producer = topic.producer({ linger: 0 });
    let durable = false;
    void producer.append([record(1), record(2)]).then(() => {
      durable = true;
    });
    await topic.time.elapse(49);
    expect(durable).toBe(false);
    await topic.time.elapse(2);
    expect(durable).toBe(true);
    await producer.append([]);
  });

  it("takes a record as it is at the call, also before it knows the topic", async () => {
    const topic = new FakeTopic();
    const producer = topic.producer({ linger: 0 });
    const changing = record(1, "before");
    const sent = producer.send(changing);
    changing.key = "after";
    await sent;
    const later = producer.send(changing);
    changing.key = "much later";
    await later;
    const closing = producer.close();
    await topic.time.elapse(10);
    await closing;
    expect(
      topic
        .all()
        .map(({ key }) => key)
        .sort(),
    ).toEqual(["after", "before"]);
  });

  it("sends records in the order of the calls, also those made before it knows the topic and not awaited", async () => {
    const topic = new FakeTopic(1);
    const producer = topic.producer();
    void producer.send(record(1));
    void producer.append([record(2), record(3)]);
    void producer.send(record(4));
    const flushed = producer.flush();
    await topic.time.elapse(10);
    await flushed;
    expect(ids(topic.records(0))).toEqual([1, 2, 3, 4]);
  });
});

describe("a record that is refused", () => {
  it("without a key is refused at the call, and takes nothing of its append along", async () => {
    const topic = new FakeTopic();
    const producer = topic.producer({ linger: 0 });
    await expect(producer.append([record(1), { id: 2 } as Record])).rejects.toMatchObject({ code: "bad_record" });
    await expect(producer.send({ id: 3 } as Record)).rejects.toMatchObject({ code: "bad_record" });
    const closing = producer.close();
    await topic.time.elapse(10);
    await closing;
    expect(topic.all()).toEqual([]);
  });

  it("by the server is left out, the rest of its batch goes on under the same number, and flush tells", async () => {
    const topic = new FakeTopic(1, { timestamp: "/at" });
    const producer = topic.producer({ linger: 0 });
    const at = topic.time.now;
    const late = { id: 2, key: "k", at: at + 60_000 };
    void producer.send({ id: 1, key: "k", at });
    void producer.send(late);
    void producer.send({ ...late, id: 3 });
    const appended = producer.append([
      { id: 4, key: "k", at },
      { ...late, id: 5 },
    ]);
    void producer.send({ id: 6, key: "k", at });
    const flushed = producer.flush();
    flushed.catch(() => {});
    await topic.time.elapse(10);
    await expect(appended).rejects.toMatchObject({ code: "record_in_future", extra: { index: 1 } });
    await expect(flushed).rejects.toMatchObject({
      code: "record_in_future",
      message: /^2 records were refused; the first: The record has/,
      extra: { refused: 2 },
    });
    expect(ids(topic.records(0))).toEqual([1, 4, 6]);
    expect(topic.appends).toMatchObject([{ seq: 0, records: 3 }]);
    await producer.flush();
  });

  it("is handed to onRefused, where there is one", async () => {
    const topic = new FakeTopic(1, { timestamp: "/at" });
    const refused: unknown[] = [];
    const producer = topic.producer({ linger: 0, onRefused: (record, { code }) => refused.push([record.id, code]) });
    await producer.send({ id: 1, key: "k" });
    const closing = producer.close();
    await topic.time.elapse(10);
    await closing;
    expect(refused).toEqual([[1, "bad_record"]]);
  });

  it("for its size alone does not stop those that were sent with it", async () => {
    const topic = new FakeTopic(1);
    const producer = topic.producer({ linger: 0, batchBytes: 1_300_000, onRefused: () => {} });
    const huge = { id: 2, key: "k", text: "x".repeat(1_500_000) } as Record;
    const appended = producer.append([record(1), huge, record(3)]);
    appended.catch(() => {});
    await topic.time.elapse(10);
    await expect(appended).rejects.toMatchObject({ code: "too_large", extra: { index: 1 } });
    expect(ids(topic.records(0))).toEqual([1, 3]);
  });
});

describe("the sequence of a producer", () => {
  it("ends where another run of its name has taken over", async () => {
    const topic = new FakeTopic(1);
    const old = topic.producer({ id: "till-7", linger: 0 });
    const first = old.append([record(1)]);
    await topic.time.elapse(10);
    await first;
    const next = topic.producer({ id: "till-7", linger: 0 });
    expect(next.epoch).toBeGreaterThan(old.epoch);
    const second = next.append([record(2)]);
    await topic.time.elapse(10);
    await second;
    const fenced = old.append([record(3)]);
    await topic.time.elapse(10);
    await expect(fenced).rejects.toMatchObject({ code: "stale_epoch" });
    await expect(old.send(record(4))).rejects.toMatchObject({ code: "stale_epoch" });
    expect(ids(topic.records(0))).toEqual([1, 2]);
  });

  it("does not mistake a used epoch for a success: the server would drop the records as repetitions", async () => {
    const topic = new FakeTopic(1);
    const runs = [1, 2].map(() => topic.producer({ id: "till-7", epoch: 5, linger: 0 }));
    const first = runs[0]!.append([record(1)]);
    await topic.time.elapse(10);
    await first;
    const second = runs[1]!.append([record(2)]);
    await topic.time.elapse(10);
    await expect(second).rejects.toMatchObject({ code: "conflict", message: /is used by another run/ });
    expect(ids(topic.records(0))).toEqual([1]);
  });

  it("stops when a batch is given up whose fate nobody knows, and says which records may be there", async () => {
    const topic = new FakeTopic(1);
    topic.fates = ["answer lost", "lost", "lost", "lost"];
    const stop = new AbortController();
    const producer = topic.producer({ linger: 0, batchRecords: 1, signal: stop.signal });
    const doubtful = producer.append([record(1)]);
    const waiting = producer.append([record(2)]);
    doubtful.catch(() => {});
    await topic.time.elapse(150);
    stop.abort(new Error("enough"));
    await topic.time.elapse(10);
    await expect(doubtful).rejects.toMatchObject({ code: "unavailable", extra: { mayBeAppended: true }, message: /enough/ });
    await expect(waiting).rejects.toMatchObject({ extra: { mayBeAppended: false } });
    await expect(producer.send(record(3))).rejects.toMatchObject({ code: "unavailable" });
    await expect(producer.close()).rejects.toMatchObject({ code: "unavailable" });
    expect(ids(topic.records(0))).toEqual([1]);
  });

  it("is asked for again where the topic could not be read", async () => {
    const topic = new FakeTopic(1);
    let down = true;
    const client = createClient({
      url: "http://skerry.test",
      attempts: 1,
      runtime: {
        ...topic.time.runtime(),
        fetch: async (_, { method }) => {
          if (down) throw new TypeError("down");
          return method === "GET" ? Response.json({ partitions: 1, key: null }) : new Response(null, { status: 200 });
        },
      },
    });
    const producer = client.streams.topic("t").producer({ linger: 0 });
    await expect(producer.append([1])).rejects.toMatchObject({ code: "unavailable" });
    down = false;
    const again = producer.append([1]);
    await topic.time.elapse(10);
    await again;
  });

  it("takes nothing once it is closed, and no options that cannot be", async () => {
    const topic = new FakeTopic(1);
    const producer = topic.producer();
    await producer.close();
    await expect(producer.send(record(1))).rejects.toThrow(/closed/);
    for (const bad of [{ linger: -1 }, { batchRecords: 10_001 }, { batchBytes: 2e6 }, { maxBuffered: 0.5 }, { id: "" }, { epoch: -1 }])
      expect(() => topic.producer(bad)).toThrow(SkerryError);
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Journal } from "../journal/journal.ts";
import { MemoryJournalStorage } from "../journal/memory.ts";
import type { TopicMeta } from "../wire/directory.ts";
import { decodeBatch } from "./batch.ts";
import { PartitionLog, type Producer, type ProducerStorage, recordsFrom } from "./log.ts";
import { murmur2, partitionOf } from "./partition.ts";
import { parseBody, parseRfc3339, partitionRecords, pointer } from "./records.ts";

const topic: TopicMeta = {
  name: "t",
  version: 1,
  generation: 1,
  createdAt: 0,
  partitions: 4,
  contentType: "application/json",
  key: "/a~1b/0",
  timestamp: "/at",
  maxFutureMs: 1000,
};

class MemoryProducers implements ProducerStorage {
  readonly claims = new Map<string, { epoch: number; seq: number }>();
  get = (id: string) => this.claims.get(id) ?? null;
  put = (id: string, epoch: number, seq: number) => void this.claims.set(id, { epoch, seq });
}

describe("partitioner", () => {
  // Hashes that Kafka's own unit test of its Utils.murmur2 expects.
  it.each([
    ["21", -973932308],
    ["foobar", -790332482],
    ["a-little-bit-long-string", -985981536],
    ["a-little-bit-longer-string", -1486304829],
    ["lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971],
    ["abc", 479470107],
  ])("[ST2] murmur2(%s) is Kafka's", (key, hash) => {
    expect(murmur2(new TextEncoder().encode(key))).toBe(hash);
    expect(partitionOf(key, 7)).toBe((hash & 0x7fffffff) % 7);
  });
});

describe("records", () => {
  const record = (key: unknown, at: unknown) => ({ "a/b": [key], at });

  it("[ST2] keeps every record, in order, in the partition of its key", () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ key: fc.oneof(fc.string({ minLength: 1 }), fc.integer(), fc.boolean()), n: fc.nat() }), { minLength: 1 }),
        (items) => {
          const values = items.map(({ key, n }) => ({ ...record(key, 500), n }));
          const shares = partitionRecords(parseBody(JSON.stringify(values)), topic, 1000, 0);
          shares.forEach((share, home) => {
            const mine = values.filter((value) => partitionOf(String(value["a/b"][0]), 4) === home);
            const batch = decodeBatch(share.batch);
            expect(batch.v).toEqual(mine);
            expect(batch.k).toEqual(mine.map((value) => String(value["a/b"][0])));
            expect(share.count).toBe(mine.length);
          });
        },
      ),
    );
  });

  it("[ST3] takes what lies exactly at now + maxFutureMs and refuses what lies beyond, whole", () => {
    expect(() => partitionRecords([record("k", 2000)], topic, 1000, 0)).not.toThrow();
    expect(() => partitionRecords([record("k", 1), record("k", 2001)], topic, 1000, 0)).toThrow(/Record 1 .*Nothing was appended/);
  });

  it("[ST3] reads RFC 3339 as the platform's own parser does", () => {
    const dates = fc.date({ min: new Date("1970-01-02T00:00:00Z"), max: new Date("9998-12-31T00:00:00Z"), noInvalidDate: true });
    fc.assert(
      fc.property(dates, fc.integer({ min: -839, max: 839 }), (date, shift) => {
        const local = new Date(date.getTime() + shift * 60_000).toISOString().slice(0, -1);
        const zone = `${shift < 0 ? "-" : "+"}${String(Math.floor(Math.abs(shift) / 60)).padStart(2, "0")}:${String(Math.abs(shift) % 60).padStart(2, "0")}`;
        expect(parseRfc3339(date.toISOString())).toBe(date.getTime());
        expect(parseRfc3339(local + zone)).toBe(date.getTime());
      }),
    );
  });

  it("[ST3] takes nulls, deep nesting and the largest numbers as they are", () => {
    const nested = (depth: number) => JSON.parse(`${"[".repeat(depth)}null${"]".repeat(depth)}`);
    const deep = nested(1000);
    const value = { ...record("k", 1), none: null, big: Number.MAX_VALUE, deep };
    const [share] = partitionRecords([value], { ...topic, partitions: 1 }, 1000, 0);
    expect(share?.batch).toContain(`"none":null,"big":${Number.MAX_VALUE},"deep":[[[[`);
    // How deep JSON.stringify goes is the runtime's; beyond that it is the record's fault, not ours.
    expect(() => partitionRecords([{ ...value, deep: nested(500_000) }], { ...topic, partitions: 1 }, 1000, 0)).toThrow(/nested|larger/);
  });

  it("[ST3] refuses bytes that are not UTF-8, and skips a byte order mark", () => {
    const body = (...bytes: number[]) => new Uint8Array(bytes).buffer;
    expect(() => parseBody(body(0x22, 0xff, 0x22))).toThrow(/not valid JSON/);
    expect(parseBody(body(0xef, 0xbb, 0xbf, 0x31))).toEqual([1]);
  });

  it.each([
    [record(null, 1), /no key.*"\/a~1b\/0"/],
    [record({}, 1), /no key/],
    [record("é".repeat(129), 1), /longer than 256 bytes/],
    [{ at: 1 }, /no key/],
    [record("k", "yesterday"), /no event time.*"\/at"/],
    [record("k", -1), /no event time/],
    [record("k", null), /no event time/],
    ["text", /no event time|no key/],
    [record("k", "2001-13-01T00:00:00Z"), /no event time/],
    [record("k", "2001-02-29T00:00:00Z"), /no event time/],
    [record("k", "1900-02-29T00:00:00Z"), /no event time/],
    [record("k", "2001-04-31T00:00:00Z"), /no event time/],
    [record("k", "2001-04-30T00:00:00+24:00"), /no event time/],
    [record("\ud83d", 1), /surrogate/],
    [record(Number.POSITIVE_INFINITY, 1), /no key/],
    [{ ...record("k", 1), x: [{ y: Number.NEGATIVE_INFINITY }] }, /beyond 1.8e308/],
  ])("[ST3] refuses %j", (value, message) => {
    expect(() => partitionRecords([value], topic, 1000, 0)).toThrow(message);
  });

  it("[ST2] refuses an empty append and one with too many records", () => {
    expect(() => parseBody("[]")).toThrow(/at least one/);
    expect(() => parseBody("{")).toThrow(/not valid JSON/);
    expect(() => parseBody(JSON.stringify(Array(10_001).fill(1)))).toThrow(/at most 10000/);
    expect(parseBody("[[1,2]]")).toEqual([[1, 2]]);
  });

  it("[ST2] looks nothing up on a prototype", () => {
    expect(pointer("/constructor")({})).toBeUndefined();
    expect(pointer("/length")("text")).toBeUndefined();
    expect(() => pointer("a")).toThrow(/JSON Pointer/);
  });
});

describe("partition log", () => {
  const share = (count: number, from: number) => ({
    count,
    maxTime: 0,
    batch:
      count === 0
        ? ""
        : JSON.stringify({ k: Array(count).fill(null), t: Array(count).fill(1), v: Array.from({ length: count }, (_, i) => from + i) }),
  });

  it("[ST1] [ST4] a producer that retries anything any number of times, over reopenings, appends each batch once", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 20 }),
        fc.array(fc.nat(30), { maxLength: 60 }),
        (sizes, script) => {
          const storage = new MemoryJournalStorage();
          const producers = new MemoryProducers();
          let log = new PartitionLog(Journal.open(storage), producers);
          let next = 0;
          const send = (seq: number) => {
            const from = sizes.slice(0, seq).reduce((a, b) => a + b, 0);
            return log.append(share(sizes[seq] as number, from), { id: "p", epoch: 0, seq, gapless: true });
          };
          for (const step of script) {
            if (step === 30) log = new PartitionLog(Journal.open(storage), producers);
            const seq = step % (sizes.length + 1);
            if (seq >= sizes.length) continue;
            if (seq > next) expect(() => send(seq)).toThrow(/expected/);
            else expect(send(seq).appended).toBe(seq === next);
            if (seq === next) next++;
          }
          while (next < sizes.length) send(next++);
          const total = sizes.reduce((a, b) => a + b, 0);
          expect(log.head).toBe(total);
          for (let offset = 0; offset <= total; offset++) {
            const values = recordsFrom(offset, log.read(offset, 1e6).batches).flatMap(({ records }) => records.v);
            expect(values).toEqual(Array.from({ length: total - offset }, (_, i) => offset + i));
          }
          expect(() => log.read(total + 1, 1)).toThrow(/beyond the end/);
        },
      ),
    );
  });

  it("[ST4] fences an older epoch and begins a new one at 0", () => {
    const log = new PartitionLog(Journal.open(new MemoryJournalStorage()), new MemoryProducers());
    const send = (epoch: number, seq: number, gapless = true) =>
      log.append(share(1, 0), { id: "p", epoch, seq, gapless } satisfies Producer);
    send(0, 0);
    expect(() => send(1, 5)).toThrow(/begins with Producer-Seq 0/);
    expect(send(1, 0).appended).toBe(true);
    expect(() => send(0, 1)).toThrow(/epoch 1/);
    expect(log.head).toBe(2);
  });

  it("[ST5] a task may skip numbers but never use one again", () => {
    const log = new PartitionLog(Journal.open(new MemoryJournalStorage()), new MemoryProducers());
    const send = (seq: number) => log.append(share(1, 0), { id: "t", epoch: 0, seq, gapless: false }).appended;
    expect([send(7), send(7), send(3), send(9)]).toEqual([true, false, false, true]);
  });
});

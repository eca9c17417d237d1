import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Journal } from "../journal/journal.ts";
import { MemoryJournalStorage } from "../journal/memory.ts";
import { SkerryError } from "../wire/errors.ts";
import { count, sum } from "./aggregators.ts";
import { encodeBatch, type RecordBatch } from "./batch.ts";
import { type Ports, TaskEngine } from "./engine.ts";
import { PartitionLog } from "./log.ts";
import { mapRange } from "./stateless.ts";
import type { Output } from "./task.ts";
import { topology } from "./topology.ts";
import { tumbling, unlimited } from "./windows.ts";

type Sale = { shop: string; price: number };

const sales = topology("sales", { version: 1, partitions: 1 }, (t) => {
  const stream = t.stream<Sale>("sales");
  stream
    .filter(({ price }) => {
      if (price === 13) throw new Error("unlucky");
      return price >= 0;
    })
    .groupByKey()
    .windowedBy(tumbling({ size: 10, grace: 15, retention: 10_000 }))
    .aggregate("takings", { n: count(), total: sum("price") })
    .toStream({ every: 5 })
    .to("takings-changes");
  stream.filter(({ price }) => price > 80).to("dear", { every: 3 });
});

/** A topic in memory, filled beforehand. */
function logOf(records: { shop: string; at: number; price: number }[], batchSize: number) {
  const log = new PartitionLog(Journal.open(new MemoryJournalStorage()), { get: () => null, put: () => {} });
  for (let at = 0; at < records.length; at += batchSize) {
    const some = records.slice(at, at + batchSize);
    log.append({ count: some.length, maxTime: 0, batch: encodeBatch(columns(some)) }, null);
  }
  return log;
}

function columns(records: { shop: string; at: number; price: number }[]): RecordBatch {
  return { k: records.map(({ shop }) => shop), t: records.map(({ at }) => at), v: records.map(({ shop, price }) => ({ shop, price })) };
}

const records = fc.array(
  fc.record({ shop: fc.constantFrom("a", "b", "c"), at: fc.integer({ min: 0, max: 200 }), price: fc.integer({ min: -5, max: 100 }) }),
  { minLength: 1, maxLength: 80 },
);
type Step =
  | { kind: "deliver"; from: number; length: number }
  | { kind: "crash" }
  | { kind: "catchUp" }
  | { kind: "checkpoint" }
  | { kind: "emit" }
  | { kind: "deliverOutputs" };
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({ kind: fc.constant("deliver" as const), from: fc.nat(80), length: fc.integer({ min: 1, max: 20 }) }),
    },
    {
      weight: 2,
      arbitrary: fc.constantFrom<Step>(
        { kind: "crash" },
        { kind: "catchUp" },
        { kind: "checkpoint" },
        { kind: "emit" },
        { kind: "deliverOutputs" },
      ),
    },
  ),
  { maxLength: 40 },
);

describe("task engine", () => {
  it("[ST30] [ST31] [ST32] ranges that come twice, out of order, overlapping or never, and crashes anywhere, change nothing", async () => {
    await fc.assert(
      fc.asyncProperty(records, fc.integer({ min: 1, max: 9 }), steps, async (all, batchSize, script) => {
        const log = logOf(all, batchSize);
        const storage = new MemoryJournalStorage();
        let clock = 1000;
        const ports: Ports = {
          readLog: async (_, __, offset, maxBytes) => log.read(offset, maxBytes),
          score: async () => [],
          now: () => clock++,
        };
        let engine = new TaskEngine(storage, sales, 0, ports);
        // What the receivers of outputs hold: the highest number a sink took, and the values.
        const received = new Map<string, { seq: number; values: unknown[] }>();
        const take = (outputs: readonly Output[]) => {
          for (const output of outputs) {
            const sink = received.get(output.sink) ?? { seq: -1, values: [] };
            if (output.seq > sink.seq && output.kind === "topic")
              received.set(output.sink, { seq: output.seq, values: [...sink.values, ...output.values] });
          }
        };
        for (const step of script) {
          const machine = await engine.ready();
          switch (step.kind) {
            case "deliver": {
              const from = Math.min(step.from, all.length - 1);
              const some = all.slice(from, from + step.length);
              await engine.ingest(await mapRange(sales, { topic: "sales", partition: 0, from }, columns(some), ports.score), 1);
              break;
            }
            case "crash":
              engine = new TaskEngine(storage, sales, 0, ports);
              break;
            case "catchUp":
              await engine.catchUp("sales", 1, log.head);
              break;
            case "checkpoint":
              await engine.checkpoint();
              break;
            case "emit":
              await engine.emit(true);
              break;
            case "deliverOutputs":
              // Some are acknowledged, some only arrive: the sender will send these again.
              take(machine.outbox);
              for (const output of machine.outbox.slice(0, 2)) machine.delivered(output);
              break;
            default:
              step satisfies never;
          }
        }
        await engine.catchUp("sales", 1, log.head);
        await engine.emit(true);
        const machine = await engine.ready();
        take(machine.outbox);

        const calm = new TaskEngine(new MemoryJournalStorage(), sales, 0, ports);
        await calm.catchUp("sales", 1, log.head);
        const expected = await calm.ready();
        const content = (from: typeof machine) =>
          from.tables
            .get("takings")
            ?.query({ limit: 1e6 })
            .map(({ revision: _, ...row }) => row);
        expect(content(machine)).toEqual(content(expected));
        expect(machine.tables.get("takings")?.late).toBe(expected.tables.get("takings")?.late);
        expect(machine.poisoned.count).toBe(all.filter(({ price }) => price === 13).length);
        expect(machine.records).toBe(all.length);
        // Each record once, in the order of the log.
        const dear = all.filter(({ price }) => price > 80).map(({ shop, price }) => ({ shop, price }));
        expect(received.get("1")?.values ?? []).toEqual(dear);
        // Conflated updates: the last one of each row is the row.
        const last = new Map<string, unknown>();
        for (const row of (received.get("0.0")?.values ?? []) as { key: string; window: { start: number }; value: unknown }[])
          last.set(`${row.window.start}/${row.key}`, row.value);
        expect(Object.fromEntries(last)).toEqual(
          Object.fromEntries((content(machine) ?? []).map((row) => [`${row.window.start}/${row.key}`, row.value])),
        );
      }),
      { numRuns: 200 },
    );
  });

  it("[ST24] closes what is open by a tick, but not while the log has more", async () => {
    const log = logOf([{ shop: "a", at: 5, price: 1 }], 1);
    const storage = new MemoryJournalStorage();
    const ports: Ports = { readLog: async (_, __, offset, maxBytes) => log.read(offset, maxBytes), score: async () => [], now: () => 1 };
    let engine = new TaskEngine(storage, sales, 0, ports);
    await engine.catchUp("sales", 1, 1);
    log.append({ count: 1, maxTime: 0, batch: encodeBatch(columns([{ shop: "a", at: 7, price: 1 }])) }, null);
    const heads = async () => [{ topic: "sales", generation: 1, head: log.head }];
    expect(await engine.closeWindows(heads)).toBe(false);
    expect(await engine.closeWindows(heads)).toBe(true);
    engine = new TaskEngine(storage, sales, 0, ports);
    const table = (await engine.ready()).tables.get("takings");
    expect(table?.query({ limit: 9 })).toMatchObject([{ final: true, value: { n: 2 } }]);
    expect(table?.streamTime).toBe(25);
  });

  it("[ST24] a tick closes each table's windows by their own length, and unlimited ones never", async () => {
    const mixed = topology("mixed", { version: 1, partitions: 1, closeOnIdle: 5 }, (t) => {
      const keyed = t.stream<Sale>("sales").groupByKey();
      keyed.windowedBy(tumbling({ size: 10, grace: 0 })).aggregate("short", { n: count() });
      keyed.windowedBy(tumbling({ size: 1000, grace: 0 })).aggregate("long", { n: count() });
      keyed.windowedBy(unlimited()).aggregate("ever", { n: count() });
    });
    const log = logOf([{ shop: "a", at: 5, price: 1 }], 1);
    const ports: Ports = { readLog: async (_, __, offset, maxBytes) => log.read(offset, maxBytes), score: async () => [], now: () => 1 };
    const storage = new MemoryJournalStorage();
    let engine = new TaskEngine(storage, mixed, 0, ports);
    await engine.catchUp("sales", 1, 1);
    const heads = async () => [{ topic: "sales", generation: 1, head: log.head }];
    expect(await engine.closeWindows(heads)).toBe(true);
    expect((await engine.ready()).closingTime()).toBeNull();
    // What comes now for the next short window is not late there.
    log.append({ count: 1, maxTime: 0, batch: encodeBatch(columns([{ shop: "a", at: 25, price: 1 }])) }, null);
    await engine.catchUp("sales", 1, 2);
    for (const again of [engine, new TaskEngine(storage, mixed, 0, ports)]) {
      engine = again;
      const { tables } = await engine.ready();
      const states = [...tables.values()].map((table) => [
        table.late,
        table.query({ limit: 9 }).map(({ final, value }) => [final, value.n]),
      ]);
      expect(states).toEqual([
        [
          0,
          [
            [true, 1],
            [false, 1],
          ],
        ],
        [1, [[true, 1]]],
        [0, [[false, 2]]],
      ]);
    }
  });

  it("[ST30] says that it cannot go on while the log is out of reach, and goes on when it is back", async () => {
    const log = logOf([{ shop: "a", at: 5, price: 1 }], 1);
    let up = false;
    const ports: Ports = {
      readLog: async (_, __, offset, maxBytes) => {
        if (!up) throw new Error("down");
        return log.read(offset, maxBytes);
      },
      score: async () => [],
      now: () => 1,
    };
    const engine = new TaskEngine(new MemoryJournalStorage(), sales, 0, ports);
    await expect(engine.catchUp("sales", 1, 1)).rejects.toThrow("down");
    up = true;
    await engine.catchUp("sales", 1, 1);
    expect((await engine.ready()).records).toBe(1);
  });

  describe("a source that is deleted", () => {
    const sale = (shop: string, at: number) => ({ shop, at, price: 1 });
    /** Logs by generation; a missing one was erased. */
    function world() {
      const logs = new Map<number, PartitionLog>();
      const ports: Ports = {
        readLog: async (_, generation, offset, maxBytes) => {
          const log = logs.get(generation);
          if (log === undefined) throw new SkerryError("stale_metadata", "erased");
          return log.read(offset, maxBytes);
        },
        score: async () => [],
        now: () => 1,
      };
      return { logs, ports, storage: new MemoryJournalStorage() };
    }
    const rowsOf = async (engine: TaskEngine) => (await engine.ready()).tables.get("takings")?.query({ limit: 9 });

    it("[ST35] leaves what was taken of it, replays without its log, and takes its successor from 0", async () => {
      const { logs, ports, storage } = world();
      logs.set(1, logOf([sale("a", 1), sale("a", 2), sale("a", 3)], 1));
      let engine = new TaskEngine(storage, sales, 0, ports);
      await engine.catchUp("sales", 1, 3);
      await engine.retire("sales", 1);
      logs.delete(1);
      // A bell of the old generation that comes late, with its records.
      const late = await mapRange(sales, { topic: "sales", partition: 0, from: 0 }, columns([sale("a", 1)]), ports.score);
      await engine.ingest(late, 1);
      engine = new TaskEngine(storage, sales, 0, ports);
      expect(await rowsOf(engine)).toMatchObject([{ key: "a", value: { n: 3 } }]);
      logs.set(2, logOf([sale("b", 4), sale("b", 5)], 2));
      await engine.catchUp("sales", 2, 2);
      engine = new TaskEngine(storage, sales, 0, ports);
      expect(await rowsOf(engine)).toMatchObject([
        { key: "a", value: { n: 3 } },
        { key: "b", value: { n: 2 } },
      ]);
      expect((await engine.ready()).poisoned.count).toBe(0);
    });

    it("[ST35] whose log went before the task was told: counted, and not in anybody's way", async () => {
      const { logs, ports, storage } = world();
      logs.set(1, logOf([sale("a", 1), sale("a", 2), sale("a", 3)], 1));
      await new TaskEngine(storage, sales, 0, ports).catchUp("sales", 1, 3);
      logs.delete(1);
      // What is at these offsets now belongs to another generation.
      logs.set(2, logOf([sale("b", 4), sale("b", 5)], 2));
      const engine = new TaskEngine(storage, sales, 0, ports);
      await engine.catchUp("sales", 2, 2);
      expect(await rowsOf(engine)).toMatchObject([{ key: "b", value: { n: 2 } }]);
      const { count, last } = (await engine.ready()).poisoned;
      expect([count, last.at(-1)]).toMatchObject([3, { topic: "sales", offset: 2 }]);
      await engine.checkpoint();
      expect((await new TaskEngine(storage, sales, 0, ports).ready()).poisoned.count).toBe(3);
    });

    it("[ST35] in the middle of a pull: the task takes no more of it and does not ask again", async () => {
      const { logs, ports, storage } = world();
      const engine = new TaskEngine(storage, sales, 0, ports);
      await engine.catchUp("sales", 1, 5);
      expect((await engine.ready()).applied("sales")).toEqual({ generation: 2, offset: 0 });
      logs.set(2, logOf([sale("b", 4)], 1));
      await engine.catchUp("sales", 2, 1);
      expect((await engine.ready()).records).toBe(1);
    });

    it("[ST31] a replay over two generations takes each range from its own log", async () => {
      const { logs, ports, storage } = world();
      logs.set(1, logOf([sale("a", 1), sale("a", 2)], 2));
      logs.set(2, logOf([sale("b", 4), sale("b", 5)], 2));
      const engine = new TaskEngine(storage, sales, 0, ports);
      await engine.catchUp("sales", 1, 2);
      await engine.catchUp("sales", 2, 2);
      const before = await rowsOf(engine);
      expect(await rowsOf(new TaskEngine(storage, sales, 0, ports))).toEqual(before);
    });
  });
});

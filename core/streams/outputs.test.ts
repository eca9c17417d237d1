import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MemoryJournalStorage } from "../journal/memory.ts";
import type { TopicMeta } from "../wire/directory.ts";
import { SkerryError } from "../wire/errors.ts";
import { count, fold } from "./aggregators.ts";
import { decodeBatch } from "./batch.ts";
import { type Ports, TaskEngine } from "./engine.ts";
import { appendsOf, MAX_BATCH_BYTES, MAX_RECORDS } from "./records.ts";
import { mapRange, type ScoreModel } from "./stateless.ts";
import { type TableRow, topology } from "./topology.ts";
import { unlimited } from "./windows.ts";

const base: TopicMeta = {
  name: "out",
  version: 1,
  generation: 1,
  createdAt: 0,
  partitions: 3,
  contentType: "application/json",
  key: "/k",
  timestamp: null,
  maxFutureMs: 0,
};
const bytes = (text: string) => new TextEncoder().encode(text).length;

describe("a task's output as appends", () => {
  it("[ST32] every record once and in order, cut at the same places whatever the topic takes, each part small enough", () => {
    const value = fc.record({
      k: fc.oneof(fc.constantFrom("a", "b", "ключ"), fc.constant(null)),
      pad: fc.integer({ min: 0, max: 120 }),
    });
    fc.assert(
      fc.property(fc.array(value, { maxLength: 40 }), fc.constantFrom("€", "x"), (drawn, filler) => {
        const values = drawn.map(({ k, pad }, n) => ({ k, n, pad: filler.repeat(pad * 1000) }));
        const picky = appendsOf(values, base, 5, 7);
        const easy = appendsOf(values, { ...base, key: null, partitions: 1 }, 5, 7);
        // What one topic refuses moves nothing of the rest into another part.
        const numbers = ({ appends }: typeof picky) =>
          appends.map((shares) => shares.flatMap(({ batch }) => decodeBatch(batch).v.map((each) => (each as { n: number }).n)));
        const keyed = values.filter(({ k }) => k !== null).map(({ n }) => n);
        expect(
          numbers(picky)
            .flat()
            .sort((a, b) => a - b),
        ).toEqual(keyed);
        expect(picky.refused.map(({ index }) => index)).toEqual(values.filter(({ k }) => k === null).map(({ n }) => n));
        expect(numbers(easy).flat()).toEqual(values.map(({ n }) => n));
        expect(numbers(picky).map((part) => part.sort((a, b) => a - b))).toEqual(
          numbers(easy).map((part) => part.filter((n) => keyed.includes(n))),
        );
        for (const shares of [...picky.appends, ...easy.appends].flat()) expect(bytes(shares.batch)).toBeLessThanOrEqual(MAX_BATCH_BYTES);
      }),
      { numRuns: 60 },
    );
  });

  it("[ST32] refuses what can never be appended, and goes on with the rest", () => {
    const values = [{ k: "a" }, { k: "b", huge: "x".repeat(MAX_BATCH_BYTES) }, undefined, { k: {} }, { k: "c" }];
    const { appends, refused } = appendsOf(values, base, 5, 0);
    expect(appends.flat().flatMap(({ batch }) => decodeBatch(batch).v)).toEqual(expect.arrayContaining([{ k: "a" }, { k: "c" }]));
    expect(refused.map(({ index }) => index)).toEqual([1, 2, 3]);
    for (const { error } of refused) expect(error.length).toBeGreaterThan(20);
  });

  it("[ST32] keys as long as their records, and the most records, stay within an append", () => {
    const values = Array.from({ length: 2 * MAX_RECORDS }, (_, n) => String(n).padStart(64, "ё"));
    const { appends, refused } = appendsOf(values, { ...base, key: "", partitions: 1 }, 1_800_000_000_000, 0);
    expect(refused).toEqual([]);
    expect(appends.flat().reduce((sum, share) => sum + share.count, 0)).toBe(values.length);
    for (const share of appends.flat()) expect(bytes(share.batch)).toBeLessThanOrEqual(MAX_BATCH_BYTES);
  });
});

describe("a model as an operator", () => {
  const scored = topology("scored", { version: 1, partitions: 1 }, (t) =>
    t
      .stream<number>("numbers")
      .score("m", {
        width: 2,
        features: (value, into, at) => into.set([value, 1], at),
        apply: (value, score) => [value, score],
      })
      .to("out"),
  );
  const map = (values: number[], score: ScoreModel) =>
    mapRange(
      scored,
      { topic: "numbers", partition: 0, from: 100 },
      { k: values.map(() => null), t: values.map(() => 0), v: values },
      score,
    );
  /** Doubles, and traps on whatever `bad` says. */
  const model =
    (bad: (value: number) => boolean, calls: number[] = []): ScoreModel =>
    async (_, rows, n) => {
      calls.push(n);
      const values = Array.from({ length: n }, (_, at) => rows[2 * at] as number);
      if (values.some(bad)) throw new SkerryError("model_failed", "trapped");
      return values.map((value) => 2 * value);
    };

  it("[ST11] rows it fails on are poison, the others are scored", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 50 }), async (values) => {
        fc.pre(values.some((value) => value >= 3));
        const { lanes, poison } = await map(
          values,
          model((value) => value < 3),
        );
        expect(lanes[0]).toMatchObject({ values: values.filter((value) => value >= 3).map((value) => [value, 2 * value]) });
        expect(poison.map(({ offset }) => offset - 100)).toEqual(values.flatMap((value, at) => (value < 3 ? [at] : [])));
      }),
    );
  });

  it("[ST11] a model that fails on everything, or is out of reach, poisons nothing", async () => {
    await expect(
      map(
        [1, 2, 3],
        model(() => true),
      ),
    ).rejects.toMatchObject({ code: "model_failed" });
    await expect(map([1, 2, 3], () => Promise.reject(new SkerryError("unavailable", "restarting")))).rejects.toMatchObject({
      code: "unavailable",
    });
  });

  it("[ST10] gives it no more rows at once than it takes", async () => {
    const calls: number[] = [];
    const { lanes } = await map(
      Array.from({ length: 40_000 }, (_, at) => at % 1000),
      model(() => false, calls),
    );
    expect(Math.max(...calls)).toBeLessThanOrEqual(16_384);
    expect((lanes[0] as { values: unknown[] }).values).toHaveLength(40_000);
  });
});

describe("operators behind a table", () => {
  type Change = { n: number };
  const fragile = topology("fragile", { version: 1, partitions: 1 }, (t) => {
    const table = t
      .stream<Change>("changes")
      .groupByKey()
      .windowedBy(unlimited())
      .aggregate("sums", {
        n: count(),
        // Impure on purpose: it changes what it gave out.
        all: fold<Change, { seen: number[] }>(
          () => ({ seen: [] }),
          (state, { n }) => {
            state.seen.push(n);
            return state;
          },
        ),
      });
    table
      .toStream({ every: 1 })
      .mapValues((row) => {
        if (row.key === "bad") throw new Error("no such row");
        return row.value;
      })
      .to("out");
    table.toStream({ every: 1 }).toRoom("room", "map", (rows) => {
      if (rows.some((row: Pick<TableRow, "key">) => row.key === "worse")) throw new Error("no such map");
      return { set: { rows: rows.length } };
    });
  });
  let clock = 0;
  const ports: Ports = { readLog: async () => Promise.reject(new Error("not asked")), score: async () => [], now: () => (clock += 10) };
  const range = (from: number, records: [string, number][]) =>
    mapRange(
      fragile,
      { topic: "changes", partition: 0, from },
      { k: records.map(([key]) => key), t: records.map(() => 0), v: records.map(([, n]) => ({ n })) },
      ports.score,
    );

  it("[ST11] what throws there is poison, and the task is not stuck at it for ever", async () => {
    const engine = new TaskEngine(new MemoryJournalStorage(), fragile, 0, ports);
    const records: [string, number][] = [
      ["good", 1],
      ["bad", 2],
      ["worse", 3],
    ];
    await engine.ingest(await range(0, records), 1);
    await engine.emit(true);
    await engine.checkpoint();
    const machine = await engine.ready();
    expect(machine.outbox).toMatchObject([{ kind: "topic", values: [{ n: 1 }, { n: 1 }] }]);
    expect(machine.poisoned.count).toBe(2);
    expect(machine.poisoned.last).toMatchObject([
      { topic: "out", error: "no such row" },
      { topic: "room", error: "no such map" },
    ]);
  });

  it("[ST32] an output holds what was true when it was made, however late it is delivered", async () => {
    const engine = new TaskEngine(new MemoryJournalStorage(), fragile, 0, ports);
    await engine.ingest(await range(0, [["good", 1]]), 1);
    await engine.emit(true);
    const machine = await engine.ready();
    await engine.ingest(await range(1, [["good", 2]]), 1);
    expect(machine.outbox[0]).toMatchObject({ values: [{ n: 1, all: { seen: [1] } }] });
  });

  it("[ST34] outputs that arrived after a checkpoint are taken out of it, so that a wake does not send them for ever", async () => {
    const storage = new MemoryJournalStorage();
    const engine = new TaskEngine(storage, fragile, 0, ports);
    await engine.ingest(await range(0, [["good", 1]]), 1);
    await engine.checkpoint();
    const machine = await engine.ready();
    expect(engine.unsettled).toBe(false);
    for (const output of [...machine.outbox]) machine.delivered(output);
    expect(engine.unsettled).toBe(true);
    await engine.checkpoint();
    expect(engine.unsettled).toBe(false);
    expect((await new TaskEngine(storage, fragile, 0, ports).ready()).outbox).toEqual([]);
  });

  it("[ST32] counts what a receiver can never take with the delivery of the rest: once, also across a crash", async () => {
    const storage = new MemoryJournalStorage();
    let engine = new TaskEngine(storage, fragile, 0, ports);
    await engine.ingest(await range(0, [["good", 1]]), 1);
    await engine.checkpoint();
    const first = await engine.ready();
    expect(first.outboxSize).toBeGreaterThan(10);
    first.delivered(first.outbox[0]!, ["no key"]);
    expect(first.poisoned.count).toBe(1);
    // The crash forgets both the delivery and the count, and the checkpoint's outbox makes up for both.
    engine = new TaskEngine(storage, fragile, 0, ports);
    const second = await engine.ready();
    expect(second.poisoned.count).toBe(0);
    for (const output of [...second.outbox]) second.delivered(output, ["no key"]);
    expect([second.poisoned.count, second.outboxSize]).toEqual([2, 0]);
  });
});

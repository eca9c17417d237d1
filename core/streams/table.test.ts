import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { count, fold, max, mean, min, share, sum } from "./aggregators.ts";
import { MemoryPages } from "./pages.ts";
import { mapRange } from "./stateless.ts";
import { checkQuery, WindowedTable } from "./table.ts";
import { type AggregateNode, topology } from "./topology.ts";
import { hopping, tumbling, unlimited, type Windows } from "./windows.ts";

type Reading = { sensor: string; at: number; value: number };

function node(windows: Windows): AggregateNode {
  const built = topology("t", { version: 1, partitions: 1 }, (t) => {
    t.stream<Reading>("readings")
      .groupByKey()
      .windowedBy(windows)
      .aggregate("table", {
        count: count(),
        sum: sum("value"),
        mean: mean("value"),
        max: max("value"),
        min: min("value"),
        high: share((reading: Reading) => reading.value > 50),
        all: fold<Reading, number[]>(
          () => [],
          (seen, { value }) => [...seen, value],
        ),
      });
  });
  return built.nodes[0] as AggregateNode;
}

async function feed(table: WindowedTable, windows: Windows, readings: Reading[], revision: number) {
  const built = topology("t", { version: 1, partitions: 1 }, (t) => {
    void t;
    t.stream<Reading>("readings").groupByKey().windowedBy(windows).aggregate("x", { n: count() });
  });
  built.nodes[0] = table.node;
  const batch = { k: readings.map(({ sensor }) => sensor), t: readings.map(({ at }) => at), v: readings };
  const mapped = await mapRange(built, { topic: "readings", partition: 0, from: 0 }, batch, async () => []);
  const [lane] = mapped.lanes;
  if (lane?.kind !== "aggregate") throw new Error("no lane");
  return table.apply(lane, revision, (error) => {
    throw error;
  });
}

/** The rules [ST20] to [ST23] again, in the plainest possible way: every window of every record, one at a time. */
function model(windows: Windows, readings: Reading[]) {
  const rows = new Map<string, { key: string; start: number; values: number[] }>();
  let streamTime = -1;
  let late = 0;
  for (const { sensor, at, value } of readings) {
    streamTime = Math.max(streamTime, at);
    for (let start = 0; start <= at; start += windows.advance) {
      if (at >= start + windows.size) continue;
      if (start + windows.size + windows.grace <= streamTime) {
        late++;
        continue;
      }
      const id = `${String(start).padStart(9, "0")}/${sensor}`;
      const row = rows.get(id) ?? { key: sensor, start, values: [] };
      row.values.push(value);
      rows.set(id, row);
    }
  }
  return { late, streamTime, rows: [...rows].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row) };
}

const readings = fc.array(
  fc.record({
    sensor: fc.constantFrom("a", "b", "c", "dd"),
    at: fc.integer({ min: 0, max: 600 }),
    value: fc.integer({ min: 0, max: 100 }),
  }),
  { maxLength: 60 },
);
const windowings = fc
  .record({ size: fc.integer({ min: 1, max: 90 }), part: fc.integer({ min: 1, max: 4 }), grace: fc.integer({ min: 0, max: 80 }) })
  .map(({ size, part, grace }) => hopping({ size, advance: Math.max(1, Math.floor(size / part)), grace, retention: 10_000 }));

describe("windowed table", () => {
  it("[ST20] [ST21] [ST22] [ST23] equals the plainest reading of the rules, across checkpoints and shrinking", async () => {
    await fc.assert(
      fc.asyncProperty(windowings, readings, fc.integer({ min: 1, max: 20 }), async (windows, records, step) => {
        const pages = new MemoryPages();
        let table = new WindowedTable(node(windows), pages);
        for (let at = 0; at < records.length; at += step) {
          await feed(table, windows, records.slice(at, at + step), at);
          const meta = structuredClone(table.flush());
          if (at % 2 === 0) table.shrink(0);
          else table = new WindowedTable(node(windows), pages, meta);
        }
        const expected = model(windows, records);
        const rows = table.query({ limit: 1e6 });
        expect(table.late).toBe(expected.late);
        expect(rows.map(({ key, window }) => [key, window.start])).toEqual(expected.rows.map(({ key, start }) => [key, start]));
        rows.forEach((row, index) => {
          const { values } = expected.rows[index]!;
          const total = values.reduce((a, b) => a + b, 0);
          expect(row.value).toEqual({
            count: values.length,
            sum: total,
            mean: total / values.length,
            max: Math.max(...values),
            min: Math.min(...values),
            high: values.filter((value) => value > 50).length / values.length,
            all: values,
          });
          expect(row.final).toBe(row.window.end + windows.grace <= expected.streamTime);
        });
      }),
      { numRuns: 150 },
    );
  });

  it("[ST33] reports each row once as it closes, with its last value", async () => {
    await fc.assert(
      fc.asyncProperty(readings, fc.integer({ min: 1, max: 9 }), async (records, step) => {
        const windows = tumbling({ size: 30, grace: 20, retention: 10_000 });
        const table = new WindowedTable(node(windows), new MemoryPages());
        const closed = [];
        for (let at = 0; at < records.length; at += step)
          closed.push(...(await feed(table, windows, records.slice(at, at + step), at)).closed);
        const end = table.closingTime();
        if (end !== null) closed.push(...table.advance(end));
        const order = (row: { key: string; window: { start: number } }) => `${String(row.window.start).padStart(9, "0")}/${row.key}`;
        const all = table.query({ limit: 1e6 });
        expect([...closed].sort((a, b) => (order(a) < order(b) ? -1 : 1))).toEqual(all);
        expect(all.every((row) => row.final)).toBe(true);
        expect(table.closingTime()).toBeNull();
      }),
      { numRuns: 100 },
    );
  });

  it("[ST25] forgets windows past their retention, in memory and in storage", async () => {
    const windows = tumbling({ size: 10, grace: 0, retention: 20 });
    const pages = new MemoryPages();
    const table = new WindowedTable(node(windows), pages);
    await feed(table, windows, [{ sensor: "a", at: 5, value: 1 }], 1);
    table.flush();
    expect(pages.pages.size).toBe(1);
    await feed(table, windows, [{ sensor: "a", at: 25, value: 1 }], 2);
    table.flush();
    expect(table.query({ limit: 10 }).map(({ window }) => window.start)).toEqual([20]);
    expect([...pages.pages.keys()].some((id) => id.includes("/0000000000000000/"))).toBe(false);
  });

  it("[ST34] splits a window with many keys into pages that stay small, and finds every key again", async () => {
    const windows = unlimited();
    const pages = new MemoryPages();
    const table = new WindowedTable(node(windows), pages);
    const many = Array.from({ length: 3000 }, (_, i) => ({ sensor: `sensor-${i}`, at: i, value: i % 100 }));
    await feed(table, windows, many, 1);
    const meta = structuredClone(table.flush());
    expect(pages.pages.size).toBeGreaterThan(8);
    for (const bytes of pages.pages.values()) expect(bytes.length).toBeLessThan(100_000);
    const again = new WindowedTable(node(windows), pages, meta);
    expect(again.query({ key: "sensor-1234", limit: 5 })).toMatchObject([{ key: "sensor-1234", value: { count: 1, sum: 34 } }]);
    expect(again.query({ limit: 1e6 })).toHaveLength(3000);
    await feed(again, windows, [{ sensor: "sensor-7", at: 1, value: 1 }], 2);
    expect(again.dirty.pages).toBe(1);
  });

  it("[ST40] pages through a range of keys and windows without skipping or repeating", async () => {
    await fc.assert(
      fc.asyncProperty(readings, fc.integer({ min: 1, max: 7 }), async (records, limit) => {
        const windows = tumbling({ size: 50, grace: 1000, retention: 10_000 });
        const table = new WindowedTable(node(windows), new MemoryPages());
        await feed(table, windows, records, 1);
        const range = { keyFrom: "b", keyTo: "dd", from: 50, to: 500 };
        const all = table.query({ ...range, limit: 1e6 });
        expect(all.every(({ key, window }) => key >= "b" && key < "dd" && window.start >= 50 && window.start < 500)).toBe(true);
        const paged = [];
        for (let after: { start: number; key: string } | undefined; ; ) {
          const page = table.query({ ...range, limit, after });
          paged.push(...page);
          const last = page.at(-1);
          if (last === undefined || page.length < limit) break;
          after = { start: last.window.start, key: last.key };
        }
        expect(paged).toEqual(all);
      }),
      { numRuns: 60 },
    );
  });

  it.each([
    [{ key: "a", keyFrom: "b" }, /one key or for a range/],
    [{ keyFrom: "b", keyTo: "b" }, /no key can match/],
    [{ from: 5, to: 5 }, /no window can match/],
  ])("[ST40] refuses %o", (query, message) => {
    expect(() => checkQuery({ ...query, limit: 1 })).toThrow(message);
  });

  it("[ST11] a record that one aggregator cannot take leaves no trace in the others", async () => {
    const picky = topology("t", { version: 1, partitions: 1 }, (t) => {
      t.stream<Reading>("readings")
        .groupByKey()
        .windowedBy(unlimited())
        .aggregate("table", {
          count: count(),
          sum: sum("value"),
          all: fold<Reading, number[]>(
            () => [],
            (seen, { value }) => {
              if (value < 0) throw new Error("negative");
              return [...seen, value];
            },
          ),
        });
    });
    const table = new WindowedTable(picky.nodes[0] as AggregateNode, new MemoryPages());
    const readings = [
      { sensor: "a", at: 1, value: 2 },
      { sensor: "a", at: 2, value: -1 },
      { sensor: "b", at: 3, value: -1 },
    ];
    const batch = { k: readings.map(({ sensor }) => sensor), t: readings.map(({ at }) => at), v: readings };
    const [lane] = (await mapRange(picky, { topic: "readings", partition: 0, from: 0 }, batch, async () => [])).lanes;
    if (lane?.kind !== "aggregate") throw new Error("no lane");
    const poison: unknown[] = [];
    const { changed } = table.apply(lane, 1, (error) => poison.push(error));
    expect(poison).toHaveLength(2);
    expect(changed.map(({ key }) => key)).toEqual(["a"]);
    expect(table.query({ limit: 9 })).toMatchObject([{ key: "a", value: { count: 1, sum: 2, all: [2] } }]);
  });

  it("[ST31] sums beyond the largest number stay numbers, the same before and after a checkpoint", async () => {
    const windows = unlimited();
    const pages = new MemoryPages();
    const table = new WindowedTable(node(windows), pages);
    const huge = (value: number) => ({ sensor: "a", at: 1, value });
    await feed(table, windows, [huge(1.7e308), huge(1.7e308)], 1);
    const meta = JSON.parse(JSON.stringify(table.flush()));
    const restored = new WindowedTable(node(windows), pages, meta);
    expect(restored.query({ limit: 9 })).toEqual(table.query({ limit: 9 }));
    for (const each of [table, restored]) await feed(each, windows, [huge(-1e308), huge(Number.NaN), huge(Number.POSITIVE_INFINITY)], 2);
    const [row] = table.query({ limit: 9 });
    expect(row?.value).toMatchObject({ count: 5, sum: Number.MAX_VALUE - 1e308, max: 1.7e308 });
    const { all: _, ...values } = row!.value;
    expect(restored.query({ limit: 9 })[0]?.value).toMatchObject(values);
  });
});

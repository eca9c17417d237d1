import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Flight } from "./data.ts";
import { type DelayRow, differences, expectedTable } from "./oracle.ts";

const HOUR = 3_600_000;
const partitionOf = (key: string, partitions: number) => key.charCodeAt(0) % partitions;
const flight = (origin: string, date: number, delay: number): Flight => ({
  date,
  delay,
  distance: 100,
  origin,
  destination: "XYZ",
  id: "x",
});

/** The same rule by hand, record by record. */
function reference(records: Flight[], partitions: number, windowMs: number, graceMs: number) {
  const streamTime: (number | null)[] = Array(partitions).fill(null);
  const late: number[] = Array(partitions).fill(0);
  const windows = new Map<string, { key: string; start: number; delays: number[] }>();
  for (const record of records) {
    const partition = partitionOf(record.origin, partitions);
    const now = Math.max(streamTime[partition] ?? record.date, record.date);
    streamTime[partition] = now;
    const start = Math.floor(record.date / windowMs) * windowMs;
    if (start + windowMs + graceMs <= now) {
      late[partition]!++;
      continue;
    }
    const id = `${record.origin} ${String(start).padStart(20, "0")}`;
    const window = windows.get(id) ?? { key: record.origin, start, delays: [] };
    window.delays.push(record.delay);
    windows.set(id, window);
  }
  const rows: DelayRow[] = [...windows.entries()]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, { key, start, delays }]) => ({
      key,
      window: { start, end: start + windowMs },
      value: {
        count: delays.length,
        mean: delays.reduce((sum, delay) => sum + delay, 0) / delays.length,
        max: Math.max(...delays),
        delayed: delays.filter((delay) => delay > 15).length / delays.length,
      },
    }));
  return { rows, late, streamTime };
}

describe("expectedTable", () => {
  it("computes count, mean, max and the share over 15 minutes per origin and hour", async () => {
    const records = [flight("A", 10, 15), flight("A", 20, 16), flight("A", HOUR, -4), flight("B", 0, 7)];
    const { rows } = await expectedTable(records, { partitions: 1, partitionOf });
    expect(rows).toEqual([
      { key: "A", window: { start: 0, end: HOUR }, value: { count: 2, mean: 15.5, max: 16, delayed: 0.5 } },
      { key: "A", window: { start: HOUR, end: 2 * HOUR }, value: { count: 1, mean: -4, max: -4, delayed: 0 } },
      { key: "B", window: { start: 0, end: HOUR }, value: { count: 1, mean: 7, max: 7, delayed: 0 } },
    ]);
  });

  it("drops a record exactly when its window's end plus grace is no later than stream time", async () => {
    const early = [flight("A", 3 * HOUR - 1, 0), flight("A", 0, 1)];
    const late = [flight("A", 3 * HOUR, 0), flight("A", HOUR - 1, 1)];
    expect((await expectedTable(early, { partitions: 1, partitionOf })).partitions[0]).toMatchObject({ records: 2, late: 0 });
    expect((await expectedTable(late, { partitions: 1, partitionOf })).partitions[0]).toMatchObject({
      records: 2,
      late: 1,
      streamTime: 3 * HOUR,
    });
  });

  it("keeps one stream time a partition", async () => {
    const records = [flight("A", 9 * HOUR, 0), flight("B", 0, 1)];
    expect((await expectedTable(records, { partitions: 2, partitionOf })).partitions.map((row) => row.late)).toEqual([0, 0]);
    expect((await expectedTable(records, { partitions: 1, partitionOf })).partitions.map((row) => row.late)).toEqual([1]);
  });

  it("equals a reference written by hand on random records", async () => {
    const record = fc
      .tuple(fc.constantFrom("A", "B", "C", "D", "E"), fc.integer({ min: 0, max: 12 * HOUR }), fc.integer({ min: -60, max: 400 }))
      .map(([origin, date, delay]) => flight(origin, date, delay));
    await fc.assert(
      fc.asyncProperty(fc.array(record, { maxLength: 60 }), fc.integer({ min: 1, max: 4 }), async (records, partitions) => {
        const expected = reference(records, partitions, HOUR, 2 * HOUR);
        const answer = await expectedTable(records, { partitions, partitionOf });
        expect(answer.partitions.map((row) => row.late)).toEqual(expected.late);
        expect(answer.partitions.map((row) => row.streamTime)).toEqual(expected.streamTime);
        expect(differences(expected.rows, answer.rows)).toEqual([]);
      }),
      { numRuns: 40 },
    );
  });
});

describe("differences", () => {
  const row: DelayRow = { key: "A", window: { start: 0, end: HOUR }, value: { count: 3, mean: 1 / 3, max: 1, delayed: 0 } };
  const changed = (value: Partial<DelayRow["value"]>): DelayRow => ({ ...row, value: { ...row.value, ...value } });

  it("tolerates a mean off by 1e-10 and nothing else", () => {
    expect(differences([row], [changed({ mean: 1 / 3 + 1e-10 })])).toEqual([]);
    expect(differences([row], [changed({ mean: 1 / 3 + 1e-8 })])).toHaveLength(1);
    expect(differences([row], [changed({ mean: Number.NaN })])).toHaveLength(1);
    expect(differences([row], [changed({ count: 4 })])).toHaveLength(1);
    expect(differences([row], [changed({ max: 1 + 1e-10 })])).toHaveLength(1);
  });

  it("names missing, unexpected and repeated rows", () => {
    expect(differences([row], [])).toEqual(["A @ 1970-01-01T00:00: missing"]);
    expect(differences([], [row])).toEqual(["A @ 1970-01-01T00:00: not expected"]);
    expect(differences([row], [row, row])).toEqual(["A @ 1970-01-01T00:00: answered twice"]);
  });
});

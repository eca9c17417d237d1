import type { TableEvent, TableSubscription } from "@skerry/client";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Api } from "../platform/api.ts";
import { DelayTable, HOUR } from "./delays.ts";

let push: (event: TableEvent) => void;
let table: DelayTable;

/** A table of one partition whose events the test sends. */
function api(): Api {
  const events = (async function* () {
    for (;;) yield await new Promise<TableEvent>((resolve) => (push = resolve));
  })();
  const subscription = Object.assign(events, { positions: () => [null] }) as unknown as TableSubscription<unknown>;
  const streams = { table: () => ({ subscribe: async () => subscription }) };
  return { watch: () => () => {}, refused: () => {}, client: { streams } } as unknown as Api;
}

beforeEach(async () => {
  vi.useFakeTimers();
  table = new DelayTable(api(), () => {});
  await vi.advanceTimersByTimeAsync(1000);
});

afterEach(() => {
  table.close();
  vi.useRealTimers();
});

const rows = (...airports: string[]): TableEvent =>
  ({
    kind: "rows",
    partition: 0,
    rows: airports.map((key, at) => ({
      key,
      window: { start: HOUR, end: 2 * HOUR },
      value: { count: 5 - at, mean: 1, max: 2, delayed: 0 },
      final: false,
    })),
    streamTime: HOUR,
    closedBefore: 0,
    late: 0,
    complete: true,
  }) as unknown as TableEvent;

it("tells of one moment, whoever asks first and whenever: no airport without its hours", async () => {
  expect(table.overview.value.windows).toBe(0);
  push(rows("ORD", "ATL"));
  await vi.advanceTimersByTimeAsync(10);
  // The rows are here and are not shown yet; nobody has asked for the airports before.
  expect([table.busiest.value, table.overview.value.windows]).toEqual([[], 0]);
  await vi.advanceTimersByTimeAsync(500);
  expect(table.busiest.value.map(({ airport }) => airport)).toEqual(["ORD", "ATL"]);
  expect(table.overview.value).toMatchObject({ windows: 2, first: HOUR, last: HOUR, flights: 9 });
});

it("forgets what a partition said before it begins anew", async () => {
  push(rows("ORD"));
  await vi.advanceTimersByTimeAsync(500);
  push({ kind: "reset", partition: 0 });
  await vi.advanceTimersByTimeAsync(500);
  expect([table.busiest.value, table.overview.value.windows, table.complete.value]).toEqual([[], 0, false]);
});

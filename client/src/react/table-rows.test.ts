import { describe, expect, it } from "vitest";
import type { TableEvent, TableRow } from "../streams/table.ts";
import { TableRows } from "./table-rows.ts";

const row = (key: string, n: number, start = 0): TableRow<{ n: number }> => ({
  key,
  window: { start, end: start + 10 },
  value: { n },
  final: false,
  revision: n,
});
const rows = (partition: number, some: TableRow<{ n: number }>[], more: object = {}): TableEvent<{ n: number }> =>
  ({
    ...{ kind: "rows", partition, rows: some, complete: true, streamTime: 5, closedBefore: 0, late: 0 },
    ...more,
  }) as TableEvent<{ n: number }>;
const shown = (table: TableRows<{ n: number }>) => table.sorted().map(({ key, window, value }) => `${window.start} ${key} ${value.n}`);

describe("the rows of a table", () => {
  it("stand in the order of window and key, whatever their partition; a later value takes the place of an earlier one", () => {
    const table = new TableRows<{ n: number }>(2);
    table.take(rows(1, [row("b", 1), row("a", 1, 10)]));
    expect(table.complete).toBe(false);
    table.take(rows(0, [row("a", 1)], { streamTime: 7, late: 2 }));
    table.take(rows(1, [row("b", 2)], { late: 1 }));
    expect(table.complete).toBe(true);
    expect(shown(table)).toEqual(["0 a 1", "0 b 2", "10 a 1"]);
    expect([table.late, table.streamTime]).toEqual([3, 7]);
  });

  it("stay while their partition starts over, until what takes their place is whole", () => {
    const table = new TableRows<{ n: number }>(1);
    table.take(rows(0, [row("a", 1), row("b", 1)]));
    table.take({ kind: "reset", partition: 0 });
    table.take(rows(0, [row("a", 5)], { complete: false }));
    expect([table.complete, shown(table)]).toEqual([false, ["0 a 1", "0 b 1"]]);
    table.take(rows(0, [row("c", 6)]));
    expect([table.complete, shown(table)]).toEqual([true, ["0 a 5", "0 c 6"]]);
  });

  it("become final when their window is closed, and keep their identity while nothing changes", () => {
    const table = new TableRows<{ n: number }>(1);
    table.take(rows(0, [row("a", 1), row("b", 1, 10)]));
    const [before] = table.sorted();
    expect(table.sorted()[0]).toBe(before);
    table.take(rows(0, [], { closedBefore: 10 }));
    expect(table.sorted().map(({ final }) => final)).toEqual([true, false]);
    expect(table.sorted()[0]).toBe(table.sorted()[0]);
  });

  it("of a partition that is unknown are passed over", () => {
    const table = new TableRows<{ n: number }>(1);
    table.take(rows(3, [row("a", 1)]));
    expect(shown(table)).toEqual([]);
  });
});

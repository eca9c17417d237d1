import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { PRICES } from "../../core/usage/prices.ts";
import { ROOT } from "../lib/paths.ts";
import { DEPLOYMENTS, dollarsOf, partsOf, roomRows, roomSecond, streamRows, streamSecond, times } from "./costs.ts";
import { readDocument } from "./markdown.ts";

const PAGE = "docs/costs.md";
const text = readFileSync(join(ROOT, PAGE), "utf8");
const { tables } = readDocument(PAGE, text);
const tableWith = (column: string) => tables.find(({ header }) => header.includes(column))!.rows;
const figure = (cell: string) => Number(cell.replaceAll(",", ""));

describe("the page of costs", () => {
  it("shows the deployments that the formulas give", () => {
    const computed = Object.entries(DEPLOYMENTS).map(([name, load]) => [
      name,
      ...[...Object.values(partsOf(load)), dollarsOf(load)].map((dollars) => dollars.toFixed(2)),
    ]);
    expect(tableWith("deployment")).toEqual(computed);
  });

  it("shows the price list", () => {
    expect(tableWith("price").map(([, price]) => Number(price))).toEqual(Object.values(PRICES));
  });

  it("compares what was measured with the formulas as they are", () => {
    const shares = [1, 3.7, 4, 4];
    const streams = tableWith("records an append").map(([, , predicted]) => figure(predicted!));
    expect(streams).toEqual(
      shares.map((s) => Math.round(40 * streamRows({ appends: 1, partitions: 4, shares: s, outputs: s, derived: 1 }))),
    );
    for (const [people, , , predicted] of tableWith("people"))
      expect(figure(predicted!)).toBe(Math.round(40 * roomRows({ typists: figure(people!), keysPerSecond: 5 })));
    const hour = (typists: number) => 100 * dollarsOf(times(roomSecond({ typists, keysPerSecond: 4 }), 3600));
    expect(text).toContain(`about ${Math.round(hour(1))} cents; of twenty people in one room, ${Math.round(hour(20))} cents`);
  });
});

describe("the formulas", () => {
  it("cost nothing where nothing happens", () => {
    const idle = streamSecond({ appends: 0, partitions: 64, shares: 0, outputs: 0, derived: 8 });
    expect(dollarsOf(idle)).toBe(0);
    expect(dollarsOf(roomSecond({ typists: 0, keysPerSecond: 0 }))).toBe(0);
  });

  it("a room writes at most a row every commit delay, and never more than it has edits", () => {
    for (const typists of [0.1, 1, 3, 7, 40, 1000]) {
      const rows = roomRows({ typists, keysPerSecond: 5 });
      expect(rows).toBeLessThanOrEqual(20);
      expect(rows).toBeLessThanOrEqual(5 * typists);
    }
  });

  it("no object is awake for more than all of the time, and the parts are the whole", () => {
    const load = streamSecond({ appends: 500, partitions: 8, shares: 8, outputs: 50, derived: 2 });
    expect(load.objectSecond).toBeLessThanOrEqual(2 * (8 + 2));
    const parts = Object.values(partsOf(load)).reduce((sum, part) => sum + part, 0);
    expect(parts).toBeCloseTo(dollarsOf(load), 12);
  });
});

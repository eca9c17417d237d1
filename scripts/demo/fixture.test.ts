import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { partitionOf } from "../../core/streams/partition.ts";
import { encodeSample, SAMPLE, sample } from "./fixture.ts";
import { expectedTable } from "./oracle.ts";

describe("test/golden/flights-sample.json", () => {
  it("is what `node scripts/demo/fixture.ts` writes", async () => {
    expect(await readFile(SAMPLE, "utf8")).toBe(encodeSample(await sample()));
  });

  it("exercises every partition, late records and duplicates", async () => {
    const records = await sample();
    const { partitions, rows } = await expectedTable(records, { partitions: 4, partitionOf });
    expect(partitions.every((row) => row.records > 0)).toBe(true);
    expect(partitions.reduce((sum, row) => sum + row.late, 0)).toBeGreaterThan(5);
    expect(new Set(records.map((record) => record.id)).size).toBeLessThan(records.length);
    expect(rows.length).toBeGreaterThan(100);
  });
});

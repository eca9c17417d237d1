import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Arrival } from "./data.ts";
import { batchesOf, lanesOf, newRun, parseSpeed, progressName, readRun, scheduleOf, writeRun } from "./progress.ts";

const arrivals: Arrival[] = Array.from({ length: 25 }, (_, i) => ({
  arrival: i * 1000,
  flight: { date: i, delay: 0, distance: 1, origin: "ABCD"[i % 4]!, destination: "Z", id: String(i) },
}));
const ids = (body: string) => (JSON.parse(body) as { id: string }[]).map((flight) => Number(flight.id));

describe("a run's plan", () => {
  it("survives in its file, and asks for a restart when the file is of another version", () => {
    const folder = mkdtempSync(join(tmpdir(), "skerry-run-"));
    try {
      const file = join(folder, "deep", "run.json");
      expect(readRun(file)).toBeNull();
      const run = newRun("data", 10, 2);
      run.producers[1]!.next = 7;
      writeRun(file, run);
      expect(readRun(file)).toEqual(run);
      writeFileSync(file, JSON.stringify({ ...run, format: 0 }));
      expect(() => readRun(file)).toThrow(/--restart/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("uses producers that no earlier run has used", () => {
    expect(newRun("data", 10, 1).producers[0]!.id).not.toBe(newRun("data", 10, 1).producers[0]!.id);
  });

  it("is kept apart by server, not by path", () => {
    expect(progressName("http://localhost:8787/")).toBe(progressName("http://localhost:8787"));
    expect(progressName("http://localhost:8787")).not.toBe(progressName("http://localhost:9000"));
  });
});

describe("batchesOf", () => {
  it("cuts the same records under the same number whatever the limit", () => {
    const all = batchesOf(arrivals, 10);
    const some = batchesOf(arrivals, 10, 11);
    expect(ids(all(1)!.body)).toEqual([10, 11, 12, 13, 14, 15, 16, 17, 18, 19]);
    expect(some(1)).toEqual(all(1));
    expect(some(2)).toBeNull();
    expect(all(2)!.records).toBe(5);
    expect(all(3)).toBeNull();
  });
});

describe("lanesOf", () => {
  it("gives every record to one lane, and a partition's records to one lane in their order", () => {
    const partitionOf = (key: string) => key.charCodeAt(0) % 4;
    const lanes = lanesOf(arrivals, 3, partitionOf);
    expect(lanes.flat()).toHaveLength(arrivals.length);
    for (const origin of "ABCD") {
      const homes = lanes.filter((lane) => lane.some((entry) => entry.flight.origin === origin));
      expect(homes).toHaveLength(1);
      expect(homes[0]!.filter((entry) => entry.flight.origin === origin)).toEqual(
        arrivals.filter((entry) => entry.flight.origin === origin),
      );
    }
  });
});

describe("speed", () => {
  it("is records a second, shared by the lanes", () => {
    const due = scheduleOf(parseSpeed("100"), arrivals, 10, 0, 2);
    expect([0, 1, 2].map(due)).toEqual([0, 200, 400]);
    expect(scheduleOf(parseSpeed("100"), arrivals, 10, 5, 1)(6)).toBe(100);
  });

  it("can follow the flights' own clock", () => {
    const due = scheduleOf(parseSpeed("realtime*5"), arrivals, 10, 0, 1);
    expect([0, 1, 2].map(due)).toEqual([0, 2000, 3000]);
  });

  it("can be all there is", () => {
    expect(scheduleOf(parseSpeed("max"), arrivals, 10, 0, 1)(1000)).toBe(0);
  });

  it("refuses what is none", () => {
    for (const text of ["", "fast", "0", "-1", "realtime*0", "realtime*x", "Infinity"])
      expect(() => parseSpeed(text)).toThrow(/--speed takes/);
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MemoryJournalStorage } from "../journal/memory.ts";
import { count, fold } from "./aggregators.ts";
import { type Ports, TaskEngine } from "./engine.ts";
import { CellStore, MemoryPages, rowPages } from "./pages.ts";
import { murmur2 } from "./partition.ts";
import { mapRange } from "./stateless.ts";
import { topology } from "./topology.ts";
import { unlimited } from "./windows.ts";

const utf8 = new TextEncoder();

/** Keys that no number of pages up to 2^bits parts. */
function colliding(bits: number, many: number): string[] {
  const keys: string[] = [];
  for (let n = 0; keys.length < many; n++) {
    const key = `${n}`.padStart(240, "k");
    if (((murmur2(utf8.encode(key)) >>> 8) & ((1 << bits) - 1)) === 0) keys.push(key);
  }
  return keys;
}

describe("pages of a table", () => {
  it("[ST34] keys that share their hash do not split a window into ever more empty pages", () => {
    const pages = new MemoryPages();
    const store = new CellStore("t", pages);
    const keys = colliding(9, 400);
    for (const key of keys) store.update(0, key, () => [1]);
    const windows = store.flush();
    expect(pages.pages.size).toBeLessThan(32);
    const again = new CellStore("t", pages, windows);
    expect(again.cells(0).map(({ key }) => key)).toEqual([...keys].sort());
  });

  it("[ST34] ordinary keys spread over pages of a bounded size", () => {
    const pages = new MemoryPages();
    const store = new CellStore("t", pages);
    for (let n = 0; n < 20_000; n++) store.update(0, `key-${n}`, () => [n]);
    store.flush();
    const sizes = [...pages.pages.values()].map((bytes) => bytes.length);
    expect(Math.max(...sizes)).toBeLessThan(100_000);
    expect(sizes.length).toBeLessThan(64);
  });

  it("[ST34] a page of any size is stored in rows of at most 1.4 MB, and leaves nothing behind", () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom<number>(-1, 0, 10, 1_400_000, 1_400_001, 3_000_000, 5_000_000), { minLength: 1, maxLength: 8 }),
        fc.boolean(),
        (sizes, reopen) => {
          const storage = new MemoryJournalStorage();
          let pages = rowPages(storage);
          for (const [round, size] of sizes.entries()) {
            if (reopen) pages = rowPages(storage);
            pages.get("t/1");
            if (size < 0) pages.delete("t/1");
            else {
              const bytes = utf8.encode(`[${String(round).padEnd(size, "7")}]`);
              pages.put("t/1", bytes);
              const stored = pages.get("t/1");
              expect(stored?.length).toBe(bytes.length);
              expect(stored?.every((byte, at) => byte === bytes[at])).toBe(true);
            }
            for (const key of storage.listBlobs("page/")) expect(storage.getBlob(key)?.length).toBeLessThanOrEqual(1_400_000);
          }
          pages.delete("t/1");
          expect(storage.listBlobs("page/")).toEqual([]);
        },
      ),
      { numRuns: 15 },
    );
  });

  it("[ST31] [ST34] a fold's state beyond a row survives checkpoints", async () => {
    const big = topology("big", { version: 1, partitions: 1 }, (t) =>
      t
        .stream<string>("texts")
        .groupByKey()
        .windowedBy(unlimited())
        .aggregate("all", {
          n: count(),
          text: fold<string, string>(
            () => "",
            (all, text) => all + text,
          ),
        }),
    );
    const storage = new MemoryJournalStorage();
    const ports: Ports = { readLog: async () => Promise.reject(new Error("not asked")), score: async () => [], now: () => 1 };
    let text = "";
    for (let n = 0; n < 4; n++) {
      const engine = new TaskEngine(storage, big, 0, ports);
      const piece = String(n).repeat(900_000);
      text += piece;
      await engine.ingest(await mapRange(big, { topic: "texts", partition: 0, from: n }, { k: ["a"], t: [0], v: [piece] }, ports.score), 1);
      await engine.checkpoint();
    }
    const machine = await new TaskEngine(storage, big, 0, ports).ready();
    const [row] = machine.tables.get("all")?.query({ limit: 1 }) ?? [];
    expect(row?.value.n).toBe(4);
    expect(row?.value.text === text).toBe(true);
  });

  it("[ST34] a task that never rests holds no more than a bounded part of its tables, with ever new keys and with old ones at random", async () => {
    const table = topology("wide", { version: 1, partitions: 1 }, (t) =>
      t.stream<number>("numbers").groupByKey().windowedBy(unlimited()).aggregate("counts", { n: count() }),
    );
    const storage = new MemoryJournalStorage();
    const ports: Ports = { readLog: async () => Promise.reject(new Error("not asked")), score: async () => [], now: () => 1 };
    const engine = new TaskEngine(storage, table, 0, ports);
    let [at, most] = [0, 0];
    for (let round = 0; round < 48; round++) {
      // Long keys: bytes are what is bounded, and few cells have many of them.
      const keys = Array.from({ length: 500 }, (_, n) => `${round < 45 ? at + n : (n * 48_611 + round) % 22_500}`.padStart(800, "k"));
      const batch = { k: keys, t: keys.map(() => 0), v: keys.map(() => 1) };
      await engine.ingest(await mapRange(table, { topic: "numbers", partition: 0, from: at }, batch, ports.score), 1);
      at += 500;
      most = Math.max(most, (await engine.ready()).bytes);
    }
    expect(most).toBeGreaterThan(8_000_000);
    expect(most).toBeLessThan(20_000_000);
    await engine.checkpoint();
    const rows = (await new TaskEngine(storage, table, 0, ports).ready()).tables.get("counts")?.query({ limit: 1e6 }) ?? [];
    expect(rows.reduce((sum, row) => sum + (row.value.n as number), 0)).toBe(at);
  });

  it("[ST34] a checkpoint that fails is made up for by the next one", async () => {
    const table = topology("plain", { version: 1, partitions: 1 }, (t) =>
      t.stream<number>("numbers").groupByKey().windowedBy(unlimited()).aggregate("counts", { n: count() }),
    );
    const storage = new MemoryJournalStorage();
    const batch = { k: ["a"], t: [0], v: [1] };
    const ports: Ports = {
      readLog: async (_, __, from) => ({
        from,
        batches: [{ from, count: 1, batch: JSON.stringify(batch) }],
        next: from + 1,
        head: from + 1,
      }),
      score: async () => [],
      now: () => 1,
    };
    let full = true;
    const putBlob = storage.putBlob.bind(storage);
    storage.putBlob = (key, bytes) => {
      if (full && key.startsWith("checkpoint/")) throw new Error("disk full");
      putBlob(key, bytes);
    };
    const engine = new TaskEngine(storage, table, 0, ports);
    await engine.catchUp("numbers", 1, 1);
    await expect(engine.checkpoint()).rejects.toThrow("disk full");
    full = false;
    await engine.checkpoint();
    const machine = await new TaskEngine(storage, table, 0, ports).ready();
    expect(machine.tables.get("counts")?.query({ limit: 1 })).toMatchObject([{ value: { n: 1 } }]);
  });
});

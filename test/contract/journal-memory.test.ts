import { describe, expect, it } from "vitest";
import { FORMAT } from "../../core/journal/head.ts";
import { MemoryJournalStorage } from "../../core/journal/memory.ts";
import golden from "../golden/journal-v1.golden.json" with { type: "json" };
import { journalContract } from "./journal.ts";
import { dumpGolden, writeGolden } from "./journal-golden.ts";

journalContract(
  "memory",
  async (body) => {
    const storage = new MemoryJournalStorage();
    body(() => storage.within(""));
  },
  300,
);

describe("the golden journal", () => {
  it("[J27] is what this code writes, as long as its format is the current one", () => {
    expect(FORMAT).toBe(1);
    const storage = new MemoryJournalStorage();
    writeGolden(storage);
    expect(dumpGolden(storage)).toEqual(golden);
  });
});

describe("snapshots of the memory storage", () => {
  it("take every view of the medium back, and stay as they are", () => {
    const storage = new MemoryJournalStorage();
    storage.putBlob("a", new Uint8Array([1]));
    const snapshot = storage.snapshot();
    storage.putBlob("a", new Uint8Array([2]));
    storage.within("b").putBlob("a", new Uint8Array([3]));
    storage.restore(snapshot);
    expect([storage.getBlob("a"), storage.within("b").getBlob("a")]).toEqual([new Uint8Array([1]), null]);
    storage.putBlob("a", new Uint8Array([4]));
    storage.restore(snapshot);
    expect(storage.getBlob("a")).toEqual(new Uint8Array([1]));
  });

  it("are refused while a transaction is open", () => {
    const storage = new MemoryJournalStorage();
    const snapshot = storage.snapshot();
    expect(() => storage.transaction(() => storage.snapshot())).toThrow("transaction is open");
    expect(() => storage.transaction(() => storage.restore(snapshot))).toThrow("transaction is open");
  });
});

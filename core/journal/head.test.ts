import { describe, expect, it } from "vitest";
import { errorOf } from "../wire/errors.ts";
import { FORMAT, HEAD_KEY, type Migration, migrate, readHead, sealHead, writeHead } from "./head.ts";
import { Journal } from "./journal.ts";
import { MemoryJournalStorage } from "./memory.ts";

const thrown = (run: () => unknown) => {
  try {
    run();
  } catch (error) {
    return errorOf(error);
  }
  throw new Error("It did not throw.");
};
const text = (value: string) => new TextEncoder().encode(value);

function storageOfFormat(format: number): MemoryJournalStorage {
  const storage = new MemoryJournalStorage();
  storage.putBlob(HEAD_KEY, sealHead(format, text("old")));
  storage.putBlob("state", text("a"));
  return storage;
}

/** Appends a letter to the state and moves the format on. */
const step =
  (to: number, letter: string): Migration =>
  (storage) => {
    storage.putBlob("state", text(new TextDecoder().decode(storage.getBlob("state")!) + letter));
    storage.putBlob(HEAD_KEY, sealHead(to, text("new")));
  };

const stateOf = (storage: MemoryJournalStorage) => new TextDecoder().decode(storage.getBlob("state")!);

describe("[J25] format versions", () => {
  it("[J25] migrate one after the other", () => {
    const storage = storageOfFormat(1);
    migrate(storage, 3, { 1: step(2, "b"), 2: step(3, "c") });
    expect(stateOf(storage)).toBe("abc");
    migrate(storage, 3, { 1: step(2, "b"), 2: step(3, "c") });
    expect(stateOf(storage)).toBe("abc");
  });

  it("[J25] migrate all the way or not at all", () => {
    const storage = storageOfFormat(1);
    const before = storage.snapshot();
    const failing: Migration = (inner) => {
      step(3, "c")(inner);
      throw new Error("half way");
    };
    expect(() => migrate(storage, 3, { 1: step(2, "b"), 2: failing })).toThrow("half way");
    expect(storage.snapshot()).toEqual(before);
    expect(thrown(() => migrate(storage, 3, { 1: step(2, "b") })).code).toBe("corrupt");
    expect(thrown(() => migrate(storage, 3, { 1: step(3, "b"), 2: step(3, "c") })).code).toBe("internal");
    expect(storage.snapshot()).toEqual(before);
  });

  it("[J25] that are newer are refused, with both numbers", () => {
    const storage = storageOfFormat(FORMAT + 1);
    const error = thrown(() => Journal.open(storage));
    expect(error.code).toBe("newer_format");
    expect(error.extra).toEqual({ stored: FORMAT + 1, supported: FORMAT });
  });

  it("[J25] that never were, and other blobs under the head's name, are corrupt", () => {
    expect(thrown(() => Journal.open(storageOfFormat(0))).code).toBe("corrupt");
    const storage = new MemoryJournalStorage();
    storage.putBlob(HEAD_KEY, text("something else"));
    expect(thrown(() => Journal.open(storage)).code).toBe("corrupt");
    storage.putBlob(HEAD_KEY, new Uint8Array());
    expect(thrown(() => Journal.open(storage)).code).toBe("corrupt");
    expect(thrown(() => readHead(storageOfFormat(7))).code).toBe("corrupt");
  });

  it("[J25] leave an empty storage empty", () => {
    const storage = new MemoryJournalStorage();
    migrate(storage, 3, {});
    expect(storage.rowsWritten()).toBe(0);
  });

  it("[J25] keep what the head record says", () => {
    const storage = new MemoryJournalStorage();
    const head = { payload: 3, base: 2 ** 40, before: { rows: 5, bytes: 2 ** 50, entries: 7 } };
    writeHead(storage, head);
    expect(readHead(storage)).toEqual(head);
  });
});

describe("[J26] payload versions", () => {
  const upgrade = (journal: Journal, from: number) => {
    const state = journal.latestCheckpoint();
    journal.checkpoint(journal.head, text(`${state === null ? "" : new TextDecoder().decode(state.bytes)}${from}`));
  };

  function storageOfVersion(version: number): MemoryJournalStorage {
    const storage = new MemoryJournalStorage();
    const journal = Journal.open(storage, { payload: { version } });
    journal.stage(text("entry"));
    journal.commit();
    return storage;
  }

  it("[J26] migrate from the stored one on, once", () => {
    const storage = storageOfVersion(1);
    Journal.open(storage, { payload: { version: 3, migrate: upgrade } });
    const journal = Journal.open(storage, { payload: { version: 3, migrate: upgrade } });
    expect(new TextDecoder().decode(journal.latestCheckpoint()!.bytes)).toBe("12");
    expect(journal.read(0)).toHaveLength(1);
  });

  it("[J26] migrate all the way or not at all", () => {
    const storage = storageOfVersion(1);
    const before = storage.snapshot();
    const failing = (journal: Journal, from: number) => {
      upgrade(journal, from);
      if (from === 2) throw new Error("half way");
    };
    expect(() => Journal.open(storage, { payload: { version: 3, migrate: failing } })).toThrow("half way");
    expect(storage.snapshot()).toEqual(before);
  });

  it("[J26] that are newer are refused", () => {
    expect(thrown(() => Journal.open(storageOfVersion(2), { payload: { version: 1 } })).code).toBe("newer_format");
  });

  it("[J26] of an empty journal are the current one, without a migration and without a write", () => {
    const storage = new MemoryJournalStorage();
    Journal.open(storage, {
      payload: {
        version: 3,
        migrate: () => {
          throw new Error("There is nothing to migrate.");
        },
      },
    });
    expect(storage.rowsWritten()).toBe(0);
  });
});

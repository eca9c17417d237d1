import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { Journal } from "../../core/journal/journal.ts";
import { sqliteJournalStorage } from "../../durable-objects/shared/journal-sqlite.ts";
import { journalContract } from "../contract/journal.ts";

let objects = 0;
const object = () => env.TOPIC.getByName(`journal contract ${objects++}`);
const inStorage = <T>(stub: ReturnType<typeof object>, body: (storage: DurableObjectStorage) => T) =>
  runInDurableObject(stub, (_instance, state) => body(state.storage));

journalContract("SQLite in workerd", (body) => inStorage(object(), (storage) => body(() => sqliteJournalStorage(storage))), 60);

const bytes = (length: number, fill = 7) => new Uint8Array(length).fill(fill);

describe("the SQLite storage of a journal", () => {
  it("[J3] makes no table for an object that is only asked", async () => {
    const tables = await inStorage(object(), (storage) => {
      const journal = Journal.open(sqliteJournalStorage(storage));
      journal.read(0);
      journal.latestCheckpoint();
      return storage.sql.exec("SELECT name FROM sqlite_schema WHERE name LIKE 'journal%'").toArray();
    });
    expect(tables).toEqual([]);
  });

  it("[J5] has no index beside the key: a commit writes one row by the platform's count", async () => {
    await inStorage(object(), (storage) => {
      const port = sqliteJournalStorage(storage, { prefix: "log" });
      const journal = Journal.open(port);
      journal.stage(bytes(100));
      journal.commit();
      const written = port.rowsWritten();
      for (let i = 0; i < 50; i++) {
        journal.stage(bytes(100, i));
        expect(journal.commit().rows).toBe(1);
      }
      expect(port.rowsWritten() - written).toBe(50);
      expect(storage.sql.exec("SELECT count(*) AS n FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL").one()).toEqual({ n: 0 });
    });
  });

  it("[J7] opens and seeks by the key, whatever the length of the log", async () => {
    await inStorage(object(), (storage) => {
      const journal = Journal.open(sqliteJournalStorage(storage));
      for (let i = 0; i < 500; i++) {
        journal.stage(bytes(10, i), 3);
        journal.commit();
      }
      const read = { rows: 0 };
      const counting = sqliteJournalStorage(countingReads(storage, read));
      const reopened = Journal.open(counting);
      expect(reopened.head).toBe(1500);
      expect(read.rows).toBeLessThan(10);
      expect(reopened.read(751, { maxEntries: 1 })[0]!.position).toBe(750);
      expect(read.rows).toBeLessThan(20);
    });
  });

  it("[J22] is there after an eviction", async () => {
    const stub = object();
    await inStorage(stub, (storage) => {
      const journal = Journal.open(sqliteJournalStorage(storage));
      journal.stage(bytes(2_000_000, 3), 9);
      journal.stage(bytes(5));
      journal.commit();
      journal.checkpoint(9, bytes(1_600_000, 4));
      journal.stage(bytes(6));
    });
    await evictDurableObject(stub);
    await inStorage(stub, (storage) => {
      const journal = Journal.open(sqliteJournalStorage(storage));
      expect([journal.base, journal.head, journal.next]).toEqual([0, 10, 10]);
      expect(journal.read(0).map((entry) => [entry.count, entry.bytes.length])).toEqual([[9, 2_000_000], [1, 5]]); // biome-ignore format: pairs
      const { position, bytes: kept } = journal.latestCheckpoint()!;
      // Not by toEqual, which takes a minute for a million elements.
      expect([position, kept.length, kept.every((byte) => byte === 4)]).toEqual([9, 1_600_000, true]);
    });
  });

  it("[J20] undoes the caller's own tables with the journal, and the making of its tables", async () => {
    await inStorage(object(), (storage) => {
      storage.sql.exec("CREATE TABLE own (value INTEGER)");
      const journal = Journal.open(sqliteJournalStorage(storage));
      const write = () => {
        storage.sql.exec("INSERT INTO own VALUES (1)");
        journal.stage(bytes(1));
        journal.commit();
      };
      expect(() =>
        journal.transaction(() => {
          write();
          throw new Error("abort");
        }),
      ).toThrow("abort");
      expect(storage.sql.exec("SELECT name FROM sqlite_schema WHERE name LIKE 'journal%'").toArray()).toEqual([]);
      journal.transaction(write);
      expect(storage.sql.exec("SELECT count(*) AS n FROM own").one()).toEqual({ n: 1 });
      expect(Journal.open(sqliteJournalStorage(storage)).head).toBe(1);
    });
  });

  it("refuses a prefix that is no table name", async () => {
    await inStorage(object(), (storage) => {
      for (const prefix of ["", "A", "1a", "a-b", "a; DROP TABLE x", "a".repeat(41)]) {
        expect(() => sqliteJournalStorage(storage, { prefix })).toThrow("is no table prefix");
      }
    });
  });
});

/** The same database, with the rows that its statements read added up. */
function countingReads(storage: DurableObjectStorage, read: { rows: number }): DurableObjectStorage {
  const exec = (query: string, ...bindings: unknown[]) => {
    const cursor = storage.sql.exec(query, ...bindings);
    const rows = cursor.toArray();
    read.rows += cursor.rowsRead;
    return { rowsWritten: cursor.rowsWritten, toArray: () => rows };
  };
  return { sql: { exec }, transactionSync: (run: () => unknown) => storage.transactionSync(run) } as unknown as DurableObjectStorage;
}

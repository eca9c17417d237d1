import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { damageRow, flipBit } from "../../core/journal/faulty.ts";
import { decodeSegment, Journal, planOffload } from "../../core/journal/journal.ts";
import type { JournalStorage, StoredRow } from "../../core/journal/port.ts";
import { errorOf, type SkerryError } from "../../core/wire/errors.ts";
import { checkGolden } from "./journal-golden.ts";
import { codeOf, ops, runModel } from "./journal-model.ts";

/** Runs `body` with one new, empty medium; `fresh` opens it anew each time it is called. */
export type WithStorage = (body: (fresh: () => JournalStorage) => void) => Promise<void>;

const bytes = (length: number, fill = 7) => new Uint8Array(length).fill(fill);
const row = (first: number, last: number, part = 0): StoredRow => ({
  first,
  last,
  part,
  bytes: bytes(4, first),
  checksum: 0xffffffff - first,
});
const thrown = (run: () => unknown): SkerryError => {
  try {
    run();
  } catch (error) {
    return errorOf(error);
  }
  throw new Error("It did not throw.");
};

/** What every storage of a journal must do, and what a journal must do on it. `runs`: of the random tests. */
export function journalContract(name: string, withStorage: WithStorage, runs: number): void {
  const rule = (title: string, body: (fresh: () => JournalStorage) => void) => it(title, () => withStorage(body));

  describe(`the storage port: ${name}`, () => {
    rule("gives rows from the one that holds a position", (fresh) => {
      const storage = fresh();
      expect(storage.rows(0, 0, 10)).toEqual([]);
      expect(storage.lastRow()).toBeNull();
      for (const each of [row(3, 5), row(6, 9), row(6, 9, 1), row(6, 9, 2), row(10, 10)]) storage.putRow(each);
      const keys = (from: number, part: number, limit: number) => storage.rows(from, part, limit).map((each) => [each.first, each.part]);
      expect(keys(0, 0, 2)).toEqual([[3, 0], [6, 0]]); // biome-ignore format: pairs
      expect(keys(5, 0, 1)).toEqual([[3, 0]]);
      expect(keys(8, 0, 9)).toEqual([[6, 0], [6, 1], [6, 2], [10, 0]]); // biome-ignore format: pairs
      expect(keys(6, 2, 9)).toEqual([[6, 2], [10, 0]]); // biome-ignore format: pairs
      expect(keys(6, 3, 9)).toEqual([[10, 0]]);
      expect(keys(99, 0, 9)).toEqual([[10, 0]]);
      expect(fresh().rows(3, 0, 1)).toEqual([row(3, 5)]);
      expect(storage.lastRow()).toEqual(row(10, 10));
    });

    rule("keeps positions and checksums at the ends of their range", (fresh) => {
      const far = { ...row(2 ** 53 - 3, 2 ** 53 - 2), bytes: bytes(1_900_000), checksum: 2 ** 32 - 1 };
      fresh().putRow(far);
      const read = fresh().lastRow()!;
      expect({ ...read, bytes: read.bytes.length }).toEqual({ ...far, bytes: far.bytes.length });
      expect(fresh().rows(2 ** 53 - 3, 0, 1)).toHaveLength(1);
    });

    rule("[J6] refuses a second row in the same place", (fresh) => {
      const storage = fresh();
      storage.putRow(row(3, 5));
      expect(() => storage.putRow({ ...row(3, 9), checksum: 1 })).toThrow();
      expect(storage.rows(0, 0, 9)).toEqual([row(3, 5)]);
    });

    rule("[J28] replaces the row it is told of, as one row, and no other", (fresh) => {
      const storage = fresh();
      expect(() => storage.replaceRow(row(3, 9), 5)).toThrow();
      storage.putRow(row(3, 5));
      expect(() => storage.replaceRow(row(3, 9), 6)).toThrow();
      expect(() => storage.replaceRow(row(4, 9), 5)).toThrow();
      const written = storage.rowsWritten();
      storage.replaceRow(row(3, 9), 5);
      expect(storage.rowsWritten() - written).toBe(1);
      expect(fresh().rows(0, 0, 9)).toEqual([row(3, 9)]);
      expect(() =>
        storage.transaction(() => {
          storage.replaceRow(row(3, 12), 9);
          throw new Error("abort");
        }),
      ).toThrow("abort");
      expect(fresh().rows(0, 0, 9)).toEqual([row(3, 9)]);
    });

    rule("deletes rows by range, and counts each", (fresh) => {
      const storage = fresh();
      for (let first = 0; first < 10; first++) storage.putRow(row(first, first));
      const written = storage.rowsWritten();
      storage.deleteRowsFrom(8);
      storage.deleteRowsBefore(2);
      expect(storage.rows(0, 0, 99).map((each) => each.first)).toEqual([2, 3, 4, 5, 6, 7]);
      expect(storage.rowsWritten() - written).toBe(4);
      const view = storage.within("view");
      view.putBlob("a", bytes(1));
      expect(storage.rowsWritten()).toBe(view.rowsWritten());
    });

    rule("keeps blobs by name, lists them by prefix, and takes a view's bytes alone", (fresh) => {
      const storage = fresh();
      expect(storage.getBlob("a")).toBeNull();
      expect(storage.listBlobs("")).toEqual([]);
      storage.deleteBlob("a");
      for (const key of ["b/2", "b/1", "a", "b_", "c%", "ab"]) storage.putBlob(key, bytes(9).subarray(2, 5));
      storage.putBlob("a", bytes(0));
      expect(storage.getBlob("b/1")).toEqual(bytes(3));
      expect(storage.getBlob("a")).toEqual(bytes(0));
      expect(storage.listBlobs("b/")).toEqual(["b/1", "b/2"]);
      expect(storage.listBlobs("")).toEqual(["a", "ab", "b/1", "b/2", "b_", "c%"]);
      storage.deleteBlob("ab");
      expect(fresh().listBlobs("a")).toEqual(["a"]);
    });

    rule("copies what goes in and what comes out", (fresh) => {
      const storage = fresh();
      const given = { ...row(1, 1), bytes: bytes(4, 1) };
      storage.putRow(given);
      storage.putBlob("a", given.bytes);
      given.bytes.fill(9);
      storage.rows(0, 0, 1)[0]!.bytes.fill(8);
      storage.getBlob("a")!.fill(8);
      expect([storage.rows(0, 0, 1)[0]!.bytes, storage.getBlob("a")]).toEqual([bytes(4, 1), bytes(4, 1)]);
    });

    rule("[J20] undoes an aborted transaction, the nested one alone where it is caught", (fresh) => {
      const storage = fresh();
      const other = storage.within("other");
      const fail = (run: () => void) => () =>
        storage.transaction(() => {
          run();
          throw new Error("abort");
        });
      const change = () => {
        storage.putRow(row(5, 5));
        storage.deleteRowsBefore(2);
        storage.putBlob("a", bytes(2));
        storage.deleteBlob("b");
        other.putBlob("a", bytes(3));
      };
      expect(fail(change)).toThrow("abort");
      expect([storage.rows(0, 0, 9), storage.listBlobs(""), other.listBlobs("")]).toEqual([[], [], []]);
      storage.putRow(row(1, 1));
      storage.putBlob("b", bytes(1));
      expect(fail(change)).toThrow("abort");
      expect([storage.rows(0, 0, 9), storage.listBlobs(""), other.listBlobs("")]).toEqual([[row(1, 1)], ["b"], []]);
      const result = storage.transaction(() => {
        storage.putRow(row(2, 2));
        expect(fail(change)).toThrow("abort");
        other.transaction(() => other.putBlob("kept", bytes(1)));
        return "done";
      });
      expect(result).toBe("done");
      expect([fresh().rows(0, 0, 9), fresh().listBlobs(""), other.listBlobs("")]).toEqual([[row(1, 1), row(2, 2)], ["b"], ["kept"]]);
    });

    rule("[J21] refuses an asynchronous transaction", (fresh) => {
      const storage = fresh();
      const run = () =>
        storage.transaction(async () => {
          storage.putBlob("a", bytes(1));
        });
      expect(codeOf(run)).toBe("internal");
      expect(storage.getBlob("a")).toBeNull();
    });

    rule("restores participants to where each level began", (fresh) => {
      const storage = fresh();
      let value = 0;
      const participant = {
        capture() {
          const then = value;
          return () => {
            value = then;
          };
        },
      };
      const set = (to: number) => {
        storage.enlist(participant);
        value = to;
      };
      const fail = (run: () => void) => {
        expect(() =>
          storage.transaction(() => {
            run();
            throw new Error("abort");
          }),
        ).toThrow("abort");
      };
      set(1);
      fail(() => {
        set(2);
        fail(() => set(3));
        expect(value).toBe(2);
      });
      expect(value).toBe(1);
      fail(() => storage.transaction(() => storage.transaction(() => set(4))));
      expect(value).toBe(1);
      storage.transaction(() => set(5));
      expect(value).toBe(5);
    });
  });

  describe(`the journal: ${name}`, () => {
    rule("[J1] [J2] [J8] [J10] [J11] [J12] [J13] [J15] [J19] is an array with a base, whatever is done to it", (fresh) => {
      let medium = 0;
      fc.assert(
        fc.property(ops, (steps) => {
          const prefix = `m${medium++}`;
          runModel(() => fresh().within(prefix), steps);
        }),
        { numRuns: runs },
      );
    });

    rule("[J3] writes nothing while it is only read", (fresh) => {
      const storage = fresh();
      const journal = Journal.open(storage);
      expect([journal.read(0), journal.latestCheckpoint(), journal.segments(), journal.commit()]).toEqual([
        [],
        null,
        [],
        { head: 0, rows: 0 },
      ]);
      expect([journal.read(5), journal.trim(0), planOffload(journal, { minBytes: 0 })]).toEqual([[], { rows: 0 }, null]);
      expect(storage.rowsWritten()).toBe(0);
    });

    rule("[J4] [J20] stages again what a commit in an aborted transaction had taken, and drops what came later", (fresh) => {
      const storage = fresh();
      const journal = Journal.open(storage);
      journal.stage(bytes(1));
      expect(() =>
        journal.transaction(() => {
          journal.stage(bytes(2));
          journal.commit();
          journal.stage(bytes(3));
          throw new Error("abort");
        }),
      ).toThrow("abort");
      expect([journal.head, journal.next]).toEqual([0, 1]);
      journal.commit();
      expect(Journal.open(fresh()).read(0).map((entry) => entry.bytes.length)).toEqual([1]); // biome-ignore format: one line
    });

    rule("[J4] writes nothing later of a commit that failed", (fresh) => {
      const [one, two] = [Journal.open(fresh()), Journal.open(fresh())];
      one.stage(bytes(1));
      one.commit();
      two.stage(bytes(2)); // In the place of the first: the storage refuses it.
      expect(() => two.commit()).toThrow();
      expect([two.next, two.commit()]).toEqual([0, { head: 0, rows: 0 }]);
      expect(Journal.open(fresh()).read(0)).toEqual([{ position: 0, count: 1, bytes: bytes(1) }]);
    });

    rule("[J5] bills one row for a commit of two thousand entries, and one for a checkpoint", (fresh) => {
      const journal = Journal.open(fresh());
      const batch = () => {
        for (let i = 0; i < 2000; i++) journal.stage(bytes(120, i));
        return journal.commit().rows;
      };
      batch();
      expect([batch(), batch()]).toEqual([1, 1]);
      expect(journal.checkpoint(4000, bytes(1000))).toEqual({ rows: 1 });
      expect(journal.checkpoint(6000, bytes(1000))).toEqual({ rows: 1 });
      expect(journal.read(5999)).toEqual([{ position: 5999, count: 1, bytes: bytes(120, 1999) }]);
    });

    rule("[J5] cuts an entry of several megabytes and gives it back whole", (fresh) => {
      const journal = Journal.open(fresh());
      journal.stage(bytes(10, 1));
      journal.stage(bytes(4_000_000, 2), 7);
      journal.stage(bytes(10, 3));
      journal.commit();
      expect(journal.costSinceCheckpoint().rows).toBe(5);
      const read = Journal.open(fresh()).read(0);
      expect(read.map((entry) => [entry.position, entry.count, entry.bytes.length])).toEqual([[0, 1, 10], [1, 7, 4_000_000], [8, 1, 10]]); // biome-ignore format: triples
      expect(read[1]!.bytes.every((byte) => byte === 2)).toBe(true);
      for (const stored of fresh().rows(0, 0, 99)) expect(stored.bytes.length).toBeLessThanOrEqual(1_500_000);
    });

    rule("[J28] fills the last row up to the limit, for one row a commit, and not what a checkpoint stands for", (fresh) => {
      const journal = Journal.open(fresh(), { maxRowBytes: 1000 });
      const write = (size: number) => {
        journal.stage(bytes(size));
        return journal.commit({ fill: 200 }).rows;
      };
      write(30);
      for (let i = 0; i < 3; i++) expect(write(30)).toBe(1);
      expect([...journal.wholeRows(0)].map((each) => [each.first, each.end])).toEqual([[0, 3], [3, 4]]); // biome-ignore format: pairs
      journal.checkpoint(3, bytes(5));
      write(30);
      expect(journal.costSinceCheckpoint()).toMatchObject({ rows: 1, entries: 2 });
      journal.checkpoint(4, bytes(5));
      write(30);
      // A larger one than there is room for, one that is cut in pieces, and one after it.
      write(300);
      write(1500);
      write(30);
      write(30);
      const rows = [[0, 3], [3, 5], [5, 6], [6, 7], [7, 8], [8, 10]]; // biome-ignore format: pairs
      expect([...journal.wholeRows(0)].map((each) => [each.first, each.end])).toEqual(rows);
      expect(Journal.open(fresh()).read(0)).toHaveLength(10);
    });

    rule("[J28] refuses to fill a row that another journal has filled since", (fresh) => {
      const [one, two] = [Journal.open(fresh()), Journal.open(fresh())];
      one.stage(bytes(9));
      one.commit();
      const three = Journal.open(fresh());
      for (const journal of [one, three]) journal.stage(bytes(9));
      one.commit({ fill: 1000 });
      expect(() => three.commit({ fill: 1000 })).toThrow();
      expect(two.head).toBe(0);
      expect(Journal.open(fresh()).head).toBe(2);
    });

    rule("[J6] refuses a commit of a second journal on the same rows", (fresh) => {
      const [one, two] = [Journal.open(fresh()), Journal.open(fresh())];
      one.stage(bytes(1));
      two.stage(bytes(2));
      one.commit();
      expect(() => two.commit()).toThrow();
      expect(Journal.open(fresh()).read(0)).toEqual([{ position: 0, count: 1, bytes: bytes(1) }]);
    });

    rule("[J9] says below its base where to look", (fresh) => {
      const journal = Journal.open(fresh(), { maxRowBytes: 128 });
      for (let i = 0; i < 30; i++) journal.stage(bytes(20, i));
      journal.commit();
      journal.checkpoint(30, bytes(0));
      journal.trim(10);
      const trimmed = journal.base;
      const plan = planOffload(journal, { minBytes: 60 })!;
      journal.markOffloaded(plan, `v1/main/${plan.key}`);
      const [segment] = journal.segments();
      expect(thrown(() => journal.read(0))).toMatchObject({ code: "offset_trimmed", extra: { base: journal.base } });
      expect(thrown(() => journal.read(trimmed))).toMatchObject({ code: "offset_archived", extra: { base: journal.base, segment } });
      expect(decodeSegment(plan.bytes, segment)[0]).toEqual({ position: trimmed, count: 1, bytes: bytes(20, trimmed) });
      expect([journal.locate(0).kind, journal.locate(trimmed).kind, journal.locate(journal.base).kind]).toEqual([
        "trimmed",
        "archived",
        "local",
      ]);
      for (const nonsense of [-1, 0.5, Number.NaN, 2 ** 53]) expect(codeOf(() => journal.read(nonsense))).toBe("bad_offset");
    });

    rule("[J9] finds nothing in a gap between segments", (fresh) => {
      const journal = Journal.open(fresh());
      const offload = () => {
        const plan = planOffload(journal, { minBytes: 1, before: journal.head })!;
        journal.markOffloaded(plan, plan.key);
      };
      for (let i = 0; i < 3; i++) {
        journal.stage(bytes(10, i), 5);
        journal.commit();
      }
      offload();
      journal.trim(10, { force: true });
      offload();
      expect([0, 4, 5, 9, 10, 14, 15].map((at) => journal.locate(at).kind)).toEqual([
        "archived",
        "archived",
        "trimmed",
        "trimmed",
        "archived",
        "archived",
        "local",
      ]);
    });

    rule("[J10] bills a truncation to a commit its deleted rows only, and one inside a row the row again", (fresh) => {
      const storage = fresh();
      const journal = Journal.open(storage);
      const billed = (run: () => void) => {
        const written = storage.rowsWritten();
        run();
        return storage.rowsWritten() - written;
      };
      for (let i = 0; i < 4; i++) {
        journal.stage(bytes(10));
        journal.stage(bytes(10));
        journal.commit();
      }
      expect([billed(() => journal.truncateFrom(4)), billed(() => journal.truncateFrom(3)), billed(() => journal.truncateFrom(3))]).toEqual(
        [2, 2, 0],
      );
    });

    rule("[J12] keeps a checkpoint of many chunks, then a smaller one without leftovers", (fresh) => {
      const storage = fresh();
      const journal = Journal.open(storage);
      journal.stage(bytes(10));
      journal.commit();
      expect(journal.checkpoint(1, bytes(4_000_000, 1)).rows).toBe(3);
      expect(
        Journal.open(fresh())
          .latestCheckpoint()!
          .bytes.every((byte) => byte === 1),
      ).toBe(true);
      expect(journal.checkpoint(1, bytes(100, 2)).rows).toBe(3);
      expect(storage.listBlobs("checkpoint/")).toEqual(["checkpoint/0"]);
      expect(Journal.open(fresh()).latestCheckpoint()).toEqual({ position: 1, bytes: bytes(100, 2) });
    });

    rule("[J15] [J16] drops nothing without a checkpoint, unless forced", (fresh) => {
      const journal = Journal.open(fresh());
      journal.stage(bytes(100));
      journal.commit();
      expect([journal.trim(1), planOffload(journal, { minBytes: 1 })]).toEqual([{ rows: 0 }, null]);
      expect(planOffload(journal, { minBytes: 1, before: 1 })?.to).toBe(1);
      journal.trim(1, { force: true });
      expect([journal.base, journal.head, Journal.open(fresh()).head]).toEqual([1, 1, 1]);
    });

    rule("[J17] drops nothing that is not what was planned", (fresh) => {
      const journal = Journal.open(fresh());
      journal.stage(bytes(100, 1));
      journal.commit();
      const plan = planOffload(journal, { minBytes: 1, before: 1 })!;
      journal.truncateFrom(0);
      expect(codeOf(() => journal.markOffloaded(plan, plan.key))).toBe("stale_metadata");
      journal.stage(bytes(100, 2));
      journal.commit();
      expect(codeOf(() => journal.markOffloaded(plan, plan.key))).toBe("stale_metadata");
      expect([journal.base, journal.segments()]).toEqual([0, []]);
    });

    rule("[J20] undoes two journals and the rows of one object together", (fresh) => {
      const storage = fresh();
      const [log, notes] = [Journal.open(storage, { prefix: "log" }), Journal.open(storage, { prefix: "notes" })];
      notes.stage(bytes(1));
      notes.commit();
      expect(() =>
        log.transaction(() => {
          log.stage(bytes(2));
          log.commit();
          notes.truncateFrom(0);
          notes.checkpoint(0, bytes(5));
          throw new Error("abort");
        }),
      ).toThrow("abort");
      expect([log.head, log.next, notes.head, notes.latestCheckpoint(), notes.latestCheckpointPosition()]).toEqual([0, 0, 1, null, null]);
      log.stage(bytes(3));
      log.commit();
      notes.stage(bytes(4));
      notes.commit();
      const lengths = (prefix: string) => Journal.open(fresh(), { prefix }).read(0).map((entry) => entry.bytes.length); // biome-ignore format: one line
      expect([lengths("log"), lengths("notes")]).toEqual([[3], [1, 4]]);
    });

    rule("[J23] reports a turned bit in a row, keeps the row, and reads what is before it", (fresh) => {
      const journal = Journal.open(fresh());
      for (let i = 0; i < 3; i++) {
        journal.stage(bytes(50, i));
        journal.commit();
      }
      damageRow(fresh(), 1, 0, (stored) => ({ ...stored, bytes: flipBit(stored.bytes, 30, 3) }));
      const damaged = fresh().rows(1, 0, 1);
      const reopened = Journal.open(fresh());
      expect(thrown(() => reopened.read(0))).toMatchObject({ code: "corrupt", extra: { row: { first: 1, part: 0 } } });
      expect(reopened.read(0, { maxEntries: 1 })).toHaveLength(1);
      expect(reopened.read(2)).toHaveLength(1);
      reopened.stage(bytes(1));
      reopened.commit();
      expect(fresh().rows(1, 0, 1)).toEqual(damaged);
    });

    rule("[J27] opens the golden journal of format 1", (fresh) => checkGolden(fresh));

    rule("validates its options and arguments", (fresh) => {
      for (const maxRowBytes of [0, 127, 2_000_000, 1.5, Number.NaN]) {
        expect(codeOf(() => Journal.open(fresh(), { maxRowBytes }))).toBe("misconfigured");
      }
      const journal = Journal.open(fresh());
      for (const count of [0, -1, 0.5, Number.NaN, 2 ** 53]) expect(codeOf(() => journal.stage(bytes(1), count))).toBe("bad_request");
      for (const at of [-1, 1, 0.5, Number.NaN]) {
        expect([codeOf(() => journal.truncateFrom(at)), codeOf(() => journal.checkpoint(at, bytes(1)))]).toEqual([
          "bad_offset",
          "bad_offset",
        ]);
      }
      expect([codeOf(() => journal.trim(1)), codeOf(() => journal.trim(Number.NaN)), codeOf(() => journal.resetTo(-1))]).toEqual(
        Array(3).fill("bad_offset"),
      );
      expect(journal.next).toBe(0);
    });
  });
}

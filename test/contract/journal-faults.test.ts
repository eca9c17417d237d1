import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Crash, damageRow, FaultyStorage, flipBit } from "../../core/journal/faulty.ts";
import { decodeSegment, Journal, planOffload } from "../../core/journal/journal.ts";
import { MemoryJournalStorage, type MemorySnapshot } from "../../core/journal/memory.ts";
import type { JournalStorage, StoredRow } from "../../core/journal/port.ts";
import { codeOf } from "./journal-model.ts";

const ROW_BYTES = 200;
const bytes = (length: number, fill: number) => new Uint8Array(length).fill(fill);
const open = (storage: JournalStorage) => Journal.open(storage, { maxRowBytes: ROW_BYTES });

/** All that can be read of a journal. */
function stateOf(storage: JournalStorage) {
  const journal = open(storage);
  return {
    base: journal.base,
    head: journal.head,
    entries: journal.read(journal.base),
    checkpoint: journal.latestCheckpoint(),
    cost: journal.costSinceCheckpoint(),
    segments: journal.segments(),
  };
}

/** A journal with a bit of everything: several packed rows, a split entry, a checkpoint in chunks, a segment. */
function sample(): MemoryJournalStorage {
  const storage = new MemoryJournalStorage();
  const journal = open(storage);
  for (let i = 0; i < 6; i++) {
    for (let k = 0; k < 3; k++) journal.stage(bytes(20 + k, 16 * i + k), 1 + k);
    journal.commit();
  }
  journal.checkpoint(12, bytes(500, 1));
  const plan = planOffload(journal, { minBytes: 40 })!;
  journal.markOffloaded(plan, plan.key);
  for (const [size, fill] of [[30, 2], [400, 3], [90, 4], [90, 5]] as const) journal.stage(bytes(size, fill)); // biome-ignore format: pairs
  journal.commit();
  return storage;
}

const plan = planOffload(open(sample()), { minBytes: 1 })!;
/** Every operation that changes what is stored. */
const changes: Record<string, (journal: Journal) => void> = {
  "commit of one row": (journal) => {
    journal.stage(bytes(10, 9));
    journal.commit();
  },
  "commit of many rows": (journal) => {
    for (let i = 0; i < 10; i++) journal.stage(bytes(60, i));
    journal.stage(bytes(700, 9));
    journal.commit();
  },
  "row filled by three commits": (journal) =>
    journal.transaction(() => {
      for (const fill of [9, 8, 7]) {
        journal.stage(bytes(10, fill));
        journal.commit({ fill: ROW_BYTES });
      }
    }),
  "truncation inside a row": (journal) => journal.truncateFrom(journal.head - 1),
  "truncation inside a commit": (journal) => journal.truncateFrom(journal.head - 2),
  "truncation to a commit": (journal) => journal.truncateFrom(30),
  "smaller checkpoint": (journal) => void journal.checkpoint(24, bytes(10, 8)),
  "larger checkpoint": (journal) => void journal.checkpoint(journal.head, bytes(1500, 8)),
  trim: (journal) => void journal.trim(12),
  "forced trim of everything": (journal) => void journal.trim(journal.head, { force: true }),
  offload: (journal) => void journal.markOffloaded(plan, plan.key),
  forgetting: (journal) => void journal.forgetSegments(journal.base),
  reset: (journal) => void journal.resetTo(1000),
  "installing a state": (journal) =>
    journal.transaction(() => {
      journal.resetTo(1000);
      journal.checkpoint(1000, bytes(300, 7));
      journal.stage(bytes(250, 6));
      journal.commit();
    }),
};

/** Runs `change` with a crash at each step in turn, and shows what survived each time. Returns how many steps there were. */
function crashEverywhere(
  before: MemorySnapshot,
  torn: boolean,
  change: (journal: Journal) => void,
  survived: (storage: MemoryJournalStorage, step: number) => void,
): number {
  for (let crashAt = 1; ; crashAt++) {
    const storage = new MemoryJournalStorage();
    storage.restore(before);
    try {
      change(open(new FaultyStorage(storage, { crashAt, torn })));
      return crashAt - 1;
    } catch (error) {
      if (!(error instanceof Crash)) throw error;
      survived(storage, crashAt);
    }
  }
}

describe("[J22] a crash at any step", () => {
  for (const [name, change] of Object.entries(changes)) {
    it(`[J22] of a ${name} leaves what was before or what is after`, () => {
      const storage = sample();
      const snapshot = storage.snapshot();
      const before = stateOf(storage);
      change(open(storage));
      const after = stateOf(storage);
      expect(after).not.toEqual(before);
      const seen = new Set<string>();
      const steps = crashEverywhere(snapshot, false, change, (survivor, step) => {
        const state = stateOf(survivor);
        const same = JSON.stringify(state) === JSON.stringify(before) ? "before" : "after";
        expect(state, `step ${step}`).toEqual(same === "before" ? before : after);
        seen.add(same);
      });
      expect(steps).toBeGreaterThan(4);
      expect([...seen]).toEqual(["before", "after"]);
    });
  }

  it("[J22] of any history leaves all of its finished operations", () => {
    const step = fc.record({ sizes: fc.array(fc.nat(300), { maxLength: 4 }), checkpoint: fc.boolean(), trim: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 6 }), fc.integer({ min: 1, max: 120 }), (history, crashAt) => {
        const storage = new MemoryJournalStorage();
        const faulty = new FaultyStorage(storage, { crashAt });
        const states = [stateOf(storage)];
        const reference = new MemoryJournalStorage();
        const run = (journal: Journal, done: () => void) => {
          for (const { sizes, checkpoint, trim } of history) {
            for (const size of sizes) journal.stage(bytes(size, size % 256));
            journal.commit();
            done();
            if (checkpoint) journal.checkpoint(journal.head, bytes(journal.head * 3, 1));
            done();
            if (trim) journal.trim(journal.head);
            done();
          }
        };
        run(open(reference), () => states.push(stateOf(reference)));
        let finished = 0;
        try {
          run(open(faulty), () => finished++);
        } catch (error) {
          expect(error).toBeInstanceOf(Crash);
        }
        const survived = JSON.stringify(stateOf(storage));
        expect([finished, finished + 1].map((index) => JSON.stringify(states[Math.min(index, states.length - 1)]))).toContain(survived);
      }),
    );
  });

  it("[J4] of a commit leaves the journal in memory as before, with nothing staged", () => {
    const storage = sample();
    const quiet = new FaultyStorage(storage, {});
    open(quiet);
    for (let after = 1; after < 5; after++) {
      const faulty = new FaultyStorage(storage, { crashAt: quiet.steps + after });
      const journal = open(faulty);
      const { head } = journal;
      for (let i = 0; i < 4; i++) journal.stage(bytes(90, i));
      expect(() => journal.commit()).toThrow(Crash);
      expect([journal.head, journal.next]).toEqual([head, head]);
      expect(open(storage).head).toBe(head);
    }
  });
});

describe("[J24] a torn batch", () => {
  for (const name of ["commit of many rows", "larger checkpoint"]) {
    it(`[J24] of a ${name} is whole, absent, or reported`, () => {
      const snapshot = sample().snapshot();
      const before = stateOf(sample());
      const storage = sample();
      changes[name]!(open(storage));
      const after = stateOf(storage);
      const seen = new Set<string>();
      crashEverywhere(snapshot, true, changes[name]!, (survivor) => {
        const damaged = survivor.snapshot();
        let state: unknown = "corrupt";
        if (codeOf(() => stateOf(survivor)) !== "corrupt") state = stateOf(survivor);
        expect([JSON.stringify(before), JSON.stringify(after), '"corrupt"']).toContain(JSON.stringify(state));
        expect(survivor.snapshot()).toEqual(damaged);
        seen.add(state === "corrupt" ? "corrupt" : "whole");
      });
      expect([...seen].sort()).toEqual(["corrupt", "whole"]);
    });
  }

  it("[J24] is reported on open, also where only pieces of the last entry lack", () => {
    const storage = new MemoryJournalStorage();
    const journal = open(storage);
    for (const size of [10, 900]) journal.stage(bytes(size, 1));
    journal.commit();
    const rows = storage.rows(0, 0, 999);
    expect(rows.length).toBeGreaterThan(5);
    for (let kept = 1; kept < rows.length; kept++) {
      storage.deleteRowsFrom(0);
      for (const row of rows.slice(0, kept)) storage.putRow(row);
      expect(codeOf(() => open(storage))).toBe("corrupt");
    }
  });

  it("[J24] of the very first commit is reported, not taken for a new journal", () => {
    const change = (journal: Journal) => {
      for (let i = 0; i < 10; i++) journal.stage(bytes(60, i));
      journal.commit();
    };
    const codes = new Set<string>();
    crashEverywhere(new MemoryJournalStorage().snapshot(), true, change, (survivor) => codes.add(codeOf(() => stateOf(survivor))));
    expect([...codes].sort()).toEqual(["corrupt", "none"]);
  });
});

describe("[J23] damage", () => {
  /** Expects that reading everything fails, and that nothing stored has changed by it. */
  const expectReported = (storage: MemoryJournalStorage, what: string) => {
    const damaged = storage.snapshot();
    expect(
      codeOf(() => stateOf(storage)),
      what,
    ).toBe("corrupt");
    expect(storage.snapshot()).toEqual(damaged);
  };

  it("[J23] of any single bit of any row is reported", () => {
    const intact = sample();
    const snapshot = intact.snapshot();
    const rows = intact.rows(0, 0, 999);
    expect(new Set(rows.map((row) => row.part)).size).toBeGreaterThan(1);
    for (const { first, part, bytes } of rows) {
      for (let at = 0; at < bytes.length; at++) {
        const storage = new MemoryJournalStorage();
        storage.restore(snapshot);
        damageRow(storage, first, part, (row) => ({ ...row, bytes: flipBit(row.bytes, at, at % 8) }));
        expectReported(storage, `row ${first}/${part}, byte ${at}`);
      }
    }
  });

  it("[J23] of any column, and a row cut short or grown, is reported", () => {
    const intact = sample();
    const snapshot = intact.snapshot();
    const harm: ((row: StoredRow) => StoredRow)[] = [
      (row) => ({ ...row, last: row.last + 1 }),
      (row) => ({ ...row, checksum: row.checksum ^ 1 }),
      (row) => ({ ...row, part: row.part + 7 }),
      (row) => ({ ...row, bytes: row.bytes.subarray(1) }),
      (row) => ({ ...row, bytes: row.bytes.subarray(0, -1) }),
      (row) => ({ ...row, bytes: new Uint8Array([...row.bytes, 0]) }),
      (row) => ({ ...row, bytes: new Uint8Array() }),
    ];
    for (const { first, part } of intact.rows(0, 0, 999)) {
      for (const [index, change] of harm.entries()) {
        const storage = new MemoryJournalStorage();
        storage.restore(snapshot);
        damageRow(storage, first, part, change);
        expectReported(storage, `row ${first}/${part}, harm ${index}`);
      }
    }
  });

  it("[J23] by the loss of any row but the last commit's is reported, and so is a row in another's place", () => {
    const intact = sample();
    const snapshot = intact.snapshot();
    const rows = intact.rows(0, 0, 999);
    const place = (kept: StoredRow[]) => {
      const storage = new MemoryJournalStorage();
      storage.restore(snapshot);
      storage.deleteRowsFrom(0);
      for (const row of kept) storage.putRow(row);
      return storage;
    };
    for (const lost of rows.keys()) expectReported(place(rows.filter((_, i) => i !== lost)), `loss of row ${lost}`);
    const [one, two] = [rows[0]!, rows[1]!];
    expectReported(
      place([{ ...two, first: one.first, last: one.last }, { ...one, first: two.first, last: two.last }, ...rows.slice(2)]),
      "swap",
    );
  });

  it("[J23] names the piece that lacks in the middle of an entry", () => {
    const storage = new MemoryJournalStorage();
    const journal = open(storage);
    journal.stage(bytes(900, 1));
    journal.commit();
    const rows = storage.rows(0, 0, 999);
    storage.deleteRowsFrom(0);
    for (const row of rows) if (row.part !== 3) storage.putRow(row);
    expect(() => open(storage).read(0)).toThrow("lacks the row at 0, part 3");
  });

  it("[J23] of any single bit of any blob is reported, and so is the loss of one", () => {
    const intact = sample();
    const snapshot = intact.snapshot();
    const keys = intact.listBlobs("");
    expect(keys).toEqual(expect.arrayContaining(["_meta", "checkpoint/0", "checkpoint/2", "segment/0000000000000000"]));
    for (const key of keys) {
      const stored = intact.getBlob(key)!;
      for (let at = 0; at < stored.length; at++) {
        const storage = new MemoryJournalStorage();
        storage.restore(snapshot);
        storage.putBlob(key, flipBit(stored, at, at % 8));
        expectReported(storage, `${key}, byte ${at}`);
      }
      // A checkpoint or a segment record may be absent, but not a part of one, and not the head record.
      if (key === "checkpoint/0" || key.startsWith("segment/")) continue;
      const storage = new MemoryJournalStorage();
      storage.restore(snapshot);
      storage.deleteBlob(key);
      expectReported(storage, `loss of ${key}`);
    }
  });

  it("[J23] [J6] is never overwritten by a journal that goes on", () => {
    const storage = sample();
    const [target] = storage.rows(0, 0, 1);
    damageRow(storage, target!.first, 0, (row) => ({ ...row, bytes: flipBit(row.bytes, 20, 0) }));
    const damaged = storage.rows(0, 0, 1);
    const journal = open(storage);
    journal.stage(bytes(10, 1));
    journal.commit();
    expect(codeOf(() => journal.truncateFrom(target!.first + 1))).not.toBe("none");
    expect(codeOf(() => planOffload(journal, { minBytes: 1 }))).toBe("corrupt");
    expect(codeOf(() => journal.markOffloaded(plan, plan.key))).toBe("corrupt");
    expect(storage.rows(0, 0, 1)).toEqual(damaged);
  });

  it("[J18] of any single bit of a segment is reported, and so is another segment in its place", () => {
    const segment = { key: plan.key, from: plan.from, to: plan.to, bytes: plan.bytes.length, checksum: plan.checksum };
    expect(decodeSegment(plan.bytes, segment).length).toBeGreaterThan(0);
    for (let at = 0; at < plan.bytes.length; at++) expect(codeOf(() => decodeSegment(flipBit(plan.bytes, at, at % 8)))).toBe("corrupt");
    for (const cut of [0, 3, 8, plan.bytes.length - 1]) expect(codeOf(() => decodeSegment(plan.bytes.subarray(0, cut)))).toBe("corrupt");
    expect(codeOf(() => decodeSegment(plan.bytes, { ...segment, from: segment.from + 1 }))).toBe("corrupt");
    expect(codeOf(() => decodeSegment(plan.bytes, { ...segment, checksum: segment.checksum ^ 1 }))).toBe("corrupt");
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { NO_LIMIT } from "./config.ts";
import { Inflights } from "./inflights.ts";
import { NO_TERM, RaftLog } from "./log.ts";
import { MemoryStorage } from "./memory.ts";
import { ENTRY_OVERHEAD, entriesSize } from "./sizes.ts";
import type { Entry } from "./types.ts";

const entry = (term: number, index: number, size = 0): Entry => ({ term, index, kind: "data", data: new Uint8Array(size) });

function logOf(terms: number[], maxApplyingSize = NO_LIMIT): RaftLog {
  const storage = new MemoryStorage();
  storage.append(terms.map((term, i) => entry(term, i + 1)));
  return new RaftLog(storage, maxApplyingSize);
}

const operation = fc.record({
  kind: fc.constantFrom("append", "append", "overwrite", "persist", "persist", "commit", "compact", "restore"),
  n: fc.nat(1_000),
});

describe("the log", () => {
  it("[RL1] is the durable part and the unstable one after it, whatever was replaced, persisted, compacted or restored", () => {
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
        const storage = new MemoryStorage();
        const log = new RaftLog(storage, NO_LIMIT);
        /** The model: all terms from index 1 on, and where the log begins. */
        const terms: number[] = [];
        let first = 1;
        let term = 1;
        for (const { kind, n } of operations) {
          expect(log.lastIndex()).toBe(terms.length);
          if (kind === "append" || kind === "overwrite") {
            term += n % 3 === 0 ? 1 : 0;
            const from = kind === "append" ? terms.length + 1 : log.committed + 1 + (n % (terms.length - log.committed + 1));
            const entries = Array.from({ length: 1 + (n % 4) }, (_, i) => entry(term, from + i));
            log.append(entries, 0);
            terms.splice(from - 1, terms.length, ...entries.map((each) => each.term));
          } else if (kind === "persist") {
            const snapshot = log.unstable.nextSnapshot();
            if (snapshot !== null) storage.applySnapshot(snapshot);
            storage.append(log.unstable.next());
            log.unstable.acceptInProgress();
            log.unstable.stableTo(log.lastIndex(), log.lastTerm());
            if (snapshot !== null) log.unstable.stableSnapshotTo(snapshot.index);
          } else if (kind === "commit") {
            log.commitTo(log.committed + (n % (terms.length - log.committed + 1)));
          } else if (kind === "compact") {
            const at = Math.min(log.committed, storage.lastIndex(), log.unstable.offset - 1);
            if (log.unstable.snapshot === null && at >= storage.firstIndex()) storage.compact(at);
            if (log.unstable.snapshot === null) first = storage.firstIndex();
          } else if (n % 4 === 0) {
            const index = terms.length + 1 + (n % 5);
            while (terms.length < index) terms.push(term);
            log.restore({ index, term, conf: storage.conf, data: new Uint8Array(0) });
            first = index + 1;
          }
          for (let index = 1; index <= terms.length + 1; index++) {
            const known = index >= first - 1 && index <= terms.length;
            expect(log.term(index)).toBe(known ? terms[index - 1] : NO_TERM);
          }
          const all = log.slice(first, terms.length + 1, NO_LIMIT)!;
          expect(all.map((each) => each.index)).toEqual(terms.slice(first - 1).map((_, i) => first + i));
          expect(all.map((each) => each.term)).toEqual(terms.slice(first - 1));
        }
      }),
      { numRuns: 300 },
    );
  });

  it("[RF3] a slice has at least one entry and else at most so many bytes, across the durable part's end", () => {
    const sizes = fc.array(fc.nat(30), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(sizes, sizes, fc.nat(300), (durable, unstable, maxBytes) => {
        const storage = new MemoryStorage();
        storage.append(durable.map((size, i) => entry(1, i + 1, size)));
        const log = new RaftLog(storage, NO_LIMIT);
        log.append(
          unstable.map((size, i) => entry(1, durable.length + i + 1, size)),
          0,
        );
        const got = log.slice(1, log.lastIndex() + 1, maxBytes)!;
        const all = [...durable, ...unstable];
        let count = 1;
        let bytes = all[0]! + ENTRY_OVERHEAD;
        while (count < all.length && bytes + all[count]! + ENTRY_OVERHEAD <= maxBytes) bytes += all[count++]! + ENTRY_OVERHEAD;
        expect(got.length).toBe(count);
        expect(entriesSize(got)).toBe(bytes);
      }),
    );
  });

  it("[RL5] the hint is the last place where two logs can agree", () => {
    // Terms of the follower; a leader's append follows an entry of this term.
    const log = logOf([1, 3, 3, 4, 4, 5, 5, 5, 6]);
    expect(log.findConflictByTerm(9, 7)).toBe(9);
    expect(log.findConflictByTerm(8, 3)).toBe(3);
    expect(log.findConflictByTerm(9, 2)).toBe(1);
    expect(log.findConflictByTerm(9, 0)).toBe(0);
  });

  it("[RL6] a committed entry is never replaced, and what is said to be committed must be there", () => {
    const log = logOf([1, 1]);
    log.commitTo(2);
    expect(() => log.append([entry(2, 2)], 0)).toThrow(expect.objectContaining({ code: "corrupt" }));
    expect(() => log.commitTo(3)).toThrow(expect.objectContaining({ code: "corrupt" }));
    log.commitTo(1);
    expect(log.committed).toBe(2);
  });

  it("[RE3] the term of the last entry decides, then its index", () => {
    const log = logOf([1, 2, 2]);
    expect(log.isUpToDate(1, 3)).toBe(true);
    expect(log.isUpToDate(3, 2)).toBe(true);
    expect(log.isUpToDate(2, 2)).toBe(false);
    expect(log.isUpToDate(9, 1)).toBe(false);
  });

  it("what was replaced while it was written is not taken for durable", () => {
    const log = logOf([]);
    log.append([entry(1, 1), entry(1, 2)], 0);
    log.unstable.acceptInProgress();
    log.append([entry(2, 2)], 0);
    log.unstable.stableTo(2, 1);
    expect(log.unstable.entries.length).toBe(2);
    log.unstable.stableTo(1, 1);
    expect(log.unstable.entries.map(({ term }) => term)).toEqual([2]);
    expect(log.unstable.hasNext()).toBe(true);
  });
});

describe("the window of messages under way", () => {
  it("[RF2] is full by count or by bytes, and is freed up to an index, as a list would be", () => {
    const step = fc.oneof(fc.record({ add: fc.integer({ min: 1, max: 3 }), bytes: fc.nat(40) }), fc.record({ free: fc.nat(6) }));
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 1, max: 100 }),
        fc.array(step, { maxLength: 80 }),
        (max, maxBytes, steps) => {
          const window = new Inflights(max, maxBytes);
          let list: { index: number; bytes: number }[] = [];
          let index = 0;
          for (const each of steps) {
            const full = list.length >= max || list.reduce((sum, { bytes }) => sum + bytes, 0) >= maxBytes;
            expect(window.full()).toBe(full);
            expect(window.count).toBe(list.length);
            if ("add" in each) {
              if (full) continue;
              index += each.add;
              list.push({ index, bytes: each.bytes });
              window.add(index, each.bytes);
            } else {
              const to = Math.max(0, index - each.free);
              list = list.filter((one) => one.index > to);
              window.freeTo(to);
            }
          }
        },
      ),
    );
  });
});

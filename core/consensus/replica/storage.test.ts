import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Crash, FaultyStorage } from "../../journal/faulty.ts";
import { MemoryJournalStorage } from "../../journal/memory.ts";
import { errorOf } from "../../wire/errors.ts";
import type { Entry, RaftError } from "../raft/types.ts";
import { ReplicaStorage } from "./storage.ts";

const conf = { voters: [1], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };
const entry = (index: number, term: number, size = 4): Entry => ({
  index,
  term,
  kind: index % 7 === 0 ? "conf" : "data",
  data: new Uint8Array(size).fill(index),
});
const SMALL = { fillBytes: 150, retainEntries: 3, cacheBytes: 300 };

function founded() {
  const rows = new MemoryJournalStorage();
  const open = () => ReplicaStorage.open(rows, SMALL);
  open().found({ index: 1, term: 1, conf, data: Uint8Array.of(9) }, "");
  return { rows, open };
}

type Op =
  | { op: "append"; back: number; count: number; size: number }
  | { op: "flush" }
  | { op: "reopen" }
  | { op: "checkpoint"; back: number }
  | { op: "install"; ahead: number };
const ops: fc.Arbitrary<Op[]> = fc.array(
  fc.oneof(
    {
      weight: 10,
      arbitrary: fc.record({
        op: fc.constant("append" as const),
        back: fc.nat(4),
        count: fc.integer({ min: 1, max: 4 }),
        size: fc.nat(120),
      }),
    },
    { weight: 6, arbitrary: fc.record({ op: fc.constant("flush" as const) }) },
    { weight: 2, arbitrary: fc.record({ op: fc.constant("reopen" as const) }) },
    { weight: 2, arbitrary: fc.record({ op: fc.constant("checkpoint" as const), back: fc.nat(3) }) },
    { weight: 1, arbitrary: fc.record({ op: fc.constant("install" as const), ahead: fc.integer({ min: 1, max: 9 }) }) },
  ),
  { minLength: 1, maxLength: 40, size: "max" },
);

describe("the storage of a replica", () => {
  it("[GR53] is the log it was given, whatever of it is in memory, on disk or in the checkpoint", () => {
    fc.assert(
      fc.property(ops, (list) => {
        const { open } = founded();
        let storage = open();
        /** The log by index; and what of it survives a crash. */
        let log = new Map<number, Entry>();
        let durable = new Map(log);
        let [first, checkpoint, term] = [1, { index: 1, term: 1 }, 1];
        let durableFirst = first;
        let data = 9;
        const last = () => Math.max(checkpoint.index, ...log.keys());
        for (const op of list) {
          if (op.op === "append") {
            const from = Math.max(checkpoint.index + 1, last() + 1 - op.back);
            if (from <= last()) term++;
            const entries = Array.from({ length: op.count }, (_, i) => entry(from + i, term, op.size));
            storage.append(entries);
            for (const index of [...log.keys()]) if (index >= from) log.delete(index);
            for (const each of entries) log.set(each.index, each);
          } else if (op.op === "checkpoint") {
            const index = Math.max(checkpoint.index, last() - op.back);
            checkpoint = { index, term: index === checkpoint.index ? checkpoint.term : log.get(index)!.term };
            data = index;
            storage.checkpoint({ ...checkpoint, conf, data: Uint8Array.of(index) });
          } else if (op.op === "install") {
            checkpoint = { index: last() + op.ahead, term: ++term };
            data = checkpoint.index;
            storage.install({ ...checkpoint, conf, data: Uint8Array.of(checkpoint.index) });
            log = new Map();
          } else if (op.op === "flush") storage.flush(checkpoint.index);
          if (op.op === "reopen") {
            storage = open();
            log = new Map(durable);
            first = durableFirst;
            expect(storage.takeData()).toEqual(Uint8Array.of(data));
          } else if (op.op !== "append") {
            durable = new Map(log);
            durableFirst = first;
          }
          expect(storage.lastIndex()).toBe(last());
          expect(storage.applied).toBe(checkpoint.index);
          expect(storage.firstIndex()).toBeLessThanOrEqual(checkpoint.index + 1);
          expect(storage.term(checkpoint.index)).toBe(checkpoint.term);
          first = storage.firstIndex();
          if (first <= last()) {
            const all = storage.entries(first, last() + 1, Number.MAX_SAFE_INTEGER);
            expect(all.length).toBeGreaterThan(0);
            let at = first;
            while (at <= last()) {
              const page = storage.entries(at, last() + 1, 100);
              for (const each of page) {
                expect(each).toEqual(log.get(each.index));
                expect(storage.term(each.index)).toBe(each.term);
              }
              at += page.length;
            }
          }
          expect(codeOf(() => storage.entries(first - 1, first, 1))).toBe("compacted");
          expect(codeOf(() => storage.term(last() + 1))).toBe("unavailable");
        }
      }),
    );
  });

  it("[GR54] a crash at any step leaves what was there, or all that the turn wrote", () => {
    const turn = (storage: ReplicaStorage) => {
      storage.append([entry(4, 3), entry(5, 3)]);
      storage.setState({ term: 3, vote: 2 });
      storage.flush(3);
    };
    const seen = new Set<string>();
    for (let crashAt = 1; ; crashAt++) {
      const { rows, open } = founded();
      const before = open();
      before.append([entry(2, 2), entry(3, 2), entry(4, 2)]);
      before.flush(1);
      const shape = () => {
        const storage = open();
        return JSON.stringify([storage.lastIndex(), storage.term(4), storage.state.term, storage.state.vote]);
      };
      const old = shape();
      try {
        turn(ReplicaStorage.open(new FaultyStorage(rows, { crashAt }), SMALL));
        expect(shape()).toBe("[5,3,3,2]");
        break;
      } catch (error) {
        if (!(error instanceof Crash)) throw error;
        seen.add(shape());
        expect([old, "[5,3,3,2]"]).toContain(shape());
      }
    }
    expect(seen.size).toBe(2);
  });

  it("[GR53] a woken replica knows of all commits but the last from the log itself", () => {
    const { open } = founded();
    const storage = open();
    for (let index = 2; index < 10; index++) {
      storage.append([entry(index, 2)]);
      storage.flush(index - 1);
    }
    expect(open().initialState().hardState.commit).toBe(8);
  });

  it("[GR53] founding is for once; one that only joins knows nothing", () => {
    const { open } = founded();
    open().found({ index: 1, term: 1, conf: { ...conf, voters: [7] }, data: Uint8Array.of(1) }, "");
    expect(open().initialState().conf.voters).toEqual([1]);
    const joining = ReplicaStorage.open(new MemoryJournalStorage());
    expect(joining.configured).toBe(false);
    joining.found({ index: 0, term: 0, conf: { ...conf, voters: [] }, data: new Uint8Array() }, "AMS");
    expect([joining.configured, joining.lastIndex(), joining.firstIndex(), joining.term(0), joining.state.place]).toEqual([
      true,
      0,
      1,
      0,
      "AMS",
    ]);
  });
});

function codeOf(run: () => unknown): string {
  try {
    run();
    return "none";
  } catch (error) {
    return (error as RaftError).code ?? errorOf(error).code;
  }
}

import fc from "fast-check";
import { expect } from "vitest";
import { decodeSegment, Journal, type JournalEntry, planOffload, type Segment } from "../../core/journal/journal.ts";
import type { JournalStorage } from "../../core/journal/port.ts";
import { errorOf } from "../../core/wire/errors.ts";

/** What can be done to a journal. Positions are picks: the driver turns them into ones near the journal's own. */
export type Op =
  | { op: "stage"; size: number; count: number }
  | { op: "commit" | "fill" | "discard" | "reopen" }
  | { op: "truncate"; at: number }
  | { op: "checkpoint"; at: number; size: number }
  | { op: "trim"; at: number; force: boolean }
  | { op: "offload"; minBytes: number; before: number | null }
  | { op: "forget"; at: number }
  | { op: "reset"; at: number }
  | { op: "abort"; ops: Op[] };

/** Small rows, so that packing, splitting and chunks all happen among a few entries. */
export const MODEL_ROW_BYTES = 200;

/** Room for two or three small entries. */
const FILL_BYTES = 170;

const pick = fc.nat(1000);
const simple: fc.Arbitrary<Op>[] = [
  fc.record({ op: fc.constant("stage" as const), size: fc.oneof(fc.nat(60), fc.nat(500)), count: fc.integer({ min: 1, max: 4 }) }),
  fc.record({ op: fc.constantFrom("commit" as const, "fill" as const, "fill" as const, "discard" as const) }),
  fc.record({ op: fc.constant("truncate" as const), at: pick }),
  fc.record({ op: fc.constant("checkpoint" as const), at: pick, size: fc.nat(600) }),
  fc.record({ op: fc.constant("trim" as const), at: pick, force: fc.boolean() }),
  fc.record({ op: fc.constant("offload" as const), minBytes: fc.nat(300), before: fc.option(pick, { nil: null }) }),
  fc.record({ op: fc.constant("forget" as const), at: pick }),
  fc.record({ op: fc.constant("reset" as const), at: pick }),
];
const weighted = simple.map((arbitrary, i) => ({ arbitrary, weight: [30, 25, 4, 4, 3, 5, 1, 1][i]! }));
const inner = fc.oneof(...weighted);
export const ops = fc.array(
  fc.oneof(
    { arbitrary: inner, weight: 12 },
    { arbitrary: fc.constant<Op>({ op: "reopen" }), weight: 1 },
    { arbitrary: fc.record({ op: fc.constant("abort" as const), ops: fc.array(inner, { maxLength: 6 }) }), weight: 1 },
  ),
  { minLength: 1, maxLength: 40, size: "max" },
);

type Sum = { bytes: number; entries: number };
type ModelEntry = { position: number; count: number; fill: number; size: number };
/** The trivial journal: arrays of everything. */
type Model = {
  base: number;
  committed: ModelEntry[];
  staged: ModelEntry[];
  head: number;
  checkpoint: { position: number; fill: number; size: number } | null;
  /** How much was ever committed: now, up to the base, up to the checkpoint. */
  ever: Sum;
  everAtBase: Sum;
  everAtCheckpoint: Sum;
  segments: { segment: Segment; entries: ModelEntry[] }[];
  everWrote: boolean;
};

const sumOf = (entries: ModelEntry[]): Sum => ({ bytes: entries.reduce((sum, entry) => sum + entry.size, 0), entries: entries.length });
const plus = (a: Sum, b: Sum, sign = 1): Sum => ({ bytes: a.bytes + sign * b.bytes, entries: a.entries + sign * b.entries });
const endOf = (entry: ModelEntry) => entry.position + entry.count;
const bytesOf = ({ fill, size }: { fill: number; size: number }) => new Uint8Array(size).fill(fill);
const plain = (entries: JournalEntry[]) =>
  entries.map(({ position, count, bytes }) => ({ position, count, fill: bytes[0] ?? 0, size: bytes.length }));
const seen = (entries: ModelEntry[]) => entries.map((entry) => ({ ...entry, fill: entry.size === 0 ? 0 : entry.fill }));

class Abort extends Error {}

/** Does `ops` to a journal and to the model, and compares the two after each. */
export function runModel(fresh: () => JournalStorage, ops: Op[]): void {
  const archive = new Map<string, Uint8Array>();
  let journal = Journal.open(fresh(), { maxRowBytes: MODEL_ROW_BYTES });
  let fill = 0;
  const nothing = { bytes: 0, entries: 0 };
  let model: Model = {
    base: 0,
    committed: [],
    staged: [],
    head: 0,
    checkpoint: null,
    ever: nothing,
    everAtBase: nothing,
    everAtCheckpoint: nothing,
    segments: [],
    everWrote: false,
  };

  const next = () => (model.staged.length > 0 ? endOf(model.staged.at(-1)!) : model.head);
  const isBoundary = (at: number) =>
    at === model.base || [...model.committed, ...model.staged].some((entry) => endOf(entry) === at) || at === model.head;
  /** A position from two below the base to two beyond the end. */
  const near = (at: number) => model.base - 2 + (at % (next() - model.base + 5));
  /** Expects `run` to throw `bad_offset` unless `legal`. */
  const attempt = (legal: boolean, run: () => void): boolean => {
    if (legal) {
      run();
      return true;
    }
    expect(codeOf(run)).toBe("bad_offset");
    return false;
  };

  const apply = (op: Op): void => {
    const least = Math.max(model.base, model.checkpoint?.position ?? 0);
    switch (op.op) {
      case "stage": {
        fill = (fill + 1) % 256;
        const entry = { position: next(), count: op.count, fill, size: op.size };
        expect(journal.stage(bytesOf(entry), op.count)).toBe(entry.position);
        model = { ...model, staged: [...model.staged, entry] };
        return;
      }
      case "commit":
      case "fill": {
        const rows = () => [...journal.wholeRows(model.base)].reduce((sum, row) => sum + row.after.rows - row.before.rows, 0);
        const before = rows();
        const { rows: written } = journal.commit(op.op === "fill" ? { fill: FILL_BYTES } : {});
        // Nothing is billed but the rows themselves, a filled one as one; and at first the head record and the tables.
        const extra = written - Math.max(rows() - before, model.staged.length > 0 ? 1 : 0);
        if (model.everWrote) expect(extra).toBe(0);
        else expect(extra).toBeGreaterThanOrEqual(0);
        model = {
          ...model,
          head: next(),
          committed: [...model.committed, ...model.staged],
          ever: plus(model.ever, sumOf(model.staged)),
          staged: [],
          everWrote: model.everWrote || model.staged.length > 0,
        };
        return;
      }
      case "discard":
        journal.discard();
        model = { ...model, staged: [] };
        return;
      case "reopen":
        journal = Journal.open(fresh(), { maxRowBytes: MODEL_ROW_BYTES });
        model = { ...model, staged: [] };
        return;
      case "truncate": {
        const at = near(op.at);
        const legal = at >= least && at <= next() && isBoundary(at);
        if (!attempt(legal, () => journal.truncateFrom(at))) return;
        const gone = model.committed.filter((entry) => entry.position >= at);
        model = {
          ...model,
          committed: model.committed.filter((entry) => entry.position < at),
          staged: model.staged.filter((entry) => entry.position < at),
          head: Math.min(model.head, at),
          ever: plus(model.ever, sumOf(gone), -1),
        };
        return;
      }
      case "checkpoint": {
        const at = near(op.at);
        fill = (fill + 1) % 256;
        const checkpoint = { position: at, fill, size: op.size };
        if (!attempt(at >= least && at <= model.head && isBoundary(at), () => journal.checkpoint(at, bytesOf(checkpoint)))) return;
        const since = sumOf(model.committed.filter((entry) => entry.position >= at));
        model = { ...model, checkpoint, everAtCheckpoint: plus(model.ever, since, -1) };
        return;
      }
      case "trim": {
        const at = near(op.at);
        const before = model.base;
        if (!attempt(at <= model.head, () => journal.trim(at, { force: op.force }))) return;
        const limit = op.force ? at : Math.min(at, model.checkpoint?.position ?? model.base);
        drop();
        expect(model.base).toBeLessThanOrEqual(Math.max(before, limit));
        // Nothing that could go has stayed.
        const first = journal.wholeRows(model.base).next().value;
        if (first) expect(first.end).toBeGreaterThan(limit);
        return;
      }
      case "offload": {
        const before = op.before === null ? undefined : near(op.before);
        const plan = planOffload(journal, { minBytes: op.minBytes, ...(before !== undefined && { before }) });
        if (plan === null) return;
        expect(plan.to).toBeLessThanOrEqual(before ?? model.checkpoint!.position);
        expect(planOffload(journal, { minBytes: op.minBytes, ...(before !== undefined && { before }) })?.key).toBe(plan.key);
        archive.set(plan.key, plan.bytes);
        const entries = model.committed.filter((entry) => entry.position < plan.to);
        journal.markOffloaded(plan, plan.key);
        drop();
        expect(model.base).toBe(plan.to);
        const segment = { key: plan.key, from: plan.from, to: plan.to, bytes: plan.bytes.length, checksum: plan.checksum };
        model = { ...model, segments: [...model.segments, { segment, entries }] };
        expect(journal.markOffloaded(plan, plan.key)).toEqual({ rows: 0 });
        return;
      }
      case "forget": {
        const at = near(op.at);
        const gone = model.segments.filter(({ segment }) => segment.to <= at);
        expect(journal.forgetSegments(at)).toEqual(gone.map(({ segment }) => segment));
        model = { ...model, segments: model.segments.filter(({ segment }) => segment.to > at) };
        return;
      }
      case "reset": {
        const at = near(op.at);
        if (!attempt(at >= least, () => journal.resetTo(at))) return;
        model = { ...model, base: at, head: at, committed: [], staged: [], everAtBase: model.ever };
        return;
      }
      case "abort": {
        const saved = model;
        expect(() =>
          journal.transaction(() => {
            for (const each of op.ops) {
              apply(each);
              compare();
            }
            throw new Abort();
          }),
        ).toThrow(Abort);
        model = saved;
        return;
      }
    }
  };

  /** After rows left: the model follows the journal's choice of row, and checks that it was one at all. */
  const drop = () => {
    const base = journal.base;
    expect(isBoundary(base)).toBe(true);
    const gone = model.committed.filter((entry) => entry.position < base);
    model = {
      ...model,
      base,
      committed: model.committed.filter((entry) => entry.position >= base),
      everAtBase: plus(model.everAtBase, sumOf(gone)),
    };
  };

  const compare = () => {
    expect([journal.base, journal.head, journal.next]).toEqual([model.base, model.head, next()]);
    expect(plain(journal.read(model.base))).toEqual(seen(model.committed));
    const checkpoint = journal.latestCheckpoint();
    expect(checkpoint && { position: checkpoint.position, size: checkpoint.bytes.length, fill: checkpoint.bytes[0] ?? 0 }).toEqual(
      model.checkpoint && { ...model.checkpoint, fill: model.checkpoint.size === 0 ? 0 : model.checkpoint.fill },
    );
    const { rows, ...cost } = journal.costSinceCheckpoint();
    const { everAtBase, everAtCheckpoint } = model;
    const since = {
      bytes: Math.max(everAtBase.bytes, everAtCheckpoint.bytes),
      entries: Math.max(everAtBase.entries, everAtCheckpoint.entries),
    };
    expect(cost).toEqual(plus(model.ever, since, -1));
    const toReplay = [...journal.wholeRows(Math.max(model.base, model.checkpoint?.position ?? 0))];
    const left = toReplay.reduce((sum, row) => sum + row.after.rows - row.before.rows, 0);
    expect(rows === left || rows === left + 1).toBe(true);
    expect(journal.segments()).toEqual(model.segments.map(({ segment }) => segment));
  };

  for (const op of ops) {
    apply(op);
    compare();
  }
  for (const { segment, entries } of model.segments) {
    expect(plain(decodeSegment(archive.get(segment.key)!, segment))).toEqual(seen(entries));
    expect(journal.locate(segment.from)).toEqual({ kind: "archived", segment });
    expect(journal.locate(segment.to - 1)).toEqual({ kind: "archived", segment });
  }
  // Reading from the middle, by small pages, is reading all.
  for (let from = model.base; from < model.head; ) {
    const page = journal.read(from, { maxBytes: 100, maxEntries: 3 });
    const whole = seen(model.committed.filter((entry) => endOf(entry) > from));
    expect(plain(page)).toEqual(whole.slice(0, page.length));
    expect(page.length).toBeGreaterThan(0);
    expect(page.length).toBeLessThanOrEqual(3);
    expect(page.length === 1 || page.reduce((sum, entry) => sum + entry.bytes.length, 0) <= 100).toBe(true);
    from = page.at(-1)!.position + page.at(-1)!.count;
  }
}

export function codeOf(run: () => unknown): string {
  try {
    run();
    return "none";
  } catch (error) {
    return errorOf(error).code;
  }
}

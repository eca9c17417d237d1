import { SkerryError } from "../wire/errors.ts";
import type { Cell, Dirty, PageStorage } from "./pages.ts";
import type { MappedRange, Poison } from "./stateless.ts";
import { type TableMeta, WindowedTable } from "./table.ts";
import type { ChangeSink, RoomSink, SinkNode, TableRow, TopicSink, Topology } from "./topology.ts";

/**
 * What a task journals, one entry a revision: the order in which ranges of its sources were applied and by which setting, when it
 * emitted, and ticks of its clock. Records are not copied: the topic has them.
 */
export type TaskEntry =
  | { k: "range"; topic: string; generation: number; from: number; to: number; emit: string[]; setting?: unknown }
  | { k: "emit"; emit: string[] }
  | { k: "tick"; at: number }
  /** A source was deleted: nothing of this generation of it counts from here on. */
  | { k: "retire"; topic: string; generation: number };

/** Something to deliver, once, in order of `seq` for each sink. `seq` is the revision it arose from. */
export type Output = { sink: string; seq: number } & (
  | { kind: "topic"; values: unknown[] }
  | { kind: "room"; set: Record<string, unknown>; delete: string[] }
);

type Applied = { generation: number; offset: number };

/** What a checkpoint keeps beside the tables' pages. */
export type TaskMeta = {
  applied: Record<string, Applied>;
  tables: Record<string, TableMeta>;
  outbox: Output[];
  poisoned: number;
  lastPoison: (Poison & { topic: string })[];
  records: number;
};

const KEPT_POISON = 20;

/** Bytes of changed pages that memory may hold: neither a replay nor a task that never rests may outgrow its isolate. */
const MAX_DIRTY_BYTES = 8 * 1024 * 1024;

/**
 * Whether a checkpoint is due: when replaying would read about as much as it saves. A record replayed costs reading
 * and computing, a page written costs a row; the floor keeps small tasks from writing at every turn, the caps bound a
 * wake and the memory.
 */
export function checkpointDue(since: { records: number; entries: number }, dirty: Dirty): boolean {
  return since.entries >= 2000 || since.records >= Math.max(20_000, 500 * dirty.pages) || dirty.bytes >= MAX_DIRTY_BYTES;
}

/**
 * The stateful part of a topology for one partition. Pure: the shell journals an entry, commits, and only then calls
 * {@link apply}; a replay of the same entries over the same records gives the same tables and the same outputs with
 * the same numbers, which the receivers then drop.
 */
export class TaskMachine {
  readonly topology: Topology;
  readonly tables: ReadonlyMap<string, WindowedTable>;
  readonly #byNode = new Map<number, WindowedTable>();
  readonly #sinks = new Map<string, TopicSink | RoomSink>();
  readonly #updates: { change: ChangeSink; table: WindowedTable; dirty: Map<string, Cell> }[] = [];
  readonly #gathered: { node: SinkNode; values: unknown[] }[] = [];
  readonly #meta: TaskMeta;
  readonly #sizes = new WeakMap<Output, number>();
  #outboxSize = 0;
  #revision: number;

  constructor(topology: Topology, pages: PageStorage, checkpoint?: { revision: number; meta: TaskMeta }) {
    this.topology = topology;
    this.#revision = checkpoint?.revision ?? 0;
    this.#meta = checkpoint?.meta ?? { applied: {}, tables: {}, outbox: [], poisoned: 0, lastPoison: [], records: 0 };
    const tables = new Map<string, WindowedTable>();
    for (const node of topology.nodes) {
      if (node.kind === "sink") {
        this.#sinks.set(node.sink.id, node.sink);
        this.#gathered.push({ node, values: [] });
        continue;
      }
      const table = new WindowedTable(node, pages, this.#meta.tables[node.table]);
      tables.set(node.table, table);
      this.#byNode.set(node.id, table);
      for (const change of node.changes) {
        this.#sinks.set(change.sink.id, change.sink);
        if (change.when === "updates") this.#updates.push({ change, table, dirty: new Map() });
      }
    }
    this.tables = tables;
    for (const output of this.#meta.outbox) this.#measure(output);
  }

  /** Entries applied since the beginning; the position of everything the task answers. */
  get revision(): number {
    return this.#revision;
  }

  /** Records applied since the beginning, late ones included. */
  get records(): number {
    return this.#meta.records;
  }

  get poisoned(): { count: number; last: (Poison & { topic: string })[] } {
    return { count: this.#meta.poisoned, last: this.#meta.lastPoison };
  }

  get outbox(): readonly Output[] {
    return this.#meta.outbox;
  }

  get bytes(): number {
    let bytes = 0;
    for (const table of this.tables.values()) bytes += table.bytes;
    return bytes;
  }

  get dirty(): Dirty {
    const all = { pages: 0, bytes: 0 };
    for (const table of this.tables.values()) {
      const { pages, bytes } = table.dirty;
      all.pages += pages;
      all.bytes += bytes;
    }
    return all;
  }

  sink(id: string): TopicSink | RoomSink | undefined {
    return this.#sinks.get(id);
  }

  /** End of what was applied of a source, for its current generation. */
  applied(topic: string): Applied {
    return this.#meta.applied[topic] ?? { generation: 0, offset: 0 };
  }

  get allApplied(): Readonly<Record<string, Applied>> {
    return this.#meta.applied;
  }

  /**
   * Where a range stands: `known` (nothing new), `next` (it continues what was applied) or `gap` (pull from `from`).
   * A range that overlaps must be cut by the caller: its lanes cannot be.
   */
  standing(
    topic: string,
    generation: number,
    from: number,
    to: number,
  ): { at: "known" } | { at: "next" } | { at: "gap" | "overlap"; from: number } {
    const applied = this.applied(topic);
    if (generation < applied.generation) return { at: "known" };
    const offset = generation > applied.generation ? 0 : applied.offset;
    if (to <= offset) return { at: "known" };
    if (from === offset) return { at: "next" };
    return from > offset ? { at: "gap", from: offset } : { at: "overlap", from: offset };
  }

  /**
   * What emits at journalled moments, at most every so many ms: table updates, and records on their way to a topic.
   * The journal fixes the moments, so a replay makes the same outputs with the same borders.
   */
  emitters(): { id: string; every: number; size: number }[] {
    return [
      ...this.#updates.map(({ change, dirty }) => ({ id: change.sink.id, every: change.every, size: dirty.size })),
      ...this.#gathered.map(({ node, values }) => ({ id: node.sink.id, every: node.every, size: values.length })),
    ];
  }

  /** Those that have something to emit. */
  pending(): { id: string; every: number; size: number }[] {
    return this.emitters().filter(({ size }) => size > 0);
  }

  /** Applies a committed entry. `mapped` is the range of a `range` entry. Returns the rows that changed, by table. */
  apply(entry: TaskEntry, mapped: MappedRange | null): Map<string, Cell[]> {
    const changed = new Map<string, Cell[]>();
    this.#revision++;
    switch (entry.k) {
      case "range":
        if (mapped === null || mapped.from !== entry.from || mapped.to !== entry.to)
          throw new SkerryError("internal", "A range was applied without its records.");
        this.#applyRange(entry, mapped, changed);
        this.#emit(entry.emit);
        break;
      case "emit":
        this.#emit(entry.emit);
        break;
      case "tick":
        // Each table to where its own windows close: short ones must not lose records to the end of long ones.
        for (const table of this.tables.values()) this.#finals(table, table.advance(Math.min(entry.at, table.closingTime() ?? -1)));
        break;
      case "retire":
        this.#meta.applied[entry.topic] = { generation: entry.generation + 1, offset: 0 };
        break;
      default:
        entry satisfies never;
    }
    return changed;
  }

  #applyRange(entry: Extract<TaskEntry, { k: "range" }>, mapped: MappedRange, changed: Map<string, Cell[]>): void {
    const poison = (offset: number, node: number, error: string) => this.#poison({ topic: entry.topic, offset, node, error });
    for (const each of mapped.poison) poison(each.offset, each.node, each.error);
    for (const lane of mapped.lanes) {
      if (lane.kind === "sink") {
        this.#gathered.find(({ node }) => node.id === lane.node)?.values.push(...lane.values);
        continue;
      }
      const table = this.#byNode.get(lane.node);
      if (table === undefined) throw new SkerryError("internal", `No table at node ${lane.node}.`);
      const result = table.apply(lane, this.#revision, (thrown) => poison(entry.from, lane.node, String(thrown)));
      changed.set(table.node.table, result.changed);
      for (const update of this.#updates) {
        if (update.table === table) for (const cell of result.changed) update.dirty.set(`${cell.start}/${cell.key}`, cell);
      }
      this.#finals(table, result.closed);
    }
    this.#meta.applied[entry.topic] = { generation: entry.generation, offset: entry.to };
    this.#meta.records += entry.to - entry.from;
  }

  #poison(poison: Poison & { topic: string }): void {
    this.#meta.poisoned++;
    this.#meta.lastPoison = [...this.#meta.lastPoison, poison].slice(-KEPT_POISON);
  }

  #emit(ids: string[]): void {
    for (const { node, values } of this.#gathered) {
      if (values.length > 0 && ids.includes(node.sink.id))
        this.#send({ sink: node.sink.id, seq: this.#revision, kind: "topic", values: values.splice(0) });
    }
    for (const id of ids) {
      const update = this.#updates.find(({ change }) => change.sink.id === id);
      if (update === undefined || update.dirty.size === 0) continue;
      const rows = [...update.dirty.values()]
        .sort((a, b) => a.start - b.start || (a.key < b.key ? -1 : 1))
        .map((cell) => update.table.row(cell));
      update.dirty.clear();
      this.#deliver(update.change, rows);
    }
  }

  #finals(table: WindowedTable, rows: TableRow[]): void {
    if (rows.length === 0) return;
    for (const change of table.node.changes) if (change.when === "final") this.#deliver(change, rows);
  }

  #deliver(change: ChangeSink, rows: TableRow[]): void {
    const { sink } = change;
    const values: unknown[] = [];
    for (const row of rows) this.#guard(sink, () => values.push(...through(change, row).map(copy)));
    if (values.length === 0) return;
    if (sink.kind === "topic") {
      this.#send({ sink: sink.id, seq: this.#revision, kind: "topic", values });
      return;
    }
    this.#guard(sink, () => {
      const { set, delete: gone = [] } = copy(sink.entries(values as TableRow[])) as { set: Record<string, unknown>; delete?: string[] };
      if (Object.keys(set).length + gone.length > 0) this.#send({ sink: sink.id, seq: this.#revision, kind: "room", set, delete: gone });
    });
  }

  /** What an operator behind a table throws is poison too: the entry is committed, and would throw at every replay. */
  #guard(sink: TopicSink | RoomSink, run: () => void): void {
    try {
      run();
    } catch (thrown) {
      this.#poison(this.#undelivered(sink, this.#revision, thrown instanceof Error ? thrown.message : String(thrown)));
    }
  }

  #undelivered(sink: TopicSink | RoomSink | undefined, seq: number, error: string): Poison & { topic: string } {
    const topic = sink === undefined ? "" : sink.kind === "topic" ? sink.to.topic : sink.room;
    return { topic, offset: seq, node: sink === undefined ? -1 : Number.parseInt(sink.id, 10), error: error.slice(0, 200) };
  }

  /** One output a sink and revision: what two rules emit at once travels together, since the number is the claim. */
  #send(output: Output): void {
    const same = this.#meta.outbox.find((known) => known.sink === output.sink && known.seq === output.seq);
    if (same === undefined) this.#meta.outbox.push(output);
    else if (same.kind === "topic" && output.kind === "topic") same.values = [...same.values, ...output.values];
    else if (same.kind === "room" && output.kind === "room") {
      same.set = { ...same.set, ...output.set };
      same.delete = [...same.delete.filter((key) => !(key in output.set)), ...output.delete];
    }
    this.#measure(same ?? output);
  }

  #measure(output: Output): void {
    const size = JSON.stringify(output).length;
    this.#outboxSize += size - (this.#sizes.get(output) ?? 0);
    this.#sizes.set(output, size);
  }

  /** The receiver has it, but for what it can never take (`refused`, with reasons): that is poison. */
  delivered(output: Output, refused: readonly string[] = []): void {
    const at = this.#meta.outbox.indexOf(output);
    if (at < 0) return;
    this.#meta.outbox.splice(at, 1);
    this.#outboxSize -= this.#sizes.get(output) ?? 0;
    for (const error of refused) this.#poison(this.#undelivered(this.#sinks.get(output.sink), output.seq, error));
  }

  /** Characters of the undelivered outputs, as JSON. */
  get outboxSize(): number {
    return this.#outboxSize;
  }

  /** Stream time that closes all that is open, for a tick; null if nothing is. */
  closingTime(): number | null {
    let latest: number | null = null;
    for (const table of this.tables.values()) {
      const at = table.closingTime();
      if (at !== null && (latest === null || at > latest)) latest = at;
    }
    return latest;
  }

  /** Writes changed pages and returns the rest of the state; call in one transaction with the journal's checkpoint, and with nothing {@link pending}. */
  checkpoint(): TaskMeta {
    for (const [name, table] of this.tables) this.#meta.tables[name] = table.flush();
    return this.#meta;
  }

  shrink(budget: number): void {
    for (const table of this.tables.values()) table.shrink(budget / Math.max(1, this.tables.size));
  }
}

/** An output is what it was when it was made: tables may go on to change the very objects it holds. */
function copy(value: unknown): unknown {
  const text = JSON.stringify(value);
  if (text === undefined) throw new SkerryError("bad_record", "What an operator made is not a JSON value.");
  return JSON.parse(text);
}

function through(change: ChangeSink, row: TableRow): unknown[] {
  let value: unknown = row;
  const context = { key: row.key, time: row.window.start, topic: "", partition: 0, offset: row.revision, setting: undefined };
  for (const op of change.ops) {
    if (op.op === "filter" && !op.test(value, context)) return [];
    if (op.op === "mapValues") value = op.map(value, context);
  }
  return [value];
}

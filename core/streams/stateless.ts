import { errorOf } from "../wire/errors.ts";
import type { RecordBatch } from "./batch.ts";
import type { AggregateNode, ModelOp, Node, Op, RecordContext, Topology } from "./topology.ts";

/** Runs a model over `n` rows of `width` features. The one asynchronous thing a stateless operator may do. */
export type ScoreModel = (model: string, rows: Float32Array, n: number) => Promise<ArrayLike<number>>;

/**
 * What reaches one stateful node or sink from a range of one source partition, in offset order. Keys are dictionary
 * coded and numeric columns are typed arrays: cloning these over RPC costs a tenth of cloning the records.
 */
export type Lane =
  | { kind: "aggregate"; node: number; keys: string[]; keyAt: Uint32Array; times: Float64Array; columns: (Float64Array | unknown[])[] }
  | { kind: "sink"; node: number; values: unknown[] };

/** A record that an operator threw on: it is counted and kept aside, never retried, and never stops its partition. */
export type Poison = { offset: number; node: number; error: string };

/** A range of a source partition after the stateless part of the topology, as it travels to the task. */
export type MappedRange = {
  topic: string;
  partition: number;
  from: number;
  to: number;
  lanes: Lane[];
  poison: Poison[];
  /** What the operators went by, where the topology has a setting. */
  setting?: unknown;
};

/**
 * The stateless part of a topology over one range of records. Deterministic, so that it may run anywhere and again:
 * in the consumer Worker at first, in the task when it pulls from the log.
 *
 * @param setting what the operators go by; unless given, what stands in for a setting that nobody made.
 */
export async function mapRange(
  topology: Topology,
  source: { topic: string; partition: number; from: number },
  batch: RecordBatch,
  score: ScoreModel,
  setting: unknown = topology.setting?.parse(null),
): Promise<MappedRange> {
  const poison: Poison[] = [];
  const lanes: Lane[] = [];
  for (const node of topology.nodes) {
    if (node.source !== source.topic) continue;
    const run = start(batch, node, source, poison, setting);
    for (const op of node.ops) {
      if (op.op === "model") await applyModel(run, op, score);
      else applyOp(run, op);
    }
    lanes.push(laneOf(node, run));
  }
  const { topic, partition, from } = source;
  return { topic, partition, from, to: from + batch.t.length, lanes, poison, ...(topology.setting !== null && { setting }) };
}

type Run = {
  values: unknown[];
  keys: (string | null)[];
  times: number[];
  offsets: number[];
  fail: (offset: number, thrown: unknown) => void;
  context: (index: number) => RecordContext;
};

type Source = { topic: string; partition: number; from: number };

function start(batch: RecordBatch, node: Node, source: Source, poison: Poison[], setting: unknown): Run {
  const run: Run = {
    values: batch.v,
    keys: batch.k,
    times: batch.t,
    offsets: batch.t.map((_, index) => source.from + index),
    fail: (offset, thrown) => poison.push({ offset, node: node.id, error: describe(thrown) }),
    context: (index) => ({
      key: run.keys[index] as string | null,
      time: run.times[index] as number,
      topic: source.topic,
      partition: source.partition,
      offset: run.offsets[index] as number,
      setting,
    }),
  };
  return run;
}

function describe(thrown: unknown): string {
  const error = errorOf(thrown);
  const cause = error.cause instanceof Error ? error.cause.message : error.message;
  return cause.slice(0, 200);
}

function applyOp(run: Run, op: Exclude<Op, ModelOp>): void {
  if (op.op === "selectKey") run.keys = [...run.keys];
  const kept: { values: unknown[]; indexes: number[] } = { values: [], indexes: [] };
  for (let index = 0; index < run.values.length; index++) {
    try {
      const value = run.values[index];
      switch (op.op) {
        case "filter":
          if (op.test(value, run.context(index))) keep(kept, value, index);
          break;
        case "mapValues":
          keep(kept, op.map(value, run.context(index)), index);
          break;
        case "flatMapValues":
          for (const each of op.map(value, run.context(index))) keep(kept, each, index);
          break;
        case "selectKey":
          run.keys[index] = op.key(value, run.context(index));
          keep(kept, value, index);
          break;
        default:
          op satisfies never;
      }
    } catch (thrown) {
      run.fail(run.offsets[index] as number, thrown);
    }
  }
  narrow(run, kept);
}

async function applyModel(run: Run, op: ModelOp, score: ScoreModel): Promise<void> {
  const rows = new Float32Array(run.values.length * op.width);
  const ready: { values: unknown[]; indexes: number[] } = { values: [], indexes: [] };
  for (let index = 0; index < run.values.length; index++) {
    try {
      op.features(run.values[index], rows, ready.values.length * op.width);
      keep(ready, run.values[index], index);
    } catch (thrown) {
      run.fail(run.offsets[index] as number, thrown);
    }
  }
  const n = ready.values.length;
  const scores = await scoreRows(op, rows, n, score);
  const kept: { values: unknown[]; indexes: number[] } = { values: [], indexes: [] };
  for (let at = 0; at < n; at++) {
    const index = ready.indexes[at] as number;
    try {
      const scored = scores[at];
      if (typeof scored !== "number") throw scored;
      keep(kept, op.apply(ready.values[at], scored), index);
    } catch (thrown) {
      run.fail(run.offsets[index] as number, thrown);
    }
  }
  narrow(run, kept);
}

/** Rows of one call: well within what a model takes. */
const MAX_SCORED = 16_384;

/**
 * A score a row, or what the model failed with. A call that fails on its input is halved until the rows at fault are
 * found: they are poison, not the others. Where every row is at fault it is the model's, and all of it is tried again.
 */
async function scoreRows(op: ModelOp, rows: Float32Array, n: number, score: ScoreModel): Promise<unknown[]> {
  const scores: unknown[] = [];
  const run = async (from: number, to: number): Promise<void> => {
    const middle = (from + to) >>> 1;
    if (to - from > MAX_SCORED) {
      await run(from, middle);
      await run(middle, to);
      return;
    }
    try {
      const some = await score(op.model, rows.subarray(from * op.width, to * op.width), to - from);
      for (let at = from; at < to; at++) scores[at] = some[at - from];
    } catch (thrown) {
      if (errorOf(thrown).code !== "model_failed") throw thrown;
      if (to - from > 1) {
        await run(from, middle);
        await run(middle, to);
      } else scores[from] = thrown;
    }
  };
  if (n > 0) await run(0, n);
  if (n > 0 && scores.every((each) => typeof each !== "number")) throw scores[0];
  return scores;
}

function keep(kept: { values: unknown[]; indexes: number[] }, value: unknown, index: number): void {
  kept.values.push(value);
  kept.indexes.push(index);
}

function narrow(run: Run, kept: { values: unknown[]; indexes: number[] }): void {
  const { keys, times, offsets } = run;
  run.values = kept.values;
  run.keys = kept.indexes.map((index) => keys[index] as string | null);
  run.times = kept.indexes.map((index) => times[index] as number);
  run.offsets = kept.indexes.map((index) => offsets[index] as number);
}

function laneOf(node: Node, run: Run): Lane {
  if (node.kind === "sink") return { kind: "sink", node: node.id, values: run.values };
  // Kafka Streams drops records with a null key from windowed aggregates; a selector that throws poisons its record.
  const selected = node.columns.map(() => [] as unknown[]);
  const dictionary = new Map<string, number>();
  const keyAt: number[] = [];
  const times: number[] = [];
  for (let index = 0; index < run.values.length; index++) {
    const key = run.keys[index];
    if (key === null || key === undefined) continue;
    try {
      const row = node.columns.map((select) => select(run.values[index]));
      for (let at = 0; at < row.length; at++) (selected[at] as unknown[]).push(row[at]);
    } catch (thrown) {
      run.fail(run.offsets[index] as number, thrown);
      continue;
    }
    let code = dictionary.get(key);
    if (code === undefined) {
      code = dictionary.size;
      dictionary.set(key, code);
    }
    keyAt.push(code);
    times.push(run.times[index] as number);
  }
  return {
    kind: "aggregate",
    node: node.id,
    keys: [...dictionary.keys()],
    keyAt: Uint32Array.from(keyAt),
    times: Float64Array.from(times),
    columns: selected.map((column) =>
      column.every((value) => typeof value === "number") ? Float64Array.from(column as number[]) : column,
    ),
  };
}

/** The node of a lane, checked: a lane from another version of the topology must not reach another node's state. */
export function aggregateNode(topology: Topology, id: number): AggregateNode {
  const node = topology.nodes[id];
  if (node?.kind !== "aggregate") throw new Error(`Topology "${topology.name}" has no table at node ${id}.`);
  return node;
}

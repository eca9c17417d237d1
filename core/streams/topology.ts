import { SkerryError } from "../wire/errors.ts";
import type { Aggregator } from "./aggregators.ts";
import { type Duration, duration, type Windows } from "./windows.ts";

/**
 * What a stateless operator sees beside the value. `setting`: the topology's, as it was when the record's range was taken; a replay
 * sees the same.
 */
export type RecordContext = { key: string | null; time: number; topic: string; partition: number; offset: number; setting: unknown };

/**
 * A value that people change while the topology runs: a key of a group. `parse` reads what is there (null: nothing) as JSON that
 * operators go by; pure, and it never throws: what makes no sense is read as what stands in for it.
 */
export type Setting = { group: string; key: string; parse: (text: string | null) => unknown };

/** A model as an operator: `features` fills one row of the model's inputs, `apply` joins the score to the record. */
export type ModelOp = {
  op: "model";
  model: string;
  width: number;
  features: (value: unknown, into: Float32Array, at: number) => void;
  apply: (value: unknown, score: number) => unknown;
};
export type Op =
  | { op: "filter"; test: (value: unknown, context: RecordContext) => boolean }
  | { op: "mapValues"; map: (value: unknown, context: RecordContext) => unknown }
  | { op: "flatMapValues"; map: (value: unknown, context: RecordContext) => unknown[] }
  /** Another key for what follows in the same task; it moves no record to another partition. */
  | { op: "selectKey"; key: (value: unknown, context: RecordContext) => string }
  | ModelOp;

/** A topic a topology writes to, and how it is created if it does not exist. */
export type SinkTopic = { topic: string; partitions: number; key: string | null; timestamp: string | null };

export type TopicSink = { id: string; kind: "topic"; to: SinkTopic };
/** Entries of a map in a room's document: `entries` turns the table's current rows of one emission into the map's changes. */
export type RoomSink = {
  id: string;
  kind: "room";
  room: string;
  map: string;
  entries: (rows: TableRow[]) => { set: Record<string, unknown>; delete?: string[] };
};

export type TableRow = {
  key: string;
  window: { start: number; end: number };
  value: Record<string, unknown>;
  final: boolean;
  revision: number;
};

/** What leaves a table: the rows that changed since the last emission, at most every `every` ms, or final results only. */
export type ChangeSink = { every: number; when: "updates" | "final"; ops: Op[]; sink: TopicSink | RoomSink };

export type AggregateNode = {
  kind: "aggregate";
  id: number;
  source: string;
  ops: Op[];
  table: string;
  windows: Windows;
  fields: { name: string; at: number; column: number; aggregator: Aggregator<never, unknown> }[];
  columns: ((value: unknown) => unknown)[];
  width: number;
  changes: ChangeSink[];
};
/** `every`: records wait up to so many ms, to be appended together. */
export type SinkNode = { kind: "sink"; id: number; source: string; ops: Op[]; every: number; sink: TopicSink };
export type Node = AggregateNode | SinkNode;

export type Topology = {
  name: string;
  /** Part of the task objects' names: a topology that computes differently is a new version with state of its own. */
  version: number;
  /** Partitions of every source; task `p` reads partition `p` of each. */
  partitions: number;
  sources: string[];
  /** How sources are created where they lack, for those of which the topology says so. */
  shapes: Record<string, SinkTopic>;
  setting: Setting | null;
  nodes: Node[];
  /** Event-time windows close after this many ms without a record; null leaves them open. */
  closeOnIdle: number | null;
};

type Fields<A> = { [K in keyof A]: A[K] extends Aggregator<never, infer R> ? R : never };

/**
 * Declares a topology with Kafka Streams' nouns.
 * @example
 * topology("orders", { version: 1, partitions: 4, closeOnIdle: "30s" }, (t) =>
 *   t.stream<Order>("orders").groupByKey().windowedBy(tumbling({ size: "1h", grace: "10m" }))
 *     .aggregate("per-hour", { count: count(), total: sum("price") }));
 */
export function topology(
  name: string,
  options: { version: number; partitions: number; closeOnIdle?: Duration },
  build: (builder: Builder) => void,
): Topology {
  if (!Number.isInteger(options.partitions) || options.partitions < 1)
    throw new SkerryError("bad_request", "A topology has at least one partition.");
  const result: Topology = {
    name,
    version: options.version,
    partitions: options.partitions,
    sources: [],
    shapes: {},
    setting: null,
    nodes: [],
    closeOnIdle: options.closeOnIdle === undefined ? null : duration(options.closeOnIdle),
  };
  build(new Builder(result));
  if (result.nodes.length === 0) throw new SkerryError("bad_request", `Topology "${name}" does nothing: it has no table and no sink.`);
  return result;
}

export class Builder {
  readonly #topology: Topology;

  constructor(into: Topology) {
    this.#topology = into;
  }

  /**
   * A key of a group that operators go by. Which value a range of records was taken with is journalled, so that a replay decides the
   * same; a change reaches the records that are taken some seconds later. Returns how an operator reads it.
   */
  setting<S>(group: string, key: string, parse: (text: string | null) => S): (context: RecordContext) => S {
    if (this.#topology.setting !== null) throw new SkerryError("bad_request", `Topology "${this.#topology.name}" has a setting already.`);
    this.#topology.setting = { group, key, parse };
    return (context) => context.setting as S;
  }

  /**
   * The records of a topic. All sources of one topology have the same number of partitions. `shape`: where its key and its event
   * time are, for when going live has to create it.
   */
  stream<V>(topic: string, shape?: { key?: string; timestamp?: string }): Stream<V> {
    const { partitions, sources, shapes } = this.#topology;
    if (!sources.includes(topic)) sources.push(topic);
    if (shape !== undefined) shapes[topic] = { topic, partitions, key: shape.key ?? null, timestamp: shape.timestamp ?? null };
    return new Stream<V>(this.#topology, topic, []);
  }
}

export class Stream<V> {
  readonly #topology: Topology;
  readonly #source: string;
  readonly #ops: Op[];

  constructor(into: Topology, source: string, ops: Op[]) {
    this.#topology = into;
    this.#source = source;
    this.#ops = ops;
  }

  #with<T>(op: Op): Stream<T> {
    return new Stream<T>(this.#topology, this.#source, [...this.#ops, op]);
  }

  filter(test: (value: V, context: RecordContext) => boolean): Stream<V> {
    return this.#with({ op: "filter", test: test as (value: unknown, context: RecordContext) => boolean });
  }

  filterNot(test: (value: V, context: RecordContext) => boolean): Stream<V> {
    return this.filter((value, context) => !test(value, context));
  }

  mapValues<T>(map: (value: V, context: RecordContext) => T): Stream<T> {
    return this.#with({ op: "mapValues", map: map as (value: unknown, context: RecordContext) => unknown });
  }

  flatMapValues<T>(map: (value: V, context: RecordContext) => T[]): Stream<T> {
    return this.#with({ op: "flatMapValues", map: map as (value: unknown, context: RecordContext) => unknown[] });
  }

  /** Scores every record with a model, a batch at a time, where the other stateless operators run. */
  score<T>(
    model: string,
    options: { width: number; features: (value: V, into: Float32Array, at: number) => void; apply: (value: V, score: number) => T },
  ): Stream<T> {
    return this.#with({ op: "model", model, ...options } as ModelOp);
  }

  /**
   * Appends what reaches here to a topic, once for each accepted input, gathered for up to `every` (250 ms). The topic
   * is created if it is not there.
   */
  to(topic: string, options: Partial<Omit<SinkTopic, "topic">> & { every?: Duration } = {}): void {
    const id = this.#topology.nodes.length;
    const every = duration(options.every ?? 250);
    this.#topology.nodes.push({ kind: "sink", id, source: this.#source, ops: this.#ops, every, sink: topicSink(`${id}`, topic, options) });
  }

  /**
   * By another key. Records of one key must meet in one task, so this needs a topology of one partition; with more,
   * write `to` a topic that is keyed so, and group there.
   */
  groupBy(key: (value: V, context: RecordContext) => string): Grouped<V> {
    if (this.#topology.partitions !== 1) {
      throw new SkerryError(
        "bad_request",
        `Topology "${this.#topology.name}" has ${this.#topology.partitions} partitions: groupBy would split a key over them. Write to a topic with that key and group there.`,
      );
    }
    return new Grouped<V>(this.#topology, this.#source, [
      ...this.#ops,
      { op: "selectKey", key: key as (value: unknown, context: RecordContext) => string },
    ]);
  }

  /** By the key that the topic reads from each record. */
  groupByKey(): Grouped<V> {
    return new Grouped<V>(this.#topology, this.#source, this.#ops);
  }
}

export class Grouped<V> {
  readonly #parts: [Topology, string, Op[]];

  constructor(...parts: [Topology, string, Op[]]) {
    this.#parts = parts;
  }

  windowedBy(windows: Windows): WindowedStream<V> {
    return new WindowedStream<V>(windows, ...this.#parts);
  }
}

export class WindowedStream<V> {
  readonly #parts: [Windows, Topology, string, Op[]];

  constructor(...parts: [Windows, Topology, string, Op[]]) {
    this.#parts = parts;
  }

  /** A table of one row a key and window. The table's name is what queries and subscriptions use. */
  aggregate<A extends Record<string, Aggregator<V, unknown>>>(table: string, aggregators: A): Table<Fields<A>> {
    const [windows, topology, source, ops] = this.#parts;
    const columns: { by: unknown; select: (value: unknown) => unknown }[] = [];
    let width = 0;
    const fields = Object.entries(aggregators).map(([name, given]) => {
      const aggregator = given as unknown as Aggregator<never, unknown>;
      let column = -1;
      if (aggregator.select !== null) {
        column = columns.findIndex((known) => known.by === aggregator.column);
        if (column < 0) column = columns.push({ by: aggregator.column, select: aggregator.select as (value: unknown) => unknown }) - 1;
      }
      const at = width;
      width += aggregator.width;
      return { name, at, column, aggregator };
    });
    if (fields.length === 0) throw new SkerryError("bad_request", `Table "${table}" aggregates nothing.`);
    const node: AggregateNode = {
      kind: "aggregate",
      id: topology.nodes.length,
      source,
      ops,
      table,
      windows,
      fields,
      columns: columns.map((column) => column.select),
      width,
      changes: [],
    };
    topology.nodes.push(node);
    return new Table(node);
  }
}

export type RowOf<R> = Omit<TableRow, "value"> & { value: R };

export class Table<R> {
  readonly #node: AggregateNode;

  constructor(node: AggregateNode) {
    this.#node = node;
  }

  /** The rows that changed, latest state only, at most every `every`; or, with `final`, each row once when its window closes. */
  toStream(options: { every: Duration } | { when: "final" }): Changes<RowOf<R>> {
    const every = "every" in options ? duration(options.every) : 0;
    return new Changes(this.#node, every, "when" in options ? "final" : "updates", []);
  }
}

export class Changes<V> {
  readonly #parts: [AggregateNode, number, "updates" | "final", Op[]];

  constructor(...parts: [AggregateNode, number, "updates" | "final", Op[]]) {
    this.#parts = parts;
  }

  filter(test: (value: V) => boolean): Changes<V> {
    const [node, every, when, ops] = this.#parts;
    return new Changes(node, every, when, [...ops, { op: "filter", test: test as (value: unknown) => boolean }]);
  }

  mapValues<T>(map: (value: V) => T): Changes<T> {
    const [node, every, when, ops] = this.#parts;
    return new Changes<T>(node, every, when, [...ops, { op: "mapValues", map: map as (value: unknown) => unknown }]);
  }

  to(topic: string, options: Partial<Omit<SinkTopic, "topic">> = {}): void {
    const [node, every, when, ops] = this.#parts;
    node.changes.push({ every, when, ops, sink: topicSink(`${node.id}.${node.changes.length}`, topic, options) });
  }

  /** Keeps a map of a room's document in step with the table. */
  toRoom(room: string, map: string, entries: (rows: V[]) => { set: Record<string, unknown>; delete?: string[] }): void {
    const [node, every, when, ops] = this.#parts;
    const sink: RoomSink = {
      id: `${node.id}.${node.changes.length}`,
      kind: "room",
      room,
      map,
      entries: entries as unknown as RoomSink["entries"],
    };
    node.changes.push({ every, when, ops, sink });
  }
}

function topicSink(id: string, topic: string, options: Partial<Omit<SinkTopic, "topic">>): TopicSink {
  return {
    id,
    kind: "topic",
    to: { topic, partitions: options.partitions ?? 1, key: options.key ?? null, timestamp: options.timestamp ?? null },
  };
}

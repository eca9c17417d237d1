import type { ModelsService } from "../../core/inference/port.ts";
import { decodeBatch, type RecordBatch } from "../../core/streams/batch.ts";
import { recordsFrom } from "../../core/streams/log.ts";
import { isErased } from "../../core/streams/replay.ts";
import { checkRing, type Ring } from "../../core/streams/ring.ts";
import { mapRange, type ScoreModel } from "../../core/streams/stateless.ts";
import type { Topology } from "../../core/streams/topology.ts";
import { errorOf } from "../../core/wire/errors.ts";
import type { Scope } from "../../core/wire/names.ts";
import { asking } from "../../durable-objects/shared/refusals.ts";
import { partitionName, taskName } from "../../durable-objects/streams.ts";
import { settingText } from "../../durable-objects/task/setting.ts";
import { consumersOf } from "../../topologies/index.ts";
import { continueTrace, traceId } from "../middleware/trace.ts";

/** A contiguous range of one partition, from one or more doorbells. */
type Range = { ring: Ring; to: number; batches: string[] | null; messages: Message[] };

const PULL_BYTES = 1_000_000;

/**
 * Answers doorbells: runs the stateless operators over the records, batch by batch, and hands each task its ranges in
 * order. Nothing depends on how often, in which order, or whether a doorbell comes.
 */
export async function consumeRings(batch: MessageBatch, bindings: Env): Promise<void> {
  const env = asking(bindings);
  const byPartition = new Map<string, Range[]>();
  for (const message of batch.messages) {
    const ring = readRing(message);
    if (ring === null) continue;
    const key = [ring.project, ring.jurisdiction, ring.topic, ring.generation, ring.partition].join("/");
    byPartition.set(key, [
      ...(byPartition.get(key) ?? []),
      { ring, to: ring.to, batches: ring.batch === null ? null : [ring.batch], messages: [message] },
    ]);
  }
  await Promise.all([...byPartition.values()].map((ranges) => consumePartition(coalesce(ranges), env)));
}

function readRing(message: Message): Ring | null {
  try {
    return checkRing(message.body);
  } catch (error) {
    console.warn(JSON.stringify({ level: "warn", message: "not a doorbell", id: message.id, error: String(error) }));
    message.ack();
    return null;
  }
}

/** Sorts the ranges of a partition and joins the neighbours, so that a task is called once for a run of bells. */
function coalesce(ranges: Range[]): Range[] {
  const joined: Range[] = [];
  for (const range of ranges.sort((a, b) => a.ring.from - b.ring.from || a.to - b.to)) {
    const last = joined.at(-1);
    if (last !== undefined && range.to <= last.to) last.messages.push(...range.messages);
    else if (last !== undefined && last.to === range.ring.from && last.batches !== null && range.batches !== null) {
      last.batches.push(...range.batches);
      last.to = range.to;
      last.messages.push(...range.messages);
    } else joined.push(range);
  }
  return joined;
}

async function consumePartition(ranges: Range[], env: Env): Promise<void> {
  for (const range of ranges) {
    const { ring } = range;
    const scope: Scope = { project: ring.project, jurisdiction: ring.jurisdiction };
    try {
      const records = await load(range, env, scope);
      const consumers = consumersOf(ring.topic);
      for (const { name, partitions } of consumers.filter((topology) => ring.partition >= topology.partitions)) {
        // A topic that is older than its topology may have more partitions: what lies in these reaches no table.
        const told = `The topology "${name}" reads ${partitions} partitions of "${ring.topic}"; partition ${ring.partition} is not read.`;
        console.error(JSON.stringify({ level: "error", message: told }));
      }
      await Promise.all(
        consumers
          .filter((topology) => ring.partition < topology.partitions)
          .map((topology) => deliver(topology, range, records, env, scope)),
      );
      for (const message of range.messages) message.ack();
    } catch (thrown) {
      if (isErased(thrown)) {
        // The topic was deleted since it rang: there is nothing left to take.
        for (const message of range.messages) message.ack();
        continue;
      }
      const error = errorOf(thrown);
      const delaySeconds = Math.min(60, error.retryAfter ?? 1);
      const trace = traceId(continueTrace(ring.traceparent));
      console.warn(
        JSON.stringify({
          level: "warn",
          message: "a doorbell will ring again",
          topic: ring.topic,
          partition: ring.partition,
          code: error.code,
          detail: String((error.cause as Error) ?? error),
          trace,
        }),
      );
      for (const message of range.messages) message.retry({ delaySeconds });
    }
  }
}

async function load(range: Range, env: Env, scope: Scope): Promise<RecordBatch> {
  const { ring, batches, to } = range;
  if (batches !== null) return concat(batches.map(decodeBatch));
  const stub = env.TOPIC.getByName(partitionName(scope, ring.topic, ring.generation, ring.partition));
  const parts: RecordBatch[] = [];
  for (let at = ring.from; at < to; ) {
    const { value } = await stub.read(at, PULL_BYTES);
    parts.push(...recordsFrom(at, value.batches).map(({ records }) => records));
    if (value.next <= at) break;
    at = value.next;
  }
  return concat(parts);
}

async function deliver(topology: Topology, range: Range, records: RecordBatch, env: Env, scope: Scope): Promise<void> {
  const { topic, partition, from, generation } = range.ring;
  const models = env.MODELS as unknown as ModelsService;
  const score: ScoreModel = async (model, rows, n) => (await models.score(model, rows, n)).scores;
  const { setting } = topology;
  const now = setting === null ? undefined : setting.parse(await settingText(env, scope, setting));
  const mapped = await mapRange(topology, { topic, partition, from }, records, score, now);
  await env.TASK.getByName(taskName(scope, topology, partition)).apply(mapped, generation);
}

function concat(batches: RecordBatch[]): RecordBatch {
  if (batches.length === 1) return batches[0] as RecordBatch;
  return { k: batches.flatMap(({ k }) => k), t: batches.flatMap(({ t }) => t), v: batches.flatMap(({ v }) => v) };
}

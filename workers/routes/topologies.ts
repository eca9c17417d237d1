import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { Topology } from "../../core/streams/topology.ts";
import type { Answer } from "../../core/wire/answer.ts";
import { errorOf } from "../../core/wire/errors.ts";
import { topicMeta } from "../../durable-objects/directory/lookup.ts";
import { partitionName, taskName } from "../../durable-objects/streams.ts";
import type { TaskStats } from "../../durable-objects/task/task.ts";
import { TOPOLOGIES, topologyNamed } from "../../topologies/index.ts";
import type { AppEnv } from "../env.ts";
import { authorize } from "../middleware/auth.ts";
import { note } from "../middleware/context.ts";
import { problems } from "../middleware/openapi.ts";
import { timed } from "../middleware/trace.ts";
import { json } from "./schemas.ts";

const tags = ["streams"];

const SummarySchema = z
  .object({
    name: z.string(),
    version: z.number().int(),
    partitions: z.number().int(),
    sources: z.array(z.string()),
    tables: z.array(z.string()),
    sinks: z.array(z.string()).openapi({ description: "`topic:name` or `room:name`." }),
    models: z.array(z.string()).openapi({ description: "What scores its records." }),
    closeOnIdle: z.number().nullable(),
  })
  .openapi("Topology");

const TaskSchema = z
  .object({
    partition: z.number().int(),
    revision: z.number().int(),
    records: z.number().int(),
    applied: z.record(z.string(), z.number()).openapi({ description: "By source topic." }),
    head: z.record(z.string(), z.number()),
    lag: z.number().int().openapi({ description: "Records appended and not yet applied." }),
    late: z.record(z.string(), z.number()).openapi({ description: "By table." }),
    poisoned: z.number().int(),
    lastPoison: z.array(z.any()),
    outbox: z.number().int().openapi({ description: "Outputs made and not yet delivered." }),
    waiting: z
      .array(z.object({ sink: z.string(), to: z.string(), code: z.string(), detail: z.string() }))
      .openapi({ description: "Receivers (topics, rooms) that do not take what they are sent, and why." }),
    bytes: z.number(),
  })
  .openapi("TaskStatus");

const UnreadSchema = z
  .object({ topic: z.string(), partition: z.number().int(), head: z.number().int().openapi({ description: "Records in it." }) })
  .openapi("UnreadPartition");

const list = createRoute({
  method: "get",
  path: "/v1/topologies",
  tags,
  summary: "The topologies of this deployment",
  responses: { 200: json(z.object({ topologies: z.array(SummarySchema) }), "The topologies.") },
});

const get = createRoute({
  method: "get",
  path: "/v1/topologies/{topology}",
  tags,
  summary: "A topology, with the state of its tasks",
  request: { params: z.object({ topology: z.string().min(1).max(256).openapi({ example: "flight-desk" }) }) },
  responses: {
    200: json(
      SummarySchema.extend({
        tasks: z.array(TaskSchema),
        unread: z.array(UnreadSchema).openapi({
          description: "Partitions of the sources that no task reads: a topic that is older than the topology can have more of them.",
        }),
      }),
      "The topology.",
    ),
    ...problems("topology_not_found"),
  },
});

export function topologiesRoutes(app: OpenAPIHono<AppEnv>): void {
  app.openapi(list, (c) => {
    authorize(c, "streams", "*", "read");
    return c.json({ topologies: TOPOLOGIES.map(describe) }, 200);
  });

  app.openapi(get, async (c) => {
    const topology = topologyNamed(c.req.valid("param").topology);
    authorize(c, "streams", topology.name, "read");
    const partitions = Array.from({ length: topology.partitions }, (_, partition) => partition);
    const { heads, unread } = await headsOf(c, topology);
    const tasks = await timed(
      c,
      "tasks",
      Promise.all(
        partitions.map(async (partition) => {
          const task = c.env.TASK.getByName(taskName(c.get("scope"), topology, partition));
          const stats = note(c, (await task.stats()) as Answer<TaskStats>);
          const head = heads[partition] as Record<string, number>;
          const applied = Object.fromEntries(Object.entries(stats.applied).map(([topic, { offset }]) => [topic, offset]));
          const lag = Object.entries(head).reduce((sum, [topic, end]) => sum + Math.max(0, end - (applied[topic] ?? 0)), 0);
          const late = Object.fromEntries(Object.entries(stats.tables).map(([table, each]) => [table, each.late]));
          const { revision, records, outbox, waiting, bytes, poisoned } = stats;
          return {
            partition,
            revision,
            records,
            applied,
            head,
            lag,
            late,
            poisoned: poisoned.count,
            lastPoison: poisoned.last,
            outbox,
            waiting,
            bytes,
          };
        }),
      ),
    );
    return c.json({ ...describe(topology), tasks, unread }, 200);
  });
}

function describe(topology: Topology) {
  const { name, version, partitions, sources, closeOnIdle, nodes } = topology;
  const tables = nodes.flatMap((node) => (node.kind === "aggregate" ? [node.table] : []));
  const sinks = nodes
    .flatMap((node) => (node.kind === "sink" ? [node.sink] : node.changes.map(({ sink }) => sink)))
    .map((sink) => (sink.kind === "topic" ? `topic:${sink.to.topic}` : `room:${sink.room}`));
  const ops = nodes.flatMap((node) => [...node.ops, ...(node.kind === "aggregate" ? node.changes.flatMap((each) => each.ops) : [])]);
  const models = [...new Set(ops.flatMap((op) => (op.op === "model" ? [op.model] : [])))];
  return { name, version, partitions, sources, tables, sinks, models, closeOnIdle };
}

type Unread = { topic: string; partition: number; head: number };

/** Ends of the source partitions by task, and of those that have no task; a source that was never created has none. */
async function headsOf(c: Context<AppEnv>, topology: Topology): Promise<{ heads: Record<string, number>[]; unread: Unread[] }> {
  const scope = c.get("scope");
  const heads: Record<string, number>[] = Array.from({ length: topology.partitions }, () => ({}));
  const unread: Unread[] = [];
  for (const source of topology.sources) {
    const topic = await topicMeta(c.env, scope, source).catch((thrown) => {
      if (errorOf(thrown).code === "topic_not_found") return null;
      throw thrown;
    });
    if (topic === null) continue;
    const headOf = async (partition: number) =>
      note(c, await c.env.TOPIC.getByName(partitionName(scope, source, topic.generation, partition)).stats()).head;
    await Promise.all(
      heads.map(async (head, partition) => {
        head[source] = await headOf(partition);
      }),
    );
    const beyond = Array.from({ length: Math.max(0, topic.partitions - topology.partitions) }, (_, at) => topology.partitions + at);
    unread.push(...(await Promise.all(beyond.map(async (partition) => ({ topic: source, partition, head: await headOf(partition) })))));
  }
  return { heads, unread };
}

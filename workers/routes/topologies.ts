import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { Topology } from "../../core/streams/topology.ts";
import type { Answer } from "../../core/wire/answer.ts";
import type { LiveTopology } from "../../core/wire/directory.ts";
import { errorOf } from "../../core/wire/errors.ts";
import { goLive } from "../../durable-objects/directory/live.ts";
import { liveTopology } from "../../durable-objects/directory/lookup.ts";
import { partitionName, taskName } from "../../durable-objects/streams.ts";
import type { TaskStats } from "../../durable-objects/task/task.ts";
import { TOPOLOGIES, topicsOf, topologyNamed } from "../../topologies/index.ts";
import type { AppEnv } from "../env.ts";
import { authorize } from "../middleware/auth.ts";
import { note } from "../middleware/context.ts";
import { problems } from "../middleware/openapi.ts";
import { timed } from "../middleware/trace.ts";
import { json } from "./schemas.ts";
import { onTopic } from "./topics.ts";

const tags = ["streams"];

const LiveSchema = z
  .object({
    version: z.number().int(),
    since: z.number().openapi({ description: "Unix milliseconds." }),
    topics: z.array(z.string()).openapi({ description: "What it reads and writes; all of them were there when it went live." }),
  })
  .openapi("LiveTopology");

const SummarySchema = z
  .object({
    name: z.string(),
    version: z.number().int().openapi({ description: "Of this deployment." }),
    live: LiveSchema.nullable().openapi({ description: "The version that is live in this project; null: none yet." }),
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

const TopologyParam = z.object({ topology: z.string().min(1).max(256).openapi({ example: "flight-desk" }) });

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
  request: { params: TopologyParam },
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
    ...problems("no_quorum", "topology_not_found"),
  },
});

const makeLive = createRoute({
  method: "put",
  path: "/v1/topologies/{topology}/live",
  tags,
  summary: "Make this deployment's version of a topology live",
  description:
    "One transaction: the topics that it reads and writes, where they lack, and the live version; all of it or nothing. Its first record does " +
    "the same, but takes topics as they are; here one of another configuration is refused. After a deployment was rolled back this goes back.",
  request: {
    params: TopologyParam,
    body: {
      required: false,
      content: {
        "application/json": {
          schema: z
            .strictObject({
              instead: z
                .number()
                .int()
                .nullable()
                .optional()
                .openapi({ description: "The version that is live now; refused where another one is. Null: none.", example: null }),
            })
            .openapi("GoLive"),
        },
      },
    },
  },
  responses: {
    200: json(LiveSchema.extend({ created: z.array(z.string()).openapi({ description: "Topics that it created." }) }), "It is live."),
    ...problems("bad_json", "bad_request", "conflict", "content_type", "group_full", "no_quorum", "topology_not_found", "unavailable"),
  },
});

export function topologiesRoutes(app: OpenAPIHono<AppEnv>): void {
  app.openapi(list, async (c) => {
    authorize(c, "streams", "*", "read");
    const look = async (topology: Topology) => describe(topology, await liveTopology(c.env, c.get("scope"), topology.name));
    return c.json({ topologies: await timed(c, "directory", Promise.all(TOPOLOGIES.map(look))) }, 200);
  });

  app.openapi(makeLive, async (c) => {
    const topology = topologyNamed(c.req.valid("param").topology);
    authorize(c, "streams", topology.name, "admin");
    for (const { topic } of topicsOf(topology)) authorize(c, "streams", topic, "admin");
    const { instead } = c.req.valid("json") ?? {};
    const how = { adopt: false, ...(instead !== undefined && { instead }) };
    const made = note(c, await timed(c, "directory", goLive(c.env, c.get("scope"), topology, how)));
    return c.json({ ...liveOf(made.topology), created: made.created.map(({ name }) => name) }, 200);
  });

  app.openapi(get, async (c) => {
    const topology = topologyNamed(c.req.valid("param").topology);
    authorize(c, "streams", topology.name, "read");
    const partitions = Array.from({ length: topology.partitions }, (_, partition) => partition);
    const [live, { heads, unread }] = await Promise.all([liveTopology(c.env, c.get("scope"), topology.name), headsOf(c, topology)]);
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
    return c.json({ ...describe(topology, live), tasks, unread }, 200);
  });
}

function liveOf({ live, since, topics }: LiveTopology) {
  return { version: live, since, topics };
}

function describe(topology: Topology, live: LiveTopology | null) {
  const { name, version, partitions, sources, closeOnIdle, nodes } = topology;
  const tables = nodes.flatMap((node) => (node.kind === "aggregate" ? [node.table] : []));
  const sinks = nodes
    .flatMap((node) => (node.kind === "sink" ? [node.sink] : node.changes.map(({ sink }) => sink)))
    .map((sink) => (sink.kind === "topic" ? `topic:${sink.to.topic}` : `room:${sink.room}`));
  const ops = nodes.flatMap((node) => [...node.ops, ...(node.kind === "aggregate" ? node.changes.flatMap((each) => each.ops) : [])]);
  const models = [...new Set(ops.flatMap((op) => (op.op === "model" ? [op.model] : [])))];
  return { name, version, live: live === null ? null : liveOf(live), partitions, sources, tables, sinks, models, closeOnIdle };
}

type Unread = { topic: string; partition: number; head: number };

/** Ends of the source partitions by task, and of those that have no task; a source that was never created has none. */
async function headsOf(c: Context<AppEnv>, topology: Topology): Promise<{ heads: Record<string, number>[]; unread: Unread[] }> {
  const scope = c.get("scope");
  const heads: Record<string, number>[] = Array.from({ length: topology.partitions }, () => ({}));
  const unread: Unread[] = [];
  for (const source of topology.sources) {
    const ends = await onTopic(c, source, (topic) => {
      const headOf = async (partition: number) =>
        note(c, await c.env.TOPIC.getByName(partitionName(scope, source, topic.generation, partition)).stats()).head;
      return Promise.all(Array.from({ length: Math.max(topic.partitions, topology.partitions) }, (_, partition) => headOf(partition)));
    }).catch((thrown) => {
      if (errorOf(thrown).code === "topic_not_found") return [];
      throw thrown;
    });
    for (const [partition, end] of ends.entries()) {
      const head = heads[partition];
      if (head === undefined) unread.push({ topic: source, partition, head: end });
      else head[source] = end;
    }
  }
  return { heads, unread };
}

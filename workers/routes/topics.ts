import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { checkTopicConfig, MAX_FUTURE_MS, MAX_PARTITIONS, type TopicMeta } from "../../core/wire/directory.ts";
import { errorOf, SkerryError } from "../../core/wire/errors.ts";
import { checkName } from "../../core/wire/names.ts";
import { forgetTopic, learnTopic, listTopics, refreshTopic, topicMeta } from "../../durable-objects/directory/lookup.ts";
import { directory } from "../../durable-objects/directory/port.ts";
import { partitionName } from "../../durable-objects/streams.ts";
import { consumersOf } from "../../topologies/index.ts";
import type { AppEnv } from "../env.ts";
import { authorize } from "../middleware/auth.ts";
import { note } from "../middleware/context.ts";
import { problems } from "../middleware/openapi.ts";
import { reply } from "../middleware/reply.ts";
import { timed } from "../middleware/trace.ts";
import { json, PageQuery } from "./schemas.ts";

const tags = ["streams"];
export const TopicParam = z.object({
  topic: z.string().min(1).max(256).openapi({ description: "1 to 256 bytes, no control characters.", example: "flights" }),
});

const pointerFormat = { maxLength: 256, pattern: "^(?:/(?:[^~/]|~[01])*)*$" };
const config = {
  partitions: z.number().int().min(1).max(MAX_PARTITIONS).default(1).openapi({ example: 4 }),
  contentType: z.string().default("application/json").openapi({ pattern: "^application/json$" }),
  key: z
    .string()
    .nullable()
    .default(null)
    .openapi({ description: "RFC 6901 pointer to each record's key.", example: "/origin", ...pointerFormat }),
  timestamp: z
    .string()
    .nullable()
    .default(null)
    .openapi({
      description: "Pointer to the event time, Unix milliseconds or RFC 3339; null: the time of the append.",
      example: "/date",
      ...pointerFormat,
    }),
  maxFutureMs: z.number().int().min(0).max(MAX_FUTURE_MS).default(300_000),
};
/** Strict: a misspelt member would otherwise make a topic that cannot be changed any more. */
const TopicConfigSchema = z.strictObject(config).openapi("TopicConfig");

const TopicSchema = z
  .object({ ...config, name: z.string(), version: z.number().int(), generation: z.number().int(), createdAt: z.number() })
  .openapi("Topic");

const put = createRoute({
  method: "put",
  path: "/v1/topics/{topic}",
  tags,
  summary: "Create a topic, or confirm that it is so",
  description: "Without a body: one partition, records without keys, the time of the append. A configuration is for the topic's life.",
  request: { params: TopicParam, body: { required: false, content: { "application/json": { schema: TopicConfigSchema } } } },
  responses: {
    200: json(TopicSchema, "It is so already."),
    201: json(TopicSchema, "Created."),
    ...problems("bad_json", "bad_request", "conflict", "content_type", "group_full", "no_quorum", "unavailable"),
  },
});

const get = createRoute({
  method: "get",
  path: "/v1/topics/{topic}",
  tags,
  summary: "A topic, with the extent of its partitions",
  request: { params: TopicParam },
  responses: {
    200: json(
      TopicSchema.extend({
        extents: z.array(z.object({ partition: z.number(), base: z.number(), head: z.number() })),
        readBy: z.array(z.string()),
      }),
      "The topic.",
    ),
    ...problems("no_quorum", "topic_not_found"),
  },
});

const list = createRoute({
  method: "get",
  path: "/v1/topics",
  tags,
  summary: "Topics by name",
  request: { query: PageQuery },
  responses: {
    200: json(z.object({ topics: z.array(TopicSchema), next: z.string().nullable() }), "One page."),
    ...problems("no_quorum"),
  },
});

const remove = createRoute({
  method: "delete",
  path: "/v1/topics/{topic}",
  tags,
  summary: "Delete a topic and all of its records",
  request: { params: TopicParam },
  responses: { 204: { description: "Deleted." }, ...problems("no_quorum", "topic_not_found", "unavailable") },
});

/** Uses a topic as this isolate knows it; once more, looked up anew, where its partitions say that this is out of date. */
export async function onTopic<T>(c: Context<AppEnv>, name: string, use: (topic: TopicMeta) => Promise<T>): Promise<T> {
  return use(await topicMeta(c.env, c.get("scope"), name)).catch(async (thrown) => {
    if (errorOf(thrown).code !== "stale_metadata") throw thrown;
    return use(await refreshTopic(c.env, c.get("scope"), name));
  });
}

export function topicsRoutes(app: OpenAPIHono<AppEnv>): void {
  app.openapi(put, async (c) => {
    const name = checkName("topic", c.req.valid("param").topic);
    authorize(c, "streams", name, "admin");
    const wanted = checkTopicConfig(c.req.valid("json") ?? {});
    if (wanted.contentType !== "application/json") {
      throw new SkerryError("bad_request", `A topic's content type is application/json for now, not "${wanted.contentType}".`);
    }
    for (const topology of consumersOf(name)) {
      if (topology.partitions !== wanted.partitions) {
        throw new SkerryError(
          "conflict",
          `The topology "${topology.name}" reads "${name}" in ${topology.partitions} partitions, so it cannot have ${wanted.partitions}.`,
        );
      }
    }
    const answer = await timed(c, "directory", directory(c.env, c.get("scope")).putTopic(name, wanted));
    learnTopic(c.get("scope"), answer.value.topic);
    return reply(c, answer, ({ topic, created }) => c.json(topic, created ? 201 : 200));
  });

  app.openapi(get, async (c) => {
    const name = checkName("topic", c.req.valid("param").topic);
    authorize(c, "streams", name, "read");
    const scope = c.get("scope");
    const { topic, extents } = await onTopic(c, name, async (topic) => {
      const extents = await Promise.all(
        Array.from({ length: topic.partitions }, async (_, partition) => {
          const { base, head } = note(c, await c.env.TOPIC.getByName(partitionName(scope, name, topic.generation, partition)).stats());
          return { partition, base, head };
        }),
      );
      return { topic, extents };
    });
    return c.json({ ...topic, extents, readBy: consumersOf(name).map((topology) => topology.name) }, 200);
  });

  app.openapi(list, async (c) => {
    authorize(c, "streams", "*", "read");
    const { after, limit } = c.req.valid("query");
    const { items, next } = note(c, await timed(c, "directory", listTopics(c.env, c.get("scope"), after ?? null, limit)));
    return c.json({ topics: items, next }, 200);
  });

  app.openapi(remove, async (c) => {
    const name = checkName("topic", c.req.valid("param").topic);
    authorize(c, "streams", name, "admin");
    const scope = c.get("scope");
    const topic = await refreshTopic(c.env, scope, name);
    // The records go first: if this is cut short the name is still there, and the same request completes it.
    await Promise.all(
      Array.from({ length: topic.partitions }, async (_, partition) =>
        note(c, await c.env.TOPIC.getByName(partitionName(scope, name, topic.generation, partition)).erase()),
      ),
    );
    // Another caller may have finished meanwhile, and a third made the name anew: that one stays.
    const now = await refreshTopic(c.env, scope, name);
    if (now.generation === topic.generation) note(c, await directory(c.env, scope).deleteTopic(name));
    forgetTopic(scope, name);
    return c.body(null, 204);
  });
}

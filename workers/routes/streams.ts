import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { type AppendOutcome, type Producer, recordsFrom } from "../../core/streams/log.ts";
import { parseBody, partitionRecords, type SubBatch } from "../../core/streams/records.ts";
import type { Answer } from "../../core/wire/answer.ts";
import type { TopicMeta } from "../../core/wire/directory.ts";
import { type ErrorCode, SkerryError } from "../../core/wire/errors.ts";
import { checkName } from "../../core/wire/names.ts";
import { partitionName } from "../../durable-objects/streams.ts";
import { appendAll } from "../../durable-objects/topic/append.ts";
import type { AppEnv } from "../env.ts";
import { authorize } from "../middleware/auth.ts";
import { note } from "../middleware/context.ts";
import { problems } from "../middleware/openapi.ts";
import { timed } from "../middleware/trace.ts";
import { onTopic, TopicParam } from "./topics.ts";

const tags = ["streams"];
const PartitionParam = TopicParam.extend({
  partition: z
    .string()
    .regex(/^\d{1,2}$/)
    .openapi({ example: "0" }),
});
const number = { pattern: "^\\d{1,16}$", example: "0" };
const ProducerHeaders = z.object({
  "producer-id": z.string().min(1).max(256).optional().openapi({ description: "All three of these, or none.", example: "till-7" }),
  "producer-epoch": z.string().optional().openapi(number),
  "producer-seq": z.string().optional().openapi(number),
});
const EXAMPLE = [{ id: "AA1", date: 978_307_260_000, delay: 12, distance: 500, origin: "ABQ", destination: "PHX" }];
const RecordsBody = {
  required: true,
  content: {
    "application/json": { schema: z.any().openapi({ description: "A JSON array of records, or one record.", example: EXAMPLE }) },
  },
};
const APPEND_ERRORS: ErrorCode[] = [
  "bad_json",
  "bad_record",
  "producer_headers",
  "stale_epoch",
  "topic_not_found",
  "sequence_gap",
  "conflict",
  "record_in_future",
  "stale_metadata",
  "no_quorum",
];
const appended = {
  200: { description: "Appended by an idempotent producer: durable. `Stream-Next-Offset` is the end of the log." },
  204: { description: "Appended without a producer; or a retry of what was appended before." },
};
const description =
  "Durable Streams append. With `Producer-Id`, `Producer-Epoch` and `Producer-Seq` a retry never doubles a record. Without them, " +
  "a retry after an error may append again what one of several partitions had already taken.";

const append = createRoute({
  method: "post",
  path: "/v1/stream/{topic}",
  tags,
  summary: "Append records, each to the partition of its key",
  description,
  request: { params: TopicParam, headers: ProducerHeaders, body: RecordsBody },
  responses: { ...appended, ...problems(...APPEND_ERRORS) },
});

const appendPartition = createRoute({
  method: "post",
  path: "/v1/stream/{topic}/{partition}",
  tags,
  summary: "Append records to one partition",
  description: `${description} The caller has partitioned by itself: a record whose key belongs elsewhere is refused.`,
  request: { params: PartitionParam, headers: ProducerHeaders, body: RecordsBody },
  responses: { ...appended, ...problems(...APPEND_ERRORS, "partition_not_found") },
});

const OffsetQuery = z.object({
  offset: z
    .string()
    .optional()
    .openapi({ description: "`-1`: the beginning; `now`: the end; else a `Stream-Next-Offset` received before.", example: "-1" }),
});
const readResponses = {
  200: {
    description: "Records from the offset on, about 1 MB at most. `Stream-Up-To-Date: true` when there is no more.",
    content: { "application/json": { schema: z.array(z.any()) } },
  },
  ...problems("bad_offset", "no_quorum", "topic_not_found", "partition_not_found", "offset_trimmed"),
};

const read = createRoute({
  method: "get",
  path: "/v1/stream/{topic}",
  tags,
  summary: "Read a topic of one partition",
  request: { params: TopicParam, query: OffsetQuery },
  responses: readResponses,
});

const readPartition = createRoute({
  method: "get",
  path: "/v1/stream/{topic}/{partition}",
  tags,
  summary: "Read one partition",
  request: { params: PartitionParam, query: OffsetQuery },
  responses: readResponses,
});

export function streamsRoutes(app: OpenAPIHono<AppEnv>): void {
  // Documented, but not validated by their schema: that would parse every body twice, and this is the hot path.
  app.openAPIRegistry.registerPath(append);
  app.openAPIRegistry.registerPath(appendPartition);
  app.post("/v1/stream/:topic", (c) => appendTo(c, c.req.param("topic"), null));
  app.post("/v1/stream/:topic/:partition", (c) => {
    const partition = c.req.param("partition");
    if (!/^\d{1,2}$/.test(partition))
      throw new SkerryError("partition_not_found", `"${partition.slice(0, 40)}" is not the number of a partition.`);
    return appendTo(c, c.req.param("topic"), Number(partition));
  });
  app.openapi(read, async (c) => (await readFrom(c, c.req.valid("param").topic, null, c.req.valid("query").offset)) as never);
  app.openapi(readPartition, async (c) => {
    const { topic, partition } = c.req.valid("param");
    return (await readFrom(c, topic, Number(partition), c.req.valid("query").offset)) as never;
  });
}

async function appendTo(c: Context<AppEnv>, name: string, partition: number | null): Promise<Response> {
  checkName("topic", name);
  authorize(c, "streams", name, "write");
  const producer = producerOf(c);
  const contentType = (c.req.header("content-type") ?? "").split(";")[0]?.trim().toLowerCase();
  const values = parseBody(await c.req.arrayBuffer());
  const attempt = async (topic: TopicMeta) => {
    if (contentType !== topic.contentType)
      throw new SkerryError("conflict", `The topic "${name}" takes ${topic.contentType}, not "${contentType}".`);
    const now = Date.now();
    if (partition === null) {
      // Records without a key go where a retry of the same number would send them again.
      const shares = partitionRecords(values, topic, now, producer?.seq ?? now);
      return appendAll(c.env, c.get("scope"), topic, shares, producer, c.get("traceparent"));
    }
    const share = shareOf(values, topic, partition, now);
    const stub = c.env.TOPIC.getByName(partitionName(c.get("scope"), name, topic.generation, partition));
    return [(await stub.append(share, producer, c.get("traceparent"))) as Answer<AppendOutcome>];
  };
  const answers = await timed(c, "append", onTopic(c, name, attempt));
  const outcomes = answers.map((answer) => note(c, answer));
  c.header("Stream-Next-Offset", outcomes.map(({ next }) => formatOffset(next)).join("_"));
  if (producer === null) return c.body(null, 204);
  c.header("Producer-Epoch", String(producer.epoch));
  c.header("Producer-Seq", String(Math.max(...outcomes.map(({ seq }) => seq ?? producer.seq))));
  return outcomes.some((outcome) => outcome.appended) ? c.body(null, 200) : c.body(null, 204);
}

function shareOf(values: unknown[], topic: TopicMeta, partition: number, now: number): SubBatch {
  requirePartition(topic, partition);
  const shares = partitionRecords(values, topic, now, partition);
  const strayed = shares.findIndex((share, index) => index !== partition && share.count > 0);
  if (strayed >= 0) {
    throw new SkerryError(
      "bad_record",
      `A record's key belongs to partition ${strayed}, not ${partition}: keys go by murmur2 as in Kafka.`,
    );
  }
  return shares[partition] as SubBatch;
}

/** The three headers of an idempotent producer, all or none. A client's names are kept apart from those of tasks. */
function producerOf(c: Context<AppEnv>): Producer | null {
  const [id, epoch, seq] = [c.req.header("producer-id"), c.req.header("producer-epoch"), c.req.header("producer-seq")];
  if (id === undefined && epoch === undefined && seq === undefined) return null;
  if (!id || id.length > 256 || epoch === undefined || seq === undefined) {
    throw new SkerryError(
      "producer_headers",
      "Send Producer-Id (1 to 256 characters), Producer-Epoch and Producer-Seq together, or none of them.",
    );
  }
  return { id: `c/${id}`, epoch: whole("Producer-Epoch", epoch), seq: whole("Producer-Seq", seq), gapless: true };
}

function whole(header: string, value: string): number {
  const number = Number(value);
  if (!/^\d{1,16}$/.test(value) || !Number.isSafeInteger(number))
    throw new SkerryError("producer_headers", `${header} is a whole number from 0 to 2^53-1, not "${value.slice(0, 40)}".`);
  return number;
}

const READ_BYTES = 1_000_000;

async function readFrom(c: Context<AppEnv>, name: string, partition: number | null, offset: string | undefined): Promise<Response> {
  checkName("topic", name);
  authorize(c, "streams", name, "read");
  const { from, read } = await onTopic(c, name, async (topic) => {
    if (partition === null && topic.partitions > 1) {
      throw new SkerryError(
        "partition_not_found",
        `"${name}" has ${topic.partitions} partitions, each a log of its own: read /v1/stream/${encodeURIComponent(name)}/0 to /${topic.partitions - 1}.`,
      );
    }
    requirePartition(topic, partition ?? 0);
    const stub = c.env.TOPIC.getByName(partitionName(c.get("scope"), name, topic.generation, partition ?? 0));
    const from = offset === "now" ? note(c, await stub.stats()).head : parseOffset(offset);
    return { from, read: note(c, await timed(c, "read", stub.read(from, READ_BYTES))) };
  });
  const { batches, next, head } = read;
  const values = recordsFrom(from, batches).flatMap(({ records }) => records.v);
  c.header("Stream-Next-Offset", formatOffset(next));
  if (next === head) c.header("Stream-Up-To-Date", "true");
  c.header("Cache-Control", "no-store");
  return c.json(values, 200);
}

function requirePartition(topic: TopicMeta, partition: number): void {
  if (partition < topic.partitions) return;
  throw new SkerryError("partition_not_found", `"${topic.name}" has the partitions 0 to ${topic.partitions - 1}, not ${partition}.`);
}

/** Offsets are opaque and sort as text: sixteen digits. */
function formatOffset(offset: number): string {
  return String(offset).padStart(16, "0");
}

function parseOffset(text: string | undefined): number {
  if (text === undefined || text === "-1") return 0;
  if (!/^\d{16}$/.test(text))
    throw new SkerryError("bad_offset", `"${text.slice(0, 40)}" is not an offset: use -1, now, or a Stream-Next-Offset received before.`);
  return Number(text);
}

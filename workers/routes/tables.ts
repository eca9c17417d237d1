import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { partitionOf } from "../../core/streams/partition.ts";
import { parseRfc3339 } from "../../core/streams/records.ts";
import { checkQuery, type TableQuery } from "../../core/streams/table.ts";
import type { TableRow, Topology } from "../../core/streams/topology.ts";
import type { Answer } from "../../core/wire/answer.ts";
import { fromBase64Url, toBase64Url } from "../../core/wire/base64url.ts";
import type { TopicMeta } from "../../core/wire/directory.ts";
import { errorOf, SkerryError } from "../../core/wire/errors.ts";
import { objectName } from "../../core/wire/names.ts";
import { refreshTopic, topicMeta } from "../../durable-objects/directory/lookup.ts";
import { partitionName, taskName } from "../../durable-objects/streams.ts";
import type { AtLeast, TablePage } from "../../durable-objects/task/task.ts";
import { TOPOLOGIES, tableNamed } from "../../topologies/index.ts";
import type { AppEnv } from "../env.ts";
import { authorize } from "../middleware/auth.ts";
import { forget, note, seen, seenUnder } from "../middleware/context.ts";
import { problems } from "../middleware/openapi.ts";
import { timed } from "../middleware/trace.ts";
import { json } from "./schemas.ts";

const tags = ["streams"];
const TableParam = z.object({ table: z.string().min(1).max(256).openapi({ example: "delays" }) });
const Time = z.string().max(40).optional();
const timeOf = (example: string) => Time.openapi({ description: "Unix milliseconds or RFC 3339.", example });
const QuerySchema = z.object({
  key: z.string().max(1024).optional(),
  keyFrom: z.string().max(1024).optional().openapi({ description: "Inclusive." }),
  keyTo: z.string().max(1024).optional().openapi({ description: "Exclusive." }),
  from: timeOf("2001-01-01T00:00:00Z"),
  to: timeOf("978393600000"),
  final: z.enum(["true", "false"]).optional().openapi({ description: "Only windows that are closed, or only those that are open." }),
  limit: z
    .string()
    .regex(/^\d{1,5}$/, "a whole number from 1 to 10000")
    .optional(),
  cursor: z.string().max(4096).optional().openapi({ description: "From the page before." }),
});

const RowSchema = z
  .object({
    key: z.string(),
    window: z.object({ start: z.number(), end: z.number() }).openapi({ description: "Unix milliseconds, end exclusive." }),
    value: z.record(z.string(), z.any()),
    final: z.boolean().openapi({ description: "No record can change it any more." }),
    revision: z.number().int(),
  })
  .openapi("TableRow");

const PageSchema = z
  .object({
    rows: z.array(RowSchema),
    cursor: z.string().nullable(),
    partitions: z.array(
      z.object({ partition: z.number(), streamTime: z.number(), late: z.number(), applied: z.record(z.string(), z.number()) }),
    ),
  })
  .openapi("TablePage");

const query = createRoute({
  method: "get",
  path: "/v1/tables/{table}",
  tags,
  summary: "Query a windowed table",
  description:
    "Rows in the order (window start, key). With the `Skerry-Context` of an append the answer contains that append " +
    "(`Skerry-Level: session`); without it, what the tasks have applied so far (`eventual`).",
  request: { params: TableParam, query: QuerySchema },
  responses: { 200: json(PageSchema, "One page."), ...problems("bad_query", "no_quorum", "table_not_found", "unavailable") },
});

const list = createRoute({
  method: "get",
  path: "/v1/tables",
  tags,
  summary: "The tables of this deployment",
  responses: {
    200: json(
      z.object({
        tables: z.array(z.object({ name: z.string(), topology: z.string(), partitions: z.number(), fields: z.array(z.string()) })),
      }),
      "The tables.",
    ),
  },
});

const MAX_LIMIT = 10_000;

export function tablesRoutes(app: OpenAPIHono<AppEnv>): void {
  app.openapi(list, (c) => {
    authorize(c, "streams", "*", "read");
    const tables = TOPOLOGIES.flatMap((topology) =>
      topology.nodes.flatMap((node) =>
        node.kind === "aggregate"
          ? [{ name: node.table, topology: topology.name, partitions: topology.partitions, fields: node.fields.map(({ name }) => name) }]
          : [],
      ),
    );
    return c.json({ tables }, 200);
  });

  app.openapi(query, async (c) => {
    const { table } = c.req.valid("param");
    const { topology } = tableNamed(table);
    authorize(c, "streams", table, "read");
    const asked = parseQuery(c.req.valid("query"));
    const scope = c.get("scope");
    const all = Array.from({ length: topology.partitions }, (_, partition) => partition);
    const partitions = asked.key === undefined ? all : [partitionOf(asked.key, topology.partitions)];
    const atLeast = await seenSources(c, topology);
    const pages = await timed(
      c,
      "tasks",
      Promise.all(
        partitions.map(async (partition) => {
          const task = c.env.TASK.getByName(taskName(scope, topology, partition));
          const page = note(c, (await task.query(table, asked, atLeast[partition] ?? null)) as Answer<TablePage>);
          const applied = Object.fromEntries(Object.entries(page.applied).map(([topic, offset]) => [`${topic}/${partition}`, offset]));
          return { partition, ...page, applied };
        }),
      ),
    );
    const merged = pages.flatMap((page) => page.rows).sort((a, b) => a.window.start - b.window.start || (a.key < b.key ? -1 : 1));
    const rows = merged.slice(0, asked.limit);
    const more = merged.length > asked.limit || pages.some((page) => page.rows.length === asked.limit);
    const last = rows.at(-1);
    return c.json(
      {
        rows,
        cursor: more && last !== undefined ? formatCursor(last) : null,
        partitions: pages.map(({ partition, streamTime, late, applied }) => ({ partition, streamTime, late, applied })),
      },
      200,
    );
  });
}

/**
 * For each partition, how far its sources must be applied before the answer holds what the caller has seen; null where
 * nothing can be promised: there is no context, or it names records of a topic that was deleted since.
 */
async function seenSources(c: Context<AppEnv>, topology: Topology): Promise<(AtLeast | null)[]> {
  const scope = c.get("scope");
  const partitions = Array.from({ length: topology.partitions }, (_, partition) => partition);
  if (!c.req.header("skerry-context")) return partitions.map(() => null);
  const needs: (AtLeast | null)[] = partitions.map(() => []);
  for (const topic of topology.sources) {
    const known = seenUnder(c, `${objectName(scope, "streams", "topic", topic)}/`);
    if (known.length === 0) continue;
    const isOf = (generation: number) => (name: string) => name.includes(`/g${generation}/`);
    let generation = await generationOf(topicMeta(c.env, scope, topic));
    // What this isolate knows may be older than what the caller has seen elsewhere.
    if (!known.every(isOf(generation))) generation = await generationOf(refreshTopic(c.env, scope, topic));
    for (const partition of partitions) {
      const offset = seen(c, partitionName(scope, topic, generation, partition));
      if (offset !== null) needs[partition]?.push({ topic, generation, offset });
      if (known.some((name) => !isOf(generation)(name) && name.endsWith(`/${partition}`))) needs[partition] = null;
    }
    // Said once: the next answer promises again.
    for (const name of known) if (!isOf(generation)(name)) forget(c, name);
  }
  return needs;
}

/** 0 for a topic that there is not. */
async function generationOf(topic: Promise<TopicMeta>): Promise<number> {
  try {
    return (await topic).generation;
  } catch (thrown) {
    if (errorOf(thrown).code !== "topic_not_found") throw thrown;
    return 0;
  }
}

function parseQuery(raw: z.infer<typeof QuerySchema>): TableQuery {
  const limit = raw.limit === undefined ? 1000 : Number(raw.limit);
  if (limit < 1 || limit > MAX_LIMIT) throw new SkerryError("bad_query", `limit is a whole number from 1 to ${MAX_LIMIT}.`);
  return checkQuery({
    key: raw.key,
    keyFrom: raw.keyFrom,
    keyTo: raw.keyTo,
    from: parseTime("from", raw.from),
    to: parseTime("to", raw.to),
    final: raw.final === undefined ? undefined : raw.final === "true",
    limit,
    after: raw.cursor === undefined ? undefined : parseCursor(raw.cursor),
  });
}

function parseTime(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const time = /^\d{1,16}$/.test(text)
    ? Number(text)
    : /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/.test(text)
      ? parseRfc3339(text)
      : Number.NaN;
  if (Number.isNaN(time)) throw new SkerryError("bad_query", `${name} is neither Unix milliseconds nor an RFC 3339 time.`);
  return time;
}

function formatCursor(row: TableRow): string {
  return toBase64Url(new TextEncoder().encode(JSON.stringify([row.window.start, row.key])));
}

function parseCursor(text: string): { start: number; key: string } {
  try {
    const [start, key] = JSON.parse(new TextDecoder().decode(fromBase64Url(text) as Uint8Array));
    if (Number.isSafeInteger(start) && typeof key === "string") return { start, key };
  } catch {
    // Said below: what the cursor is wrong with does not help anyone.
  }
  throw new SkerryError("bad_query", "The cursor is not one that this table gave out.");
}

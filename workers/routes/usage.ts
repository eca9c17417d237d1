import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { CAPABILITIES } from "../../core/auth/grants.ts";
import { dollars, HOUR_MS, hourOf, KEPT_HOURS, totals } from "../../core/usage/usage.ts";
import { SkerryError } from "../../core/wire/errors.ts";
import type { AppEnv } from "../env.ts";
import { authorize } from "../middleware/auth.ts";
import { projectStub } from "../middleware/keyring.ts";
import { problems } from "../middleware/openapi.ts";
import { reply } from "../middleware/reply.ts";
import { timed } from "../middleware/trace.ts";
import { json } from "./schemas.ts";

const DAY_MS = 86_400_000;
/** Buckets in one answer stay below a thousand: 31 days of hours. */
const MAX_RANGE_MS = 31 * DAY_MS;

const amounts = { requests: z.number(), rows: z.number(), bytesIn: z.number(), bytesOut: z.number() };
const Amounts = z.object(amounts).openapi("Amounts");
const Capability = z.enum(CAPABILITIES);

const UsageSchema = z
  .object({
    from: z.number().int(),
    to: z.number().int(),
    total: Amounts,
    byCapability: z.partialRecord(Capability, Amounts),
    dollars: z
      .object({ requests: z.number(), rows: z.number(), total: z.number() })
      .openapi({ description: "At list price, without free allowances, queue messages, object duration and storage." }),
    hours: z.array(z.object({ start: z.number().int(), capability: Capability, ...amounts })),
  })
  .openapi("Usage");

const usage = createRoute({
  method: "get",
  path: "/v1/usage",
  tags: ["platform"],
  summary: "What the project used, by hour and capability, and what it costs",
  description:
    "Complete up to the last second; a crash of an isolate can lose the last second of metering, never of data. Needs `read` on platform `usage`.",
  request: {
    query: z.object({
      from: z.coerce.number().int().min(0).optional().openapi({ description: "Unix milliseconds; a day before `to` unless given." }),
      to: z.coerce.number().int().min(0).optional().openapi({ description: "Unix milliseconds; now unless given." }),
    }),
  },
  responses: { 200: json(UsageSchema, "The account."), ...problems("bad_request", "bad_query", "token_missing", "forbidden") },
});

export function usageRoutes(app: OpenAPIHono<AppEnv>): void {
  app.openapi(usage, async (c) => {
    authorize(c, "platform", "usage", "read");
    const query = c.req.valid("query");
    const to = query.to ?? Date.now();
    const from = query.from ?? Math.max(0, to - DAY_MS);
    if (from > to) throw new SkerryError("bad_query", `"from" is later than "to".`);
    if (to - from > MAX_RANGE_MS) throw new SkerryError("bad_query", "A query covers at most 31 days; ask for one month at a time.");
    if (hourOf(to) < hourOf(Date.now()) - KEPT_HOURS)
      throw new SkerryError("bad_query", "Usage is kept for 400 days; all of this range is older.");
    const found = await timed(c, "project", projectStub(c.env, c.get("scope")).usage(hourOf(from), hourOf(to)));
    return reply(c, found, (buckets) => {
      const { total, byCapability } = totals(buckets);
      const hours = buckets.map(({ hour, ...rest }) => ({ start: hour * HOUR_MS, ...rest }));
      return c.json({ from, to, total, byCapability, dollars: dollars(total), hours }, 200);
    });
  });
}

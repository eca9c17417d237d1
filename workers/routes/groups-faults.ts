import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { checkName } from "../../core/wire/names.ts";
import { requireGroup } from "../../durable-objects/directory/groups.ts";
import type { FaultPlan } from "../../durable-objects/group/faults.ts";
import { replicaStub } from "../../durable-objects/group/replicas.ts";
import type { AppEnv } from "../env.ts";
import { requireAdmin } from "../middleware/auth.ts";
import { problems } from "../middleware/openapi.ts";
import { GroupParam } from "./groups.ts";

const Fault = z
  .strictObject({
    hang: z.boolean().optional().openapi({ description: "It answers nobody, until told otherwise or evicted.", example: true }),
    cut: z
      .array(z.number().int().min(1))
      .max(9)
      .optional()
      .openapi({ description: "Replicas it neither calls nor hears.", example: [2] }),
    delay: z.number().min(0).max(60_000).optional().openapi({ description: "Milliseconds before each of its calls.", example: 50 }),
    drop: z.number().min(0).max(1).optional().openapi({ description: "The share of calls that is lost.", example: 0.1 }),
    place: z.string().max(64).optional().openapi({ description: "The failure domain it says it is in." }),
  })
  .refine((plan) => Object.keys(plan).length > 0, "name something to break or to heal")
  .openapi("GroupFault", { minProperties: 1 });

const fault = createRoute({
  method: "post",
  path: "/v1/groups/{group}/members/{member}/fault",
  tags: ["groups"],
  summary: "Break a replica on purpose",
  description:
    "For development: only where the deployment's variable `SKERRY_FAULTS` is 1, and only with the admin key. An eviction heals.",
  request: {
    params: GroupParam.extend({
      member: z
        .string()
        .regex(/^[1-9]\d{0,8}$/, "a replica's number")
        .openapi({ example: "1" }),
    }),
    body: { required: true, content: { "application/json": { schema: Fault } } },
  },
  responses: {
    204: { description: "So it is." },
    ...problems("bad_json", "bad_request", "content_type", "token_missing", "admin_only", "forbidden", "group_not_found", "stale_metadata"),
  },
});

export function groupsFaultsRoutes(app: OpenAPIHono<AppEnv>): void {
  app.openapi(fault, async (c) => {
    const { group, member } = c.req.valid("param");
    const name = checkName("group", group);
    requireAdmin(c);
    const scope = c.get("scope");
    const meta = await requireGroup(c.env, scope, name);
    // What is left out of the body stays as it is, so it must not arrive as undefined.
    const plan = Object.fromEntries(Object.entries(c.req.valid("json")).filter(([, value]) => value !== undefined)) as FaultPlan;
    await replicaStub(c.env, scope, meta, { id: Number(member), region: null }).fault(plan);
    return c.body(null, 204);
  });
}

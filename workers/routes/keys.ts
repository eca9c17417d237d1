import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { AppEnv } from "../env.ts";
import { requireAdmin } from "../middleware/auth.ts";
import { projectStub } from "../middleware/keyring.ts";
import { problems } from "../middleware/openapi.ts";
import { reply } from "../middleware/reply.ts";
import { timed } from "../middleware/trace.ts";
import { json } from "./schemas.ts";

const tags = ["keys"];

const KeySchema = z
  .object({
    id: z.string(),
    createdAt: z.number().int(),
    retiredAt: z.number().int().nullable().openapi({ description: "Unix milliseconds; null for the key that signs." }),
    verifiesUntil: z.number().int().nullable().openapi({ description: "When its last token can have ended; null for the key that signs." }),
    publicJwk: z
      .object({ kty: z.string(), crv: z.string(), x: z.string(), kid: z.string(), alg: z.string(), use: z.string() })
      .openapi({ description: "The public key (RFC 7517), to verify tokens elsewhere." }),
  })
  .openapi("Key");

const RotateSchema = z.strictObject({
  endOld: z
    .boolean()
    .default(false)
    .openapi({ description: "True after a leak: the old keys end now, and every token they signed is revoked." }),
});

const list = createRoute({
  method: "get",
  path: "/v1/keys",
  tags,
  summary: "List the keys that sign and verify tokens",
  responses: {
    200: json(z.object({ keys: z.array(KeySchema) }), "Newest first; public parts only."),
    ...problems("token_missing", "admin_only"),
  },
});

const rotate = createRoute({
  method: "post",
  path: "/v1/keys/rotate",
  tags,
  summary: "Make a new signing key",
  description: "Tokens signed by the old keys stay valid until they end, unless `endOld` is true.",
  request: { body: { required: false, content: { "application/json": { schema: RotateSchema } } } },
  responses: {
    201: json(KeySchema, "The new key."),
    ...problems("bad_json", "bad_request", "token_missing", "admin_only", "conflict", "content_type"),
  },
});

export function keysRoutes(app: OpenAPIHono<AppEnv>): void {
  app.openapi(list, async (c) => {
    requireAdmin(c);
    const keys = await timed(c, "project", projectStub(c.env, c.get("scope")).keys());
    return reply(c, keys, (value) => c.json({ keys: value }, 200));
  });

  app.openapi(rotate, async (c) => {
    requireAdmin(c);
    const { endOld } = c.req.valid("json");
    const key = await timed(c, "project", projectStub(c.env, c.get("scope")).rotate(endOld ?? false));
    return reply(c, key, (value) => c.json(value, 201));
  });
}

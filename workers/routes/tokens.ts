import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { SkerryError } from "../../core/wire/errors.ts";
import type { AppEnv } from "../env.ts";
import { isAdmin, requireAdmin } from "../middleware/auth.ts";
import { projectStub } from "../middleware/keyring.ts";
import { problems } from "../middleware/openapi.ts";
import { reply } from "../middleware/reply.ts";
import { timed } from "../middleware/trace.ts";
import { settings } from "../settings.ts";
import { GrantSchema, json, MintedSchema, PageQuery, TokenInfoSchema, TokenRequestSchema } from "./schemas.ts";

const tags = ["tokens"];

const mint = createRoute({
  method: "post",
  path: "/v1/tokens",
  tags,
  summary: "Make a token",
  description: "Needs the admin key. The token names the project that the admin key acts in (`Skerry-Project`, or `main`).",
  request: { body: { required: true, content: { "application/json": { schema: TokenRequestSchema } } } },
  responses: {
    201: json(MintedSchema, "The token."),
    ...problems("bad_json", "bad_request", "token_missing", "admin_only", "content_type"),
  },
});

const list = createRoute({
  method: "get",
  path: "/v1/tokens",
  tags,
  summary: "List tokens that have not expired, never their secrets",
  request: { query: PageQuery },
  responses: {
    200: json(z.object({ tokens: z.array(TokenInfoSchema), next: z.string().nullable() }), "One page."),
    ...problems("bad_request", "token_missing", "admin_only"),
  },
});

const refresh = createRoute({
  method: "post",
  path: "/v1/tokens/refresh",
  tags,
  summary: "Swap a token for one that ends later",
  description: "Called with the token itself. The new one has the same id, subject and grants, so that revoking the id ends both.",
  responses: { 200: json(MintedSchema, "The successor."), ...problems("bad_request", "token_missing", "token_expired", "token_revoked") },
});

const revoke = createRoute({
  method: "delete",
  path: "/v1/tokens/{id}",
  tags,
  summary: "Revoke a token",
  description: "Holds everywhere within ten seconds, on sockets that only listen too.",
  request: { params: z.object({ id: z.string().min(1).max(64) }) },
  responses: { 204: { description: "Revoked, now or before." }, ...problems("token_missing", "admin_only", "token_not_found") },
});

const SessionSchema = z
  .object({
    project: z.string(),
    subject: z.string(),
    admin: z.boolean(),
    tokenId: z.string().nullable(),
    expiresAt: z.number().int().nullable(),
    grants: z.array(GrantSchema),
    anonymousGrants: z.array(GrantSchema).openapi({ description: "What callers without a token may do in the project `main`." }),
  })
  .openapi("Session");

const session = createRoute({
  method: "get",
  path: "/v1/session",
  tags,
  summary: "Who the caller is and what it may do",
  responses: { 200: json(SessionSchema, "The caller.") },
});

export function tokensRoutes(app: OpenAPIHono<AppEnv>): void {
  app.openapi(mint, async (c) => {
    requireAdmin(c);
    const minted = await timed(c, "project", projectStub(c.env, c.get("scope")).mint(c.req.valid("json")));
    return reply(c, minted, (value) => c.json(value, 201));
  });

  app.openapi(list, async (c) => {
    requireAdmin(c);
    const { after, limit } = c.req.valid("query");
    const found = await timed(c, "project", projectStub(c.env, c.get("scope")).tokens(after ?? null, limit + 1));
    return reply(c, found, (all) => {
      const tokens = all.slice(0, limit);
      return c.json({ tokens, next: all.length > limit ? (tokens.at(-1)?.id ?? null) : null }, 200);
    });
  });

  app.openapi(refresh, async (c) => {
    const actor = c.get("actor");
    if (isAdmin(actor)) throw new SkerryError("bad_request", "The admin key does not expire and cannot be refreshed.");
    if (actor.tokenId === null) throw new SkerryError("token_missing", "Send the token to refresh as Authorization: Bearer <token>.");
    const token =
      c.req
        .header("authorization")
        ?.replace(/^bearer +/i, "")
        .trim() ??
      c.req.query("token") ??
      "";
    return reply(c, await timed(c, "project", projectStub(c.env, c.get("scope")).refresh(token)));
  });

  app.openapi(revoke, async (c) => {
    requireAdmin(c);
    const { id } = c.req.valid("param");
    const answer = await timed(c, "project", projectStub(c.env, c.get("scope")).revoke(id));
    return reply(c, answer, ({ known }) => {
      if (!known) throw new SkerryError("token_not_found", "There is no such token, or it has expired.");
      return c.body(null, 204);
    });
  });

  app.openapi(session, (c) => {
    const actor = c.get("actor");
    const { project, subject, tokenId, expiresAt, grants } = actor;
    const { anonymousGrants } = settings(c.env);
    return c.json({ project, subject, admin: isAdmin(actor), tokenId, expiresAt, grants, anonymousGrants }, 200);
  });
}

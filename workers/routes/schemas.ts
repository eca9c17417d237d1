import { z } from "@hono/zod-openapi";
import { MAX_LIFETIME, MAX_SUBJECT } from "../../core/auth/claims.ts";
import { CAPABILITIES, MAX_GRANTS, RIGHTS } from "../../core/auth/grants.ts";

export const GrantSchema = z
  .strictObject({
    capability: z.enum([...CAPABILITIES, "*"]),
    name: z
      .string()
      .min(1)
      .max(256)
      .openapi({ description: "A name, or a pattern in which `*` stands for any run of characters.", example: "team-*" }),
    rights: z.array(z.enum(RIGHTS)).min(1).max(RIGHTS.length).openapi({ description: "`admin` implies `write`, which implies `read`." }),
  })
  .openapi("Grant");

export const TokenRequestSchema = z
  .strictObject({
    grants: z.array(GrantSchema).min(1).max(MAX_GRANTS),
    expiresIn: z.number().int().min(1).max(MAX_LIFETIME).openapi({ description: "Seconds.", example: 3600 }),
    maxLifetime: z
      .number()
      .int()
      .min(1)
      .max(MAX_LIFETIME)
      .optional()
      .openapi({ description: "Seconds after which refreshing ends; a day, or `expiresIn` if that is longer, unless given." }),
    subject: z
      .string()
      .min(1)
      .max(MAX_SUBJECT)
      .optional()
      .openapi({ description: "Who the token is for; shown in logs and to objects.", example: "ada" }),
  })
  .openapi("TokenRequest");

export const MintedSchema = z
  .object({
    token: z.string().openapi({ description: "Shown once; nobody stores it." }),
    id: z.string(),
    expiresAt: z.number().int().openapi({ description: "Unix milliseconds." }),
    refreshableUntil: z.number().int().openapi({ description: "Unix milliseconds; no refresh passes it." }),
  })
  .openapi("MintedToken");

export const TokenInfoSchema = z
  .object({
    id: z.string(),
    keyId: z.string(),
    subject: z.string(),
    grants: z.array(GrantSchema),
    createdAt: z.number().int(),
    expiresAt: z.number().int(),
    maxExpiresAt: z.number().int(),
    revokedAt: z.number().int().nullable(),
  })
  .openapi("TokenInfo");

/** `?after=&limit=` of every list. Query values are text; anything that is not a whole number in range is refused. */
export const PageQuery = z.object({
  after: z.string().max(256).optional().openapi({ description: "The `next` of the page before." }),
  limit: z.coerce.number().int().min(1).max(1000).default(100),
});

/** A JSON answer, as OpenAPI names it. */
export function json<S extends z.ZodType>(schema: S, description: string) {
  return { description, content: { "application/json": { schema } } };
}

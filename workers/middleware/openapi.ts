import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { ERRORS, type ErrorCode, SkerryError } from "../../core/wire/errors.ts";
import type { AppEnv } from "../env.ts";
import { shapeOf } from "./problem.ts";

/** The problem document (RFC 9457), as OpenAPI names it. */
export const Problem = z
  .object({
    type: z.string().openapi({ description: "Where the code is explained.", example: "/docs/errors#bad_request" }),
    title: z.string(),
    status: z.number().int(),
    code: z.string().openapi({ description: "Stable; switch on it.", example: "bad_request" }),
    detail: z.string().openapi({ description: "One sentence about this occurrence." }),
    retryable: z.boolean(),
    instance: z.string().optional(),
  })
  .openapi("Problem");

const PROBLEM = "application/problem+json";

/** What any route may answer, beyond what it documents itself; the document adds them to every operation. */
export const COMMON_ERRORS: ErrorCode[] = [
  "bad_request",
  "bad_name",
  "bad_context",
  "token_missing",
  "token_invalid",
  "token_expired",
  "token_revoked",
  "forbidden",
  "project_mismatch",
  "too_large",
  "rate_limited",
  "overloaded",
  "unavailable",
  "misconfigured",
  "internal",
];

/** What any route that takes a body may answer. */
const BODY_ERRORS: ErrorCode[] = ["bad_json", "content_type"];

type ProblemResponse = {
  description: string;
  content: Record<string, { schema: typeof Problem; examples: Record<string, { summary: string; value: unknown }> }>;
};

/**
 * The `responses` of an OpenAPI operation that document these errors, by status. Spread it into a route's `responses`.
 * Its type says nothing, so that handlers answer for their success alone and throw a `SkerryError` for the rest.
 * @example responses: { 200: {…}, ...problems("topic_not_found", "conflict") }
 */
// biome-ignore lint/complexity/noBannedTypes: no keys, on purpose
export function problems(...codes: ErrorCode[]): {} {
  const responses: Record<number, ProblemResponse> = {};
  for (const [status, list] of byStatus(codes)) {
    responses[status] = {
      description: list.map(sentence).join(" "),
      content: { [PROBLEM]: { schema: Problem, examples: Object.fromEntries(list.map(example)) } },
    };
  }
  return responses;
}

function byStatus(codes: ErrorCode[]): Map<number, ErrorCode[]> {
  const grouped = new Map<number, ErrorCode[]>();
  for (const code of codes) grouped.set(ERRORS[code].status, [...(grouped.get(ERRORS[code].status) ?? []), code]);
  return grouped;
}

function sentence(code: ErrorCode): string {
  return `\`${code}\`: ${ERRORS[code].title}.`;
}

function example(code: ErrorCode): [string, { summary: string; value: unknown }] {
  const { status, title, retryable } = ERRORS[code];
  return [code, { summary: title, value: { type: `/docs/errors#${code}`, title, status, code, detail: `${title}.`, retryable } }];
}

type Response = { description?: string; content?: Record<string, { examples?: Record<string, unknown>; schema?: unknown }> };
type Operation = { requestBody?: unknown; responses?: Record<string, Response> };
const METHODS = ["get", "put", "post", "delete", "patch", "head", "options"];

/** Adds {@link COMMON_ERRORS} to every operation of a generated document, in the error shape of its path. */
export function withCommonErrors<D extends object>(document: D): D {
  const paths = (document as { paths?: Record<string, Record<string, Operation>> }).paths ?? {};
  for (const [path, item] of Object.entries(paths)) {
    for (const method of METHODS) {
      const operation = item[method];
      if (operation === undefined) continue;
      operation.responses ??= {};
      const common = operation.requestBody === undefined ? COMMON_ERRORS : [...COMMON_ERRORS, ...BODY_ERRORS];
      for (const [status, codes] of byStatus(common)) operation.responses[status] = merged(path, operation.responses[status], codes);
    }
  }
  return document;
}

function merged(path: string, own: Response | undefined, codes: ErrorCode[]): Response {
  const known = own?.content?.[PROBLEM]?.examples ?? {};
  const missing = codes.filter((code) => !(code in known) && !own?.description?.includes(`\`${code}\``));
  const description = [own?.description, ...missing.map(sentence)].filter(Boolean).join(" ");
  // A standard protocol's errors have its own shape, which its routes document; codes without one are named in words.
  if (shapeOf(path) !== undefined) return { ...own, description, content: own?.content ?? { "application/json": { schema: {} } } };
  const examples = { ...known, ...Object.fromEntries(missing.map(example)) };
  return { ...own, description, content: { ...own?.content, [PROBLEM]: { schema: { $ref: "#/components/schemas/Problem" }, examples } } };
}

type Validation = { success: boolean; target?: string; error?: { issues: readonly { path: PropertyKey[]; message: string }[] } };

/** The validators' hook: a failed schema becomes `bad_request`, with the path of the first wrong member. */
export function onInvalid(result: Validation, _c: Context<AppEnv>): undefined {
  if (result.success) return undefined;
  const where = { json: "body", query: "query parameter", param: "path parameter", header: "header", form: "form field", cookie: "cookie" };
  const part = where[(result.target ?? "json") as keyof typeof where] ?? "request";
  const issues = result.error?.issues ?? [];
  const told = issues.slice(0, 3).map(({ path, message }) => `${part}${path.length > 0 ? ` "${dotted(path)}"` : ""}: ${message}`);
  const more = issues.length > 3 ? ` (and ${issues.length - 3} more)` : "";
  throw new SkerryError("bad_request", `${told.join("; ") || "The request does not fit the schema"}${more}.`.replace(/\.\.$/, "."), {
    extra: { errors: issues.slice(0, 20).map(({ path, message }) => ({ path: dotted(path), message })) },
  });
}

function dotted(path: PropertyKey[]): string {
  return path.reduce<string>((text, key) => (typeof key === "number" ? `${text}[${key}]` : `${text}${text ? "." : ""}${String(key)}`), "");
}

import type { Context } from "hono";
import { HTTPException } from "hono/http-exception";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { ERRORS, errorOf, problemOf, SkerryError } from "../../core/wire/errors.ts";
import type { AppEnv } from "../env.ts";

/**
 * Writes an error in the shape of a standard protocol, and under its status where that differs from ours. Headers (`Retry-After` and
 * such) are added by the caller.
 */
export type ErrorShape = (
  error: SkerryError,
  status: ContentfulStatusCode,
) => { body: unknown; contentType?: string; status?: ContentfulStatusCode };

const shapes = new Map<string, ErrorShape>();
/** The same for prefixes with a name in them, which are few. */
const named: { prefix: RegExp; shape: ErrorShape }[] = [];

/**
 * Lets a standard protocol keep its own error shape for every error below a path prefix, those of the middleware
 * (tokens, limits, unknown routes) included.
 * @param prefix `*` stands for one segment, a name, if only an empty one.
 * @example shapeErrors("/v2", (error) => ({ body: { error: error.message } }));
 */
export function shapeErrors(prefix: string, shape: ErrorShape): void {
  const plain = prefix.replace(/\/$/, "");
  if (plain.includes("*")) named.push({ prefix: new RegExp(`^${plain.replaceAll("*", "[^/]*")}(/|$)`), shape });
  else shapes.set(plain, shape);
}

/** The shape that a path's protocol demands, by the longest prefix of whole segments; undefined: a problem document. */
export function shapeOf(path: string): ErrorShape | undefined {
  for (let end = path.length; end > 0; end = path.lastIndexOf("/", end - 1)) {
    const shape = shapes.get(path.slice(0, end));
    if (shape) return shape;
  }
  return named.find(({ prefix }) => prefix.test(path))?.shape;
}

/** The app's error handler: whatever was thrown becomes an RFC 9457 problem, or the shape its protocol demands. */
export function onError(thrown: unknown, c: Context<AppEnv>): Response {
  const error = thrown instanceof HTTPException ? fromHono(thrown) : errorOf(thrown);
  // Only what nobody foresaw is worth its cause in the log; the caller never sees it.
  if (error.code === "internal" || error.code === "corrupt") logUnexpected(c, error);
  c.set("errorCode", error.code);
  return errorResponse(c, error);
}

export function errorResponse(c: Context<AppEnv>, error: SkerryError): Response {
  const status = ERRORS[error.code].status as ContentfulStatusCode;
  const headers: Record<string, string> = { ...error.headers };
  if (error.retryAfter !== undefined) headers["retry-after"] = String(Math.max(0, Math.ceil(error.retryAfter)));
  if (status === 401) headers["www-authenticate"] = challenge(error);
  const shaped = shapeOf(c.req.path)?.(error, status) ?? {
    body: problemOf(error, `urn:request:${c.get("requestId")}`),
    contentType: "application/problem+json",
  };
  headers["content-type"] = shaped.contentType ?? "application/json";
  headers["cache-control"] = "no-store";
  // HEAD answers carry no body; hono drops it.
  return c.body(JSON.stringify(shaped.body), shaped.status ?? status, headers);
}

/** RFC 6750: the challenge names why a token was refused, and nothing where none was sent. */
function challenge(error: SkerryError): string {
  return error.code === "token_missing"
    ? 'Bearer realm="skerry"'
    : `Bearer realm="skerry", error="invalid_token", error_description="${error.code}"`;
}

/** What hono and its validators throw by themselves. */
function fromHono(thrown: HTTPException): SkerryError {
  if (thrown.cause instanceof SkerryError) return thrown.cause;
  switch (thrown.status) {
    case 400:
      return /json/i.test(thrown.message)
        ? new SkerryError("bad_json", "The body is not valid JSON. Check quotes, commas and that the encoding is UTF-8.")
        : new SkerryError("bad_request", thrown.message || "The request cannot be read.");
    case 415:
      return new SkerryError("content_type", "The route does not take this Content-Type; the reference at /docs names the ones it takes.");
    case 413:
      return new SkerryError("too_large", "The body is larger than the limit.");
    default:
      return new SkerryError("internal", "Something went wrong on our side.", { cause: thrown });
  }
}

function logUnexpected(c: Context<AppEnv>, error: SkerryError): void {
  const cause = error.cause instanceof Error ? (error.cause.stack ?? error.cause.message) : String(error.cause ?? error.message);
  console.error(JSON.stringify({ level: "error", requestId: c.get("requestId"), code: error.code, detail: error.message, cause }));
}

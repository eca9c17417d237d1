import type { Context, MiddlewareHandler } from "hono";
import { cors } from "hono/cors";
import type { AppEnv } from "../env.ts";
import { settings } from "../settings.ts";

/** What browsers of other origins may read of a response. */
const EXPOSED = [
  ...["Skerry-Context", "Skerry-Level", "X-Request-Id", "Server-Timing", "Retry-After", "Location", "ETag", "WWW-Authenticate"],
  ...["Stream-Next-Offset", "Stream-Up-To-Date", "Stream-Cursor", "Stream-Closed", "Producer-Epoch", "Producer-Seq"],
  ...["Producer-Expected-Seq", "Producer-Received-Seq"],
].join(",");

/** The origin whose pages may read the answer: the asking one, `*`, or null. Throws `misconfigured`. */
function allowedOrigin(origin: () => string, c: Context<AppEnv>): string | null {
  // It answers even where the settings cannot be read, and no page needs it.
  if (c.req.path === "/healthz") return null;
  const { corsOrigins } = settings(c.env);
  if (corsOrigins.length === 0) return null;
  return corsOrigins.includes("*") ? "*" : corsOrigins.includes(origin()) ? origin() : null;
}

// No credentials: a token travels in a header that the page sets, never in a cookie.
const answerPreflight = cors({ origin: (origin, c) => allowedOrigin(() => origin, c), maxAge: 7_200 });

/** Answers what a browser asks before a request from another origin. */
export const preflight: MiddlewareHandler<AppEnv> = (c, next) => (c.req.method === "OPTIONS" ? answerPreflight(c, next) : next());

/**
 * What pages of other origins need on every other response. Set where the response is finished: set before, it would make the
 * framework build each response three times.
 */
export function corsHeaders(c: Context<AppEnv>): Record<string, string> {
  try {
    const allowed = allowedOrigin(() => c.req.header("origin") ?? "", c);
    if (allowed === "*") return TO_ALL;
    if (allowed === null) return settings(c.env).corsOrigins.length === 0 ? {} : { vary: "Origin" };
    return { ...TO_ALL, "Access-Control-Allow-Origin": allowed, vary: "Origin" };
  } catch {
    // A deployment that cannot read its settings serves nothing.
    return {};
  }
}

const TO_ALL = { "Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": EXPOSED };

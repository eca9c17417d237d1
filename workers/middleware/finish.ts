import type { Context, MiddlewareHandler } from "hono";
import { matchedRoutes } from "hono/route";
import { takeRows } from "../../durable-objects/directory/lookup.ts";
import type { AppEnv } from "../env.ts";
import { settings } from "../settings.ts";
import { contextHeaders } from "./context.ts";
import { corsHeaders } from "./cors.ts";
import { logRequest } from "./log.ts";
import { meterBackground } from "./meter.ts";
import { observe } from "./metrics.ts";

/**
 * What holds for every response: ids, timing, causal context and security headers on it; a line in the log, a point
 * in the metrics and an entry in the account for it. An upgrade (101) is counted and otherwise left untouched.
 */
export const finish: MiddlewareHandler<AppEnv> = async (c, next) => {
  const from = performance.now();
  await next();
  const ms = performance.now() - from;
  const used = c.get("used");
  const { status } = c.res;
  if (status !== 101) {
    await dress(c, ms);
    used.bytesOut += Number(c.res.headers.get("content-length") ?? 0) || 0;
  }
  const route = routeOf(c);
  const observation = { method: c.req.method, route, status, ms, code: c.get("errorCode"), ...used };
  observe({ ...observation, seconds: ms / 1000 });
  logRequest(c, observation);
  account(c, used);
};

/**
 * Only what a token, the admin key or a public grant let in is accounted: the rest is the address limit's concern, and
 * must not write rows. What no capability answers for (who am I, an unknown route) is the platform's.
 */
function account(c: Context<AppEnv>, used: { rows: number; bytesIn: number; bytesOut: number }): void {
  const capability = c.get("capability");
  const actor = c.get("actor");
  const scope = c.get("scope");
  // What looking names up has cost is nobody's in particular.
  const rows = scope === undefined ? 0 : takeRows(scope);
  if (rows > 0) meterBackground(c.env, c.executionCtx, scope, "platform", { rows });
  if (actor === undefined || (capability === undefined && actor.subject === "anonymous")) return;
  meterBackground(c.env, c.executionCtx, scope, capability ?? "platform", { requests: 1, ...used });
}

async function dress(c: Context<AppEnv>, ms: number): Promise<void> {
  // JSON is a whole value already: giving it its length makes it count. Streams (SSE and the like) pass through.
  const whole =
    c.get("streaming") !== true &&
    c.res.body !== null &&
    JSON_TYPE.test(c.res.headers.get("content-type") ?? "") &&
    !c.res.headers.has("content-length");
  const body = whole ? await c.res.arrayBuffer() : c.res.body;
  // A response from an object or from the assets has immutable headers.
  const dressed = new Response(body, c.res);
  const { headers } = dressed;
  if (body instanceof ArrayBuffer) headers.set("content-length", String(body.byteLength));
  headers.set("x-request-id", c.get("requestId"));
  const spans = [...c.get("spans"), { name: "total", ms }].map(({ name, ms: dur }) => `${name};dur=${dur.toFixed(2)}`);
  headers.set("server-timing", [...spans, `traceparent;desc="${c.get("traceparent")}"`].join(", "));
  for (const [name, value] of Object.entries(contextHeaders(c))) headers.set(name, value);
  for (const [name, value] of Object.entries(corsHeaders(c))) headers.append(name, value);
  headers.set("x-content-type-options", "nosniff");
  // A URL may carry ?token=; it must not travel on as a Referer.
  headers.set("referrer-policy", "no-referrer");
  if (c.req.url.startsWith("https:")) headers.set("strict-transport-security", "max-age=31536000");
  if (headers.get("content-type")?.startsWith("text/html")) {
    headers.set("content-security-policy", PAGE_POLICY);
    headers.set("x-frame-options", "DENY");
  }
  if (!headers.has("cache-control") && /^\/(v[123]\/|metrics$)/.test(c.req.path)) headers.set("cache-control", "no-store");
  // Emptied first: set over another one, the framework would copy all headers once more.
  c.res = undefined;
  c.res = dressed;
}

const JSON_TYPE = /^application\/([a-z.-]+\+)?json/;

/** Our pages load nothing from elsewhere and cannot be framed. The console runs WebAssembly; 'self' covers its sockets (CSP 3). */
const PAGE_POLICY = [
  "default-src 'self'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data: blob:",
  "connect-src 'self'",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join("; ");

function routeOf(c: Context<AppEnv>): string {
  const route = matchedRoutes(c).findLast(({ method }) => method !== "ALL");
  return route?.path ?? (c.res.status === 404 || c.res.status === 405 ? "(none)" : "(asset)");
}

/** The deployment must be fit to serve before anything else is looked at. Only `/healthz` answers without. */
export const requireSettings: MiddlewareHandler<AppEnv> = async (c, next) => {
  if (c.req.path !== "/healthz") settings(c.env);
  await next();
};

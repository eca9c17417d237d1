import type { Context } from "hono";
import type { AppEnv } from "../env.ts";
import { contextHeaders } from "./context.ts";
import { corsHeaders } from "./cors.ts";

const ENCODER = new TextEncoder();
const JSON_TYPE = /^application\/([a-z.-]+\+)?json/;
const INTERFACE = /^\/(v[123]\/|metrics$)/;

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

/**
 * A response of JSON, made once with all of its headers: each header that is read or set on a response that exists, and each copy
 * of one, costs as much as the rest of a small request. Everything else is dressed when it is finished.
 */
export function whole(c: Context<AppEnv>, json: string): Response {
  const body = ENCODER.encode(json);
  c.set("dressed", body.byteLength);
  const given = { "content-type": "application/json", "content-length": String(body.byteLength) };
  return new Response(body, { headers: { ...given, ...common(c), ...cacheControl(c) } });
}

/** Gives a response what every response of ours has; returns the bytes of its body, where they are known. */
export async function dress(c: Context<AppEnv>): Promise<number> {
  const dressedAlready = c.get("dressed");
  if (dressedAlready !== undefined) return dressedAlready;
  // JSON is a whole value already: giving it its length makes it count. Streams (SSE and the like) pass through.
  const isWhole =
    c.get("streaming") !== true &&
    c.res.body !== null &&
    JSON_TYPE.test(c.res.headers.get("content-type") ?? "") &&
    !c.res.headers.has("content-length");
  const body = isWhole ? await c.res.arrayBuffer() : c.res.body;
  // A response from an object or from the assets has immutable headers.
  const dressed = new Response(body, c.res);
  const { headers } = dressed;
  if (body instanceof ArrayBuffer) headers.set("content-length", String(body.byteLength));
  const { vary, ...others } = common(c);
  for (const [name, value] of Object.entries(others)) headers.set(name, value);
  if (vary !== undefined) headers.append("vary", vary);
  if (headers.get("content-type")?.startsWith("text/html")) {
    headers.set("content-security-policy", PAGE_POLICY);
    headers.set("x-frame-options", "DENY");
  }
  if (!headers.has("cache-control")) for (const [name, value] of Object.entries(cacheControl(c))) headers.set(name, value);
  // Emptied first: set over another one, the framework would copy all headers once more.
  c.res = undefined;
  c.res = dressed;
  return Number(headers.get("content-length") ?? 0) || 0;
}

/** Ids, timing, causal context, and what browsers are to know of any response. */
function common(c: Context<AppEnv>): Record<string, string> {
  const total = performance.now() - c.get("began");
  let timing = "";
  for (const { name, ms } of c.get("spans")) timing += `${name};dur=${ms.toFixed(2)}, `;
  return {
    "x-request-id": c.get("requestId"),
    "server-timing": `${timing}total;dur=${total.toFixed(2)}, traceparent;desc="${c.get("traceparent")}"`,
    ...contextHeaders(c),
    ...corsHeaders(c),
    "x-content-type-options": "nosniff",
    // A URL may carry ?token=; it must not travel on as a Referer.
    "referrer-policy": "no-referrer",
    ...(c.req.url.startsWith("https:") && { "strict-transport-security": "max-age=31536000" }),
  };
}

function cacheControl(c: Context<AppEnv>): Record<string, string> {
  return INTERFACE.test(c.req.path) ? { "cache-control": "no-store" } : {};
}

import type { Context, MiddlewareHandler } from "hono";
import type { AppEnv } from "../env.ts";

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const REQUEST_ID = /^[A-Za-z0-9._~+/=-]{1,128}$/;

/**
 * The trace context (W3C Trace Context, level 1) of one step: the caller's trace continued with a span of our own, or
 * a new trace where the caller sent none or a malformed one. Queue consumers call it with the `traceparent` member
 * of a message, so that a trace goes on over the hop.
 */
export function continueTrace(parent: string | null | undefined): string {
  const match = TRACEPARENT.exec(parent ?? "");
  const span = hex(8);
  if (match) {
    const [, version, trace, parentSpan, flags, rest] = match as unknown as [string, string, string, string, string, string | undefined];
    const usable = version !== "ff" && (version !== "00" || rest === undefined) && !/^0+$/.test(trace) && !/^0+$/.test(parentSpan);
    if (usable) return `00-${trace}-${span}-${flags === "00" ? "00" : "01"}`;
  }
  return `00-${hex(16)}-${span}-01`;
}

/** The trace id inside a `traceparent`. */
export function traceId(traceparent: string): string {
  return traceparent.slice(3, 35);
}

/** Takes a caller's `X-Request-Id` where it is harmless, else makes one; continues or starts the trace. */
export const tracing: MiddlewareHandler<AppEnv> = async (c, next) => {
  const given = c.req.header("x-request-id");
  c.set("requestId", given !== undefined && REQUEST_ID.test(given) ? given : uuid());
  c.set("traceparent", continueTrace(c.req.header("traceparent")));
  c.set("began", performance.now());
  c.set("spans", []);
  c.set("used", { rows: 0, bytesIn: 0, bytesOut: 0 });
  await next();
};

/** Awaits work and names its duration in `Server-Timing`. In production the clock only moves with I/O. */
export async function timed<T>(c: Context<AppEnv>, name: string, work: Promise<T>): Promise<T> {
  const from = performance.now();
  try {
    return await work;
  } finally {
    c.get("spans").push({ name, ms: performance.now() - from });
  }
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** Random bytes, drawn many at a time: each draw is a call out of the isolate's engine. */
const pool = new Uint8Array(4_096);
let drawn = pool.length;

function hex(bytes: number): string {
  if (drawn + bytes > pool.length) {
    crypto.getRandomValues(pool);
    drawn = 0;
  }
  let text = "";
  for (const end = drawn + bytes; drawn < end; drawn++) text += HEX[pool[drawn]!];
  return text;
}

/** RFC 9562, version 4. */
function uuid(): string {
  const text = hex(16);
  const variant = "89ab"[Number.parseInt(text[16]!, 16) & 3];
  return `${text.slice(0, 8)}-${text.slice(8, 12)}-4${text.slice(13, 16)}-${variant}${text.slice(17, 20)}-${text.slice(20)}`;
}

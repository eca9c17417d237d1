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
  c.set("requestId", given !== undefined && REQUEST_ID.test(given) ? given : crypto.randomUUID());
  c.set("traceparent", continueTrace(c.req.header("traceparent")));
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

function hex(bytes: number): string {
  let text = "";
  for (const byte of crypto.getRandomValues(new Uint8Array(bytes))) text += HEX[byte];
  return text;
}

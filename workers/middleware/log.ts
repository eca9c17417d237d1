import type { Context } from "hono";
import type { AppEnv } from "../env.ts";
import { settings } from "../settings.ts";
import type { LogLevel } from "../variables.ts";
import { traceId } from "./trace.ts";

const TOKEN = /[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}/g;
const BEARER = /(bearer\s+)\S+/gi;
/** Query parameters whose values never reach a log, whatever their form. */
const SECRET_PARAMETERS = /^(token|access_token|api_key|secret|signature)$/i;

/** Removes tokens from text that may quote what a client sent. */
export function redact(text: string, secret?: string): string {
  const plain = secret !== undefined && secret !== "" ? text.replaceAll(secret, "[redacted]") : text;
  return plain.replace(BEARER, "$1[redacted]").replace(TOKEN, "[redacted]");
}

/** The path and query of a URL as they may be logged. */
export function loggedPath(url: string): string {
  const { pathname, searchParams } = new URL(url);
  const query = [...searchParams].map(([name, value]) => `${name}=${SECRET_PARAMETERS.test(name) ? "[redacted]" : value}`).join("&");
  return redact(query === "" ? pathname : `${pathname}?${query}`).slice(0, 2_048);
}

type Line = {
  method: string;
  route: string;
  status: number;
  ms: number;
  code: string | undefined;
  rows: number;
  bytesIn: number;
  bytesOut: number;
};

/** One line of JSON a request. `SKERRY_LOG=warn` leaves out what went well, `off` everything. */
export function logRequest(c: Context<AppEnv>, line: Line): void {
  const level = line.status >= 500 ? "error" : line.status === 429 || line.status === 401 || line.status === 403 ? "warn" : "info";
  const { logLevel, secret } = wanted(c.env);
  if (logLevel === "off" || (logLevel === "warn" && level === "info")) return;
  const actor = c.get("actor");
  const text = JSON.stringify({
    level,
    time: new Date().toISOString(),
    requestId: c.get("requestId"),
    traceId: traceId(c.get("traceparent")),
    ...line,
    ms: Math.round(line.ms * 100) / 100,
    path: loggedPath(c.req.url),
    ...(actor && { project: actor.project, subject: actor.subject, tokenId: actor.tokenId }),
  });
  console.log(redact(text, secret));
}

function wanted(env: Env): { logLevel: LogLevel; secret: string | undefined } {
  try {
    const { log, adminKey } = settings(env);
    return { logLevel: log, secret: adminKey };
  } catch {
    // A misconfigured deployment still logs, and its unfit key is a secret too.
    return { logLevel: "info", secret: (env as { SKERRY_ADMIN_KEY?: string }).SKERRY_ADMIN_KEY };
  }
}

import type { Context, MiddlewareHandler } from "hono";
import { matchedRoutes } from "hono/route";
import { takeRows } from "../../durable-objects/directory/lookup.ts";
import type { AppEnv } from "../env.ts";
import { settings } from "../settings.ts";
import { dress } from "./dress.ts";
import { logRequest } from "./log.ts";
import { meterBackground } from "./meter.ts";
import { observe } from "./metrics.ts";

/**
 * What holds for every response: ids, timing, causal context and security headers on it; a line in the log, a point
 * in the metrics and an entry in the account for it. An upgrade (101) is counted and otherwise left untouched.
 */
export const finish: MiddlewareHandler<AppEnv> = async (c, next) => {
  await next();
  const ms = performance.now() - c.get("began");
  const used = c.get("used");
  const { status } = c.res;
  if (status !== 101) used.bytesOut += await dress(c);
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

function routeOf(c: Context<AppEnv>): string {
  const route = matchedRoutes(c).findLast(({ method }) => method !== "ALL");
  return route?.path ?? (c.res.status === 404 || c.res.status === 405 ? "(none)" : "(asset)");
}

/** The deployment must be fit to serve before anything else is looked at. Only `/healthz` answers without. */
export const requireSettings: MiddlewareHandler<AppEnv> = async (c, next) => {
  if (c.req.path !== "/healthz") settings(c.env);
  await next();
};

import type { OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import { SkerryError } from "../../core/wire/errors.ts";
import type { AppEnv } from "../env.ts";
import { onError } from "./problem.ts";

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"];
const API = /^\/(v\d+|metrics|healthz|openapi\.json)(\/|$)/;

/** What no route took: another method's route (405), an unknown path of the API (404), or a file of the console. */
export async function notFound(app: OpenAPIHono<AppEnv>, c: Context<AppEnv>): Promise<Response> {
  const allowed = allowedMethods(app, c.req.path);
  if (allowed.length > 0)
    return onError(
      new SkerryError("method_not_allowed", `This route takes ${allowed.join(", ")}, not ${c.req.method}.`, {
        headers: { allow: allowed.join(", ") },
      }),
      c,
    );
  if (!API.test(c.req.path) && (c.req.method === "GET" || c.req.method === "HEAD")) {
    const asset = await c.env.ASSETS.fetch(new Request(c.req.url, { method: c.req.method, headers: c.req.raw.headers }));
    if (asset.status !== 404) return asset;
  }
  return onError(
    new SkerryError("route_not_found", `There is no ${c.req.method} ${c.req.path.slice(0, 200)}. The routes are listed at /docs.`),
    c,
  );
}

/** The methods that some route takes on this path. Middleware matches every method and does not count. */
function allowedMethods(app: OpenAPIHono<AppEnv>, path: string): string[] {
  const taken = METHODS.filter((method) => app.router.match(method, path)[0].some(([[, route]]) => route.method !== "ALL"));
  return taken.includes("GET") ? [...taken, "HEAD"] : taken;
}

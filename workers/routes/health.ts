import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { hourOf, KEPT_HOURS, totals } from "../../core/usage/usage.ts";
import { errorOf } from "../../core/wire/errors.ts";
import type { AppEnv } from "../env.ts";
import { authorize } from "../middleware/auth.ts";
import { projectStub } from "../middleware/keyring.ts";
import { type Extra, render } from "../middleware/metrics.ts";
import { problems } from "../middleware/openapi.ts";
import { timed } from "../middleware/trace.ts";
import { settings } from "../settings.ts";

const Health = z.object({ status: z.enum(["ok", "misconfigured"]), detail: z.string().optional() }).openapi("Health");

const health = createRoute({
  method: "get",
  path: "/healthz",
  tags: ["platform"],
  summary: "Whether the deployment is fit to serve",
  security: [],
  responses: {
    200: { description: "It serves.", content: { "application/json": { schema: Health } } },
    503: { description: "It refuses every other route; `detail` says what to do.", content: { "application/json": { schema: Health } } },
  },
});

const metrics = createRoute({
  method: "get",
  path: "/metrics",
  tags: ["platform"],
  summary: "Counters and histograms in the Prometheus text format",
  description:
    "Series without `project` are those of the isolate that answers, since it began; `skerry_project_*` are the project's account, durable and complete up to the last second. Needs `read` on platform `metrics`.",
  responses: {
    200: { description: "Prometheus text.", content: { "text/plain": { schema: z.string() } } },
    ...problems("token_missing", "forbidden"),
  },
});

export function healthRoutes(app: OpenAPIHono<AppEnv>): void {
  app.openapi(health, (c) => {
    try {
      settings(c.env);
      return c.json({ status: "ok" as const }, 200, { "cache-control": "no-store" });
    } catch (thrown) {
      return c.json({ status: "misconfigured" as const, detail: errorOf(thrown).message }, 503, { "cache-control": "no-store" });
    }
  });

  app.openapi(metrics, async (c) => {
    authorize(c, "platform", "metrics", "read");
    const { project } = c.get("scope");
    const now = hourOf(Date.now());
    const { value } = await timed(c, "project", projectStub(c.env, c.get("scope")).usage(now - KEPT_HOURS, now));
    return c.text(render(accountMetrics(project, totals(value).byCapability)), 200, {
      "content-type": "text/plain; version=0.0.4; charset=utf-8",
    });
  });
}

function accountMetrics(project: string, byCapability: ReturnType<typeof totals>["byCapability"]): Extra[] {
  const series = [
    ["requests", "requests", "Requests of the project."],
    ["rows", "rows_written", "Storage rows that the project wrote."],
    ["bytesIn", "request_bytes", "Bytes of request bodies of the project."],
    ["bytesOut", "response_bytes", "Bytes of response bodies of the project."],
  ] as const;
  return series.map(([member, name, help]) => ({
    name: `skerry_project_${name}_total`,
    help,
    type: "counter" as const,
    samples: Object.entries(byCapability).map(([capability, amounts]) => ({ labels: { project, capability }, value: amounts[member] })),
  }));
}

import { OpenAPIHono } from "@hono/zod-openapi";
import { cors } from "hono/cors";
import type { AppEnv } from "./env.ts";
import { authenticate } from "./middleware/auth.ts";
import { finish, requireSettings } from "./middleware/finish.ts";
import { limitBody } from "./middleware/limits.ts";
import { notFound } from "./middleware/not-found.ts";
import { onInvalid } from "./middleware/openapi.ts";
import { checkPath } from "./middleware/path.ts";
import { onError } from "./middleware/problem.ts";
import { tracing } from "./middleware/trace.ts";
import { docsRoutes } from "./routes/docs.ts";
import { etcdRoutes } from "./routes/etcd.ts";
import { groupsRoutes } from "./routes/groups.ts";
import { groupsFaultsRoutes } from "./routes/groups-faults.ts";
import { groupsSocketRoutes } from "./routes/groups-socket.ts";
import { healthRoutes } from "./routes/health.ts";
import { keysRoutes } from "./routes/keys.ts";
import { modelsRoutes } from "./routes/models.ts";
import { roomsRoutes } from "./routes/rooms.ts";
import { streamsRoutes } from "./routes/streams.ts";
import { tablesRoutes } from "./routes/tables.ts";
import { tablesLiveRoutes } from "./routes/tables-live.ts";
import { tokensRoutes } from "./routes/tokens.ts";
import { topicsRoutes } from "./routes/topics.ts";
import { topologiesRoutes } from "./routes/topologies.ts";
import { usageRoutes } from "./routes/usage.ts";
import { settings } from "./settings.ts";

/** What browsers of other origins may read of a response. */
const EXPOSED = [
  ...["Skerry-Context", "Skerry-Level", "X-Request-Id", "Server-Timing", "Retry-After", "Location", "ETag", "WWW-Authenticate"],
  ...["Stream-Next-Offset", "Stream-Up-To-Date", "Stream-Cursor", "Stream-Closed", "Producer-Epoch", "Producer-Seq"],
  ...["Producer-Expected-Seq", "Producer-Received-Seq"],
];

/** The edge Worker's app: what holds for every request, and then the routes, noun by noun. */
export function createApp(): OpenAPIHono<AppEnv> {
  const app = new OpenAPIHono<AppEnv>({ defaultHook: onInvalid });
  app.onError(onError);
  app.notFound((c) => notFound(app, c));

  app.use(tracing, finish, requireSettings);
  app.use(
    cors({
      // No credentials: a token travels in a header that the page sets, never in a cookie.
      origin: (origin, c) => {
        // It answers even where the settings cannot be read, and no page needs it.
        if (c.req.path === "/healthz") return null;
        const { corsOrigins } = settings(c.env);
        return corsOrigins.includes("*") ? "*" : corsOrigins.includes(origin) ? origin : null;
      },
      exposeHeaders: EXPOSED,
      maxAge: 7_200,
    }),
  );
  app.use(checkPath, limitBody());
  for (const path of ["/v1/*", "/v2/*", "/v3/*", "/metrics"]) app.use(path, authenticate);

  healthRoutes(app);
  tokensRoutes(app);
  keysRoutes(app);
  usageRoutes(app);
  topicsRoutes(app);
  streamsRoutes(app);
  tablesRoutes(app);
  tablesLiveRoutes(app);
  topologiesRoutes(app);
  roomsRoutes(app);
  groupsRoutes(app);
  groupsFaultsRoutes(app);
  groupsSocketRoutes(app);
  etcdRoutes(app);
  modelsRoutes(app);
  docsRoutes(app);
  return app;
}

export const app = createApp();

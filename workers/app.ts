import { OpenAPIHono } from "@hono/zod-openapi";
import type { AppEnv } from "./env.ts";
import { authenticate } from "./middleware/auth.ts";
import { preflight } from "./middleware/cors.ts";
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

/** The edge Worker's app: what holds for every request, and then the routes, noun by noun. */
export function createApp(): OpenAPIHono<AppEnv> {
  const app = new OpenAPIHono<AppEnv>({ defaultHook: onInvalid });
  app.onError(onError);
  app.notFound((c) => notFound(app, c));

  app.use(tracing, finish, requireSettings);
  app.use(preflight);
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

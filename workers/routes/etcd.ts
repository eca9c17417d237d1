import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { MiddlewareHandler } from "hono";
import { GATEWAY_CODES } from "../../core/consensus/etcd/errors.ts";
import { readBody, UNARY, writeTold } from "../../core/consensus/etcd/gateway.ts";
import { readAuthenticate, writeAuthenticate, writeMembers, writeStatus, writeVersion } from "../../core/consensus/etcd/maintenance.ts";
import { KvError } from "../../core/consensus/kv/types.ts";
import { errorOf } from "../../core/wire/errors.ts";
import type { AppEnv } from "../env.ts";
import { identify } from "../middleware/auth.ts";
import { answering, DEFAULT_GROUP, type EtcdGate, refusal, SESSION_HEADER } from "./etcd-gate.ts";
import { PROCEDURES, runObserve, runProcedure } from "./etcd-locks.ts";
import { DOCUMENTED, type Documented } from "./etcd-schemas.ts";
import { shapeAsEtcd } from "./etcd-shape.ts";
import { keepAlive, watch } from "./etcd-watch.ts";

type Handler = (gate: EtcdGate) => Promise<Response>;

/**
 * etcd's v3 JSON gateway: at `/v3` for the group "default", which the first write makes, and at `/v1/groups/{group}/v3` for every
 * group. Paths, bodies, answers and errors are etcd's (core/consensus/etcd); stock clients need no change.
 */
export function etcdRoutes(app: OpenAPIHono<AppEnv>): void {
  shapeAsEtcd();
  const handlers: Record<string, Handler> = {
    ...Object.fromEntries(Object.keys(UNARY).map((path) => [path, (gate: EtcdGate) => unary(gate, path as keyof typeof UNARY)])),
    ...Object.fromEntries(
      Object.keys(PROCEDURES).map((path) => [path, (gate: EtcdGate) => runProcedure(gate, path as keyof typeof PROCEDURES)]),
    ),
    "election/observe": runObserve,
    "lease/keepalive": keepAlive,
    watch,
    "maintenance/status": status,
    "cluster/member/list": members,
    "auth/authenticate": authenticate,
  };
  for (const base of ["", "/v1/groups/{group}"]) {
    for (const [path, handler] of Object.entries(handlers)) {
      document(app, base, path);
      app.post(`${base.replace("{group}", ":group")}/v3/${path}`, (c) => answering(c, handler));
    }
    app.use(`${base.replace("{group}", ":group")}/v3/*`, elsewhere);
  }
  app.openAPIRegistry.registerPath(version);
  app.get("/version", (c) => c.body(writeVersion(), 200, { "content-type": "application/json" }));
}

/** What etcd has and groups do otherwise. */
const ELSEWHERE: Record<string, string> = {
  ...Object.fromEntries(
    ["enable", "disable", "user/add", "user/get", "user/list", "user/delete", "user/changepw", "user/grant", "user/revoke"].map((path) => [
      `auth/${path}`,
      "Who may do what is in tokens: POST /v1/tokens.",
    ]),
  ),
  ...Object.fromEntries(
    ["add", "get", "list", "delete", "grant", "revoke"].map((path) => [
      `auth/role/${path}`,
      "Who may do what is in tokens: POST /v1/tokens.",
    ]),
  ),
  ...Object.fromEntries(
    ["add", "remove", "update", "promote"].map((path) => [`cluster/member/${path}`, "Members change through /v1/groups."]),
  ),
  "maintenance/transfer-leadership": "Leadership moves through /v1/groups.",
  "maintenance/snapshot": "Snapshots are taken through /v1/groups.",
  "maintenance/alarm": "There are no alarms: a group without space left refuses writes by itself, and takes them again when there is.",
  "maintenance/defragment": "There is nothing to defragment.",
  "maintenance/hash": "Replicas are compared by their own checks.",
};

/** Says where that is done which etcd has under this path. No route of ours: nothing of it is in the reference. */
const elsewhere: MiddlewareHandler<AppEnv> = async (c, next) => {
  const path = c.req.path.slice(c.req.path.indexOf("/v3/") + "/v3/".length);
  const instead = c.req.method === "POST" && Object.hasOwn(ELSEWHERE, path) ? ELSEWHERE[path] : undefined;
  if (instead !== undefined) return refusal(c, new KvError(GATEWAY_CODES.unimplemented, instead));
  await next();
};

async function unary(gate: EtcdGate, path: keyof typeof UNARY): Promise<Response> {
  // Whether a transaction writes is seen when it is read; whoever may not even read learns nothing of how it reads.
  gate.authorize("read");
  const answer = await gate.ask(gate.leveled(UNARY[path].ask(readBody(await gate.c.req.text()))));
  return gate.json(writeTold(gate.facts(answer), answer.value));
}

async function status(gate: EtcdGate): Promise<Response> {
  await nothing(gate);
  const answer = await gate.ask({ ask: "status" });
  if (answer.value.told !== "status") throw new TypeError("a question of status was answered with something else");
  const { header, leader, id, conf, bytes, index, applied, term } = answer.value.response;
  return gate.json(
    writeStatus(gate.facts(answer), {
      ...{ revision: header.revision, bytes, index, applied, term },
      leader: gate.member(leader),
      learner: conf.learners.includes(id),
    }),
  );
}

/** A request without fields is read all the same: what is none is refused. */
async function nothing(gate: EtcdGate): Promise<void> {
  gate.authorize("read");
  readBody(await gate.c.req.text());
}

/** Clients reach every replica by the one address they have; replicas reach each other by the names of their objects. */
async function members(gate: EtcdGate): Promise<Response> {
  await nothing(gate);
  const answer = await gate.ask({ ask: "status" });
  const clientURLs = [new URL(gate.c.req.url).origin + gate.c.req.path.slice(0, -"/v3/cluster/member/list".length)];
  const all = (await gate.members()).map(({ id, name, learner }) => {
    return { id: gate.member(id), name, peerURLs: [`skerry://${gate.object}/${id}`], clientURLs, learner };
  });
  return gate.json(writeMembers(gate.facts(answer), all));
}

/** A stock client with a user and a password: the password is a token, which is what it sends from then on. */
async function authenticate(gate: EtcdGate): Promise<Response> {
  const { password } = readAuthenticate(readBody(await gate.c.req.text()));
  try {
    if (password === "") throw new KvError(GATEWAY_CODES.invalidArgument, FAILED);
    await identify(gate.c, password, null);
  } catch (thrown) {
    if (errorOf(thrown).code === "rate_limited") throw thrown;
    throw new KvError(GATEWAY_CODES.invalidArgument, FAILED);
  }
  return gate.json(writeAuthenticate(gate.facts({ member: 0, term: 0 }), password));
}

const FAILED = "etcdserver: authentication failed, invalid user ID or password";

const EtcdError = z
  .looseObject({
    error: z.string().openapi({ example: "etcdserver: key is not provided" }),
    message: z.string(),
    code: z.number().int().openapi({ description: "gRPC's." }),
    detail: z.string().optional().openapi({ description: "A sentence of Skerry's own, where etcd's does not say it all." }),
  })
  .openapi("EtcdError");

const STATUSES: Record<number, string> = {
  400: "The request does not read or is not valid, or its revision is compacted or yet to come.",
  401: "The token is not valid.",
  403: "The token does not grant this.",
  404: "There is no such lease or group.",
  408: "The client went away.",
  409: "It was done by another, or the metadata was out of date.",
  412: "It is not in the state that the request needs.",
  429: "Too many requests, or no space left.",
  500: "Locks and elections pass on what the store refuses; or something went wrong on our side.",
  503: "No majority of the replicas answered in time. Retry; a write may have happened.",
  504: "It took too long.",
};

function document(app: OpenAPIHono<AppEnv>, base: string, path: string): void {
  const { summary, request, answer, streams } = DOCUMENTED[path] as Documented;
  // `null` is a request without fields, as is no body at all.
  const body = { content: { "application/json": { schema: request.nullable() } } };
  const params = z.object({ group: z.string().min(1).max(256).openapi({ example: "fleet" }) });
  app.openAPIRegistry.registerPath(
    createRoute({
      method: "post",
      path: `${base}/v3/${path}`,
      tags: ["groups", "etcd"],
      summary: base === "" ? summary : `${summary}, of a group`,
      description: [
        base === "" ? `etcd's v3 JSON gateway, for the group "${DEFAULT_GROUP}".` : "etcd's v3 JSON gateway.",
        streams ?? "",
        path.startsWith("kv/") ? `\`${SESSION_HEADER}: NAME; seq=12\` makes a write happen once however often it is sent.` : "",
      ]
        .filter((sentence) => sentence !== "")
        .join(" "),
      request: { body, ...(base === "" ? {} : { params }) },
      responses: {
        200: { description: `${summary}.`, content: { "application/json": { schema: answer } } },
        ...Object.fromEntries(
          Object.entries(STATUSES).map(([code, description]) => [
            code,
            { description, content: { "application/json": { schema: EtcdError } } },
          ]),
        ),
      },
    }),
  );
}

const version = createRoute({
  method: "get",
  path: "/version",
  tags: ["etcd"],
  summary: "The version of etcd whose API /v3 speaks",
  responses: {
    200: {
      description: "As etcd says it.",
      content: { "application/json": { schema: z.object({ etcdserver: z.string(), etcdcluster: z.string() }) } },
    },
  },
});

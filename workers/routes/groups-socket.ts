import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { GroupMeta } from "../../core/wire/directory.ts";
import { errorOf, SkerryError } from "../../core/wire/errors.ts";
import { negotiate } from "../../core/wire/frames.ts";
import { checkName } from "../../core/wire/names.ts";
import { requireGroup } from "../../durable-objects/directory/groups.ts";
import { refreshGroup } from "../../durable-objects/directory/lookup.ts";
import { firstOf, hintsOf, nextOf, silenceOf } from "../../durable-objects/group/hints.ts";
import { replicaName } from "../../durable-objects/group/names.ts";
import { configure, replicaStub } from "../../durable-objects/group/replicas.ts";
import type { AppEnv } from "../env.ts";
import { authorize, forwardHeaders } from "../middleware/auth.ts";
import { problems } from "../middleware/openapi.ts";
import { admitSocket } from "../middleware/sockets.ts";
import { GroupParam } from "./groups.ts";

/** A replica that takes this many times longer than a leader may to open a socket is given up. */
const PATIENCE = 3;

const socket = createRoute({
  method: "get",
  path: "/v1/groups/{group}/socket",
  tags: ["groups"],
  summary: "Call and watch a group over a WebSocket",
  description:
    "Frames as core/wire/SPEC.md defines them (subprotocol `skerry.v1`, or `?v=1`), calls and watches as core/consensus/socket/SPEC.md does: " +
    "requests are `call` frames, many under way at once; a watch is a subscription, its positions are revisions. A token with `read` reads and " +
    "watches, one with `write` writes. The socket is the replica's own: `hello` says which it is, a call that only the leader may answer is " +
    "refused elsewhere with `not_leader` and its number, for `to`.",
  request: {
    params: GroupParam,
    query: z.object({
      to: z
        .string()
        .regex(/^(?:leader|near|other|[1-9]\d{0,8})$/)
        .optional()
        .openapi({
          description:
            "`leader` (unless given): who led last, as far as is known here; `near`: whichever answers fastest; `other`: not the one in `not`; or a replica's number.",
        }),
      not: z
        .string()
        .regex(/^[1-9]\d{0,8}$/)
        .optional()
        .openapi({ description: "With `other`: the replica that was silent." }),
      v: z.string().max(8).optional(),
    }),
  },
  responses: { 101: { description: "The socket is open." }, ...problems("group_not_found", "unavailable", "stale_metadata") },
});

export function groupsSocketRoutes(app: OpenAPIHono<AppEnv>): void {
  app.openapi(socket, async (c) => {
    const name = checkName("group", c.req.valid("param").group);
    authorize(c, "groups", name, "read");
    const { to = "leader", not, v } = c.req.valid("query");
    const { subprotocol } = negotiate(c.req.header("sec-websocket-protocol") ?? null, v ?? null);
    const meta = await requireGroup(c.env, c.get("scope"), name);
    const member = choose(c, meta, to, Number(not ?? 0));
    await admitSocket(c, "GROUP", replicaName(c.get("scope"), name, meta.generation, member));
    const headers = forwardHeaders(c);
    headers.delete("sec-websocket-protocol");
    if (subprotocol !== null) headers.set("sec-websocket-protocol", subprotocol);
    return (await connect(c, meta, member, headers)) as never;
  });
}

/** The replica that a socket is for. */
function choose(c: Context<AppEnv>, meta: GroupMeta, to: string, not: number): number {
  const known = hintsOf(c.get("scope"), meta);
  switch (to) {
    case "leader":
      return firstOf(known, meta, true);
    case "near":
      return firstOf(known, meta, false);
    case "other": {
      if (known.leader === not) known.leader = 0;
      return known.leader === 0 ? nextOf(meta, not) : known.leader;
    }
    default: {
      const id = Number(to);
      const member = meta.members.find((each) => each.id === id);
      if (member === undefined) return firstOf(known, meta, true);
      // Whoever names a replica was told so by another one.
      if (!member.learner) known.leader = id;
      return id;
    }
  }
}

/** Opens the socket. An object that knows nothing of its group is told; one that does not answer is given up. */
async function connect(c: Context<AppEnv>, meta: GroupMeta, id: number, headers: Headers): Promise<Response> {
  const scope = c.get("scope");
  const known = hintsOf(scope, meta);
  const member = meta.members.find((each) => each.id === id) ?? { id, region: null };
  const open = () => replicaStub(c.env, scope, meta, member).fetch(new Request("https://group/socket", { headers }));
  const opening = open().catch(async (thrown) => {
    if (errorOf(thrown).code !== "stale_metadata") throw thrown;
    const now = await refreshGroup(c.env, scope, meta.name);
    if (now === null || now.generation !== meta.generation)
      throw new SkerryError("group_not_found", `The group "${meta.name}" was deleted.`);
    if (!now.members.some((each) => each.id === id))
      throw new SkerryError("stale_metadata", "The replica was removed; connect again.", { retryAfter: 0 });
    await configure(c.env, scope, now, id);
    return open();
  });
  let timer = null as ReturnType<typeof setTimeout> | null;
  const patience = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), PATIENCE * silenceOf(known, id));
  });
  const response = await Promise.race([opening, patience]);
  clearTimeout(timer);
  if (response !== null) {
    if (known.silent === id) known.silent = 0;
    return response;
  }
  // Whoever tries again without a wish of its own must not be sent to the same one: neither as the leader nor as the nearest.
  if (known.leader === id || known.leader === 0) known.leader = nextOf(meta, id);
  known.silent = id;
  // If it comes after all, nobody is there.
  void opening
    .then(({ webSocket }) => {
      webSocket?.accept();
      webSocket?.close(1001);
    })
    .catch(() => {});
  throw new SkerryError("unavailable", `Replica ${id} did not answer.`, { retryAfter: 0 });
}

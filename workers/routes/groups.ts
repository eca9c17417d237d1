import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { KvStore } from "../../core/consensus/kv/store.ts";
import { answer } from "../../core/wire/answer.ts";
import { checkGroupConfig, type GroupMeta, REGIONS } from "../../core/wire/directory.ts";
import { errorOf, SkerryError } from "../../core/wire/errors.ts";
import { checkName } from "../../core/wire/names.ts";
import { createGroup, requireGroup, restoreGroup } from "../../durable-objects/directory/groups.ts";
import { listGroups } from "../../durable-objects/directory/lookup.ts";
import { groupObject } from "../../durable-objects/group/names.ts";
import type { AppEnv } from "../env.ts";
import {
  addMember,
  deleteGroup,
  groupStatus,
  type Looked,
  promoteMember,
  removeMember,
  snapshotGroup,
  transferLeader,
} from "../groups/admin.ts";
import { authorize } from "../middleware/auth.ts";
import { note } from "../middleware/context.ts";
import { meter } from "../middleware/meter.ts";
import { problems } from "../middleware/openapi.ts";
import { timed } from "../middleware/trace.ts";
import { json, PageQuery } from "./schemas.ts";

const tags = ["groups"];
const BINARY = "application/octet-stream";
export const GroupParam = z.object({
  group: z.string().min(1).max(256).openapi({ description: "1 to 256 bytes, no control characters.", example: "desk" }),
});
const MemberParam = GroupParam.extend({
  member: z
    .string()
    .regex(/^[1-9]\d{0,8}$/, "a replica's number")
    .openapi({ example: "2" }),
});

const Region = z.enum(REGIONS);
const Replicas = z.union([z.literal(1), z.literal(3), z.literal(5)], "must be 1, 3 or 5");
const GroupConfigSchema = z
  .strictObject({
    replicas: Replicas.optional().openapi({ description: "3 unless given, or as many as there are regions.", example: 3 }),
    regions: z
      .array(Region)
      .max(5)
      .optional()
      .openapi({ description: "Where each replica is to live; a choice of ours unless given.", example: ["enam", "weur", "wnam"] }),
  })
  .openapi("GroupConfig");

const MemberSchema = z
  .object({
    id: z.number().int(),
    region: Region.nullable(),
    learner: z.boolean().openapi({ description: "It follows the log and counts in no majority." }),
  })
  .openapi("GroupMember");

const GroupSchema = z
  .object({
    name: z.string(),
    generation: z.number().int().openapi({ description: "Grows when a deleted group is made again." }),
    createdAt: z.number(),
    replicas: z.number().int(),
    regions: z.array(Region),
    members: z.array(MemberSchema),
  })
  .openapi("Group");

const StateSchema = z
  .object({
    role: z.enum(["leader", "follower", "candidate", "precandidate"]),
    term: z.number().int(),
    leader: z.number().int().openapi({ description: "Whom it takes for the leader; 0: nobody." }),
    revision: z.number().int(),
    index: z.number().int().openapi({ description: "Of the last entry of its log." }),
    firstIndex: z.number().int(),
    committed: z.number().int(),
    applied: z.number().int(),
    bytes: z.number().int().openapi({ description: "What the state takes in memory." }),
    leases: z.number().int(),
    incarnation: z.number().int().openapi({ description: "Grows with each wake." }),
    place: z.string().openapi({ description: "Where it was found to be; empty: not known." }),
    regressed: z.boolean().openapi({ description: "Its storage was rolled back: remove it and add another." }),
    halted: z.string().nullable().openapi({ description: "Why it cannot read its log, where it cannot." }),
    waiting: z.number().int(),
    rows: z.number().int().openapi({ description: "Written since it last woke." }),
    counters: z
      .object({
        asks: z.number().int().openapi({ description: "Times it was asked something; to look at it does not count." }),
        served: z.number().int().openapi({ description: "Calls of other replicas that it answered." }),
        calls: z.number().int().openapi({ description: "Calls that it made to other replicas." }),
        alarms: z.number().int(),
        elections: z.number().int().openapi({ description: "It won." }),
      })
      .openapi({ description: "Since it last woke. At rest none of them grows." }),
    peers: z
      .array(z.object({ id: z.number().int(), match: z.number().int(), down: z.boolean() }))
      .openapi({ description: "What a leader knows of the others: how far each has its log, and whether it is silent." }),
    faults: z
      .object({ hang: z.boolean(), cut: z.array(z.number().int()), delay: z.number(), drop: z.number() })
      .nullable()
      .openapi({ description: "What is broken on purpose, for development; null: nothing." }),
  })
  .openapi("ReplicaState");

const StatusSchema = GroupSchema.extend({
  leader: z.number().int().nullable(),
  term: z.number().int(),
  revision: z.number().int(),
  level: z.enum(["single", "quorum"]).nullable().openapi({ description: "What a write achieves." }),
  placement: z.enum(["measured", "simulated"]).nullable(),
  quorum: z.boolean().openapi({ description: "Whether a majority of the voters answered." }),
  faults: z.boolean().openapi({ description: "Whether this deployment takes faults on purpose, for development." }),
  status: z.array(MemberSchema.extend({ state: StateSchema.nullable().openapi({ description: "Null: it did not answer in time." }) })),
}).openapi("GroupStatus");

const list = createRoute({
  method: "get",
  path: "/v1/groups",
  tags,
  summary: "Groups by name",
  request: { query: PageQuery },
  responses: {
    200: json(z.object({ groups: z.array(GroupSchema), next: z.string().nullable() }), "One page."),
    ...problems("no_quorum"),
  },
});

const put = createRoute({
  method: "put",
  path: "/v1/groups/{group}",
  tags,
  summary: "Create a group, or confirm that it is so",
  description: "Without a body: three replicas in three regions. Its members can change later, its name cannot.",
  request: { params: GroupParam, body: { required: false, content: { "application/json": { schema: GroupConfigSchema } } } },
  responses: {
    200: json(GroupSchema, "It is so already."),
    201: json(GroupSchema, "Created."),
    ...problems("bad_json", "bad_request", "conflict", "content_type", "group_full", "no_quorum", "unavailable"),
  },
});

const get = createRoute({
  method: "get",
  path: "/v1/groups/{group}",
  tags,
  summary: "A group, replica by replica",
  description: "Each replica says what it knows; none is woken that sleeps but by the question itself.",
  request: { params: GroupParam },
  responses: { 200: json(StatusSchema, "Where it stands."), ...problems("group_not_found", "no_quorum") },
});

const remove = createRoute({
  method: "delete",
  path: "/v1/groups/{group}",
  tags,
  summary: "Delete a group and everything in it",
  request: { params: GroupParam },
  responses: { 204: { description: "Deleted; its sockets were closed." }, ...problems("group_not_found", "no_quorum", "unavailable") },
});

const NewMemberSchema = z
  .strictObject({
    region: Region.nullable().default(null),
    learner: z.boolean().default(false).openapi({ description: "Let it follow only; it can be promoted later." }),
  })
  .openapi("NewGroupMember");

const add = createRoute({
  method: "post",
  path: "/v1/groups/{group}/members",
  tags,
  summary: "Add a replica",
  description:
    "It follows until it has the log, and then votes. Answered with the members as they are then; the new one has the highest id.",
  request: { params: GroupParam, body: { required: false, content: { "application/json": { schema: NewMemberSchema } } } },
  responses: {
    201: json(GroupSchema, "Added."),
    ...problems("bad_json", "conflict", "content_type", "group_not_found", "no_quorum", "stale_metadata", "unavailable"),
  },
});

const drop = createRoute({
  method: "delete",
  path: "/v1/groups/{group}/members/{member}",
  tags,
  summary: "Remove a replica and what it holds",
  request: { params: MemberParam },
  responses: {
    200: json(GroupSchema, "Removed; the members as they are now."),
    ...problems("bad_request", "conflict", "group_not_found", "no_quorum", "stale_metadata", "unavailable"),
  },
});

const promote = createRoute({
  method: "post",
  path: "/v1/groups/{group}/members/{member}/promote",
  tags,
  summary: "Let a replica that only follows vote",
  request: { params: MemberParam },
  responses: {
    200: json(GroupSchema, "Promoted; the members as they are now."),
    ...problems("bad_request", "conflict", "group_not_found", "no_quorum", "stale_metadata", "unavailable"),
  },
});

const transfer = createRoute({
  method: "post",
  path: "/v1/groups/{group}/transfer",
  tags,
  summary: "Make another replica the leader",
  request: {
    params: GroupParam,
    body: {
      required: true,
      content: {
        "application/json": { schema: z.strictObject({ to: z.number().int().min(1).openapi({ example: 2 }) }).openapi("GroupTransfer") },
      },
    },
  },
  responses: {
    204: { description: "It leads." },
    ...problems("bad_json", "bad_request", "conflict", "content_type", "group_not_found", "no_quorum", "unavailable"),
  },
});

const snapshot = createRoute({
  method: "get",
  path: "/v1/groups/{group}/snapshot",
  tags,
  summary: "Download the whole state of a group",
  description: "With all that was committed before the request. It can be restored into another group, here or in another deployment.",
  request: { params: GroupParam },
  responses: {
    200: { description: "The state.", content: { [BINARY]: { schema: z.string().openapi({ format: "binary" }) } } },
    ...problems("group_not_found", "no_quorum", "not_leader"),
  },
});

const restore = createRoute({
  method: "put",
  path: "/v1/groups/{group}/snapshot",
  tags,
  summary: "Create a group with the state of a snapshot",
  request: {
    params: GroupParam,
    query: z.object({
      replicas: z.enum(["1", "3", "5"]).optional(),
      regions: z.string().max(64).optional().openapi({ description: "Separated by commas.", example: "enam,weur,wnam" }),
    }),
    body: { required: true, content: { [BINARY]: { schema: z.string().openapi({ format: "binary" }) } } },
  },
  responses: {
    201: json(GroupSchema, "Created."),
    ...problems("bad_request", "conflict", "content_type", "group_full", "no_quorum", "too_large", "unavailable"),
  },
});

export function groupsRoutes(app: OpenAPIHono<AppEnv>): void {
  app.openapi(list, async (c) => {
    authorize(c, "groups", "*", "read");
    const { after, limit } = c.req.valid("query");
    const { items, next } = note(c, await timed(c, "directory", listGroups(c.env, c.get("scope"), after ?? null, limit)));
    return c.json({ groups: items.map(groupOf), next }, 200);
  });

  app.openapi(put, async (c) => {
    const name = checkName("group", c.req.valid("param").group);
    authorize(c, "groups", name, "admin");
    const config = checkGroupConfig(c.req.valid("json") ?? {});
    const { group, created, rows } = await timed(c, "group", createGroup(c.env, c.get("scope"), name, config));
    note(c, answer(null, null, "durable", rows));
    return c.json(groupOf(group), created ? 201 : 200);
  });

  app.openapi(get, async (c) => {
    const name = checkName("group", c.req.valid("param").group);
    authorize(c, "groups", name, "read");
    const { meta, replicas } = await timed(c, "group", groupStatus(c.env, c.get("scope"), name));
    const status = statusOf(meta, replicas, (c.env.SKERRY_FAULTS as string) === "1");
    // What replicas say of themselves may trail, and so does the revision.
    note(c, answer(null, { object: groupObject(c.get("scope"), name), at: status.revision }, "eventual"));
    return c.json(status, 200);
  });

  app.openapi(remove, async (c) => {
    const name = checkName("group", c.req.valid("param").group);
    authorize(c, "groups", name, "admin");
    if (!(await timed(c, "group", deleteGroup(c.env, c.get("scope"), name))))
      throw new SkerryError("group_not_found", `There is no group "${name}".`);
    return c.body(null, 204);
  });

  app.openapi(add, async (c) => {
    const name = checkName("group", c.req.valid("param").group);
    authorize(c, "groups", name, "admin");
    const { region = null, learner = false } = c.req.valid("json") ?? {};
    return c.json(groupOf(await timed(c, "group", addMember(c.env, c.get("scope"), name, region, learner))), 201);
  });

  app.openapi(drop, async (c) => {
    const { group, member } = c.req.valid("param");
    const name = checkName("group", group);
    authorize(c, "groups", name, "admin");
    await requireMember(c.env, c.get("scope"), name, Number(member));
    return c.json(groupOf(await timed(c, "group", removeMember(c.env, c.get("scope"), name, Number(member)))), 200);
  });

  app.openapi(promote, async (c) => {
    const { group, member } = c.req.valid("param");
    const name = checkName("group", group);
    authorize(c, "groups", name, "admin");
    await requireMember(c.env, c.get("scope"), name, Number(member));
    return c.json(groupOf(await timed(c, "group", promoteMember(c.env, c.get("scope"), name, Number(member)))), 200);
  });

  app.openapi(transfer, async (c) => {
    const name = checkName("group", c.req.valid("param").group);
    authorize(c, "groups", name, "admin");
    const { to } = c.req.valid("json");
    await requireMember(c.env, c.get("scope"), name, to);
    await timed(c, "group", transferLeader(c.env, c.get("scope"), name, to));
    return c.body(null, 204);
  });

  app.openapi(snapshot, async (c) => {
    const name = checkName("group", c.req.valid("param").group);
    // It holds every key, and it is what a copy of the group would be made of.
    authorize(c, "groups", name, "admin");
    const { revision, state } = await timed(c, "group", snapshotGroup(c.env, c.get("scope"), name));
    note(c, answer(null, { object: groupObject(c.get("scope"), name), at: revision }, "linearizable"));
    meter(c, { bytesOut: state.byteLength });
    return c.body(state as Uint8Array<ArrayBuffer>, 200, { "content-type": BINARY }) as never;
  });

  app.openapi(restore, async (c) => {
    const name = checkName("group", c.req.valid("param").group);
    authorize(c, "groups", name, "admin");
    if (!(c.req.header("content-type") ?? "").startsWith(BINARY)) throw new SkerryError("content_type", `A snapshot is sent as ${BINARY}.`);
    const { replicas, regions } = c.req.valid("query");
    const config = checkGroupConfig({
      ...(replicas !== undefined && { replicas: Number(replicas) }),
      ...(regions !== undefined && { regions: regions.split(",") }),
    });
    const state = new Uint8Array(await c.req.arrayBuffer());
    checkSnapshot(state);
    const { group, rows } = await timed(c, "group", restoreGroup(c.env, c.get("scope"), name, config, state));
    note(c, answer(null, null, "durable", rows));
    return c.json(groupOf(group), 201);
  });
}

async function requireMember(env: Env, scope: Parameters<typeof requireGroup>[1], name: string, id: number): Promise<void> {
  const { members } = await requireGroup(env, scope, name);
  if (!members.some((member) => member.id === id)) {
    const ids = members.map((member) => member.id).join(", ");
    throw new SkerryError("bad_request", `The group "${name}" has no replica ${id}; it has ${ids}.`);
  }
}

/** Refused here, before any replica has it. */
function checkSnapshot(state: Uint8Array): void {
  try {
    KvStore.restore(state);
  } catch (thrown) {
    const { code, message } = errorOf(thrown);
    const why = code === "newer_format" ? message : "This is no snapshot of a group, or it was damaged on its way.";
    throw new SkerryError("bad_request", why, { cause: thrown });
  }
}

function groupOf({ name, generation, createdAt, replicas, regions, members }: GroupMeta) {
  return { name, generation, createdAt, replicas, regions, members };
}

function statusOf(meta: GroupMeta, replicas: (Looked | null)[], faults: boolean) {
  const known = replicas.filter((replica) => replica !== null);
  // Of two that think they lead, the later one is right.
  const [leader] = known.filter(({ role }) => role === "leader").sort((a, b) => b.term - a.term);
  const voters = meta.members.filter(({ learner }) => !learner);
  // One that is hung on purpose lets itself be looked at, and answers nobody else.
  const answers = (replica: Looked | null | undefined) => replica != null && replica.faults?.hang !== true;
  const answering = meta.members.filter(({ learner }, i) => !learner && answers(replicas[i]));
  return {
    ...groupOf(meta),
    leader: leader?.id ?? null,
    term: Math.max(0, ...known.map(({ term }) => term)),
    revision: Math.max(0, ...known.map(({ header }) => header.revision)),
    level: leader?.level ?? null,
    placement: (leader ?? known[0])?.placement ?? null,
    quorum: answering.length * 2 > voters.length,
    faults,
    status: meta.members.map((member, i) => ({ ...member, state: stateOf(replicas[i] ?? null) })),
  };
}

function stateOf(status: Looked | null) {
  if (status === null) return null;
  const { role, term, leader, header, index, firstIndex, committed, applied, bytes, leases } = status;
  const { incarnation, place, regressed, halted, waiting, rows, counters, faults } = status;
  const peers = status.peers.filter(({ id }) => id !== status.id).map(({ id, match, down }) => ({ id, match, down }));
  return {
    ...{ role, term, leader, revision: header.revision, index, firstIndex, committed, applied, bytes, leases },
    ...{ incarnation, place, regressed, halted, waiting, rows, counters, peers, faults },
  };
}

import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { ROOM_OPTIONS } from "../../core/crdt/options.ts";
import type { Answer } from "../../core/wire/answer.ts";
import { fromBase64Url } from "../../core/wire/base64url.ts";
import { SkerryError } from "../../core/wire/errors.ts";
import { checkName, objectName } from "../../core/wire/names.ts";
import { listRooms } from "../../durable-objects/directory/lookup.ts";
import { directory } from "../../durable-objects/directory/port.ts";
import type { AppEnv } from "../env.ts";
import { authorize, forward } from "../middleware/auth.ts";
import { note } from "../middleware/context.ts";
import { problems } from "../middleware/openapi.ts";
import { reply } from "../middleware/reply.ts";
import { admitSocket } from "../middleware/sockets.ts";
import { timed } from "../middleware/trace.ts";
import { json, PageQuery } from "./schemas.ts";

const tags = ["rooms"];
const BINARY = "application/octet-stream";
const RoomParam = z.object({ room: z.string().min(1).max(256).openapi({ example: "flight-desk" }) });
const Bytes = z.string().openapi({ format: "binary" });

const RoomStatsSchema = z
  .object({
    name: z.string(),
    epoch: z.string().openapi({ description: "Names this history of the room; one that was deleted and made again has another." }),
    format: z.number().int(),
    position: z.number().int().openapi({ description: "Entries in the room's journal; grows with every commit." }),
    connections: z.number().int(),
    snapshotBytes: z.number().int(),
    journalBytes: z.number().int().openapi({ description: "Journalled since the snapshot." }),
    journalRows: z.number().int(),
    databaseBytes: z.number().int(),
    rowsWritten: z.number().int().openapi({ description: "Since the object last woke." }),
    pendingBytes: z.number().int().openapi({ description: "Waiting for the next commit." }),
    cachedBytes: z.number().int(),
  })
  .openapi("RoomStats");

const connect = createRoute({
  method: "get",
  path: "/v1/rooms/{room}",
  tags,
  summary: "Connect to a room, or look at it",
  description:
    "With `Upgrade: websocket`: the y-websocket protocol (stock provider: server URL `…/v1/rooms`, room name as the room). " +
    "A token with `write` may edit, one with `read` only follows. Browsers send the token as `?token=`. Without an upgrade: the room's state.",
  request: {
    params: RoomParam,
    query: z.object({
      ack: z.enum(["0", "1"]).optional().openapi({ description: "`1`: also send extension frames, such as which edits are durable." }),
      epoch: z.string().max(64).optional().openapi({ description: "The history that the client holds; another one closes with 4412." }),
    }),
  },
  responses: {
    101: { description: "The socket is open." },
    200: json(RoomStatsSchema, "The room's state."),
    ...problems("room_not_found"),
  },
});

const list = createRoute({
  method: "get",
  path: "/v1/rooms",
  tags,
  summary: "Rooms by name",
  request: { query: PageQuery },
  responses: {
    200: json(
      z.object({ rooms: z.array(z.object({ name: z.string(), createdAt: z.number() })), next: z.string().nullable() }),
      "One page.",
    ),
  },
});

const read = createRoute({
  method: "get",
  path: "/v1/rooms/{room}/doc",
  tags,
  summary: "Read a room's document",
  description: "As JSON of all shared types, or with `Accept: application/octet-stream` as a Yjs update (version 1).",
  request: {
    params: RoomParam,
    query: z.object({
      vector: z
        .string()
        .max(1_000_000)
        .optional()
        .openapi({ description: "Binary only: a Yjs state vector in base64url; the answer is what its holder lacks." }),
    }),
  },
  responses: {
    200: {
      description: "The document.",
      content: { "application/json": { schema: z.record(z.string(), z.unknown()) }, [BINARY]: { schema: Bytes } },
    },
    ...problems("bad_query", "room_not_found", "too_large"),
  },
});

const write = createRoute({
  method: "post",
  path: "/v1/rooms/{room}/doc",
  tags,
  summary: "Apply a Yjs update to a room's document",
  description: "Durable when answered. Applying an update again has no effect, so a retry needs no key.",
  request: { params: RoomParam, body: { required: true, content: { [BINARY]: { schema: Bytes } } } },
  responses: {
    200: json(z.object({ changed: z.boolean() }), "Applied; `changed` is false if the room had all of it."),
    ...problems("bad_frame", "content_type", "diverged", "room_full", "too_large"),
  },
});

const remove = createRoute({
  method: "delete",
  path: "/v1/rooms/{room}",
  tags,
  summary: "Delete a room and everything in it",
  request: { params: RoomParam },
  responses: { 204: { description: "Deleted; connections were closed with 4404." }, ...problems("room_not_found") },
});

export function roomsRoutes(app: OpenAPIHono<AppEnv>): void {
  app.openapi(list, async (c) => {
    authorize(c, "rooms", "*", "read");
    const { after, limit } = c.req.valid("query");
    const { items, next } = note(c, await timed(c, "directory", listRooms(c.env, c.get("scope"), after ?? null, limit)));
    return c.json({ rooms: items.map(({ name, createdAt }) => ({ name, createdAt })), next }, 200);
  });

  app.openapi(connect, async (c) => {
    const name = checkName("room", c.req.valid("param").room);
    authorize(c, "rooms", name, "read");
    const object = objectName(c.get("scope"), "rooms", name);
    const room = c.env.ROOM.getByName(object);
    if (c.req.header("upgrade") === undefined)
      return reply(c, await timed(c, "room", room.stats()), (stats) => c.json({ name, ...stats }, 200));
    await admitSocket(c, "ROOM", object);
    // The provider of y-websocket is at odds with typed responses: this one is the object's own, with the socket in it.
    return (await timed(c, "room", room.fetch(forward(c)))) as never;
  });

  app.openapi(read, async (c) => {
    const name = checkName("room", c.req.valid("param").room);
    authorize(c, "rooms", name, "read");
    const room = c.env.ROOM.getByName(objectName(c.get("scope"), "rooms", name));
    const { vector } = c.req.valid("query");
    if (vector === undefined && !(c.req.header("accept") ?? "").includes(BINARY)) {
      const answer = (await timed(c, "room", room.read("json"))) as Answer<string>;
      return reply(c, answer, (text) => c.body(text, 200, { "content-type": "application/json" }) as never);
    }
    const held = vector === undefined ? undefined : fromBase64Url(vector);
    if (held === null) throw new SkerryError("bad_query", "The vector is not base64url without padding.");
    const answer = (await timed(c, "room", room.read("update", held))) as Answer<Uint8Array<ArrayBuffer>>;
    return reply(c, answer, (bytes) => c.body(bytes, 200, { "content-type": BINARY }) as never);
  });

  app.openapi(write, async (c) => {
    const name = checkName("room", c.req.valid("param").room);
    authorize(c, "rooms", name, "write");
    if (!(c.req.header("content-type") ?? "").startsWith(BINARY)) {
      throw new SkerryError("content_type", `A document update is sent as ${BINARY}.`);
    }
    const update = new Uint8Array(await c.req.arrayBuffer());
    if (update.length > ROOM_OPTIONS.maxFrameBytes) {
      throw new SkerryError("too_large", `An update holds at most ${ROOM_OPTIONS.maxFrameBytes} bytes; this one has ${update.length}.`);
    }
    return reply(c, await timed(c, "room", c.env.ROOM.getByName(objectName(c.get("scope"), "rooms", name)).applyUpdate(update)));
  });

  app.openapi(remove, async (c) => {
    const name = checkName("room", c.req.valid("param").room);
    authorize(c, "rooms", name, "admin");
    const scope = c.get("scope");
    const { deleted } = note(c, await directory(c.env, scope).deleteRoom(name));
    const { erased } = note(c, await timed(c, "room", c.env.ROOM.getByName(objectName(scope, "rooms", name)).erase()));
    if (!deleted && !erased) throw new SkerryError("room_not_found", `There is no room "${name}".`);
    return c.body(null, 204);
  });
}

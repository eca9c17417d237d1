import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { actorOf } from "../../core/auth/claims.ts";
import type { Topology } from "../../core/streams/topology.ts";
import { ERRORS, errorOf, SkerryError } from "../../core/wire/errors.ts";
import { type ClientFrame, encode, negotiate, parseClientFrame, type ServerFrame, WIRE_VERSION } from "../../core/wire/frames.ts";
import { allows } from "../../core/wire/grant.ts";
import { closeReason, type SocketActor, socketActor } from "../../durable-objects/shared/sockets.ts";
import { taskName } from "../../durable-objects/streams.ts";
import { tableNamed } from "../../topologies/index.ts";
import type { AppEnv } from "../env.ts";
import { authorize, forwardHeaders } from "../middleware/auth.ts";
import { verify } from "../middleware/keyring.ts";
import { problems } from "../middleware/openapi.ts";
import { admitSocket, attachSocket } from "../middleware/sockets.ts";

const live = createRoute({
  method: "get",
  path: "/v1/tables/{table}/live",
  tags: ["streams"],
  summary: "Follow a table over a WebSocket",
  description:
    "Frames as core/wire/SPEC.md defines them (subprotocol `skerry.v1`, or `?v=1`). A target is `{table}/{partition}`: subscribe to " +
    "each partition for the whole table. First a snapshot of the rows, then what changes; a position resumes.",
  request: { params: z.object({ table: z.string().min(1).max(256).openapi({ example: "delays" }) }) },
  responses: {
    101: { description: "Switching to WebSocket." },
    ...problems("bad_request", "table_not_found", "token_missing", "forbidden"),
  },
});

export function tablesLiveRoutes(app: OpenAPIHono<AppEnv>): void {
  app.openAPIRegistry.registerPath(live);
  app.get("/v1/tables/:table/live", async (c) => {
    const table = c.req.param("table");
    const { topology } = tableNamed(table);
    authorize(c, "streams", table, "read");
    const { subprotocol } = negotiate(c.req.header("sec-websocket-protocol") ?? null, c.req.query("v") ?? null);
    await admitSocket(c, "TASK", taskName(c.get("scope"), topology, 0));
    const { 0: client, 1: socket } = new WebSocketPair();
    socket.accept();
    new Multiplexer(c, table, topology, socket).begin();
    return new Response(null, {
      status: 101,
      webSocket: client,
      headers: subprotocol === null ? {} : { "sec-websocket-protocol": subprotocol },
    });
  });
}

/**
 * One client socket over the sockets of a table's tasks. It only passes frames on, by target and subscription id, so
 * credit and positions hold from end to end and nothing is kept here; the tasks hibernate under an open socket.
 */
class Multiplexer {
  readonly #c: Context<AppEnv>;
  readonly #table: string;
  readonly #topology: Topology;
  readonly #socket: WebSocket;
  #headers: Headers;
  readonly #tasks = new Map<number, Promise<WebSocket>>();
  /** Which task has a subscription, by its id, until it ends. */
  readonly #homes = new Map<number, number>();
  #actor: SocketActor;
  #closed = false;

  constructor(c: Context<AppEnv>, table: string, topology: Topology, socket: WebSocket) {
    this.#c = c;
    this.#table = table;
    this.#topology = topology;
    this.#socket = socket;
    this.#headers = forwardHeaders(c);
    this.#actor = socketActor(c.get("actor"), "streams", table);
  }

  begin(): void {
    // Frames must be handled in their order, although opening a task's socket takes a moment.
    // The first is opened at once: it closes a socket that only waits when its token ends or is revoked.
    let order: Promise<unknown> = this.#task(0).catch((thrown) => this.#fail(errorOf(thrown)));
    this.#socket.addEventListener("message", ({ data }) => {
      order = order.then(() => this.#receive(data)).catch((thrown) => this.#fail(errorOf(thrown)));
    });
    this.#socket.addEventListener("close", ({ code }) => {
      // Completes the handshake, as the runtime does not do by itself.
      this.#close(code, "");
      this.#closeTasks(code);
    });
    this.#socket.addEventListener("error", () => {
      this.#closed = true;
      this.#closeTasks(1011);
    });
    this.#send({ type: "hello", version: WIRE_VERSION, expiresAt: this.#actor.expiresAt });
  }

  async #receive(data: string | ArrayBuffer): Promise<void> {
    // What was sent before the close, and is read after it, must not open a task's socket again.
    if (this.#closed) return;
    if (typeof data !== "string") throw new SkerryError("bad_frame", "Frames are JSON text; this one was binary.");
    const frame = parseClientFrame(data);
    switch (frame.type) {
      case "ping":
        this.#send({ type: "pong" });
        return;
      case "token":
        await this.#refresh(frame.token);
        return;
      case "subscribe": {
        const partition = this.#partitionOf(frame);
        if (partition === null) return;
        // Each task would find it new, and the client could not tell their frames apart.
        if (this.#homes.has(frame.id))
          throw new SkerryError("bad_frame", `Subscription ${frame.id} exists; wait for its "end" or choose another id.`);
        this.#homes.set(frame.id, partition);
        (await this.#task(partition)).send(data);
        return;
      }
      case "credit":
      case "unsubscribe":
      case "ack": {
        const home = this.#homes.get(frame.id);
        if (home !== undefined) (await this.#task(home)).send(data);
        return;
      }
      default:
        frame satisfies never;
    }
  }

  /** The partition a target names; where there is none, the subscription is refused and the socket goes on. */
  #partitionOf({ id, target }: Extract<ClientFrame, { type: "subscribe" }>): number | null {
    const partition = Number(target.slice(this.#table.length + 1));
    // Written in one way only: the task publishes to a target by its text.
    const known = target === `${this.#table}/${partition}`;
    if (known && partition < this.#topology.partitions) return partition;
    const detail = `This socket follows "${this.#table}/0" to "${this.#table}/${this.#topology.partitions - 1}", not "${target}".`;
    this.#send({ type: "error", id, code: "table_not_found", detail });
    return null;
  }

  /** A token in place of the one that ends: its successor, with the same id, so that revoking it reaches this socket. */
  async #refresh(token: string): Promise<void> {
    try {
      const actor = actorOf(await verify(this.#c.env, this.#c.get("scope"), token, Date.now()));
      if (actor.tokenId !== this.#actor.tokenId)
        throw new SkerryError("forbidden", "Send the successor of this socket's own token (POST /v1/tokens/refresh), or connect anew.");
      if (!allows(actor.grants, "streams", this.#table, "read"))
        throw new SkerryError("forbidden", `The token does not grant "read" on "${this.#table}".`);
      this.#actor = socketActor(actor, "streams", this.#table);
      // Tasks that are opened from now on hear of the new token at once.
      this.#c.set("actor", actor);
      this.#headers = forwardHeaders(this.#c);
      const told = encode({ type: "token", token: JSON.stringify(this.#actor) });
      for (const task of this.#tasks.values()) (await task).send(told);
      this.#send({ type: "token_ok", expiresAt: this.#actor.expiresAt });
    } catch (thrown) {
      const { code, message } = errorOf(thrown);
      this.#send({ type: "error", code, detail: message });
    }
  }

  #task(partition: number): Promise<WebSocket> {
    let task = this.#tasks.get(partition);
    if (task === undefined) {
      task = this.#open(partition);
      this.#tasks.set(partition, task);
    }
    return task;
  }

  async #open(partition: number): Promise<WebSocket> {
    const name = taskName(this.#c.get("scope"), this.#topology, partition);
    // Perhaps long after the client's own upgrade: its token may have been revoked meanwhile.
    await attachSocket(this.#c, "TASK", name);
    const stub = this.#c.env.TASK.getByName(name);
    const { webSocket } = await stub.fetch("https://task/live", { headers: this.#headers });
    if (webSocket === null) throw new SkerryError("unavailable", "The task did not take the socket.", { retryAfter: 1 });
    webSocket.accept();
    if (this.#closed) webSocket.close(1000);
    webSocket.addEventListener("message", ({ data }) => this.#pass(data as string));
    webSocket.addEventListener("close", ({ code, reason }) => this.#close(code, reason));
    webSocket.addEventListener("error", () => this.#close(1011, "internal"));
    return webSocket;
  }

  /** What a task says of the socket itself has been said here, once for all tasks. */
  #pass(data: string): void {
    if (data.startsWith('{"type":"hello"') || data.startsWith('{"type":"token_ok"') || this.#socket.readyState !== WebSocket.OPEN) return;
    if (data.startsWith('{"type":"end"') || data.startsWith('{"type":"error"')) {
      const { id } = JSON.parse(data) as { id?: number };
      if (id !== undefined) this.#homes.delete(id);
    }
    this.#socket.send(data);
  }

  #send(frame: ServerFrame): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(encode(frame));
  }

  #fail(error: SkerryError): void {
    this.#send({ type: "error", code: error.code, detail: error.message });
    this.#close(ERRORS[error.code].close, closeReason(error.code, error.message));
  }

  #close(code: number, reason: string): void {
    this.#closed = true;
    // 1005 and 1006 say that no close frame came; they may not be sent in one.
    const sendable = code === 1005 || code === 1006 ? 1012 : code;
    try {
      this.#socket.close(sendable, reason);
    } catch {
      // Closed on both sides already.
    }
    this.#closeTasks(1000);
  }

  #closeTasks(code: number): void {
    for (const task of this.#tasks.values()) {
      task.then((socket) => socket.close(code === 1005 || code === 1006 ? 1000 : code)).catch(() => {});
    }
    this.#tasks.clear();
  }
}

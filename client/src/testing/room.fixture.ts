import { MemoryRoom } from "../../../core/crdt/room.fixture.ts";
import { ERRORS, type ErrorCode } from "../../../core/wire/errors.ts";
import { type Client, createClient } from "../index.ts";
import type { Socket } from "../runtime.ts";
import { VirtualTime } from "./virtual.fixture.ts";

/** A client's socket and what the server knows of it. */
class RoomSocket implements Socket {
  readyState = 0;
  bufferedAmount = 0;
  binaryType = "blob";
  onopen: ((event: never) => void) | null = null;
  onmessage: ((event: never) => void) | null = null;
  onclose: ((event: never) => void) | null = null;
  onerror: ((event: never) => void) | null = null;
  readonly id: number;
  readonly url: URL;
  readonly sent: Uint8Array[] = [];
  readonly #server: RoomServer;

  constructor(server: RoomServer, id: number, url: string) {
    this.#server = server;
    this.id = id;
    this.url = new URL(url);
  }

  send(data: string | Uint8Array): void {
    if (this.readyState !== 1) return;
    const frame = (data as Uint8Array).slice();
    this.sent.push(frame);
    this.#server.fromClient(this, frame);
  }

  close(): void {
    if (this.readyState >= 2) return;
    this.readyState = 2;
    this.#server.leave(this);
  }

  /** The connection ends, as the client sees it. */
  end(code: number, reason: string): void {
    if (this.readyState === 3) return;
    this.readyState = 3;
    this.onclose?.({ code, reason } as never);
  }
}

/** The true room behind sockets with a latency, with a commit timer, and with faults on demand. */
export class RoomServer {
  readonly time = new VirtualTime();
  readonly room = new MemoryRoom();
  readonly sockets: RoomSocket[] = [];
  /** Milliseconds a frame takes, either way. */
  latency = 5;
  epoch = "epoch-1";
  mayWrite = true;
  /** Refuses connections, as an unreachable server does. */
  down = false;
  /** What the probe, which asks by HTTP why a connection failed, is told. */
  probe: () => Response = () => Response.json({});
  readonly requests: string[] = [];
  #ids = 0;
  #timer: (() => void) | null = null;
  readonly #runtime = this.time.runtime();

  client(token?: string | (() => string)): Client {
    return createClient({
      url: "http://skerry.test",
      ...(token !== undefined && { token }),
      runtime: {
        ...this.#runtime,
        connect: (url) => this.#connect(url),
        fetch: async (url, { method }) => {
          this.requests.push(`${method} ${new URL(url).pathname}`);
          if (this.down) throw new TypeError("down");
          return this.probe();
        },
      },
    });
  }

  get open(): RoomSocket[] {
    return this.sockets.filter(({ readyState }) => readyState === 1);
  }

  /** SIGKILL: what was not committed is gone. */
  crash(): void {
    this.#timer?.();
    this.#timer = null;
    this.room.crash();
    for (const socket of this.sockets) socket.end(1006, "");
  }

  /** One connection breaks without a word; the server notices. */
  cut(socket: RoomSocket): void {
    this.leave(socket);
    socket.end(1006, "");
  }

  close(socket: RoomSocket, code: ErrorCode, detail = ""): void {
    this.leave(socket);
    socket.end(ERRORS[code].close, detail === "" ? code : `${code}: ${detail}`);
  }

  fromClient(socket: RoomSocket, frame: Uint8Array): void {
    this.#runtime.timer(this.latency, () => {
      if (!this.room.outbox.has(socket.id)) return;
      this.#settle(() => this.room.frame(socket.id, frame));
    });
  }

  leave(socket: RoomSocket): void {
    if (this.room.outbox.has(socket.id)) this.#settle(() => this.room.disconnect(socket.id));
  }

  /** Says something to a client that the room would not. */
  say(socket: RoomSocket, data: unknown): void {
    socket.onmessage?.({ data } as never);
  }

  #connect(url: string): Socket {
    const socket = new RoomSocket(this, ++this.#ids, url);
    this.sockets.push(socket);
    this.#runtime.timer(this.latency, () => {
      if (socket.readyState !== 0) return;
      if (this.down) return socket.end(1006, "");
      socket.readyState = 1;
      socket.onopen?.(undefined as never);
      const epoch = socket.url.searchParams.get("epoch");
      if (epoch !== null && epoch !== this.epoch) return socket.end(ERRORS.diverged.close, "diverged: the room was made anew");
      const extended = socket.url.searchParams.get("ack") === "1";
      this.#settle(() => void this.room.connect(socket.id, { mayWrite: this.mayWrite, extended, subject: `${socket.id}` }));
    });
    return socket;
  }

  /** Lets something happen in the room, sends what it says and sets its timer. */
  #settle(event: () => void): void {
    this.room.now = this.time.now;
    event();
    for (const socket of this.sockets) {
      const frames = this.room.outbox.get(socket.id)?.splice(0) ?? [];
      for (const frame of frames) {
        const { buffer } = frame.slice();
        this.#runtime.timer(this.latency, () => socket.readyState === 1 && socket.onmessage?.({ data: buffer } as never));
      }
    }
    for (const { connection, code, detail } of this.room.closed.splice(0)) {
      const socket = this.sockets.find(({ id }) => id === connection);
      this.#runtime.timer(this.latency, () => socket?.end(ERRORS[code].close, `${code}: ${detail}`));
    }
    this.#timer?.();
    this.#timer = null;
    const { wakeAt } = this.room;
    if (wakeAt === null) return;
    this.#timer = this.#runtime.timer(Math.max(0, wakeAt - this.time.now), () => {
      this.#timer = null;
      this.#settle(() => this.room.advance(0));
    });
  }
}

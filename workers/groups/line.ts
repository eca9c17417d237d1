import type { WatchEvent } from "../../core/consensus/kv/types.ts";
import { readEvent } from "../../core/consensus/socket/answers.ts";
import { ERRORS, type ErrorCode, errorOf, SkerryError } from "../../core/wire/errors.ts";
import {
  type CallResult,
  callFrame,
  encode,
  parseServerFrame,
  type ServerFrame,
  type StreamPosition,
  SUBPROTOCOL,
} from "../../core/wire/frames.ts";
import { ACTOR_HEADER } from "../../core/wire/grant.ts";
import type { ReplicaStub } from "../../durable-objects/group/replicas.ts";
import type { Caller } from "./door.ts";

/** What a line hears; all of it in the order in which it holds. */
export type LineListener = {
  subscribed(id: number, position: StreamPosition): void | Promise<void>;
  events(id: number, position: StreamPosition, events: WatchEvent[], more: boolean): void | Promise<void>;
  /** A subscription was refused, or is over. */
  ended(id: number, error: SkerryError | null): void | Promise<void>;
  result(result: CallResult): void | Promise<void>;
  /** The socket is gone: at the server's word, which will not change by trying again, or for want of a connection. */
  lost(error: SkerryError, final: boolean): void | Promise<void>;
};

const FINAL: ReadonlySet<string> = new Set(["token_expired", "token_revoked", "token_invalid", "forbidden", "bad_frame"]);

/** Whether another socket would fare no better. */
export function isFinal({ code }: SkerryError): boolean {
  return FINAL.has(code);
}

/** One socket to a replica: frames in, in order and one at a time; frames out. */
export class Line {
  readonly #socket: WebSocket;
  readonly #listener: LineListener;
  #order: Promise<void> = Promise.resolve();
  #read = 0;
  #closed = false;
  #said: SkerryError | null = null;

  private constructor(socket: WebSocket, listener: LineListener) {
    this.#socket = socket;
    this.#listener = listener;
  }

  /** Throws what {@link errorOf} makes of it where the replica cannot be reached. */
  static async open(stub: ReplicaStub, caller: Caller, listener: LineListener): Promise<Line> {
    const headers = new Headers({ upgrade: "websocket", "sec-websocket-protocol": SUBPROTOCOL, traceparent: caller.traceparent });
    headers.set(ACTOR_HEADER, JSON.stringify(caller.actor).replace(/[^\x20-\x7e]/g, escaped));
    const { status, webSocket } = await stub.fetch(new Request("https://group/watch", { headers }));
    if (webSocket === null) throw new SkerryError("unavailable", `A replica answered a socket with ${status}.`, { retryAfter: 1 });
    const line = new Line(webSocket, listener);
    webSocket.accept();
    webSocket.addEventListener("message", ({ data }) => line.#queue(() => line.#heard(String(data))));
    webSocket.addEventListener("close", ({ reason }) => line.#queue(() => line.#over(reason)));
    webSocket.addEventListener("error", () => line.#queue(() => line.#over("")));
    return line;
  }

  get closed(): boolean {
    return this.#closed;
  }

  subscribe(id: number, target: string, from: StreamPosition | null, credit: number): void {
    this.#send(encode({ type: "subscribe", id, target, credit, ...(from !== null && { from }) }));
  }

  credit(id: number, n: number): void {
    this.#send(encode({ type: "credit", id, n }));
  }

  unsubscribe(id: number): void {
    this.#send(encode({ type: "unsubscribe", id }));
  }

  call(id: number, payload: unknown): void {
    this.#send(callFrame(id, this.#read, [JSON.stringify(payload)]));
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close(1000);
  }

  #queue(step: () => void | Promise<void>): void {
    this.#order = this.#order.then(step).catch((thrown) => this.#broke(errorOf(thrown)));
  }

  async #heard(text: string): Promise<void> {
    if (this.#closed) return;
    const frame = parseServerFrame(text);
    switch (frame.type) {
      case "subscribed":
        return this.#listener.subscribed(frame.id, frame.position);
      case "data": {
        const { events, more } = frame.payload as { events: unknown[]; more?: true };
        return this.#listener.events(frame.id, frame.position, events.map(readEvent), more === true);
      }
      case "result":
        this.#read++;
        for (const result of frame.results) await this.#listener.result(result);
        return;
      case "error":
        return this.#failed(frame);
      case "end":
        return this.#listener.ended(frame.id, null);
      default:
    }
  }

  #failed(frame: Extract<ServerFrame, { type: "error" }>): void | Promise<void> {
    const error = new SkerryError(frame.code, frame.detail, frame.retryAfter === undefined ? {} : { retryAfter: frame.retryAfter });
    if (frame.id !== undefined) return this.#listener.ended(frame.id, error);
    this.#said = error;
  }

  #over(reason: string): void | Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const error = this.#said ?? closedBy(reason);
    return this.#listener.lost(error, isFinal(error));
  }

  #broke(error: SkerryError): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close(1011);
    void this.#listener.lost(error, false);
  }

  #send(text: string): void {
    try {
      this.#socket.send(text);
    } catch {
      // Gone; its close event follows.
    }
  }
}

/** The reason of a close frame begins with the error's code. */
function closedBy(reason: string): SkerryError {
  const [code = ""] = reason.split(":");
  if (Object.hasOwn(ERRORS, code))
    return new SkerryError(code as ErrorCode, reason.slice(code.length + 1).trim() || ERRORS[code as ErrorCode].title);
  return new SkerryError("unavailable", reason === "" ? "The connection to the replica was lost." : reason, { retryAfter: 1 });
}

function escaped(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

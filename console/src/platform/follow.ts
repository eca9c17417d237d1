import { ERRORS, type ErrorCode, errorOf, SkerryError } from "../../../core/wire/errors.ts";
import { encode, PING_TEXT, parseServerFrame, type ServerFrame, type StreamPosition, SUBPROTOCOL } from "../../../core/wire/frames.ts";
import type { Api } from "./api.ts";
import type { Connection } from "./connections.ts";

/** A row of a windowed table, as REST and the live socket give it. */
export type TableRow<V> = { key: string; window: { start: number; end: number }; value: V; final: boolean; revision: number };

/** One data frame: rows, and the event time before which windows of this partition are closed. */
export type TablePart<V> = { rows: TableRow<V>[]; streamTime: number; closedBefore: number; late: number };

export type Follower<V> = {
  /** A snapshot of the partition begins: what was known of it is void. */
  onReset(partition: number): void;
  onPart(partition: number, part: TablePart<V>): void;
  onState(connection: Connection): void;
};

const CREDIT = 32;
const PING_EVERY = 20_000;
const SILENCE = 50_000;
const MAX_WAIT = 10_000;

/**
 * Follows all partitions of a table over one socket: a snapshot, then what changes, for ever. After a break it resumes
 * from the positions it has seen (core/wire/SPEC.md, "What a client does"), so that nothing is missed or counted twice.
 */
export function followTable<V>(api: Api, table: string, partitions: number, follower: Follower<V>): { close(): void } {
  return new TableSocket(api, table, partitions, follower as Follower<unknown>);
}

class TableSocket {
  readonly #api: Api;
  readonly #table: string;
  readonly #follower: Follower<unknown>;
  readonly #positions: (StreamPosition | null)[];
  readonly #used: number[];
  readonly #keepAlive: ReturnType<typeof setInterval>;
  #socket: WebSocket | null = null;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #failures = 0;
  #heard = 0;
  #refusal: SkerryError | null = null;
  #closed = false;

  constructor(api: Api, table: string, partitions: number, follower: Follower<unknown>) {
    this.#api = api;
    this.#table = table;
    this.#follower = follower;
    this.#positions = Array.from({ length: partitions }, () => null);
    this.#used = Array.from({ length: partitions }, () => 0);
    this.#keepAlive = setInterval(() => this.#checkPulse(), PING_EVERY);
    follower.onState({ state: "connecting" });
    this.#connect();
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#keepAlive);
    clearTimeout(this.#retry);
    this.#socket?.close(1000);
  }

  #connect(): void {
    const socket = new WebSocket(this.#api.socketUrl(`/v1/tables/${encodeURIComponent(this.#table)}/live`), SUBPROTOCOL);
    this.#socket = socket;
    this.#refusal = null;
    socket.onmessage = ({ data }) => {
      this.#heard = performance.now();
      try {
        this.#receive(parseServerFrame(data as string));
      } catch (thrown) {
        this.#refusal = errorOf(thrown);
        socket.close(4400);
      }
    };
    socket.onclose = ({ code, reason }) => {
      if (this.#socket === socket && !this.#closed) void this.#lost(code, reason);
    };
  }

  #receive(frame: ServerFrame): void {
    switch (frame.type) {
      case "hello":
        this.#positions.forEach((from, partition) => {
          this.#used[partition] = 0;
          const target = `${this.#table}/${partition}`;
          this.#send(encode({ type: "subscribe", id: partition + 1, target, credit: CREDIT, ...(from !== null && { from }) }));
        });
        return;
      case "subscribed":
        if (frame.mode === "snapshot") {
          this.#positions[frame.id - 1] = null;
          this.#follower.onReset(frame.id - 1);
        }
        this.#failures = 0;
        this.#follower.onState({ state: "live" });
        return;
      case "data":
        this.#positions[frame.id - 1] = frame.position;
        this.#follower.onPart(frame.id - 1, frame.payload as TablePart<unknown>);
        this.#spend(frame.id);
        return;
      case "error":
        // Of a subscription or of the socket: either way this socket no longer serves the whole table.
        this.#refusal = new SkerryError(frame.code, frame.detail);
        if (frame.id !== undefined) this.#socket?.close(1000);
        return;
      case "end":
        this.#socket?.close(1000);
        return;
      case "token_ok":
      case "pong":
        return;
      default:
        frame satisfies never;
    }
  }

  /** Grants credit anew once half of it is used. */
  #spend(id: number): void {
    const used = (this.#used[id - 1] ?? 0) + 1;
    this.#used[id - 1] = used % (CREDIT / 2);
    if (used === CREDIT / 2) this.#send(encode({ type: "credit", id, n: used }));
  }

  async #lost(code: number, reason: string): Promise<void> {
    this.#socket = null;
    const error = this.#refusal ?? (await this.#explain(code, reason));
    if (this.#closed) return;
    this.#api.refused(error);
    if (!ERRORS[error.code].retryable) {
      this.#follower.onState({ state: "refused", detail: error.message });
      return;
    }
    this.#failures++;
    this.#follower.onState({ state: "waiting", detail: `${error.message} Trying again.` });
    // The spread keeps a thousand consoles from coming back in the same instant.
    const wait = Math.min(MAX_WAIT, 250 * 2 ** this.#failures) * (0.75 + Math.random() / 2);
    this.#retry = setTimeout(() => this.#connect(), wait);
  }

  /** A browser does not tell why a socket was not opened, so the same is asked where there is an answer to read. */
  async #explain(code: number, reason: string): Promise<SkerryError> {
    if (Object.hasOwn(ERRORS, reason)) return new SkerryError(reason as ErrorCode, `${ERRORS[reason as ErrorCode].title}.`);
    try {
      await this.#api.get(`/v1/tables/${encodeURIComponent(this.#table)}?limit=1`);
      return new SkerryError("unavailable", `The connection broke (${code}).`);
    } catch (thrown) {
      return errorOf(thrown);
    }
  }

  #checkPulse(): void {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    if (performance.now() - this.#heard > SILENCE) this.#socket.close(4000, "silence");
    else this.#send(PING_TEXT);
  }

  #send(text: string): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(text);
  }
}

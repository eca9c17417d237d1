import { ERRORS, type ErrorCode } from "../../../core/wire/errors.ts";
import { encode, type ServerFrame } from "../../../core/wire/frames.ts";
import type { Runtime, Socket } from "../runtime.ts";
import { VirtualTime } from "./virtual.fixture.ts";

/** A table's socket, of which the test says what it sends. */
export class LiveTableServer {
  readonly time = new VirtualTime();
  readonly runtime: Partial<Runtime>;
  down = false;
  #at = 0;
  #socket: (Socket & { readyState: number }) | null = null;

  constructor(partitions: number) {
    this.runtime = {
      ...this.time.runtime(),
      connect: () => this.#connect(),
      fetch: async () => {
        if (this.down) throw new TypeError("down");
        return Response.json({ rows: [], cursor: null, partitions: Array.from({ length: partitions }, (_, partition) => ({ partition })) });
      },
    };
  }

  get closed(): boolean {
    return this.#socket?.readyState === 3;
  }

  /** Sends a partition's snapshot in one part. */
  begin(partition: number, rows: [key: string, n: number][]): void {
    this.#say({ type: "subscribed", id: partition + 1, position: this.#position(), mode: "snapshot" });
    this.#say({ type: "data", id: partition + 1, position: this.#position(), kind: "snapshot", last: true, payload: payload(rows) });
  }

  change(partition: number, rows: [key: string, n: number][], more: object = {}): void {
    this.#at++;
    this.#say({ type: "data", id: partition + 1, position: this.#position(), kind: "delta", payload: { ...payload(rows), ...more } });
  }

  refuse(code: ErrorCode): void {
    const socket = this.#socket!;
    socket.readyState = 3;
    socket.onclose?.({ code: ERRORS[code].close, reason: code } as never);
  }

  #connect(): Socket {
    const socket: Socket & { readyState: number } = {
      readyState: 0,
      ...{ onopen: null, onmessage: null, onclose: null, onerror: null },
      send: () => {},
      close: () => {
        socket.readyState = 3;
      },
    };
    this.#socket = socket;
    this.time.runtime().timer(1, () => {
      socket.readyState = 1;
      socket.onopen?.(undefined as never);
      this.#say({ type: "hello", version: 1, expiresAt: null });
    });
    return socket;
  }

  #position(): string {
    return `g.${this.#at}`;
  }

  #say(frame: ServerFrame): void {
    this.#socket?.onmessage?.({ data: encode(frame) } as never);
  }
}

function payload(rows: [key: string, n: number][]) {
  const full = rows.map(([key, n]) => ({ key, window: { start: 0, end: 1 }, value: { n }, final: false, revision: n }));
  return { rows: full, streamTime: 5, closedBefore: 0, late: 0 };
}

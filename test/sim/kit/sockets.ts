import type { Process } from "./actor.ts";
import type { Kernel } from "./kernel.ts";
import type { Network } from "./network.ts";
import type { ObjectHost, SimObject } from "./objects.ts";

/** The platform's limit on what a socket keeps through hibernation, in bytes. */
const MAX_ATTACHMENT_BYTES = 16_384;
const ABNORMAL = 1006;

/** The browser's `WebSocket` as far as clients use it. */
export interface ClientSocket {
  readonly readyState: number;
  onopen: (() => void) | null;
  onmessage: ((event: { data: string }) => void) | null;
  onclose: ((event: { code: number; reason: string }) => void) | null;
  onerror: (() => void) | null;
  send(text: string): void;
  close(code?: number, reason?: string): void;
}

/** The object's end of a socket. It outlives evictions, with its attachment, and breaks with a crash. */
export interface ServerSocket {
  readonly id: number;
  readonly open: boolean;
  send(text: string): void;
  close(code: number, reason: string): void;
  serializeAttachment(value: unknown): void;
  deserializeAttachment<T = unknown>(): T | null;
  /** The connection breaks: the client learns of it, and the object if `tell`; what is under way is lost. */
  cut(tell: boolean): void;
}

type Packet = { kind: "text"; text: string } | { kind: "close"; code: number; reason: string };

/**
 * Connects `client` to `object`, whose `onConnect(socket, request)` runs first, then `onMessage(socket, text)` and
 * `onClose(socket, code, reason)`. Messages keep their order and never double; a message lost breaks the connection.
 */
export function connect(host: ObjectHost, client: string, object: SimObject, request: unknown, id: number): ClientSocket {
  return new Connection(host, client, object, request, id).client;
}

class Connection {
  readonly client: ClientSocket;
  readonly #server: ServerSocket;
  readonly #kernel: Kernel;
  readonly #network: Network;
  readonly #name: string;
  readonly #object: SimObject;
  #attachment: unknown = null;
  #state: "connecting" | "open" | "closed" = "connecting";
  #readyState = 0;
  /** Each direction is a pipe: the event that was scheduled delivers the oldest packet, so the order is kept. */
  readonly #toServer: Packet[] = [];
  readonly #toClient: Packet[] = [];

  constructor(host: ObjectHost, client: string, object: SimObject, request: unknown, id: number) {
    this.#kernel = host.kernel;
    this.#network = host.network;
    this.#name = client;
    this.#object = object;
    const connection = this;
    this.client = {
      onopen: null,
      onmessage: null,
      onclose: null,
      onerror: null,
      get readyState() {
        return connection.#readyState;
      },
      send: (text) => {
        if (this.#readyState === 0) throw new Error("The socket is still connecting.");
        if (this.#readyState === 1) this.#push(this.#toServer, { kind: "text", text });
      },
      close: (code = 1000, reason = "") => {
        if (this.#readyState >= 2) return;
        if (this.#readyState === 0) this.#kernel.after(0, "", null, () => this.#closeClient(ABNORMAL, ""));
        this.#readyState = 2;
        this.#push(this.#toServer, { kind: "close", code, reason });
      },
    };
    this.#server = {
      id,
      get open() {
        return connection.#state === "open";
      },
      send: (text) => this.#say({ kind: "text", text }),
      close: (code, reason) => {
        if (new TextEncoder().encode(reason).length > 123) throw new TypeError("A close reason has at most 123 bytes.");
        this.#say({ kind: "close", code, reason });
      },
      serializeAttachment: (value) => {
        if (JSON.stringify(value).length > MAX_ATTACHMENT_BYTES) throw new Error("The attachment is larger than 16384 bytes.");
        this.#attachment = structuredClone(value);
      },
      deserializeAttachment: <T>() => structuredClone(this.#attachment) as T | null,
      cut: (tell) => this.#cut(tell),
    };
    this.#start(structuredClone(request));
  }

  #start(request: unknown): void {
    if (!this.#network.passes(this.#name, this.#object.name)) {
      this.#kernel.after(this.#network.timeout, `no connection ${this.#name} > ${this.#object.name}`, null, () =>
        this.#closeClient(ABNORMAL, ""),
      );
      return;
    }
    this.#kernel.after(this.#network.delay(this.#name, this.#object.name), `connect ${this.#name} > ${this.#object.name}`, null, () => {
      if (this.#readyState !== 0) return;
      this.#state = "open";
      this.#object.sockets.add(this.#server);
      this.#readyState = 1;
      // The upgrade is answered before anything the object sends.
      this.client.onopen?.();
      this.#deliver("onConnect", [this.#server, request]);
    });
  }

  /** What the object says leaves after its turn has committed. */
  #say(packet: Packet): void {
    const speaker: Process | null = this.#object.incarnation;
    if (speaker === null || this.#state !== "open") return;
    speaker.emit(() => this.#push(this.#toClient, packet));
  }

  #push(pipe: Packet[], packet: Packet): void {
    if (this.#state !== "open") return;
    const toServer = pipe === this.#toServer;
    const [from, to] = toServer ? [this.#name, this.#object.name] : [this.#object.name, this.#name];
    if (!this.#network.passes(from, to)) {
      this.#cut(true);
      return;
    }
    pipe.push(packet);
    this.#kernel.after(this.#network.delay(from, to), "", null, () => {
      const next = pipe.shift();
      if (next === undefined || this.#state !== "open") return;
      if (toServer) this.#atServer(next);
      else this.#atClient(next);
    });
  }

  #atServer(packet: Packet): void {
    if (packet.kind === "text") this.#deliver("onMessage", [this.#server, packet.text]);
    else {
      this.#end();
      this.#deliver("onClose", [this.#server, packet.code, packet.reason]);
      this.#closeClient(packet.code, packet.reason);
    }
  }

  #atClient(packet: Packet): void {
    if (packet.kind === "text") {
      if (this.#readyState === 1) this.client.onmessage?.({ data: packet.text });
      return;
    }
    this.#end();
    this.#closeClient(packet.code, packet.reason);
  }

  #cut(tell: boolean): void {
    if (this.#state === "closed") return;
    this.#kernel.log(`cut ${this.#name} = ${this.#object.name}`);
    this.#end();
    this.#kernel.after(this.#network.delay(this.#object.name, this.#name), "", null, () => this.#closeClient(ABNORMAL, ""));
    if (!tell) return;
    this.#kernel.after(this.#network.delay(this.#name, this.#object.name), "", null, () =>
      this.#deliver("onClose", [this.#server, ABNORMAL, ""]),
    );
  }

  #end(): void {
    this.#state = "closed";
    this.#object.sockets.delete(this.#server);
    this.#toServer.length = 0;
    this.#toClient.length = 0;
  }

  #closeClient(code: number, reason: string): void {
    if (this.#readyState === 3) return;
    this.#readyState = 3;
    if (code === ABNORMAL) this.client.onerror?.();
    this.client.onclose?.({ code, reason });
  }

  #deliver(method: "onConnect" | "onMessage" | "onClose", args: unknown[]): void {
    this.#object.receive({ method, args, optional: method === "onClose", reply: () => {} });
  }
}

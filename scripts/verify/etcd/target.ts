import { Agent, type ClientRequest, type IncomingMessage, request } from "node:http";

/** One request to one side, and what came of it. `body` is all of it. */
export type Answer = { status: number; body: string };

/** An answer that is still coming: a watch, an observation, a lock that waits. */
export type Stream = {
  /** 0 until the head has come. */
  status(): number;
  /** What has come so far. */
  text(): string;
  ended(): boolean;
  close(): void;
};

/** One side of the comparison. `path` is what follows `/v3/`. */
export interface Target {
  readonly name: string;
  call(path: string, body: string): Promise<Answer>;
  open(path: string, body: string): Stream;
  close(): Promise<void>;
}

const CALL_MS = 20_000;

/** A server that speaks the gateway's protocol; `base` is all before `/kv/put`. */
export class HttpTarget implements Target {
  readonly name: string;
  readonly #base: string;
  readonly #headers: Record<string, string>;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });
  readonly #streams = new Set<Stream>();
  readonly #ended: () => Promise<void>;
  /** What Skerry says has been seen, sent back: so that what any replica may answer (`serializable`) is not older. */
  #context: string | undefined;

  constructor(name: string, base: string, options: { token?: string; ended?: () => Promise<void> } = {}) {
    this.name = name;
    this.#base = base;
    this.#headers = { "content-type": "application/json", ...(options.token !== undefined && { authorization: options.token }) };
    this.#ended = options.ended ?? (async () => {});
  }

  call(path: string, body: string): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const sent = this.#send(path, body, this.#agent, (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (piece: string) => {
          text += piece;
        });
        this.#context = response.headers["skerry-context"]?.toString() ?? this.#context;
        response.on("end", () => resolve({ status: response.statusCode ?? 0, body: text }));
        response.on("error", reject);
      });
      sent.setTimeout(CALL_MS, () => sent.destroy(new Error(`${this.name} did not answer ${path} within ${CALL_MS / 1000} s`)));
      sent.on("error", reject);
    });
  }

  open(path: string, body: string): Stream {
    let status = 0;
    let text = "";
    let ended = false;
    const sent = this.#send(path, body, new Agent(), (response) => {
      status = response.statusCode ?? 0;
      response.setEncoding("utf8");
      response.on("data", (piece: string) => {
        text += piece;
      });
      response.on("close", () => {
        ended = true;
      });
      response.on("error", () => {});
    });
    sent.on("error", () => {
      ended = true;
    });
    const stream: Stream = {
      status: () => status,
      text: () => text,
      ended: () => ended,
      close: () => {
        this.#streams.delete(stream);
        sent.destroy();
      },
    };
    this.#streams.add(stream);
    return stream;
  }

  async close(): Promise<void> {
    for (const stream of this.#streams) stream.close();
    this.#agent.destroy();
    await this.#ended();
  }

  #send(path: string, body: string, agent: Agent, heard: (response: IncomingMessage) => void): ClientRequest {
    const seen = this.#context === undefined ? {} : { "skerry-context": this.#context };
    const headers = { ...this.#headers, ...seen, "content-length": Buffer.byteLength(body) };
    const sent = request(`${this.#base}/${path}`, { method: "POST", agent, headers }, heard);
    sent.end(body);
    return sent;
  }
}

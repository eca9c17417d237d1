import { connect, type Socket } from "node:net";

/** What a run measured: latencies in milliseconds, ascending. */
export type Load = { perSecond: number; p50: number; p99: number; failed: number; requests: number };

export type Target = { host: string; port: number; path: string; headers: string };

/** Where a URL's requests go; `token` becomes `Authorization: Bearer`. */
export function target(url: string, token: string | null = null): Target {
  const { hostname, port, pathname, host } = new URL(url);
  const authorization = token === null ? "" : `Authorization: Bearer ${token}\r\n`;
  return { host: hostname, port: Number(port), path: pathname, headers: `Host: ${host}\r\n${authorization}` };
}

/**
 * Posts JSON over HTTP/1.1 from `clients` connections, each with one request in flight, for `seconds`. The client does as little
 * as it can (no fetch, no header objects): it shares the machine with what it measures.
 *
 * @param to each connection goes to one of these in turn
 * @param body made anew for each request
 */
export async function load(to: readonly Target[], body: () => string, clients: number, seconds: number): Promise<Load> {
  const until = performance.now() + seconds * 1000;
  const latencies: number[] = [];
  let failed = 0;
  const began = performance.now();
  await Promise.all(
    Array.from({ length: clients }, async (_, client) => {
      const connection = await Connection.open(to[client % to.length]!);
      while (performance.now() < until) {
        const sent = performance.now();
        const status = await connection.post(body());
        latencies.push(performance.now() - sent);
        if (status !== 200) failed++;
      }
      connection.close();
    }),
  );
  const elapsed = (performance.now() - began) / 1000;
  latencies.sort((a, b) => a - b);
  const at = (share: number) => latencies[Math.min(latencies.length - 1, Math.floor(share * latencies.length))] ?? Number.NaN;
  return { perSecond: (latencies.length - failed) / elapsed, p50: at(0.5), p99: at(0.99), failed, requests: latencies.length };
}

/** One keep-alive connection that reads answers with a length or in chunks. */
export class Connection {
  readonly #to: Target;
  readonly #socket: Socket;
  #received = "";
  #waiting: ((status: number) => void) | null = null;
  #failed: ((error: Error) => void) | null = null;
  /** The last answer's body, where it had a length. */
  body = "";

  private constructor(to: Target, socket: Socket) {
    this.#to = to;
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.setEncoding("latin1");
    socket.on("data", (text: string) => this.#receive(text));
    socket.on("error", (error) => this.#failed?.(error));
    socket.on("close", () => this.#failed?.(new Error("the connection was closed")));
  }

  static open(to: Target): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const socket = connect(to.port, to.host, () => resolve(new Connection(to, socket)));
      socket.once("error", reject);
    });
  }

  /** @returns the HTTP status */
  post(body: string): Promise<number> {
    const { path, headers } = this.#to;
    this.#socket.write(
      `POST ${path} HTTP/1.1\r\n${headers}Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    return new Promise((resolve, reject) => {
      this.#waiting = resolve;
      this.#failed = reject;
    });
  }

  close(): void {
    this.#failed = null;
    this.#socket.destroy();
  }

  #receive(text: string): void {
    this.#received += text;
    const end = this.#received.indexOf("\r\n\r\n");
    if (end < 0) return;
    const head = this.#received.slice(0, end);
    const rest = this.#received.slice(end + 4);
    const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1];
    if (length === undefined ? !rest.endsWith("0\r\n\r\n") : rest.length < Number(length)) return;
    this.body = rest;
    this.#received = "";
    this.#waiting?.(Number(head.slice(9, 12)));
  }
}

import { createServer } from "node:net";

export { isAlive, startOf } from "./proc.mjs";

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Waits until a condition holds; `false` when it does not within the time given, in milliseconds. */
export async function until(condition: () => boolean | Promise<boolean>, ms: number, every = 20): Promise<boolean> {
  const end = Date.now() + ms;
  for (;;) {
    if (await condition()) return true;
    if (Date.now() >= end) return false;
    await sleep(every);
  }
}

/** Whether a TCP port can be listened on. */
export function isPortFree(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen({ port, host, exclusive: true }, () => probe.close(() => resolve(true)));
  });
}

/**
 * Where {@link freePort} looks: below the ports that systems give to outgoing connections. From those, one might be taken
 * while a server restarts on it, even by a client that tries to reach the server, which then is connected to itself.
 */
const PORTS = { from: 12_000, to: 30_000 };

/** A TCP port that is free now. Drawn at random, so that processes that look at the same time hardly find the same one. */
export async function freePort(host = "127.0.0.1"): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = PORTS.from + Math.floor(Math.random() * (PORTS.to - PORTS.from));
    if (await isPortFree(port, host)) return port;
  }
  throw new Error(`No port from ${PORTS.from} to ${PORTS.to} is free.`);
}

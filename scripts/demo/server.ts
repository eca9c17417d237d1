import { Refusal } from "../lib/refusal.ts";
import { type Patience, REAL_TIME } from "./http.ts";

/** How long a server that is being started may take until it answers, ms: on a first start it builds everything. */
export const START_PATIENCE_MS = 60_000;

export type WaitOptions = Patience & {
  /** Told at once, and but once, if the server does not answer yet. */
  say: (sentence: string) => void;
  fetch: (url: string, init: RequestInit) => Promise<Response>;
  signal?: AbortSignal;
};

/**
 * Waits for a Skerry to answer at an address, and says so, with how to start one.
 *
 * @throws Refusal when patience is at an end, or when what answers is another program or a deployment that is not fit to
 *   serve; the signal's reason when it is aborted
 */
export async function waitForServer(url: string, options: Partial<WaitOptions> = {}): Promise<void> {
  const { say, fetch, signal, sleep, now, patienceMs } = {
    ...REAL_TIME,
    say: console.log,
    fetch: globalThis.fetch,
    patienceMs: START_PATIENCE_MS,
    ...options,
  };
  const how = `Start one: ${startOf(url)}`;
  const began = now();
  for (let told = false; ; told = true) {
    signal?.throwIfAborted();
    const answer = await healthOf(url, fetch);
    if (answer === "ok") return;
    if (answer !== null) throw new Refusal(answer);
    if (!told) say(`Waiting for a server at ${url}, where nothing answers yet. ${how} (in another terminal).`);
    if (now() - began >= patienceMs)
      throw new Refusal(`There is no server at ${url}: nothing answered in ${Math.round(patienceMs / 1000)} s. ${how}`);
    await sleep(250, signal);
  }
}

/** The command that starts a server at a local address; of another, that is for others to do. */
function startOf(url: string): string {
  const { hostname, port } = new URL(url);
  if (!/^(localhost|127\.0\.0\.1|\[::1\])$/.test(hostname)) return "npm start, and --url with its address here";
  return port === "8787" ? "npm start" : `npm start -- --port ${port || "80"}`;
}

/** `"ok"`, or a sentence about what answers in its place; null where nothing does. */
async function healthOf(url: string, fetch: WaitOptions["fetch"]): Promise<string | null> {
  let response: Response;
  try {
    response = await fetch(`${url}/healthz`, { signal: AbortSignal.timeout(10_000) });
  } catch {
    return null;
  }
  const body = (await response.json().catch(() => null)) as { status?: unknown; detail?: unknown } | null;
  if (response.ok && body?.status === "ok") return "ok";
  if (body?.status === "misconfigured") return `The server at ${url} serves nothing: ${body.detail}`;
  return `What answers at ${url} is no Skerry (status ${response.status} at /healthz). Another address: --url URL`;
}

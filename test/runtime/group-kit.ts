import { env } from "cloudflare:workers";
import { expect } from "vitest";
import { put } from "../../core/consensus/replica/cluster.fixture.ts";
import { type Ask, type Hint, NO_HINT, type ReplicaStatus, type Reply } from "../../core/consensus/replica/types.ts";
import { parseServerFrame, type ServerFrame, SUBPROTOCOL } from "../../core/wire/frames.ts";
import { ACTOR_HEADER, type Grant } from "../../core/wire/grant.ts";
import { replicaName } from "../../durable-objects/group/names.ts";

export const scope = { project: "main", jurisdiction: "global" } as const;
const ALL: Grant[] = [{ capability: "groups", name: "*", rights: ["write"] }];
let groups = 0;

/** Replicas without a directory: objects that were told that they are a group. */
export async function makeGroup(voters: number[]) {
  const name = `runtime-${groups++}`;
  const stub = (id: number) => env.GROUP.getByName(replicaName(scope, name, 1, id));
  for (const id of voters) await stub(id).configure({ kind: "found", voters, state: new Uint8Array() });
  const ask = async (id: number, ask: Ask, hint: Hint = NO_HINT): Promise<Reply> =>
    (await stub(id).asks([{ ask, hint }])).value[0] as Reply;
  const write = (id: number, key: string, value: string, hint?: Hint) =>
    ask(id, { ask: "write", operation: put(key, value), session: null }, hint);
  const status = async (id: number) => (await stub(id).status()).value as ReplicaStatus;
  const quiet = async () => {
    // What only tells of commits goes after a tenth of a second.
    for (let before = "", now = "-"; before !== now; ) {
      before = now;
      await scheduler.wait(300);
      now = JSON.stringify(await Promise.all(voters.map(async (id) => (await status(id)).counters)));
    }
  };
  return { name, stub, ask, write, status, quiet, voters };
}

/** A client of a replica's own socket. */
export async function connect(
  stub: { fetch(request: Request): Promise<Response> },
  grants = ALL,
  tokenId: string | null = null,
  expiresAt: number | null = null,
) {
  const actor = { project: "main", subject: "test", tokenId, expiresAt, grants };
  const headers = { upgrade: "websocket", "sec-websocket-protocol": SUBPROTOCOL, [ACTOR_HEADER]: JSON.stringify(actor) };
  const { webSocket } = await stub.fetch(new Request("https://group/", { headers }));
  const socket = webSocket!;
  const frames: ServerFrame[] = [];
  const closed = { code: 0, reason: "" };
  socket.accept();
  socket.addEventListener("message", ({ data }) => void frames.push(parseServerFrame(String(data))));
  socket.addEventListener("close", ({ code, reason }) => void Object.assign(closed, { code, reason }));
  const until = async (done: () => boolean) => {
    for (let tries = 0; tries < 500 && !done(); tries++) await scheduler.wait(10);
    expect(done(), JSON.stringify(frames)).toBe(true);
  };
  const events = (id: number) =>
    frames.flatMap((frame) => (frame.type === "data" && frame.id === id ? (frame.payload as { events: unknown[] }).events : []));
  const results = () => frames.flatMap((frame) => (frame.type === "result" ? frame.results : []));
  return { socket, frames, closed, until, events, results };
}

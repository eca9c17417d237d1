import { evictDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { DEFAULT_SCOPE, objectName } from "../../core/wire/names.ts";
import { projectStub } from "../../workers/middleware/keyring.ts";
import { call, mint, problem } from "./gate-kit.ts";

/** Far beyond the ten seconds that are promised, so that a busy machine does not fail a test. */
const WAIT_MS = 60_000;

type Closed = { code: number; reason: string };

/** Opens a socket as a browser would, with `?token=`, and keeps what it hears. */
async function open(path: string, token: string) {
  const response = await call(`${path}${path.includes("?") ? "&" : "?"}token=${token}`, { token: null, headers: { upgrade: "websocket" } });
  if (response.webSocket === null) throw new Error(`${response.status} ${await response.text()}`);
  const socket = response.webSocket;
  const heard: unknown[] = [];
  let waiting: (() => void)[] = [];
  let closed: Closed | null = null;
  const wake = () => {
    for (const each of waiting) each();
    waiting = [];
  };
  socket.addEventListener("message", ({ data }) => {
    heard.push(data);
    wake();
  });
  socket.addEventListener("close", ({ code, reason }) => {
    closed = { code, reason };
    wake();
  });
  socket.accept();
  const until = async <T>(what: () => T | null | undefined | false): Promise<T> => {
    const end = Date.now() + WAIT_MS;
    for (;;) {
      const found = what();
      if (found) return found;
      if (Date.now() > end) throw new Error(`nothing of the kind in ${WAIT_MS} ms: ${JSON.stringify(heard)}`);
      await Promise.race([new Promise<void>((resolve) => waiting.push(resolve)), scheduler.wait(100)]);
    }
  };
  const frame = (type: string) =>
    until(() => heard.map((data) => (typeof data === "string" ? JSON.parse(data) : {})).find((each) => each.type === type));
  return { socket, heard, frame, closing: () => until(() => closed) };
}

const streams = [{ capability: "streams", name: "*", rights: ["read"] }];
const rooms = [{ capability: "rooms", name: "*", rights: ["write"] }];
const revoke = async (id: string) => expect((await call(`/v1/tokens/${id}`, { method: "DELETE" })).status).toBe(204);

describe("a socket that only listens", () => {
  it("[TK5] in a room, asleep, closes with its token", async () => {
    const [mine, other] = [await mint(rooms), await mint(rooms)];
    const [listener, stays] = [await open("/v1/rooms/quiet", mine.token), await open("/v1/rooms/quiet", other.token)];
    const room = env.ROOM.getByName(objectName(DEFAULT_SCOPE, "rooms", "quiet"));
    await evictDurableObject(room);
    await evictDurableObject(projectStub(env, DEFAULT_SCOPE));
    await revoke(mine.id);
    expect((await listener.closing()).code).toBe(4409);
    expect(stays.socket.readyState).toBe(WebSocket.OPEN);
    stays.socket.close();
  });

  it("[TK5] of a table closes with its token", async () => {
    const { token, id } = await mint(streams);
    const listener = await open("/v1/tables/delays/live?v=1", token);
    await listener.frame("hello");
    listener.socket.send(JSON.stringify({ type: "subscribe", id: 1, target: "delays/0", credit: 10 }));
    await listener.frame("subscribed");
    await revoke(id);
    expect((await listener.closing()).code).toBe(4409);
  });

  it("[TK5] of a table hears nothing more if it subscribes after its token was revoked", async () => {
    const { token, id } = await mint(streams);
    const late = await open("/v1/tables/delays/live?v=1", token);
    await late.frame("hello");
    await revoke(id);
    // Both rounds of the notice are over: nobody will tell the task again.
    await scheduler.wait(5_000);
    if (late.socket.readyState === WebSocket.OPEN)
      late.socket.send(JSON.stringify({ type: "subscribe", id: 1, target: "delays/1", credit: 10 }));
    expect((await late.closing()).code).toBe(4409);
    expect(late.heard.filter((data) => String(data).includes("subscribed"))).toEqual([]);
  });
});

describe("an answer that goes on, over a socket of the Worker's own", () => {
  const name = btoa("door");
  const group = async (path: string, json: unknown, token?: string) =>
    call(`/v1/groups/revoked/v3/${path}`, { json, ...(token !== undefined && { token }) });

  it("[TK5] of a watch, or of a wait for a lock, ends with its token, and says why", async () => {
    expect((await call("/v1/groups/revoked", { method: "PUT" })).ok).toBe(true);
    const { key } = (await (await group("lock/lock", { name })).json()) as { key: string };
    const { token, id } = await mint([{ capability: "groups", name: "revoked", rights: ["write"] }]);
    const watch = await group("watch", { create_request: { key: btoa("k") } }, token);
    const waits = await group("lock/lock", { name }, token);
    expect([watch.status, waits.status]).toEqual([200, 200]);
    await revoke(id);
    const said = await Promise.race([Promise.all([watch.text(), waits.text()]), scheduler.wait(WAIT_MS).then(() => ["still open"])]);
    expect(said).toEqual([
      expect.stringMatching(/"created":true.*"grpc_code":16.*invalid auth token/s),
      expect.stringMatching(/^ *\{.*invalid auth token.*"code":16/s),
    ]);
    // Nor is its place in the line left behind.
    expect((await group("lock/unlock", { key })).status).toBe(200);
    await expect
      .poll(async () => (await (await group("kv/range", { key: name, range_end: btoa("doos") })).json()) as object)
      .not.toHaveProperty("kvs");
  });
});

describe("an upgrade", () => {
  it("[GT3] needs the right, and an Upgrade header", async () => {
    const { token } = await mint(rooms);
    const headers = { upgrade: "websocket" };
    for (const [path, caller, status, code] of [
      ["/v1/rooms/a", null, 401, "token_missing"],
      ["/v1/tables/delays/live?v=1", token, 403, "forbidden"],
      ["/v1/tables/none/live?v=1", token, 404, "table_not_found"],
    ] as const) {
      const response = await call(path, { token: caller, headers });
      expect([response.status, (await problem(response)).code], path).toEqual([status, code]);
    }
    const plain = await call("/v1/tables/delays/live?v=1");
    expect([plain.status, (await problem(plain)).code]).toEqual([400, "bad_request"]);
  });
});

import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import * as decoding from "lib0/decoding";
import * as encoding from "lib0/encoding";
import { afterEach, describe, expect, it } from "vitest";
import * as syncProtocol from "y-protocols/sync";
import * as Y from "yjs";
import { awarenessFrame, decodeFrame, type PresenceState } from "../../core/crdt/protocol.ts";
import { ACTOR_HEADER, type Actor, type Right } from "../../core/wire/grant.ts";
import { Alarms } from "../../durable-objects/shared/alarms.ts";
import { asking } from "../../durable-objects/shared/refusals.ts";

const admin = { authorization: `Bearer ${env.SKERRY_ADMIN_KEY}` };
const call = (path: string, init: RequestInit = {}) => exports.default.fetch(new Request(`http://skerry.test${path}`, init));
const BINARY = { "content-type": "application/octet-stream" };

let made = 0;
function freshRoom() {
  const name = `room-${++made}`;
  return { name, stub: env.ROOM.getByName(`v1/main/global/rooms/${name}`) };
}
type Stub = ReturnType<typeof freshRoom>["stub"];

const open: Client[] = [];
afterEach(() => {
  for (const client of open.splice(0)) client.socket.close();
});

/** A client over a socket of the runtime, speaking what y-websocket speaks. */
class Client {
  readonly doc = new Y.Doc();
  readonly presence: PresenceState[] = [];
  readonly extensions: { kind: number; read: decoding.Decoder }[] = [];
  synced = false;
  closed: { code: number; reason: string } | null = null;
  readonly socket: WebSocket;

  constructor(socket: WebSocket, clientId: number) {
    this.socket = socket;
    this.doc.clientID = clientId;
    socket.binaryType = "arraybuffer";
    socket.accept();
    open.push(this);
    socket.addEventListener("message", ({ data }) => this.#receive(new Uint8Array(data as ArrayBuffer)));
    socket.addEventListener("close", ({ code, reason }) => {
      this.closed = { code, reason };
    });
    this.doc.on("update", (update: Uint8Array, origin: unknown) => {
      if (origin !== this) this.#sendSync((encoder) => syncProtocol.writeUpdate(encoder, update));
    });
    this.#sendSync((encoder) => syncProtocol.writeSyncStep1(encoder, this.doc));
  }

  get text(): string {
    return this.doc.getText("note").toString();
  }

  type(text: string): void {
    this.doc.getText("note").insert(this.text.length, text);
  }

  #sendSync(write: (encoder: encoding.Encoder) => void): void {
    const encoder = encoding.createEncoder();
    encoding.writeVarUint(encoder, 0);
    write(encoder);
    this.socket.send(encoding.toUint8Array(encoder));
  }

  #receive(frame: Uint8Array): void {
    const decoder = decoding.createDecoder(frame);
    const type = decoding.readVarUint(decoder);
    if (type === 120) this.extensions.push({ kind: decoding.readVarUint(decoder), read: decoder });
    if (type === 1) {
      const decoded = decodeFrame(frame);
      if (decoded.type === "awareness") this.presence.push(...decoded.states);
    }
    if (type !== 0) return;
    const encoder = encoding.createEncoder();
    encoding.writeVarUint(encoder, 0);
    if (syncProtocol.readSyncMessage(decoder, encoder, this.doc, this) === 1) this.synced = true;
    if (encoding.length(encoder) > 1) this.socket.send(encoding.toUint8Array(encoder));
  }
}

function actor(rights: Right[], more: Partial<Actor> = {}): Actor {
  return { project: "main", subject: "ada", tokenId: null, expiresAt: null, grants: [{ capability: "rooms", name: "*", rights }], ...more };
}

async function connect(stub: Stub, who: Actor = actor(["write"]), query = ""): Promise<Client> {
  const headers = { upgrade: "websocket", [ACTOR_HEADER]: JSON.stringify(who) };
  const { webSocket } = await stub.fetch(`http://skerry.test/v1/rooms/x${query}`, { headers });
  return new Client(webSocket as WebSocket, 1_000 + open.length);
}

async function until(what: () => boolean | Promise<boolean>, within = 60_000): Promise<void> {
  const end = Date.now() + within;
  while (!(await what())) {
    if (Date.now() > end) throw new Error(`Did not happen within ${within} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const settled = async (stub: Stub) => until(async () => (await stub.stats()).value.pendingBytes === 0);

function updateOf(client: number, write: (doc: Y.Doc) => void): Uint8Array {
  const doc = new Y.Doc();
  doc.clientID = client;
  write(doc);
  return Y.encodeStateAsUpdate(doc);
}

const json = async (stub: Stub) => JSON.parse((await stub.read("json")).value as string);

/** A room with two connected writers and the text "kept". */
async function roomWithTwo(): Promise<{ name: string; stub: Stub; ada: Client; bob: Client }> {
  const { name, stub } = freshRoom();
  const ada = await connect(stub);
  const bob = await connect(stub);
  ada.type("kept");
  ada.socket.send(awarenessFrame([{ client: 1, clock: 0, json: '{"name":"Ada"}' }]));
  await until(() => bob.text === "kept" && bob.presence.length > 0);
  await settled(stub);
  return { name, stub, ada, bob };
}

describe("waking at each entry point", () => {
  it("fetch: a joiner gets the document and who is present", async () => {
    const { stub } = await roomWithTwo();
    await evictDurableObject(stub);
    const eve = await connect(stub);
    await until(() => eve.text === "kept" && eve.presence.length > 0);
    expect(eve.presence).toEqual([{ client: 1, clock: 0, json: '{"name":"Ada"}' }]);
  });

  it("webSocketMessage: an edit reaches the others and is stored", async () => {
    const { stub, ada, bob } = await roomWithTwo();
    await evictDurableObject(stub);
    bob.type(" and more");
    await until(() => ada.text === "kept and more");
    await settled(stub);
    await evictDurableObject(stub, { webSockets: "close" });
    expect(await json(stub)).toEqual({ note: "kept and more" });
  });

  it("webSocketClose: the others see exactly that client leave", async () => {
    const { stub, ada, bob } = await roomWithTwo();
    await evictDurableObject(stub);
    bob.presence.length = 0;
    ada.socket.close(1000);
    // Asked over and over, the object does not hibernate, which would also end what it should have ended at once.
    await until(async () => (await stub.stats()) !== null && bob.presence.length > 0 && ada.closed !== null);
    expect(bob.presence).toEqual([{ client: 1, clock: 0, json: "null" }]);
    expect((await stub.stats()).value.connections).toBe(1);
  });

  it("alarm: compacts into a snapshot from which everything comes back", async () => {
    const { stub, ada } = await roomWithTwo();
    for (let i = 0; i < 40; i++) {
      ada.doc.getMap("m").set("k", `${i}`.padEnd(4_000, "x"));
      if (i % 10 === 9) await settled(stub);
    }
    await settled(stub);
    expect((await stub.stats()).value).toMatchObject({ snapshotBytes: 0 });
    await runInDurableObject(stub, (_instance, { storage }) => {
      const alarms = new Alarms(storage);
      expect(alarms.at("compact")).toBeGreaterThan(0);
      alarms.schedule("compact", Date.now() - 1); // not to wait for it
    });
    await evictDurableObject(stub);
    await runDurableObjectAlarm(stub);
    const { value: stats } = await stub.stats();
    expect(stats).toMatchObject({ journalRows: 0, journalBytes: 0 });
    expect(stats.snapshotBytes).toBeGreaterThan(4_000);
    expect(stats.snapshotBytes).toBeLessThan(5_000);
    await evictDurableObject(stub, { webSockets: "close" });
    expect((await json(stub)).note).toBe("kept");
  });

  it("each RPC: read, applyUpdate, applyMap, stats, revoked, erase", async () => {
    const { stub, ada, bob } = await roomWithTwo();
    await evictDurableObject(stub);
    const whole = new Y.Doc();
    Y.applyUpdate(whole, (await stub.read("update")).value as Uint8Array);
    expect(whole.getText("note").toString()).toBe("kept");
    await evictDurableObject(stub);
    expect((await stub.read("state-vector")).value).toEqual(Y.encodeStateVector(whole));
    await evictDurableObject(stub);
    const update = updateOf(9, (doc) => doc.getMap("m").set("posted", 1));
    expect((await stub.applyUpdate(update)).value).toEqual({ changed: true });
    await evictDurableObject(stub);
    expect((await stub.applyUpdate(update)).value).toEqual({ changed: false });
    await evictDurableObject(stub);
    const write = { map: "m", source: "task", seq: 1, set: { streamed: 2 }, delete: [] };
    expect((await stub.applyMap(write)).value).toEqual({ applied: true, changed: true });
    await evictDurableObject(stub);
    expect((await stub.applyMap(write)).value).toEqual({ applied: false, changed: false });
    await until(() => bob.doc.getMap("m").size === 2 && ada.doc.getMap("m").size === 2);
    await evictDurableObject(stub);
    expect((await stub.stats()).value.connections).toBe(2);
    await evictDurableObject(stub);
    await stub.revoked("nobody");
    expect((await stub.stats()).value.connections).toBe(2);
    await evictDurableObject(stub);
    expect((await stub.erase()).value).toEqual({ erased: true });
    await until(() => ada.closed !== null && bob.closed !== null);
    expect(ada.closed).toMatchObject({ code: 4404 });
  });
});

describe("hibernation and durability", () => {
  it("holds no timer once written: an eviction keeps the sockets, and nothing is lost without them", async () => {
    const { stub } = await roomWithTwo();
    await evictDurableObject(stub, { webSockets: "close" });
    expect(await json(stub)).toEqual({ note: "kept" });
    expect((await stub.stats()).value.connections).toBe(0);
  });

  it("acknowledges durable edits to those who asked, and says hello with the epoch", async () => {
    const { stub } = freshRoom();
    const ada = await connect(stub, actor(["write"]), "?ack=1");
    ada.type("a");
    ada.type("b");
    await until(() => ada.extensions.length >= 2);
    const [hello, persisted] = ada.extensions as [(typeof ada.extensions)[0], (typeof ada.extensions)[0]];
    expect([hello.kind, decoding.readVarUint(hello.read), decoding.readVarString(hello.read)]).toEqual([
      0,
      1,
      (await stub.stats()).value.epoch,
    ]);
    expect(persisted.kind).toBe(1);
    // The step 2 that the room asked for, and two updates.
    await until(() => ada.extensions.some(({ kind, read }) => kind === 1 && decoding.readVarUint(decoding.clone(read)) === 3));
  });

  it("writes few rows for many edits", async () => {
    const { stub } = freshRoom();
    const ada = await connect(stub);
    await until(() => ada.synced);
    const before = (await stub.stats()).value;
    ada.doc.transact(() => ada.type("x"));
    for (let i = 0; i < 50; i++) ada.type("y");
    await settled(stub);
    const after = (await stub.stats()).value;
    expect(after.journalRows - before.journalRows).toBeLessThanOrEqual(15);
    expect(after.position - before.position).toBe(after.journalRows - before.journalRows);
  });

  it("an object that is only asked stores nothing", async () => {
    const { name, stub } = freshRoom();
    await expect(asking(env).ROOM.getByName(`v1/main/global/rooms/${name}`).read("json")).rejects.toMatchObject({ code: "room_not_found" });
    await stub.revoked("nobody");
    await runInDurableObject(stub, (_instance, { storage }) => {
      expect(storage.sql.exec("SELECT name FROM sqlite_master WHERE name NOT LIKE '_cf_%'").toArray()).toEqual([]);
    });
  });
});

describe("who may do what, and for how long", () => {
  it("a reader follows and is present, and its edits are not taken", async () => {
    const { stub, ada } = await roomWithTwo();
    const reader = await connect(stub, actor(["read"]));
    await until(() => reader.text === "kept");
    reader.type(" not");
    reader.socket.send(awarenessFrame([{ client: 7, clock: 0, json: "{}" }]));
    await until(() => ada.presence.some(({ client }) => client === 7));
    expect([ada.text, await json(stub)]).toEqual(["kept", { note: "kept" }]);
  });

  it("closes the sockets of a revoked token, and no others", async () => {
    const { stub, ada } = await roomWithTwo();
    const guest = await connect(stub, actor(["write"], { tokenId: "t1", subject: "guest" }));
    await until(() => guest.synced);
    await evictDurableObject(stub);
    await stub.revoked("t1");
    await until(() => guest.closed !== null);
    expect(guest.closed).toMatchObject({ code: 4409, reason: expect.stringContaining("token_revoked") });
    expect(ada.closed).toBeNull();
  });

  it("closes a socket when its token expires, even if it only listens", async () => {
    const { stub, ada } = await roomWithTwo();
    const guest = await connect(stub, actor(["read"], { tokenId: "t2", expiresAt: Date.now() + 2_000 }));
    await until(() => guest.synced);
    await evictDurableObject(stub);
    await until(() => guest.closed !== null);
    expect(guest.closed).toMatchObject({ code: 4408, reason: expect.stringContaining("token_expired") });
    expect(ada.closed).toBeNull();
    await runInDurableObject(stub, (_instance, { storage }) => expect(new Alarms(storage).at("expire")).toBeNull());
  });

  it("refuses a client of another epoch by closing with 4412", async () => {
    const { stub } = await roomWithTwo();
    const { epoch } = (await stub.stats()).value;
    const same = await connect(stub, actor(["write"]), `?epoch=${epoch}`);
    await until(() => same.synced);
    const other = await connect(stub, actor(["write"]), "?epoch=another");
    await until(() => other.closed !== null);
    expect(other.closed).toMatchObject({ code: 4412 });
  });

  it("begins a new epoch after it was erased", async () => {
    const { stub } = await roomWithTwo();
    const { epoch } = (await stub.stats()).value;
    await stub.erase();
    expect(await runDurableObjectAlarm(stub)).toBe(false);
    const later = await connect(stub);
    await until(() => later.synced);
    expect(later.text).toBe("");
    expect((await stub.stats()).value.epoch).not.toBe(epoch);
  });

  it("closes on bad frames, text and binary, and keeps what came before", async () => {
    const { stub } = await roomWithTwo();
    const [one, two] = [await connect(stub), await connect(stub)];
    one.socket.send("hello");
    two.socket.send(new Uint8Array([0, 2, 3, 9, 9, 9]));
    await until(() => one.closed !== null && two.closed !== null);
    expect([one.closed?.code, two.closed?.code]).toEqual([4400, 4400]);
    expect(await json(stub)).toEqual({ note: "kept" });
  });
});

describe("the routes", () => {
  async function token(rights: Right[], name = "*", expiresIn = 60): Promise<{ token: string; id: string }> {
    const body = JSON.stringify({ grants: [{ capability: "rooms", name, rights }], expiresIn });
    const response = await call("/v1/tokens", { method: "POST", headers: { ...admin, "content-type": "application/json" }, body });
    return response.json();
  }

  async function upgrade(path: string): Promise<Client> {
    const response = await call(path, { headers: { upgrade: "websocket" } });
    expect(response.status).toBe(101);
    return new Client(response.webSocket as WebSocket, 2_000 + open.length);
  }

  const code = async (response: Response) => [response.status, ((await response.json()) as { code: string }).code];

  it("connects with ?token=, writes and reads by REST, lists, deletes", async () => {
    const { name } = freshRoom();
    const { token: t } = await token(["read", "write"]);
    const ada = await upgrade(`/v1/rooms/${name}?token=${t}`);
    ada.type("live");
    const update = updateOf(5, (doc) => doc.getMap("board").set("ATL", { mean: 12 }));
    const posted = await call(`/v1/rooms/${name}/doc`, {
      method: "POST",
      headers: { ...admin, ...BINARY },
      body: update as Uint8Array<ArrayBuffer>,
    });
    expect([posted.status, await posted.json(), posted.headers.get("skerry-level")]).toEqual([200, { changed: true }, "durable"]);
    await until(() => ada.doc.getMap("board").has("ATL"));
    const read = await call(`/v1/rooms/${name}/doc`, { headers: admin });
    expect([read.headers.get("content-type"), await read.json()]).toEqual([
      "application/json",
      { board: { ATL: { mean: 12 } }, note: "live" },
    ]);
    expect(read.headers.get("skerry-context")).not.toBeNull();
    const vector = btoa(String.fromCharCode(...Y.encodeStateVector(ada.doc)))
      .replaceAll("+", "-")
      .replaceAll("/", "_")
      .replaceAll("=", "");
    const diff = await call(`/v1/rooms/${name}/doc?vector=${vector}`, { headers: admin });
    expect(new Uint8Array(await diff.arrayBuffer())).toEqual(new Uint8Array([0, 0]));
    const whole = await call(`/v1/rooms/${name}/doc`, { headers: { ...admin, accept: "application/octet-stream" } });
    const copy = new Y.Doc();
    Y.applyUpdate(copy, new Uint8Array(await whole.arrayBuffer()));
    expect(copy.getText("note").toString()).toBe("live");
    await until(async () => JSON.stringify(await (await call("/v1/rooms?limit=1000", { headers: admin })).json()).includes(`"${name}"`));
    expect(await (await call(`/v1/rooms/${name}`, { headers: admin })).json()).toMatchObject({ name, connections: 1 });
    expect((await call(`/v1/rooms/${name}`, { method: "DELETE", headers: admin })).status).toBe(204);
    await until(() => ada.closed !== null);
    expect(await code(await call(`/v1/rooms/${name}`, { headers: admin }))).toEqual([404, "room_not_found"]);
    expect(await code(await call(`/v1/rooms/${name}`, { method: "DELETE", headers: admin }))).toEqual([404, "room_not_found"]);
  });

  it("revoking a token through the API closes its listening socket, and an expired one cannot be used", async () => {
    const { name } = freshRoom();
    const { token: t, id } = await token(["read"]);
    const guest = await upgrade(`/v1/rooms/${name}?token=${t}`);
    await until(() => guest.synced);
    expect((await call(`/v1/tokens/${id}`, { method: "DELETE", headers: admin })).ok).toBe(true);
    await until(() => guest.closed !== null);
    expect(guest.closed?.code).toBe(4409);
  });

  it("refreshes a token in-band: the socket outlives the old one", async () => {
    const { name, stub } = freshRoom();
    const { token: t } = await token(["read"], "*", 3);
    const guest = await upgrade(`/v1/rooms/${name}?ack=1&token=${t}`);
    const refreshed = await call("/v1/tokens/refresh", { method: "POST", headers: { authorization: `Bearer ${t}` } });
    expect(refreshed.status).toBeLessThan(300);
    const successor = (await refreshed.json()) as { token: string; expiresAt: number };
    const send = (text: string) => {
      const encoder = encoding.createEncoder();
      encoding.writeVarUint(encoder, 120);
      encoding.writeVarUint(encoder, 16);
      encoding.writeVarString(encoder, text);
      guest.socket.send(encoding.toUint8Array(encoder));
    };
    send(successor.token);
    await until(() => guest.extensions.some(({ kind }) => kind === 2));
    send((await token(["read"])).token);
    await until(() => guest.extensions.some(({ kind }) => kind === 3));
    send("nonsense");
    await until(() => guest.extensions.filter(({ kind }) => kind === 3).length === 2);
    expect(guest.closed).toBeNull();
    expect((await stub.stats()).value.connections).toBe(1);
  });

  it.each<[string, (name: string, reader: string) => Promise<Response>, [number, string]]>([
    ["no token", (name) => call(`/v1/rooms/${name}`), [401, "token_missing"]],
    [
      "a reader that writes",
      (name, t) => call(`/v1/rooms/${name}/doc?token=${t}`, { method: "POST", headers: BINARY, body: "\0\0" }),
      [403, "forbidden"],
    ],
    ["a reader that deletes", (name, t) => call(`/v1/rooms/${name}?token=${t}`, { method: "DELETE" }), [403, "forbidden"]],
    [
      "another content type",
      (name) => call(`/v1/rooms/${name}/doc`, { method: "POST", headers: { ...admin, "content-type": "text/plain" }, body: "x" }),
      [415, "content_type"],
    ],
    [
      "an update that is none",
      (name) => call(`/v1/rooms/${name}/doc`, { method: "POST", headers: { ...admin, ...BINARY }, body: "nonsense" }),
      [400, "bad_frame"],
    ],
    ["a vector that is not base64url", (name) => call(`/v1/rooms/${name}/doc?vector=*`, { headers: admin }), [400, "bad_query"]],
    ["a vector that is none", (name) => call(`/v1/rooms/${name}/doc?vector=AwE`, { headers: admin }), [400, "bad_frame"]],
    ["a document that does not exist", () => call("/v1/rooms/never-made/doc", { headers: admin }), [404, "room_not_found"]],
    ["a name that is too long", () => call(`/v1/rooms/${"x".repeat(257)}`, { headers: admin }), [400, "bad_request"]],
  ])("answers %s with its own code", async (_what, request, expected) => {
    const { name, stub } = freshRoom();
    await stub.applyUpdate(updateOf(1, (doc) => doc.getText("note").insert(0, "x")));
    const { token: reader } = await token(["read"]);
    expect(await code(await request(name, reader))).toEqual(expected);
  });
});

import { execFile } from "node:child_process";
import { promisify } from "node:util";
import * as decoding from "lib0/decoding";
import * as encoding from "lib0/encoding";
import { describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { WebsocketProvider } from "y-websocket";
import * as Y from "yjs";
import { ROOM_OPTIONS } from "../../core/crdt/options.ts";
import { type Server, startServer } from "./harness.ts";

type Stock = { doc: Y.Doc; provider: WebsocketProvider };

async function token(server: Server, rights: string[]): Promise<string> {
  const response = await fetch(`${server.url}/v1/tokens`, {
    method: "POST",
    headers: { authorization: `Bearer ${server.adminKey}`, "content-type": "application/json" },
    body: JSON.stringify({ grants: [{ capability: "rooms", name: "flight-desk", rights }], expiresIn: 3600 }),
  });
  return ((await response.json()) as { token: string }).token;
}

/** The provider as it comes; only the WebSocket is Node's. */
function join(server: Server, credential: string): Stock {
  const doc = new Y.Doc();
  const options = { params: { token: credential }, WebSocketPolyfill: WebSocket as never, disableBc: true, maxBackoffTime: 200 };
  return { doc, provider: new WebsocketProvider(`${server.wsUrl}/v1/rooms`, "flight-desk", doc, options) };
}

function leave(...clients: Stock[]): void {
  for (const { doc, provider } of clients) {
    provider.destroy();
    doc.destroy();
  }
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function until(what: () => boolean | Promise<boolean>, within = 60_000): Promise<void> {
  const end = Date.now() + within;
  while (!(await what())) {
    if (Date.now() > end) throw new Error(`Did not happen within ${within} ms: ${what}`);
    await pause(2);
  }
}

const asAdmin = ({ adminKey }: Server) => ({ headers: { authorization: `Bearer ${adminKey}` } });

/** Waits until what the room has taken is on disk. */
const settled = (server: Server) =>
  until(async () => {
    const response = await fetch(`${server.url}/v1/rooms/flight-desk`, asAdmin(server));
    return ((await response.json()) as { pendingBytes: number }).pendingBytes === 0;
  });

const text = ({ doc }: Stock): string => doc.getText("note").toString();

describe("stock y-websocket", () => {
  it("syncs edits and presence live, and finds the document again after a restart", async () => {
    let server = await startServer();
    const write = await token(server, ["read", "write"]);
    const read = await token(server, ["read"]);
    const [ada, bob, guest] = [join(server, write), join(server, write), join(server, read)];
    await until(() => ada.provider.synced && bob.provider.synced && guest.provider.synced);
    ada.doc.getText("note").insert(0, "runway 27 closed");
    ada.provider.awareness.setLocalState({ name: "Ada" });
    await until(() => text(bob) === "runway 27 closed" && text(guest) === text(ada));
    await until(() => bob.provider.awareness.getStates().get(ada.doc.clientID)?.name === "Ada");
    guest.doc.getText("note").insert(0, "not mine to write: ");
    bob.doc.getText("note").insert(0, "09:00 ");
    await until(() => text(ada) === "09:00 runway 27 closed");
    await settled(server);

    server = await server.restart();
    leave(guest);
    await until(() => ada.provider.synced && bob.provider.synced);
    bob.doc.getText("note").insert(0, "Mon ");
    await until(() => text(ada) === "Mon 09:00 runway 27 closed");
    ada.provider.disconnect();
    await until(() => !bob.provider.awareness.getStates().has(ada.doc.clientID));
    leave(ada, bob);
    await settled(server);
    await server.stop();
    server = await server.restart();
    const later = join(server, write);
    await until(() => later.provider.synced);
    expect(text(later)).toBe("Mon 09:00 runway 27 closed");
    leave(later);
  });

  it("runs the example", async () => {
    const server = await startServer();
    const run = () =>
      promisify(execFile)(process.execPath, ["examples/hello-room/hello.mjs"], {
        env: { ...process.env, SKERRY_URL: server.url, SKERRY_ADMIN_KEY: server.adminKey },
      });
    const { stdout } = await run();
    expect(stdout).toMatch(/Bob reads: hello at/);
    expect(stdout).toMatch(/Bob sees: .*Ada/);
    expect(stdout).toMatch(/REST reads: \{"note":"hello at/);
    expect((await run()).stdout.match(/hello at [^.]*\. hello at/)).not.toBeNull();
  });

  it("stops reconnecting, as it does for 44xx, when the room is deleted", async () => {
    const server = await startServer();
    const ada = join(server, await token(server, ["write"]));
    await until(() => ada.provider.synced);
    const closed = new Promise<{ code: number }>((resolve) => ada.provider.on("closed", resolve));
    await fetch(`${server.url}/v1/rooms/flight-desk`, { method: "DELETE", headers: { authorization: `Bearer ${server.adminKey}` } });
    expect((await closed).code).toBe(4404);
    leave(ada);
  });
});

describe("the end of a server", () => {
  it.each(["SIGTERM", "Ctrl-C"] as const)("by %s: what the room has taken is written first", async (how) => {
    let server = await startServer();
    const credential = await token(server, ["read", "write"]);
    const [writer, observer] = [join(server, credential), join(server, credential)];
    await until(() => writer.provider.synced && observer.provider.synced);
    await settled(server);
    // Relayed, so the room has it; and not written yet, for a commit delay.
    const relayed = new Promise<void>((resolve) => observer.doc.on("update", () => resolve()));
    writer.doc.getText("note").insert(0, "last words");
    await relayed;
    const stopped = server.stop(how);
    // Nobody who still holds the edit may come back.
    leave(writer, observer);
    await stopped;
    server = await server.restart();
    const response = await fetch(`${server.url}/v1/rooms/flight-desk/doc`, asAdmin(server));
    expect(await response.json()).toEqual({ note: "last words" });
  });
});

/** A client with extension frames that only writes: it counts what the room says is durable. */
async function acknowledged(server: Server, credential: string): Promise<{ write(key: string): void; durable(): string[]; close(): void }> {
  const socket = new WebSocket(`${server.wsUrl}/v1/rooms/flight-desk?ack=1&token=${credential}`);
  socket.binaryType = "arraybuffer";
  const doc = new Y.Doc();
  const sent: string[] = [];
  let count = 0;
  socket.on("message", (data: ArrayBuffer) => {
    const decoder = decoding.createDecoder(new Uint8Array(data));
    if (decoding.readVarUint(decoder) === 120 && decoding.readVarUint(decoder) === 1) count = decoding.readVarUint(decoder);
  });
  socket.on("error", () => {});
  await new Promise((resolve) => socket.on("open", resolve));
  doc.on("update", (update: Uint8Array) => {
    const encoder = encoding.createEncoder();
    encoding.writeVarUint(encoder, 0);
    encoding.writeVarUint(encoder, 2);
    encoding.writeVarUint8Array(encoder, update);
    socket.send(encoding.toUint8Array(encoder));
  });
  return {
    write(key) {
      sent.push(key);
      doc.getMap("acked").set(key, true);
    },
    durable: () => sent.slice(0, count),
    close: () => socket.terminate(),
  };
}

/** How many edits of each round must be durable before it is ended: enough to find a loss, whatever the machine's speed. */
const DURABLE = 50;

describe("SIGKILL of the process group", () => {
  it("loses no acknowledged update, and none that the room had before one of them: counted over five kills", async () => {
    let server = await startServer();
    const credential = await token(server, ["read", "write"]);
    const survived: string[] = [];
    const total = { sent: 0, seen: 0, old: 0, lost: 0, late: 0, lateLost: 0, acknowledged: 0 };
    for (let round = 0; round < 5; round++) {
      const [writer, observer] = [join(server, credential), join(server, credential)];
      const counted = await acknowledged(server, credential);
      await until(() => writer.provider.synced && observer.provider.synced);
      /** What the observer got, and when: the room had it by then at the latest. */
      const seen: { key: string; at: number }[] = [];
      observer.doc.getMap("kept").observe(({ keysChanged }) => {
        for (const key of keysChanged) seen.push({ key, at: Date.now() });
      });
      /** How much the observer had when the n-th edit was sent that is to be acknowledged: a commit is of all that the room has. */
      const seenBefore: number[] = [];
      const old = () => seen.slice(0, seenBefore[counted.durable().length - 1] ?? 0).map(({ key }) => key);
      let n = 0;
      const write = async () => {
        writer.doc.getMap("kept").set(`${round}-${n}`, n);
        seenBefore.push(seen.length);
        counted.write(`${round}-${n}`);
        n++;
        await pause(2);
      };
      const end = Date.now() + 60_000;
      while (old().length < DURABLE && Date.now() < end) await write();
      // Not right after a commit, but anywhere.
      for (let more = 0; more < 7 * round; more++) await write();
      const killedAt = Date.now();
      const killed = server.kill();
      const [durable, before] = [counted.durable(), old()];
      await killed;
      // Nobody who still holds the edits may come back: what is there afterwards was on disk.
      leave(writer, observer);
      counted.close();
      server = await server.restart();
      const reader = join(server, credential);
      await until(() => reader.provider.synced);
      const kept = reader.doc.getMap("kept");
      const acked = reader.doc.getMap("acked");
      survived.push(...before);
      const late = seen.filter(({ at }) => at < killedAt - ROOM_OPTIONS.commitDelay);
      total.sent += n;
      total.seen += seen.length;
      total.old += before.length;
      total.lost += before.filter((key) => !kept.has(key)).length;
      total.late += late.length;
      total.lateLost += late.filter(({ key }) => !kept.has(key)).length;
      total.acknowledged += durable.length;
      expect(durable.filter((key) => !acked.has(key))).toEqual([]);
      expect(survived.filter((key) => !kept.has(key))).toEqual([]);
      leave(reader);
    }
    console.log(
      `five kills: ${total.sent} sent, ${total.seen} relayed, ${total.acknowledged} acknowledged of which 0 lost, ${total.old} relayed before ` +
        `one of those of which ${total.lost} lost; by the clock, ${total.late} relayed longer ago than the commit delay, ${total.lateLost} lost`,
    );
    expect(total.old).toBeGreaterThanOrEqual(5 * DURABLE);
    expect(total.acknowledged).toBeGreaterThanOrEqual(5 * DURABLE);
    await server.close();
  });
});

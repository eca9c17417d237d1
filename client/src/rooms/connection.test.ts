import { describe, expect, it } from "vitest";
import * as Y from "yjs";
import { joined } from "../testing/joined.fixture.ts";
import { RoomServer } from "../testing/room.fixture.ts";
import { connectRoom, type RoomStatus } from "./index.ts";

const COMMIT = 50;

/** Whether a promise has settled, without waiting for it. */
function watch(promise: Promise<unknown>) {
  const seen: { state: "pending" | "done" | "failed"; reason: unknown } = { state: "pending", reason: null };
  promise.then(
    () => {
      seen.state = "done";
    },
    (reason) => {
      seen.state = "failed";
      seen.reason = reason;
    },
  );
  return seen;
}

const updates = (frames: Uint8Array[]) => frames.filter(([type, kind]) => type === 0 && kind === 2);
const stored = (server: RoomServer) => server.room.shadow.getText("note").toString();

describe("a room", () => {
  it("brings two documents in step, both ways, and tells when", async () => {
    const { server, room: ada, note, time } = await joined();
    note.insert(0, "runway 27 ");
    await time.elapse(100);
    const bob = connectRoom(server.client(), "notes");
    const synced = watch(bob.whenSynced());
    expect([bob.status.state, synced.state]).toEqual(["connecting", "pending"]);
    await time.elapse(100);
    expect([bob.status.state, synced.state]).toEqual(["live", "done"]);
    expect(bob.doc.getText("note").toString()).toBe("runway 27 ");
    bob.doc.getText("note").insert(10, "closed");
    await time.elapse(20);
    expect(note.toString()).toBe("runway 27 closed");
    ada.close();
    bob.close();
    await time.elapse(100);
    expect(server.open).toEqual([]);
  });

  it("says that an edit is durable after it is written, and not before", async () => {
    const { server, room, note, time } = await joined();
    note.insert(0, "x");
    const durable = watch(room.whenDurable());
    expect(room.status).toMatchObject({ unsent: 1, undurable: 1 });
    await time.elapse(20);
    expect(room.status).toMatchObject({ unsent: 0, undurable: 1 });
    expect([stored(server), durable.state]).toEqual(["", "pending"]);
    await time.elapse(COMMIT);
    expect([stored(server), durable.state]).toEqual(["x", "done"]);
    expect(room.status).toMatchObject({ unsent: 0, undurable: 0 });
    expect(watch(room.whenDurable())).toMatchObject({ state: "pending" });
    await room.whenDurable();
  });

  it("waits for edits up to the call only", async () => {
    const { server, room, note, time } = await joined();
    note.insert(0, "a");
    const first = watch(room.whenDurable());
    await time.elapse(58);
    expect(first.state).toBe("pending");
    note.insert(1, "b");
    const second = watch(room.whenDurable());
    await time.elapse(20);
    expect([first.state, second.state, stored(server)]).toEqual(["done", "pending", "a"]);
    await time.elapse(COMMIT);
    expect([second.state, stored(server)]).toEqual(["done", "ab"]);
  });

  it("sends what is edited in one go in one frame", async () => {
    const { server, note, time } = await joined();
    const [socket] = server.open;
    const before = updates(socket!.sent).length;
    for (let i = 0; i < 500; i++) note.insert(i, "x");
    await time.elapse(100);
    expect(updates(socket!.sent).length - before).toBe(1);
    expect(stored(server)).toBe("x".repeat(500));
  });

  it("holds edits back while the network takes nothing, and merges them", async () => {
    const { server, room, note, time } = await joined();
    const [socket] = server.open;
    const before = socket!.sent.length;
    socket!.bufferedAmount = 2 * 1024 * 1024;
    for (let i = 0; i < 5; i++) {
      note.insert(0, "x");
      await time.elapse(60);
    }
    expect(socket!.sent.length).toBe(before);
    expect(room.status.unsent).toBe(5);
    socket!.bufferedAmount = 0;
    await time.elapse(200);
    expect(updates(socket!.sent.slice(before)).length).toBe(1);
    expect(room.status.undurable).toBe(0);
  });

  it("keeps what is edited offline, and before the first connection, and brings it along", async () => {
    const doc = new Y.Doc();
    doc.getText("note").insert(0, "from before. ");
    const server = new RoomServer();
    server.down = true;
    const room = connectRoom(server.client(), "notes", { doc });
    doc.getText("note").insert(0, "offline. ");
    const durable = watch(room.whenDurable());
    await server.time.elapse(5000);
    expect(room.status).toMatchObject({ state: "waiting", error: { code: "unavailable" } });
    expect(room.status.retryAt).toBeGreaterThan(server.time.now);
    server.down = false;
    room.reconnect();
    await server.time.elapse(200);
    expect(room.status).toEqual({ state: "live", readOnly: false, unsent: 0, undurable: 0, error: null, retryAt: null });
    expect([stored(server), durable.state]).toEqual(["offline. from before. ", "done"]);
  });

  it("counts again what was under way when the connection broke", async () => {
    const { server, room, note, time } = await joined();
    note.insert(0, "x");
    const durable = watch(room.whenDurable());
    await time.elapse(10);
    server.crash();
    expect(server.room.shadow.getText("note").length).toBe(0);
    expect(room.status).toMatchObject({ state: "waiting", unsent: 1, undurable: 1 });
    await time.elapse(2000);
    expect([room.status.state, stored(server), durable.state]).toEqual(["live", "x", "done"]);
  });

  it("connects again later after each failure, and at once after one that came back", async () => {
    const { server, room, time } = await joined();
    server.down = true;
    server.crash();
    const waits: number[] = [];
    room.on("status", ({ retryAt }) => retryAt !== null && waits.push(retryAt - time.now));
    await time.elapse(10_000);
    expect(waits.slice(0, 4)).toEqual([...waits.slice(0, 4)].sort((a, b) => a - b));
    expect(waits.length).toBeGreaterThan(3);
    server.down = false;
    await time.elapse(60_000);
    expect(room.status.state).toBe("live");
    server.cut(server.open[0]!);
    await time.elapse(300);
    expect(room.status.state).toBe("live");
  });

  it("finds out why it is not let in, which a browser does not tell", async () => {
    const server = new RoomServer();
    server.down = true;
    const room = connectRoom(server.client(), "notes");
    const synced = watch(room.whenSynced());
    await server.time.elapse(1000);
    expect(room.status.state).toBe("waiting");
    server.down = false;
    server.probe = () => Response.json({ code: "forbidden", detail: "No right." }, { status: 403 });
    await server.time.elapse(10_000);
    expect(room.status).toMatchObject({ state: "closed", error: { code: "forbidden", message: "No right." } });
    expect(synced).toMatchObject({ state: "failed", reason: { code: "forbidden" } });
    await expect(room.whenSynced()).rejects.toMatchObject({ code: "forbidden" });
  });

  it("goes on where a room does not exist yet: connecting makes it", async () => {
    const server = new RoomServer();
    server.down = true;
    const room = connectRoom(server.client(), "notes");
    await server.time.elapse(100);
    server.probe = () => Response.json({ code: "room_not_found", detail: "None." }, { status: 404 });
    server.down = false;
    await server.time.elapse(10_000);
    expect(room.status.state).toBe("live");
  });

  it.each([
    ["room_not_found", "the room was deleted"],
    ["room_full", "no space"],
    ["bad_frame", "what is this"],
    ["token_revoked", "revoked"],
    ["too_large", "too large"],
  ] as const)("closes for good at %s", async (code, detail) => {
    const { server, room, note, time } = await joined();
    note.insert(0, "x");
    const durable = watch(room.whenDurable());
    server.close(server.open[0]!, code, detail);
    await time.elapse(60_000);
    expect(room.status).toMatchObject({ state: "closed", error: { code, message: detail }, undurable: 1 });
    expect(durable).toMatchObject({ state: "failed", reason: { code } });
    await expect(room.whenDurable()).rejects.toMatchObject({ code });
    expect(server.sockets.length).toBe(1);
  });

  it.each(["unavailable", "overloaded", "slow_consumer", "internal"] as const)("comes back after %s", async (code) => {
    const { server, room, time } = await joined();
    server.close(server.open[0]!, code);
    await time.elapse(1000);
    expect(room.status.state).toBe("live");
    expect(server.sockets.length).toBe(2);
  });

  it("never joins another history: the room that was made anew is told the epoch of the copy", async () => {
    const { server, room, note, time } = await joined();
    note.insert(0, "old");
    await time.elapse(100);
    expect(room.epoch).toBe("epoch-1");
    server.epoch = "epoch-2";
    server.cut(server.open[0]!);
    await time.elapse(1000);
    expect(room.status).toMatchObject({ state: "closed", error: { code: "diverged" } });
    const copy = connectRoom(server.client(), "notes", { doc: room.doc, epoch: room.epoch! });
    await time.elapse(100);
    expect(copy.status).toMatchObject({ state: "closed", error: { code: "diverged" } });
  });

  it("refuses an edit that no frame can hold, instead of trying for ever", async () => {
    const { server, room, time } = await joined();
    room.doc.getMap("m").set("huge", "x".repeat(9 * 1024 * 1024));
    await time.elapse(60_000);
    expect(room.status).toMatchObject({ state: "closed", error: { code: "too_large", message: /smaller transactions/ } });
    expect(server.sockets.length).toBe(1);
  });

  it("tells a reader that its edits stay with it", async () => {
    const server = new RoomServer();
    server.mayWrite = false;
    const room = connectRoom(server.client(), "notes");
    await server.time.elapse(100);
    expect(room.status).toMatchObject({ state: "live", readOnly: true });
    await room.whenDurable();
    room.doc.getText("note").insert(0, "x");
    await expect(room.whenDurable()).rejects.toMatchObject({ code: "forbidden", message: /1 local edits stay here/ });
    await server.time.elapse(100);
    expect(updates(server.open[0]!.sent)).toEqual([]);
    server.mayWrite = true;
    server.cut(server.open[0]!);
    await server.time.elapse(2000);
    expect(room.status).toMatchObject({ readOnly: false, undurable: 0 });
    expect(stored(server)).toBe("x");
  });

  it("tells of changes of its status, a burst of them once, until nobody listens", async () => {
    const { room, note, time } = await joined();
    const seen: RoomStatus[] = [];
    const off = room.on("status", (status) => seen.push(status));
    for (let i = 0; i < 10; i++) note.insert(0, "x");
    await time.settle();
    expect(seen.map(({ unsent, undurable }) => [unsent, undurable])).toEqual([
      [10, 10],
      [0, 10],
    ]);
    expect(room.status).toBe(seen[1]);
    off();
    room.close();
    await time.settle();
    expect(seen.length).toBe(2);
    expect(room.status).toMatchObject({ state: "closed", error: null });
    await expect(room.whenDurable()).rejects.toMatchObject({ code: "unavailable", message: /was left/ });
  });

  it("is left when its document is destroyed, and leaves a document that goes on by itself", async () => {
    const { server, room, time } = await joined();
    room.doc.destroy();
    await time.elapse(100);
    expect([room.status.state, server.open.length]).toEqual(["closed", 0]);
    const other = await joined();
    other.room.close();
    other.note.insert(0, "still mine");
    expect(other.note.toString()).toBe("still mine");
  });

  it("survives an observer that throws", async () => {
    const { server, room, time } = await joined();
    room.doc.getText("note").observe(() => {
      throw new Error("observer");
    });
    const bob = connectRoom(server.client(), "notes");
    await time.elapse(100);
    bob.doc.getText("note").insert(0, "x");
    await expect(time.elapse(100)).rejects.toThrow("observer");
    await time.elapse(100);
    expect([room.status.state, room.doc.getText("note").toString()]).toEqual(["live", "x"]);
  });

  it("stops at what is no frame", async () => {
    for (const data of ["text", new Uint8Array([0, 0, 9]).buffer]) {
      const { server, room } = await joined();
      server.say(server.open[0]!, data);
      expect(room.status).toMatchObject({ state: "closed", error: { code: "bad_frame" } });
    }
  });

  it("overlooks what a newer server may add", async () => {
    const { server, room } = await joined();
    for (const frame of [
      [120, 99],
      [77, 1],
      [0, 7, 0],
    ])
      server.say(server.open[0]!, new Uint8Array(frame).buffer);
    expect(room.status.state).toBe("live");
  });

  it("asks a silent room for a word, and leaves a dead connection", async () => {
    const { server, room, time } = await joined({ awareness: null });
    const [socket] = server.open;
    await time.elapse(59_000);
    const before = socket!.sent.length;
    await time.elapse(2000);
    expect(socket!.sent.slice(before)).toEqual([new Uint8Array([3])]);
    await time.elapse(120_000);
    expect(server.sockets.length).toBe(1);
    server.latency = 1e9;
    await time.elapse(125_000);
    expect(room.status).toMatchObject({ state: "waiting", error: { message: "The server fell silent." } });
  });

  it("answers a room that wants to know whether it reads", async () => {
    const { server } = await joined();
    server.say(server.open[0]!, new Uint8Array([120, 4, 7]).buffer);
    expect(server.open[0]!.sent.at(-1)).toEqual(new Uint8Array([120, 17, 7]));
  });

  it("stops waiting when it is told to", async () => {
    const { room, note } = await joined();
    note.insert(0, "x");
    const stop = new AbortController();
    const durable = room.whenDurable({ signal: stop.signal });
    stop.abort(new Error("enough"));
    await expect(durable).rejects.toThrow("enough");
    await expect(room.whenDurable({ signal: stop.signal })).rejects.toThrow("enough");
  });
});

import fc from "fast-check";
import * as decoding from "lib0/decoding";
import * as encoding from "lib0/encoding";
import { describe, expect, it } from "vitest";
import * as Y from "yjs";
import type { ConnectionInfo } from "./connection.ts";
import { awarenessFrame, syncStep1, syncStep2, updateFrame } from "./protocol.ts";
import { AUTHOR, MemoryRoom, StockClient, WRITER } from "./room.fixture.ts";

const READER: ConnectionInfo = { mayWrite: false, extended: false, subject: "bob" };
const EXTENDED: ConnectionInfo = { mayWrite: true, extended: true, subject: "eve" };

/** An update that inserts `text` as a client of its own. */
function insert(client: number, text: string): Uint8Array {
  const doc = new Y.Doc();
  doc.clientID = client;
  doc.getText("note").insert(0, text);
  return Y.encodeStateAsUpdate(doc);
}

function documentOf(room: MemoryRoom): Y.Doc {
  const doc = new Y.Doc();
  Y.applyUpdate(doc, room.machine.read("update") as Uint8Array);
  return doc;
}

const text = (room: MemoryRoom): string => documentOf(room).getText("note").toString();
const EMPTY_VECTOR = new Uint8Array([0]);

/** Reads an extension frame: its kind and the numbers and strings in it. */
function extension(frame: Uint8Array): { kind: number; read: decoding.Decoder } | null {
  const read = decoding.createDecoder(frame);
  if (decoding.readVarUint(read) !== 120) return null;
  return { kind: decoding.readVarUint(read), read };
}

describe("relaying", () => {
  it("[RM2] sends an update at once, byte for byte as it came, to everybody but its author, and writes nothing yet", () => {
    const room = new MemoryRoom();
    const [ada, bob, eve] = [room.connect(1), room.connect(2), room.connect(3, READER)];
    const frame = updateFrame(insert(7, "hello"));
    room.frame(1, frame);
    expect([ada, bob, eve]).toEqual([[], [frame], [frame]]);
    expect(room.written).toBe(0);
  });

  it("[RM3] answers sync step 1 with what the client lacks, waiting updates included, and asks once for what the room lacks", () => {
    const room = new MemoryRoom();
    room.connect(1);
    room.frame(1, updateFrame(insert(7, "hello")));
    const joiner = new StockClient(8);
    joiner.doc.getText("note").insert(0, "offline ");
    const inbox = room.connect(2);
    joiner.connected(2);
    room.frame(2, joiner.outgoing.shift()!);
    expect(inbox).toHaveLength(2);
    for (const frame of inbox.splice(0)) joiner.receive(frame);
    expect(joiner.synced).toBe(true);
    expect(joiner.doc.getText("note").toString()).toHaveLength("offline hello".length);
    room.frame(2, joiner.outgoing.shift()!);
    expect(text(room)).toBe(joiner.doc.getText("note").toString());
    room.frame(2, syncStep1(EMPTY_VECTOR));
    expect(inbox).toHaveLength(1);
  });

  it("[RM4] neither stores nor relays what it already has, so a reconnect costs no row", () => {
    const room = new MemoryRoom();
    const client = new StockClient(7);
    client.doc.getText("note").insert(0, "some text");
    client.doc.getText("note").delete(0, 4);
    room.connect(1);
    room.frame(1, syncStep2(Y.encodeStateAsUpdate(client.doc)));
    room.advance(50);
    const written = room.written;
    const other = room.connect(2);
    room.frame(1, syncStep2(Y.encodeStateAsUpdate(client.doc)));
    room.frame(1, updateFrame(new Uint8Array([0, 0])));
    room.advance(50);
    expect([room.written, other, room.wakeAt]).toEqual([written, [], null]);
    client.doc.getText("note").delete(0, 1);
    room.frame(1, syncStep2(Y.encodeStateAsUpdate(client.doc)));
    expect(other[0]!.length).toBeLessThan(14);
    expect(text(room)).toBe("text");
  });

  it("[RM5] takes no edit of a read-only connection, tells it once, and lets it be present", () => {
    const room = new MemoryRoom();
    const other = room.connect(1);
    const reader = room.connect(2, READER);
    room.frame(2, syncStep1(EMPTY_VECTOR));
    expect(reader).toHaveLength(1); // step 2, and no question
    room.frame(2, updateFrame(insert(7, "no")));
    room.frame(2, updateFrame(insert(7, "no")));
    room.frame(2, syncStep2(insert(7, "no")));
    const client = new StockClient(9);
    for (const frame of reader.splice(0)) client.receive(frame);
    expect(client.denials).toEqual(["This connection may only read; its edits were not accepted."]);
    expect([other, text(room), room.closed]).toEqual([[], "", []]);
    room.frame(2, awarenessFrame([{ client: 7, clock: 0, json: "{}" }]));
    expect(other).toHaveLength(1);
  });
});

describe("durability", () => {
  it("[RM6] writes what waits as one entry after the commit delay, and holds no timer while nothing waits", () => {
    const room = new MemoryRoom();
    room.connect(1);
    expect(room.wakeAt).toBeNull();
    for (let i = 0; i < 20; i++) {
      room.frame(1, updateFrame(insert(10 + i, "x")));
      room.now += 2;
    }
    expect(room.wakeAt).toBe(1_000_050);
    room.advance(9);
    expect(room.journal.head).toBe(0);
    room.advance(1);
    expect([room.journal.head, room.wakeAt]).toEqual([1, null]);
    room.crash();
    expect(text(room)).toHaveLength(20);
  });

  it("[RM6] writes at once when much waits", () => {
    const room = new MemoryRoom({ maxPendingBytes: 1_000 });
    room.connect(1);
    room.frame(1, updateFrame(insert(7, "x".repeat(990))));
    expect(room.journal.head).toBe(1);
  });

  it("[RM6] writes at once when a connection closes: nobody may be left to send its edits again", () => {
    const room = new MemoryRoom();
    room.connect(1);
    room.frame(1, updateFrame(insert(7, "last words")));
    room.disconnect(1);
    expect(room.journal.head).toBe(1);
    room.connect(2);
    room.disconnect(2);
    expect(room.journal.head).toBe(1);
  });

  it("[RM7] a crash loses what waited less than the delay, and nothing older", () => {
    const room = new MemoryRoom();
    room.connect(1);
    room.frame(1, updateFrame(insert(7, "old")));
    room.advance(50);
    room.frame(1, updateFrame(insert(8, "new")));
    room.advance(49);
    room.crash();
    expect(text(room)).toBe("old");
  });

  it("[RM8] acknowledges to those who asked, by count of frames, once and only after the write", () => {
    const room = new MemoryRoom();
    const plain = room.connect(1);
    const inbox = room.connect(2, EXTENDED);
    const hello = extension(inbox.shift()!)!;
    expect([hello.kind, decoding.readVarUint(hello.read), decoding.readVarString(hello.read)]).toEqual([0, 1, "epoch-1"]);
    room.frame(2, updateFrame(insert(7, "a")));
    room.frame(2, updateFrame(insert(8, "b")));
    room.frame(1, updateFrame(insert(9, "c")));
    expect(inbox.every((frame) => extension(frame) === null)).toBe(true);
    inbox.length = 0;
    room.advance(50);
    const { kind, read } = extension(inbox[0]!)!;
    expect([kind, decoding.readVarUint(read), decoding.readVarUint(read)]).toEqual([1, 2, room.journal.head]);
    expect(inbox).toHaveLength(1);
    expect(plain.every((frame) => extension(frame) === null)).toBe(true);
    // Known content is durable already.
    room.frame(2, syncStep2(insert(7, "a")));
    const again = extension(inbox[1]!)!;
    expect([again.kind, decoding.readVarUint(again.read)]).toEqual([1, 3]);
    // The count goes on after hibernation.
    expect(room.hibernate()).toBe(true);
    room.frame(2, updateFrame(insert(10, "d")));
    room.advance(50);
    const later = extension(inbox.at(-1)!)!;
    expect([later.kind, decoding.readVarUint(later.read)]).toEqual([1, 4]);
  });

  it("[RM7] what waits is part of the document even where nothing of it was loaded yet", () => {
    const room = new MemoryRoom();
    room.connect(1);
    room.frame(1, updateFrame(insert(7, "stored")));
    room.advance(50);
    expect(room.hibernate()).toBe(true);
    room.frame(1, updateFrame(insert(8, "+waits")));
    const inbox = room.connect(2);
    room.frame(2, syncStep1(EMPTY_VECTOR));
    const joiner = new StockClient(9);
    for (const frame of inbox) joiner.receive(frame);
    expect(joiner.doc.getText("note").toString()).toHaveLength("stored+waits".length);
  });
});

describe("compaction", () => {
  it("[RM9] includes what waited, even where nothing was loaded", () => {
    const room = new MemoryRoom();
    room.connect(1);
    room.frame(1, updateFrame(insert(7, "stored")));
    room.advance(50);
    room.hibernate();
    room.frame(1, updateFrame(insert(8, "+waits")));
    room.compact();
    expect(room.journal.base).toBe(room.journal.head);
    room.crash();
    expect(text(room)).toHaveLength("stored+waits".length);
  });

  it("[RM9] keeps the smaller of merge and Doc: overwrites of one key shrink to one, and pending structs survive", () => {
    const room = new MemoryRoom();
    room.connect(1);
    const doc = new Y.Doc();
    doc.clientID = 7;
    const updates: Uint8Array[] = [];
    doc.on("update", (update) => updates.push(update));
    for (let i = 0; i < 2_000; i++) doc.getMap("m").set("k", i);
    for (const update of updates) room.frame(1, updateFrame(update));
    // Two edits of which only the second arrives: it must wait in the snapshot until the first does.
    const late: Uint8Array[] = [];
    const author = new Y.Doc();
    author.clientID = 8;
    author.on("update", (update) => late.push(update));
    author.getText("note").insert(0, "first");
    author.getText("note").insert(5, " second");
    room.frame(1, updateFrame(late[1]!));
    room.compact();
    expect(room.snapshotBytes).toBeLessThan(100);
    room.crash();
    expect(documentOf(room).getMap("m").get("k")).toBe(1_999);
    expect(text(room)).toBe("");
    room.connect(2);
    room.frame(2, updateFrame(late[0]!));
    room.advance(50);
    room.compact();
    room.crash();
    expect(text(room)).toBe("first second");
  });

  it("[RM9] a snapshot taken although Yjs cannot open the document holds all of it", () => {
    const room = new MemoryRoom({ maxReplicaBytes: 10 });
    room.connect(1);
    room.frame(1, updateFrame(insert(7, "too large to be opened")));
    room.compact();
    room.crash();
    expect(text(room)).toBe("too large to be opened");
    expect(() => room.machine.read("json")).toThrow(expect.objectContaining({ code: "too_large" }));
  });

  it("[RM10] writes little more than what is edited, over a long session of typing", () => {
    let cursor = 0;
    const typing = session((doc, i) => {
      const note = doc.getText("note");
      // Runs of about forty characters at one place, with a slip in ten.
      if (i % 40 === 0) cursor = (i * 7919) % (note.length + 1);
      if (i % 10 === 9) note.delete(--cursor, 1);
      else note.insert(cursor++, "a");
    });
    // What cannot be merged has to be written twice, once in the journal and once in a snapshot.
    const scattered = session((doc, i) => doc.getText("note").insert((i * 7919) % (doc.getText("note").length + 1), "ab"));
    console.log(`write amplification: typing ${typing.toFixed(2)}, scattered edits ${scattered.toFixed(2)}`);
    expect(typing).toBeLessThan(1.5);
    expect(scattered).toBeLessThan(2.4);
  });
});

/** Bytes written per byte of journal while `edit` is called 15,000 times, at 20 commits a second, under the policy of the object. */
function session(edit: (doc: Y.Doc, i: number) => void): number {
  const policy = { ratio: 3, minBytes: 16_384, rowBytes: 8 };
  const room = new MemoryRoom();
  room.connect(1);
  const doc = new Y.Doc();
  doc.clientID = 7;
  doc.on("update", (update: Uint8Array) => room.frame(1, updateFrame(update)));
  for (let i = 0; i < 15_000; i++) {
    edit(doc, i);
    if (i % 3 === 2) room.advance(50);
    if (room.wantsCompaction(policy)) room.compact();
  }
  expect(room.snapshots).toBeGreaterThan(1);
  room.crash();
  expect(text(room).length).toBeGreaterThan(doc.getText("note").length - 5);
  return (room.written + room.snapshotTotal) / room.written;
}

describe("server writes", () => {
  const patch = (room: MemoryRoom, seq: number, set: Record<string, number>, gone: string[] = []) => {
    const { effects, ...outcome } = room.machine.patch({ map: "board", set, delete: gone }, "task", seq, room.now);
    room.do(effects);
    return outcome;
  };

  it("[RM11] applies each (source, seq) once, across crashes and compaction, and writes only what differs", () => {
    const room = new MemoryRoom();
    expect(patch(room, 1, { a: 1, b: 2 })).toEqual({ applied: true, changed: true });
    expect(patch(room, 2, { a: 3 }, ["b"])).toEqual({ applied: true, changed: true });
    expect(patch(room, 1, { a: 1, b: 2 })).toEqual({ applied: false, changed: false });
    room.crash();
    expect(patch(room, 1, { a: 1, b: 2 })).toEqual({ applied: false, changed: false });
    expect(patch(room, 2, { a: 9 })).toEqual({ applied: false, changed: false });
    room.compact();
    room.crash();
    expect(patch(room, 2, { a: 9 })).toEqual({ applied: false, changed: false });
    const head = room.journal.head;
    expect(patch(room, 3, { a: 3 }, ["b", "never"])).toEqual({ applied: true, changed: false });
    expect(room.journal.head).toBe(head);
    expect(documentOf(room).getMap("board").toJSON()).toEqual({ a: 3 });
  });

  it("[RM11] sees what people wrote to the same keys in between", () => {
    const room = new MemoryRoom();
    room.connect(1);
    patch(room, 1, { a: 1, b: 1 });
    const user = documentOf(room);
    user.clientID = 7;
    user.on("update", (update: Uint8Array) => room.frame(1, updateFrame(update)));
    user.getMap("board").set("a", 5);
    expect(patch(room, 2, { a: 5, b: 1 })).toEqual({ applied: true, changed: false });
    expect(patch(room, 3, { a: 6 })).toEqual({ applied: true, changed: true });
    expect(documentOf(room).getMap("board").toJSON()).toEqual({ a: 6, b: 1 });
  });

  it("[RM12] stores a server edit before sending it, and continues the clock of its author after a crash", () => {
    const room = new MemoryRoom();
    const inbox = room.connect(1);
    patch(room, 1, { a: 1 });
    expect([room.journal.head, inbox.length]).toEqual([1, 1]);
    room.crash();
    patch(room, 2, { a: 2 });
    const clocks = Y.decodeStateVector(room.machine.read("state-vector") as Uint8Array);
    expect(clocks).toEqual(new Map([[AUTHOR, 2]]));
  });

  it("[RM12] refuses a client that holds server edits which the room does not have", () => {
    const room = new MemoryRoom();
    patch(room, 1, { a: 1 });
    const own = documentOf(room);
    room.connect(1);
    room.frame(1, syncStep2(Y.encodeStateAsUpdate(own)));
    expect(room.closed).toEqual([]);
    own.clientID = AUTHOR;
    own.getMap("board").set("a", "forged");
    room.frame(1, syncStep2(Y.encodeStateAsUpdate(own)));
    expect(room.closed).toEqual([expect.objectContaining({ connection: 1, code: "diverged" })]);
    expect(() => room.machine.update(Y.encodeStateAsUpdate(own), room.now)).toThrow(expect.objectContaining({ code: "diverged" }));
  });

  it("[RM13] a room that is full takes no more, from anybody, and still serves what it has", () => {
    const room = new MemoryRoom({ maxRoomBytes: 300 });
    patch(room, 1, { a: 1 });
    room.connect(1);
    room.frame(1, updateFrame(insert(7, "x".repeat(300))));
    expect(room.closed).toEqual([expect.objectContaining({ code: "room_full" })]);
    expect(() => room.machine.update(insert(7, "x".repeat(300)), room.now)).toThrow(expect.objectContaining({ code: "room_full" }));
    expect(() => room.machine.patch({ map: "board", set: { b: "x".repeat(300) }, delete: [] }, "task", 2, room.now)).toThrow(
      expect.objectContaining({ code: "room_full" }),
    );
    expect(patch(room, 2, { a: 2 })).toEqual({ applied: true, changed: true });
    expect(documentOf(room).getMap("board").toJSON()).toEqual({ a: 2 });
  });

  it.each([
    [{ map: "", set: {}, delete: [] }, "s", 1],
    [{ map: "m", set: [], delete: [] }, "s", 1],
    [{ map: "m", set: {}, delete: [4] }, "s", 1],
    [{ map: "m", set: {}, delete: [] }, "", 1],
    [{ map: "m", set: {}, delete: [] }, "s", -1],
    [{ map: "m", set: {}, delete: [] }, "s", 0.5],
  ])("refuses the write %j of %j at %j", (wrong, source, seq) => {
    const room = new MemoryRoom();
    expect(() => room.machine.patch(wrong as never, source, seq, room.now)).toThrow(expect.objectContaining({ code: "bad_request" }));
  });
});

describe("bad and slow clients", () => {
  it("[FR1] closes on any frame that cannot be read, never throws, and loses nothing", () => {
    const room = new MemoryRoom();
    room.connect(1);
    room.frame(1, updateFrame(insert(7, "kept")));
    let id = 10;
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 40 }),
          fc.uint8Array({ maxLength: 40 }).map((bytes) => new Uint8Array([0, 2, bytes.length, ...bytes])),
        ),
        (bytes) => {
          room.connect(++id, id % 2 ? EXTENDED : WRITER);
          room.frame(id, bytes);
          expect(room.closed.every(({ code }) => code === "bad_frame" || code === "diverged")).toBe(true);
          room.disconnect(id);
        },
      ),
      { numRuns: 2_000 },
    );
    expect(room.closed.length).toBeGreaterThan(1_000);
    room.advance(50);
    room.crash();
    expect(text(room)).toContain("kept");
  });

  it("[FR2] takes extension frames only from connections that asked for them", () => {
    const room = new MemoryRoom();
    const encoder = encoding.createEncoder();
    for (const value of [120, 17, 1]) encoding.writeVarUint(encoder, value);
    room.connect(1);
    room.connect(2, EXTENDED);
    room.frame(1, encoding.toUint8Array(encoder));
    room.frame(2, encoding.toUint8Array(encoder));
    expect(room.closed.map(({ connection, code }) => [connection, code])).toEqual([[1, "bad_frame"]]);
  });

  it("[FR3] closes on a frame over the limit with too_large", () => {
    const room = new MemoryRoom({ maxFrameBytes: 100 });
    room.connect(1);
    room.frame(1, updateFrame(insert(7, "x".repeat(100))));
    expect(room.closed).toEqual([expect.objectContaining({ code: "too_large" })]);
  });

  it.each([WRITER, READER, EXTENDED])(
    "[RM14] closes a connection that never reads with slow_consumer, and keeps one that does: %j",
    (info) => {
      const room = new MemoryRoom({ maxUnreadBytes: 2 * 1024 * 1024 });
      room.connect(1);
      const deaf = room.connect(2, info);
      const reading = room.connect(3, info);
      const client = new StockClient(50);
      client.connected(3);
      client.outgoing.length = 0;
      const author = new Y.Doc();
      author.clientID = 7;
      author.on("update", (update: Uint8Array) => room.frame(1, updateFrame(update)));
      for (let i = 0; i < 60 && room.closed.length === 0; i++) {
        author.getMap("m").set("k", `${i}`.padEnd(100_000, "x"));
        if (i % 8 === 0) room.compact(); // one value in the end, so that the room itself stays small
        for (const frame of reading.splice(0)) {
          const ping = extension(frame);
          if (ping?.kind === 4) {
            const pong = encoding.createEncoder();
            for (const value of [120, 17, decoding.readVarUint(ping.read)]) encoding.writeVarUint(pong, value);
            client.outgoing.push(encoding.toUint8Array(pong));
          } else client.receive(frame);
        }
        for (const frame of client.outgoing.splice(0)) room.frame(3, frame);
      }
      expect(room.closed).toEqual([expect.objectContaining({ connection: 2, code: "slow_consumer" })]);
      expect(deaf.length).toBeGreaterThan(20);
    },
  );
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import * as Y from "yjs";
import { AUTHOR, MemoryRoom, StockClient } from "./room.fixture.ts";

const CLIENTS = 4;

/** One thing that happens; `client` says to whom, `n` how. */
const event = fc.record({
  kind: fc.constantFrom(
    ...["edit", "edit", "edit", "toRoom", "toRoom", "toRoom", "toClient", "toClient", "toClient", "time", "connect", "connect"],
    ...["disconnect", "crash", "hibernate", "compact", "sink", "post"],
  ),
  client: fc.nat(CLIENTS - 1),
  n: fc.nat(60),
});

/** Does `run` all of what is held in `part` appear in `whole`? */
function holds(whole: Y.Doc, part: Y.Doc): boolean {
  const have = Y.decodeStateVector(Y.encodeStateVector(whole));
  for (const [client, clock] of Y.decodeStateVector(Y.encodeStateVector(part))) if ((have.get(client) ?? 0) < clock) return false;
  return true;
}

class World {
  readonly room = new MemoryRoom({ maxPendingBytes: 400, maxCachedBytes: 2_000 });
  readonly clients = Array.from({ length: CLIENTS }, (_, index) => new StockClient(100 + index));
  seq = 0;
  #nextId = 1;

  step({ kind, client: index, n }: { kind: string; client: number; n: number }): void {
    const { room } = this;
    const client = this.clients[index]!;
    switch (kind) {
      case "edit":
        this.edit(client.doc, n);
        return;
      case "toRoom":
        this.toRoom(client);
        return;
      case "toClient":
        this.toClient(client);
        return;
      case "time":
        room.advance(n);
        return;
      case "connect":
        if (client.id === null) {
          const id = this.#nextId++;
          client.connected(id);
          room.connect(id);
        }
        return;
      case "disconnect":
        if (client.id !== null) room.disconnect(client.id);
        client.disconnected();
        return;
      case "crash":
        room.crash();
        for (const each of this.clients) each.disconnected();
        this.checkNothingLost();
        return;
      case "hibernate":
        if (room.hibernate()) this.checkNothingLost();
        return;
      case "compact":
        room.compact();
        this.checkNothingLost();
        return;
      case "sink": {
        // Every third write is a redelivery of an older one.
        const seq = n % 3 === 0 ? Math.max(0, this.seq - 1) : ++this.seq;
        const { effects } = room.machine.patch(
          { map: "board", set: { [`k${n % 4}`]: seq }, delete: [`k${(n + 1) % 4}`] },
          "task",
          seq,
          room.now,
        );
        room.do(effects);
        return;
      }
      case "post": {
        const writer = new Y.Doc();
        writer.clientID = 500 + this.#nextId++;
        writer.getText("note").insert(0, "posted");
        room.do(room.machine.update(Y.encodeStateAsUpdate(writer), room.now).effects);
        return;
      }
    }
  }

  edit(doc: Y.Doc, n: number): void {
    const note = doc.getText("note");
    if (n % 3 === 0 && note.length > 0) note.delete(n % note.length, 1);
    else note.insert(n % (note.length + 1), String.fromCharCode(97 + (n % 26)));
    if (n % 5 === 0) doc.getMap("board").set(`k${n % 4}`, `user ${n}`);
  }

  toRoom(client: StockClient): void {
    const frame = client.outgoing.shift();
    if (frame !== undefined && client.id !== null) this.room.frame(client.id, frame);
  }

  toClient(client: StockClient): void {
    const frame = client.id === null ? undefined : this.room.outbox.get(client.id)?.shift();
    if (frame !== undefined) client.receive(frame);
  }

  /** What a fresh reader of the room would see. */
  stored(): Y.Doc {
    const doc = new Y.Doc();
    Y.applyUpdate(doc, this.room.machine.read("update") as Uint8Array);
    return doc;
  }

  checkNothingLost(): void {
    expect(holds(this.stored(), this.room.shadow)).toBe(true);
  }

  /** Everybody connects, everything is delivered, time passes. */
  settle(): void {
    for (let index = 0; index < CLIENTS; index++) this.step({ kind: "connect", client: index, n: 0 });
    for (let round = 0; round < 20; round++) {
      for (const client of this.clients) {
        while (client.outgoing.length > 0) this.toRoom(client);
      }
      for (const client of this.clients) while ((this.room.outbox.get(client.id!)?.length ?? 0) > 0) this.toClient(client);
    }
    this.room.advance(1_000);
  }
}

describe("a room among crashes", () => {
  it("[RM1] [RM7] [RM9] all copies converge and nothing that was committed is lost, whatever happens between any two steps", () => {
    fc.assert(
      fc.property(fc.array(event, { minLength: 20, maxLength: 160 }), (events) => {
        const world = new World();
        for (const each of events) world.step(each);
        world.settle();
        const server = world.stored();
        const texts = world.clients.map(({ doc }) => doc.getText("note").toString());
        expect(texts).toEqual(texts.map(() => server.getText("note").toString()));
        const boards = world.clients.map(({ doc }) => doc.getMap("board").toJSON());
        expect(boards).toEqual(boards.map(() => server.getMap("board").toJSON()));
        expect(world.clients.every(({ synced }) => synced)).toBe(true);
        // After the last commit, what is on disk alone is the same document.
        world.room.crash();
        world.checkNothingLost();
        expect(world.stored().getText("note").toString()).toBe(server.getText("note").toString());
        expect(world.room.closed).toEqual([]);
      }),
      { numRuns: 250 },
    );
  });

  it("[RM12] the server's own clock never forks: every copy holds the same structs of its client", () => {
    fc.assert(
      fc.property(fc.array(event, { minLength: 20, maxLength: 120 }), (events) => {
        const world = new World();
        for (const each of events) {
          world.step(each);
          // No client ever holds server edits that are not stored.
          const stored = Y.decodeStateVector(Y.encodeStateVector(world.room.shadow)).get(AUTHOR) ?? 0;
          for (const { doc } of world.clients)
            expect(Y.decodeStateVector(Y.encodeStateVector(doc)).get(AUTHOR) ?? 0).toBeLessThanOrEqual(stored);
        }
      }),
      { numRuns: 80 },
    );
  });
});

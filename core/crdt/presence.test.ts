import { describe, expect, it } from "vitest";
import { Awareness, applyAwarenessUpdate, encodeAwarenessUpdate } from "y-protocols/awareness";
import * as Y from "yjs";
import { awarenessFrame, decodeFrame, type PresenceState } from "./protocol.ts";
import { MemoryRoom, WRITER } from "./room.fixture.ts";

const state = (client: number, clock: number, json = '{"name":"x"}'): PresenceState => ({ client, clock, json });
const gone = (client: number, clock: number): PresenceState => state(client, clock, "null");

function statesIn(frames: Uint8Array[]): PresenceState[] {
  return frames.flatMap((frame) => {
    const decoded = decodeFrame(frame);
    return decoded.type === "awareness" ? decoded.states : [];
  });
}

/** A room with connections 1 to `count`, all of one subject unless named otherwise. */
function roomOf(count: number, subjects: Record<number, string> = {}): { room: MemoryRoom; inbox: (id: number) => PresenceState[] } {
  const room = new MemoryRoom();
  for (let id = 1; id <= count; id++) room.connect(id, { ...WRITER, subject: subjects[id] ?? "ada" });
  return { room, inbox: (id) => statesIn(room.outbox.get(id)!.splice(0)) };
}

const say = (room: MemoryRoom, id: number, ...states: PresenceState[]) => room.frame(id, awarenessFrame(states));

describe("presence", () => {
  it("[PR1] relays new states to the others and gives all of them to who comes later or asks", () => {
    const { room, inbox } = roomOf(2);
    say(room, 1, state(11, 0));
    say(room, 2, state(22, 5));
    expect([inbox(1), inbox(2)]).toEqual([[state(22, 5)], [state(11, 0)]]);
    room.connect(3);
    expect(inbox(3)).toEqual([state(11, 0), state(22, 5)]);
    room.frame(1, new Uint8Array([3]));
    expect(inbox(1)).toEqual([state(11, 0), state(22, 5)]);
  });

  it("[PR2] removes exactly the clients of a connection that closes", () => {
    const { room, inbox } = roomOf(3);
    say(room, 1, state(11, 3));
    say(room, 2, state(22, 1));
    inbox(3);
    room.disconnect(1);
    expect(inbox(3)).toEqual([gone(11, 3)]);
    room.connect(4);
    expect(inbox(4)).toEqual([state(22, 1)]);
  });

  it("[PR3] an echo of others' states changes nothing, and a peer's timeout removes nobody", () => {
    const { room, inbox } = roomOf(3);
    say(room, 1, state(11, 3));
    inbox(3);
    say(room, 2, state(11, 3));
    say(room, 2, gone(11, 3));
    expect(inbox(3)).toEqual([]);
    room.disconnect(2);
    expect(inbox(3)).toEqual([]);
    say(room, 1, gone(11, 3));
    expect(inbox(3)).toEqual([gone(11, 3)]);
  });

  it("[PR4] a newer state from the same subject moves the client to that connection; another subject cannot take it", () => {
    const { room, inbox } = roomOf(4, { 3: "mallory" });
    say(room, 1, state(11, 3));
    inbox(4);
    say(room, 3, state(11, 9, '{"name":"forged"}'));
    say(room, 3, gone(11, 9));
    expect(inbox(4)).toEqual([]);
    // The user reconnected as 2 before the room noticed that 1 is dead.
    say(room, 2, state(11, 4));
    expect(inbox(4)).toEqual([state(11, 4)]);
    room.disconnect(1);
    expect(inbox(4)).toEqual([]);
    room.disconnect(2);
    expect(inbox(4)).toEqual([gone(11, 4)]);
  });

  it("[PR5] survives hibernation with its owners", () => {
    const { room, inbox } = roomOf(2);
    say(room, 1, state(11, 3));
    inbox(2);
    expect(room.hibernate()).toBe(true);
    room.connect(3);
    expect(inbox(3)).toEqual([state(11, 3)]);
    room.disconnect(1);
    expect(inbox(2)).toEqual([gone(11, 3)]);
  });

  it("[PR5] asks again for states too large to keep", () => {
    const { room, inbox } = roomOf(1);
    const large = state(11, 3, JSON.stringify("x".repeat(13_000)));
    say(room, 1, large);
    room.hibernate();
    expect(room.outbox.get(1)).toEqual([new Uint8Array([3])]);
    say(room, 1, large);
    room.connect(2);
    expect(inbox(2)).toEqual([large]);
  });

  it("[PR6] gathers the states of a crowd into one frame, the latest of each, and none of those who left", () => {
    const { room, inbox } = roomOf(10);
    for (let clock = 0; clock < 3; clock++) for (let id = 1; id <= 10; id++) say(room, id, state(id, clock));
    room.disconnect(10);
    expect(room.outbox.get(1)).toEqual([]);
    room.advance(50);
    expect(room.outbox.get(1)).toHaveLength(1);
    expect(inbox(1)).toEqual([...Array.from({ length: 9 }, (_, index) => state(index + 1, 2)), gone(10, 2)]);
    expect(room.wakeAt).toBeNull();
  });

  it("[PR7] a connection speaks for a bounded number of clients, in states of bounded size", () => {
    const { room, inbox } = roomOf(2);
    say(room, 1, ...Array.from({ length: 40 }, (_, index) => state(100 + index, 0)));
    expect(inbox(2)).toHaveLength(32);
    say(room, 1, state(100, 1, JSON.stringify("x".repeat(40_000))));
    expect(room.closed).toEqual([expect.objectContaining({ connection: 1, code: "bad_frame" })]);
  });

  it("agrees with y-protocols' own Awareness in both directions", () => {
    const [mine, theirs] = [11, 22].map((clientId) => {
      const doc = new Y.Doc();
      doc.clientID = clientId;
      return new Awareness(doc);
    }) as [Awareness, Awareness];
    const { room } = roomOf(2);
    const deliver = () => {
      for (const frame of room.outbox.get(2)!.splice(0)) {
        const decoded = decodeFrame(frame);
        if (decoded.type === "awareness") applyAwarenessUpdate(theirs, payloadOf(frame), "room");
      }
    };
    mine.setLocalState({ cursor: 4 });
    room.frame(1, wrap(encodeAwarenessUpdate(mine, [11])));
    deliver();
    expect(theirs.getStates().get(11)).toEqual({ cursor: 4 });
    room.disconnect(1);
    deliver();
    expect(theirs.getStates().has(11)).toBe(false);
    mine.destroy();
    theirs.destroy();
  });
});

/** An awareness payload as a frame: type 1, length, payload. */
function wrap(payload: Uint8Array): Uint8Array {
  return new Uint8Array([1, payload.length, ...payload]);
}

function payloadOf(frame: Uint8Array): Uint8Array {
  return frame.subarray(2);
}

import { describe, expect, it } from "vitest";
import { Awareness } from "y-protocols/awareness";
import * as Y from "yjs";
import { joined } from "../testing/joined.fixture.ts";
import { connectRoom, type Room } from "./index.ts";

describe("presence", () => {
  it("goes to the others at once, also after a reconnect, and ends with the connection", async () => {
    const { server, room: ada, time } = await joined();
    const bob = connectRoom(server.client(), "notes");
    await time.elapse(100);
    const names = (room: Room) =>
      [...room.awareness!.getStates().values()]
        .map(({ name }) => name)
        .filter(Boolean)
        .sort();
    ada.awareness!.setLocalState({ name: "Ada" });
    bob.awareness!.setLocalState({ name: "Bob" });
    await time.elapse(20);
    expect([names(ada), names(bob)]).toEqual([
      ["Ada", "Bob"],
      ["Ada", "Bob"],
    ]);
    server.crash();
    expect([names(ada), names(bob)]).toEqual([["Ada"], ["Bob"]]);
    await time.elapse(1000);
    expect([names(ada), names(bob)]).toEqual([
      ["Ada", "Bob"],
      ["Ada", "Bob"],
    ]);
    ada.close();
    await time.elapse(20);
    expect(names(bob)).toEqual(["Bob"]);
  });

  it("is not sent where it is too large: the room would end the connection", async () => {
    const { server, room, time } = await joined();
    room.awareness!.setLocalState({ photo: "x".repeat(40_000) });
    await time.elapse(100);
    expect(room.status).toMatchObject({ state: "live", error: { code: "too_large" } });
    expect(server.open.length).toBe(1);
  });

  it("may belong to another provider as well, and outlives the room then", async () => {
    const doc = new Y.Doc();
    const awareness = new Awareness(doc);
    awareness.setLocalState({ name: "Ada" });
    const { room } = await joined({ doc, awareness });
    expect(room.awareness).toBe(awareness);
    room.close();
    expect(awareness.getLocalState()).toEqual({ name: "Ada" });
    awareness.destroy();
  });
});

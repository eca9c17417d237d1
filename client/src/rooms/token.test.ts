import * as encoding from "lib0/encoding";
import { describe, expect, it } from "vitest";
import { joined } from "../testing/joined.fixture.ts";
import { RoomServer } from "../testing/room.fixture.ts";
import { connectRoom } from "./index.ts";

describe("the token of a room", () => {
  const token = (exp: number, n = 0) => `h.${Buffer.from(JSON.stringify({ exp, n })).toString("base64url")}.s`;
  const frame = (write: (encoder: encoding.Encoder) => void) => {
    const encoder = encoding.createEncoder();
    encoding.writeVarUint(encoder, 120);
    write(encoder);
    return encoding.toUint8Array(encoder);
  };
  const refresh = (next: string) =>
    frame((encoder) => {
      encoding.writeVarUint(encoder, 16);
      encoding.writeVarString(encoder, next);
    });

  it("is refreshed in-band before it ends, and again before its successor does", async () => {
    const server = new RoomServer();
    const exp = server.time.now / 1000 + 100;
    const room = connectRoom(server.client(token(exp)), "notes");
    const successors = [token(exp + 100, 1), token(exp + 200, 2)];
    server.probe = () => Response.json({ token: successors.shift(), id: "i", expiresAt: 0, refreshableUntil: 0 });
    await server.time.elapse(70_000);
    expect(server.requests).toEqual([]);
    await server.time.elapse(15_000);
    const [socket] = server.open;
    expect(server.requests).toEqual(["POST /v1/tokens/refresh"]);
    expect(socket!.sent).toContainEqual(refresh(token(exp + 100, 1)));
    server.say(
      socket!,
      frame((encoder) => {
        encoding.writeVarUint(encoder, 2);
        encoding.writeVarUint(encoder, (exp + 100) * 1000);
      }).buffer,
    );
    await server.time.elapse(100_000);
    expect(socket!.sent).toContainEqual(refresh(token(exp + 200, 2)));
    expect(room.status.state).toBe("live");
  });

  it("is made anew when it has ended, and the connection with it", async () => {
    const made: string[] = [];
    const { server, room, time } = await joined({}, () => {
      made.push(token(2e9, made.length));
      return made.at(-1)!;
    });
    server.close(server.open[0]!, "token_expired");
    await time.elapse(1000);
    expect(room.status.state).toBe("live");
    expect(server.sockets.map(({ url }) => url.searchParams.get("token"))).toEqual(made);
    expect(made.length).toBe(2);
  });

  it("that has ended ends the room where no other can be had; one that is out of reach is asked for again", async () => {
    const fixed = await joined({}, token(2e9));
    fixed.server.close(fixed.server.open[0]!, "token_expired", "It has ended.");
    expect(fixed.room.status).toMatchObject({ state: "closed", error: { code: "token_expired", message: "It has ended." } });
    let down = true;
    const server = new RoomServer();
    const client = server.client(() => {
      if (down) throw new TypeError("fetch failed");
      return token(2e9);
    });
    const room = connectRoom(client, "notes");
    await server.time.elapse(1000);
    expect(room.status).toMatchObject({ state: "waiting", error: { code: "unavailable", message: /fetch failed/ } });
    down = false;
    await server.time.elapse(10_000);
    expect(room.status.state).toBe("live");
  });
});

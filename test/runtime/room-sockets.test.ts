import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { ACTOR_HEADER, type Actor } from "../../core/wire/grant.ts";
import * as sockets from "../../durable-objects/shared/sockets.ts";

const actor: Actor = {
  project: "main",
  subject: "ada",
  tokenId: "t1",
  expiresAt: 5_000,
  grants: [{ capability: "rooms", name: "team-*", rights: ["write"] }],
};
const LATER = Date.now() + 3_600_000;
let made = 0;
const object = () => env.ROOM.getByName(`v1/main/global/rooms/sockets-${++made}`);

describe("sockets through hibernation", () => {
  it("an actor is reduced to its rights on the name", () => {
    expect(sockets.socketActor(actor, "rooms", "team-a").rights).toEqual(["read", "write"]);
    expect(sockets.socketActor(actor, "rooms", "other").rights).toEqual([]);
  });

  it("the attachment and the token's tag come back after eviction", async () => {
    const stub = object();
    const headers = {
      upgrade: "websocket",
      [ACTOR_HEADER]: JSON.stringify({ ...actor, expiresAt: LATER, grants: [{ ...actor.grants[0], name: "*" }] }),
    };
    const { webSocket } = await stub.fetch("http://skerry.test/v1/rooms/x", { headers });
    webSocket!.accept();
    await evictDurableObject(stub);
    await runInDurableObject(stub, (_instance, ctx) => {
      expect(ctx.getWebSockets(sockets.tokenTag("t1")).map((socket) => sockets.readAttachment(socket)?.actor)).toEqual([
        { tokenId: "t1", expiresAt: LATER, subject: "ada", rights: ["read", "write"] },
      ]);
      expect(sockets.earliestExpiry(ctx)).toBe(LATER);
      expect(sockets.closeExpired(ctx, LATER - 1)).toEqual([]);
      expect(sockets.closeExpired(ctx, LATER)).toHaveLength(1);
      expect(sockets.earliestExpiry(ctx)).toBeNull();
    });
  });

  it("refuses an attachment that would not survive, by its bytes", async () => {
    await runInDurableObject(object(), (_instance, ctx) => {
      const who = sockets.socketActor(actor, "rooms", "team-a");
      expect(sockets.fitsAttachment({ actor: who, state: "é".repeat(7_900) })).toBe(true);
      expect(sockets.fitsAttachment({ actor: who, state: "é".repeat(8_000) })).toBe(false);
      expect(() => sockets.acceptSocket(ctx, who, "é".repeat(8_000))).toThrow(expect.objectContaining({ code: "too_large" }));
    });
  });

  it("a reason holds whole characters in at most 123 bytes", () => {
    expect(sockets.closeReason("forbidden", "")).toBe("forbidden");
    const reason = sockets.closeReason("bad_frame", "é".repeat(100));
    expect(new TextEncoder().encode(reason)).toHaveLength(123);
    expect(reason).toBe(`bad_frame: ${"é".repeat(56)}`);
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RoomServer } from "../testing/room.fixture.ts";
import { connectRoom } from "./index.ts";

describe("under faults", () => {
  type Step =
    | { kind: "edit" | "cut"; who: number }
    | { kind: "crash" }
    | { kind: "hibernate" }
    | { kind: "compact" }
    | { kind: "wait"; ms: number };
  const who = fc.nat(2);
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 8, arbitrary: fc.record({ kind: fc.constant("edit" as const), who }) },
    { weight: 6, arbitrary: fc.record({ kind: fc.constant("wait" as const), ms: fc.integer({ min: 1, max: 120 }) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("crash" as const, "hibernate" as const, "compact" as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("cut" as const), who }) },
  );

  it("what whenDurable confirmed is on disk, and in the end all have everything", async () => {
    let confirmed = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), fc.integer({ min: 1, max: 30 }), async (steps, latency) => {
        const server = new RoomServer();
        server.latency = latency;
        const rooms = [0, 1, 2].map(() => connectRoom(server.client(), "notes"));
        const written: string[] = [];
        const lost: string[] = [];
        for (const step of steps) {
          if (step.kind === "wait") await server.time.elapse(step.ms);
          else if (step.kind === "crash") server.crash();
          else if (step.kind === "hibernate") server.room.hibernate();
          else if (step.kind === "compact") server.room.compact();
          else if (step.kind === "cut") {
            const socket = server.open[step.who];
            if (socket !== undefined) server.cut(socket);
          } else {
            const room = rooms[step.who]!;
            const key = `k${written.length}`;
            written.push(key);
            room.doc.getMap("m").set(key, step.who);
            void room.whenDurable().then(() => {
              confirmed++;
              if (!server.room.shadow.getMap("m").has(key)) lost.push(key);
            });
          }
        }
        await server.time.elapse(120_000);
        expect(lost).toEqual([]);
        const expected = [...written].sort();
        for (const room of rooms) {
          expect(room.status).toMatchObject({ state: "live", undurable: 0 });
          expect([...room.doc.getMap("m").keys()].sort()).toEqual(expected);
          room.close();
        }
        expect([...server.room.shadow.getMap("m").keys()].sort()).toEqual(expected);
      }),
      { numRuns: 80 },
    );
    expect(confirmed).toBeGreaterThan(300);
  });
});

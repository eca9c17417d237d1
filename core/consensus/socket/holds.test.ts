import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Held, Holds, MAX_HELD } from "./holds.ts";

describe("leases that sockets hold", () => {
  it("[GH1] end with their socket, after the time that their holder asked for", () => {
    const holds = new Holds<string>();
    expect(holds.hold("a", "7", 2, 3, 100)).toBe(true);
    expect(holds.hold("a", "8", 0, 3, 100)).toBe(true);
    expect(holds.hold("b", "9", 1, 3, 200)).toBe(true);
    expect(holds.closed("a")).toEqual([
      { id: 7n, within: 2000, term: 3 },
      { id: 8n, within: 0, term: 3 },
    ]);
    expect(holds.closed("a")).toEqual([]);
    holds.letGo("9");
    expect(holds.of("b")).toBeNull();
    expect(holds.closed("b")).toEqual([]);
  });

  it("[GH2] go with their holder to the socket that was opened last, and not back by a word that was late", () => {
    const holds = new Holds<string>();
    holds.hold("old", "7", 2, 3, 100);
    expect(holds.hold("new", "7", 2, 3, 200)).toBe(true);
    expect(holds.hold("old", "7", 2, 3, 100)).toBe(false);
    expect(holds.closed("old")).toEqual([]);
    expect(holds.closed("new")).toMatchObject([{ id: 7n }]);
    // Nobody holds it now: whoever is heard does.
    expect(holds.hold("old", "7", 2, 3, 100)).toBe(true);
  });

  it("[GH3] are not held in another term, whatever is heard of them late", () => {
    const holds = new Holds<string>();
    holds.hold("a", "7", 2, 3, 100);
    holds.hold("a", "8", 2, 3, 100);
    expect(holds.hold("a", "7", 2, 5, 100)).toBe(true);
    expect(holds.hold("a", "8", 2, 3, 100)).toBe(false);
    expect(holds.hold("later", "7", 2, 3, 900)).toBe(false);
    expect(holds.closed("a")).toEqual([{ id: 7n, within: 2000, term: 5 }]);
  });

  it(`[GH4] are at most ${MAX_HELD} a socket`, () => {
    const holds = new Holds<string>();
    for (let i = 0; i < MAX_HELD; i++) expect(holds.hold("a", `${i}`, 1, 1, 1)).toBe(true);
    expect(holds.hold("a", "more", 1, 1, 1)).toBe(false);
    expect(holds.hold("a", "5", 1, 1, 1)).toBe(true);
    holds.letGo("5");
    expect(holds.hold("a", "more", 1, 1, 1)).toBe(true);
    expect(JSON.stringify(holds.of("a")).length).toBeLessThan(MAX_HELD * 30);
  });

  it("[GH5] come back from what is remembered, in any order of sockets, as they were", () => {
    const acts = fc.array(
      fc.record({
        socket: fc.nat(4),
        lease: fc.nat(5),
        term: fc.integer({ min: 1, max: 3 }),
        how: fc.constantFrom("hold", "hold", "close"),
      }),
      { maxLength: 40 },
    );
    fc.assert(
      fc.property(acts, fc.boolean(), (given, backwards) => {
        const holds = new Holds<number>();
        const open = new Set([0, 1, 2, 3, 4]);
        for (const { socket, lease, term, how } of given) {
          if (how === "close" && open.size > 1) {
            holds.closed(socket);
            open.delete(socket);
          } else if (open.has(socket)) holds.hold(socket, `${lease}`, 1, term, socket);
        }
        const kept = [...open].map((socket) => [socket, structuredClone(holds.of(socket))] as [number, Held | null]);
        if (backwards) kept.reverse();
        const again = new Holds<number>();
        for (const [socket, held] of kept) if (held !== null) again.restore(socket, held);
        for (const socket of open) {
          const order = (all: { id: bigint }[]) => all.sort((a, b) => Number(a.id - b.id));
          expect(order(again.closed(socket))).toEqual(order(holds.closed(socket)));
        }
      }),
    );
  });
});

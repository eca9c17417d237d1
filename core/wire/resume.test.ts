import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isPosition } from "./frames.ts";
import { formatPosition, joinPositions, type LogPosition, MAX_CURSOR_BYTES, parsePosition, planResume, splitPositions } from "./resume.ts";

const generation = fc.stringMatching(/^[A-Za-z0-9_-]{1,20}$/);
const place: fc.Arbitrary<LogPosition> = fc.record(
  { generation, at: fc.nat(), cursor: fc.string({ unit: "grapheme", maxLength: 20 }).map((text) => text.toWellFormed()) },
  { requiredKeys: ["generation", "at"] },
);

describe("resume", () => {
  it("[WR1] every place survives format and parse, and equal places give equal strings", () => {
    fc.assert(
      fc.property(place, (position) => {
        const text = formatPosition(position);
        expect(isPosition(text)).toBe(true);
        expect(parsePosition(text)).toEqual(position);
      }),
    );
  });

  it("[WR1] whatever parses is what format writes: one place, one spelling", () => {
    const near = fc.oneof(fc.string(), fc.stringMatching(/^[a-c]{1,2}\.[0-9]{1,4}~?[A-Da-d_-]{0,6}$/));
    fc.assert(
      fc.property(near, (text) => {
        const position = parsePosition(text);
        if (position !== null) expect(formatPosition(position)).toBe(text);
      }),
      { numRuns: 2000 },
    );
  });

  it("[WR1] the longest cursor fits, a longer one is refused", () => {
    const longest = formatPosition({ generation: "g".repeat(64), at: Number.MAX_SAFE_INTEGER, cursor: "k".repeat(MAX_CURSOR_BYTES) });
    expect(isPosition(longest)).toBe(true);
    expect(() => formatPosition({ generation: "g", at: 0, cursor: "k".repeat(MAX_CURSOR_BYTES + 1) })).toThrow(/cursor/);
    expect(() => formatPosition({ generation: "g.h", at: 0 })).toThrow(/generation/);
    expect(() => formatPosition({ generation: "g", at: -1 })).toThrow(/change number/);
  });

  it("[WR2] a plan never asks for a change that is not retained, nor skips one that is", () => {
    fc.assert(
      fc.property(fc.nat(50), fc.nat(50), fc.nat(120), fc.boolean(), (trimmed, kept, at, same) => {
        const log = { generation: "g", first: trimmed + 1, head: trimmed + kept };
        const plan = planResume(log, formatPosition({ generation: same ? "g" : "h", at }));
        if (plan.read === "changes") {
          expect(same).toBe(true);
          expect(plan.after).toBe(at);
          expect(at >= trimmed && at <= log.head).toBe(true);
        } else expect(!same || at < trimmed || at > log.head).toBe(true);
      }),
    );
  });

  it("[WR2] a snapshot goes on from its cursor while the changes since it are retained", () => {
    const from = formatPosition({ generation: "g", at: 7, cursor: "KEY" });
    expect(planResume({ generation: "g", first: 8, head: 9 }, from)).toEqual({ read: "rest", at: 7, cursor: "KEY" });
    expect(planResume({ generation: "g", first: 9, head: 9 }, from)).toEqual({ read: "snapshot" });
    expect(planResume({ generation: "g", first: 1, head: 9 }, null)).toEqual({ read: "snapshot" });
    expect(planResume({ generation: "g", first: 1, head: 9 }, "nonsense")).toEqual({ read: "snapshot" });
  });

  it("[WR3] joined positions come apart as they were", () => {
    const parts = fc.array(
      fc.option(
        place.map(({ generation, at }) => formatPosition({ generation, at })),
        { nil: null },
      ),
      { minLength: 1, maxLength: 12 },
    );
    fc.assert(
      fc.property(parts, (positions) => {
        const joined = joinPositions(positions);
        expect(splitPositions(joined, positions.length)).toEqual(positions);
        expect(splitPositions(joined, positions.length + 1)).toBeNull();
      }),
    );
    expect(() => joinPositions(Array(9).fill("p".repeat(64)))).toThrow(/too long/);
    expect(splitPositions("a||b", 3)).toBeNull();
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { continueTrace, traceId } from "./trace.ts";

const SHAPE = /^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$/;
const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const parent = `00-${TRACE}-00f067aa0ba902b7-01`;

describe("traceparent", () => {
  it("[GT7] a caller's trace goes on, with a span of our own and its sampling", () => {
    const next = continueTrace(parent);
    expect(next).toMatch(SHAPE);
    expect(traceId(next)).toBe(TRACE);
    expect(next.slice(36, 52)).not.toBe("00f067aa0ba902b7");
    expect(continueTrace(`00-${TRACE}-00f067aa0ba902b7-00`).endsWith("-00")).toBe(true);
    // A later version may say more at its end; what we know of it still holds.
    expect(traceId(continueTrace(`cc-${TRACE}-00f067aa0ba902b7-01-what-will-be`))).toBe(TRACE);
  });

  it.each([
    undefined,
    null,
    "",
    "junk",
    parent.toUpperCase(),
    `ff-${TRACE}-00f067aa0ba902b7-01`,
    `00-${"0".repeat(32)}-00f067aa0ba902b7-01`,
    `00-${TRACE}-${"0".repeat(16)}-01`,
    `${parent}-more`,
    `${parent}\r\nx: y`,
  ])("[GT7] %j starts a new one", (given) => {
    const fresh = continueTrace(given);
    expect(fresh).toMatch(SHAPE);
    expect(traceId(fresh)).not.toBe(TRACE);
  });

  it("[GT7] whatever is given, what goes on is well formed", () => {
    fc.assert(
      fc.property(fc.string(), (given) => {
        expect(continueTrace(given)).toMatch(SHAPE);
      }),
    );
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { allows, type Grant, matches } from "./grant.ts";

describe("grants", () => {
  it("[WG1] a pattern matches as the regular expression with .* for * does", () => {
    const text = fc.string({ unit: fc.constantFrom("a", "b", "*", "."), maxLength: 8 });
    fc.assert(
      fc.property(text, text, (pattern, name) => {
        const oracle = new RegExp(
          `^${pattern
            .split("*")
            .map((piece) => piece.replaceAll(".", "\\."))
            .join("[^]*")}$`,
        );
        expect(matches(pattern, name)).toBe(oracle.test(name));
      }),
      { numRuns: 3000 },
    );
  });

  it("[WG1] a hostile pattern costs linear time", () => {
    const start = process.cpuUsage();
    expect(matches(`${"*a".repeat(5000)}*c`, "a".repeat(20_000))).toBe(false);
    // Of this process's own time, in microseconds: what else the machine does is no concern. Quadratic would be minutes.
    expect(process.cpuUsage(start).user).toBeLessThan(2_000_000);
  });

  const grants: Grant[] = [
    { capability: "rooms", name: "team-*", rights: ["write"] },
    { capability: "*", name: "public", rights: ["read"] },
  ];

  it("[WG2] admin implies write, write implies read, and nothing implies more", () => {
    expect(allows(grants, "rooms", "team-a", "read")).toBe(true);
    expect(allows(grants, "rooms", "team-a", "write")).toBe(true);
    expect(allows(grants, "rooms", "team-a", "admin")).toBe(false);
  });

  it("[WG3] the platform's own groups are read by who may do everything, and written by nobody", () => {
    const grant = (capability: Grant["capability"], name: string) => [{ capability, name, rights: ["admin" as const] }];
    expect(allows(grant("*", "*"), "groups", "_system", "read")).toBe(true);
    for (const right of ["write", "admin"] as const) expect(allows(grant("*", "*"), "groups", "_system", right)).toBe(false);
    for (const few of [grant("groups", "*"), grant("groups", "_system"), grant("*", "_*")])
      expect(allows(few, "groups", "_system", "read")).toBe(false);
    // Names of everything else may begin as they like.
    expect(allows(grant("rooms", "*"), "rooms", "_system", "admin")).toBe(true);
  });

  it("[WG2] a grant covers its capability and names only; no grants allow nothing", () => {
    expect(allows(grants, "streams", "team-a", "read")).toBe(false);
    expect(allows(grants, "rooms", "other", "read")).toBe(false);
    expect(allows(grants, "streams", "public", "read")).toBe(true);
    expect(allows(grants, "streams", "public", "write")).toBe(false);
    expect(allows([], "rooms", "team-a", "read")).toBe(false);
    expect(allows([{ capability: "rooms", name: "*", rights: [] }], "rooms", "a", "read")).toBe(false);
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SkerryError } from "../wire/errors.ts";
import { allows, type Grant, type Right } from "../wire/grant.ts";
import type { Capability } from "../wire/names.ts";
import { ADMIN_GRANTS, CAPABILITIES, MAX_GRANTS, parseAnonymousGrants, parseGrants, RIGHTS } from "./grants.ts";

const capability = fc.constantFrom<Capability>(...CAPABILITIES);
// A small alphabet, so that patterns and names meet often.
const text = fc.string({ unit: fc.constantFrom("a", "b", "-", "*"), minLength: 1, maxLength: 8 });
const name = fc.string({ unit: fc.constantFrom("a", "b", "-"), minLength: 1, maxLength: 8 });
const right = fc.constantFrom<Right>(...RIGHTS);
const grant = fc.record({
  capability: fc.oneof(capability, fc.constant("*" as const)),
  name: text,
  rights: fc.uniqueArray(right, { minLength: 1 }),
});

/** What a pattern matches, told in another way than the code does: by dynamic programming over both strings. */
function oracle(pattern: string, subject: string): boolean {
  let row = [true, ...Array<boolean>(subject.length).fill(false)];
  for (const letter of pattern) {
    const next = [letter === "*" && row[0]!];
    for (let i = 1; i <= subject.length; i++)
      next.push(letter === "*" ? next[i - 1]! || row[i]! : row[i - 1]! && subject[i - 1] === letter);
    row = next;
  }
  return row[subject.length]!;
}

const refusal = (value: unknown): string => {
  try {
    parseGrants(value);
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(SkerryError);
    expect((thrown as SkerryError).code).toBe("bad_request");
    return (thrown as SkerryError).message;
  }
  return "accepted";
};

describe("grants", () => {
  it("[GR2] what is parsed allows exactly what was given, and reads back unchanged", () => {
    fc.assert(
      fc.property(fc.array(grant, { maxLength: 5 }), capability, name, right, (grants, kind, subject, wanted) => {
        const parsed = parseGrants(JSON.parse(JSON.stringify(grants)));
        expect(allows(parsed, kind, subject, wanted)).toBe(allows(grants as Grant[], kind, subject, wanted));
        expect(parseGrants(JSON.parse(JSON.stringify(parsed)))).toEqual(parsed);
      }),
    );
  });

  it("[GR3] no pattern escalates: what is allowed, some grant names by capability, pattern and right", () => {
    const rank = { read: 0, write: 1, admin: 2 };
    fc.assert(
      fc.property(fc.array(grant, { maxLength: 4 }), capability, name, right, (grants, kind, subject, wanted) => {
        const expected = grants.some(
          (given) =>
            (given.capability === "*" || given.capability === kind) &&
            oracle(given.name, subject) &&
            Math.max(...given.rights.map((each) => rank[each])) >= rank[wanted],
        );
        expect(allows(parseGrants(grants), kind, subject, wanted)).toBe(expected);
      }),
      { numRuns: 2000 },
    );
  });

  it("[GR3] a pattern without a star is one name, however much it looks like a regular expression", () => {
    const only = parseGrants([{ capability: "rooms", name: "a.b+[c]?$", rights: ["read"] }]);
    expect(allows(only, "rooms", "a.b+[c]?$", "read")).toBe(true);
    for (const other of ["aXb+[c]?$", "a.b", "a.bbc", ""]) expect(allows(only, "rooms", other, "read")).toBe(false);
  });

  it.each([
    [{}, "grants"],
    [[null], "grants[0]"],
    [[{ capability: "rooms", name: "a" }], "grants[0].rights"],
    [[{ capability: "rooms", name: "a", rights: [] }], "grants[0].rights"],
    [[{ capability: "rooms", name: "a", rights: ["own"] }], "grants[0].rights"],
    [[{ capability: "rooms", name: "a", rights: "read" }], "grants[0].rights"],
    [[{ capability: "room", name: "a", rights: ["read"] }], "grants[0].capability"],
    [[{ capability: "rooms", name: "", rights: ["read"] }], "grants[0].name"],
    [[{ capability: "rooms", name: 7, rights: ["read"] }], "grants[0].name"],
    [[{ capability: "rooms", name: "é".repeat(129), rights: ["read"] }], "grants[0].name"],
    [[{ capability: "rooms", name: "a", rights: ["read"], until: 5 }], "grants[0].until"],
    [[{ capability: "__proto__", name: "a", rights: ["read"] }], "grants[0].capability"],
  ])("[GR1] %j is refused, naming %s", (value, member) => {
    expect(refusal(value)).toContain(`"${member}"`);
  });

  it("[GR1] no value at all makes it throw anything but bad_request", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        refusal(value);
        refusal([value]);
        refusal([{ capability: "rooms", name: value, rights: [value] }]);
      }),
    );
  });

  it("[GR4] too many, or too long in all, are refused", () => {
    const one = { capability: "rooms", name: "a", rights: ["read"] };
    expect(parseGrants(Array(MAX_GRANTS).fill(one))).toHaveLength(MAX_GRANTS);
    expect(refusal(Array(MAX_GRANTS + 1).fill(one))).toContain("at most 64");
    expect(refusal(Array(20).fill({ ...one, name: "n".repeat(250) }))).toContain("bytes");
  });

  it("[GR5] anonymous grants are none unless the deployment names some, and unreadable ones close it", () => {
    for (const none of [undefined, "", "  ", "[]"]) expect(parseAnonymousGrants(none)).toEqual([]);
    expect(parseAnonymousGrants('[{"capability":"rooms","name":"public-*","rights":["read"]}]')).toHaveLength(1);
    for (const wrong of ["{", "{}", "null", '"*"', '[{"capability":"rooms"}]', '[{"capability":"rooms","name":"*","rights":["root"]}]'])
      expect(() => parseAnonymousGrants(wrong), wrong).toThrow(expect.objectContaining({ code: "misconfigured" }));
  });

  it("the admin key may do everything", () => {
    for (const kind of CAPABILITIES) for (const each of RIGHTS) expect(allows(ADMIN_GRANTS, kind, "anything/at all", each)).toBe(true);
  });
});

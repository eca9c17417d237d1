import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { errorOf } from "./errors.ts";
import { checkName, checkProject, DEFAULT_SCOPE, MAX_NAME_BYTES, objectName, parseObjectName } from "./names.ts";

const scope = fc.record({
  project: fc.stringMatching(/^[a-z][a-z0-9-]{0,38}$/),
  jurisdiction: fc.constantFrom("global" as const, "eu" as const, "us" as const, "fedramp" as const),
});
const capability = fc.constantFrom(
  "rooms" as const,
  "streams" as const,
  "groups" as const,
  "data" as const,
  "models" as const,
  "platform" as const,
);
const part = fc.string({ unit: "grapheme", minLength: 1, maxLength: 12 }).map((text) => text.toWellFormed());

function codeOf(run: () => unknown): string {
  try {
    run();
    return "none";
  } catch (error) {
    return errorOf(error).code;
  }
}

describe("names", () => {
  it("[WN1] an object name comes apart as it was put together", () => {
    fc.assert(
      fc.property(scope, capability, fc.array(part, { maxLength: 4 }), (inScope, of, parts) => {
        expect(parseObjectName(objectName(inScope, of, ...parts))).toEqual({ scope: inScope, capability: of, parts });
      }),
    );
  });

  it("[WN1] different things have different names, and no part reaches into another project", () => {
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 3 }), fc.array(part, { minLength: 1, maxLength: 3 }), (a, b) => {
        const [one, other] = [objectName(DEFAULT_SCOPE, "rooms", ...a), objectName(DEFAULT_SCOPE, "rooms", ...b)];
        expect(one === other).toBe(a.length === b.length && a.every((each, i) => each === b[i]));
        expect(one.startsWith("v1/main/global/rooms/")).toBe(true);
        expect(one.split("/").length).toBe(4 + a.length);
      }),
    );
  });

  it("[WN1] what objectName did not make is bad_name", () => {
    const near = fc.oneof(fc.string(), fc.stringMatching(/^v[12]\/[a-zA-Z-]{0,5}\/(eu|mars|)\/(rooms|data|x|)(\/%?[0-9A-G]{0,3}){0,2}$/));
    fc.assert(
      fc.property(near, (text) => {
        const code = codeOf(() => parseObjectName(text));
        expect(["none", "bad_name"]).toContain(code);
        const [, , jurisdiction, kind] = text.split("/");
        if (jurisdiction === "mars" || kind === "x") expect(code).toBe("bad_name");
      }),
      { numRuns: 2000 },
    );
  });

  it("[WN2] a name is 1 to 256 bytes without control characters or broken Unicode", () => {
    expect(checkName("room", "日本/🙂 ?#%")).toBe("日本/🙂 ?#%");
    expect(codeOf(() => checkName("room", "é".repeat(MAX_NAME_BYTES / 2)))).toBe("none");
    for (const name of ["", "é".repeat(MAX_NAME_BYTES / 2 + 1), "a\n", "\u007f", "\ud800", "\udc00x"]) {
      expect(codeOf(() => checkName("room", name))).toBe("bad_name");
    }
  });

  it("[WN3] a project is a short lower-case label", () => {
    for (const project of ["main", "a", "a-1", "a".repeat(39)]) expect(checkProject(project)).toBe(project);
    for (const project of ["", "1a", "-a", "A", "a_b", "a/b", "a".repeat(40), "a\n"])
      expect(codeOf(() => checkProject(project))).toBe("bad_name");
  });
});

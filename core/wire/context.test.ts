import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { toBase64Url } from "./base64url.ts";
import { decodeContext, encodeContext, MAX_CONTEXT_BYTES, MAX_CONTEXT_ENTRIES, NOTHING_SEEN, type Seen, withPosition } from "./context.ts";
import { objectName, type Scope } from "./names.ts";

const scope: Scope = { project: "main", jurisdiction: "global" };
const at = fc.nat({ max: Number.MAX_SAFE_INTEGER });
const object = fc
  .tuple(fc.constantFrom("rooms", "streams", "data" as const), fc.string({ minLength: 1, maxLength: 12 }))
  .filter(([, name]) => {
    try {
      return encodeURIComponent(name) !== "";
    } catch {
      return false;
    }
  });
const positions = fc.array(
  fc.tuple(object, at).map(([[kind, name], n]) => ({ object: objectName(scope, kind as "rooms", name), at: n })),
  { maxLength: 100 },
);
const seenOf = (list: { object: string; at: number }[]): Seen =>
  list.reduce((seen, position) => withPosition(seen, position), NOTHING_SEEN);
const damaged = expect.objectContaining({ code: "bad_context" });

describe("the causal context", () => {
  it("[WX1] within the bounds a token reads back as it was", () => {
    fc.assert(
      fc.property(positions, (list) => {
        const seen = seenOf(list);
        const token = encodeContext(seen, scope);
        if (seen.size === 0) {
          expect(token).toBeNull();
          return;
        }
        const back = decodeContext(token as string, scope);
        const all = [...seen];
        expect([...back]).toEqual(all.slice(all.length - back.size));
        if (seen.size <= MAX_CONTEXT_ENTRIES && (token as string).length < MAX_CONTEXT_BYTES / 2) expect(back.size).toBe(seen.size);
      }),
    );
  });

  it("[WX2] positions only grow, and what was touched last is the newest entry", () => {
    fc.assert(
      fc.property(positions, (list) => {
        const seen = seenOf(list);
        for (const { object: name, at: n } of list) expect(seen.get(name)).toBeGreaterThanOrEqual(n);
        if (list.length > 0) expect([...seen.keys()].at(-1)).toBe(list.at(-1)?.object);
      }),
    );
  });

  it("[WX3] over the bounds the entries touched longest ago go", () => {
    const many = Array.from({ length: 200 }, (_, i) => ({ object: objectName(scope, "rooms", `r${i}`), at: i }));
    const token = encodeContext(seenOf(many), scope) as string;
    expect([...decodeContext(token, scope).keys()]).toEqual(many.slice(-MAX_CONTEXT_ENTRIES).map((position) => position.object));
    const long = Array.from({ length: 64 }, (_, i) => ({
      object: objectName(scope, "rooms", "é".repeat(100) + i),
      at: Number.MAX_SAFE_INTEGER,
    }));
    const bounded = encodeContext(seenOf(long), scope) as string;
    expect(bounded.length).toBeLessThanOrEqual(MAX_CONTEXT_BYTES);
    expect([...decodeContext(bounded, scope).keys()].at(-1)).toBe(long.at(-1)?.object);
  });

  it("[WX4] what is damaged, foreign or oversized is bad_context", () => {
    const token = encodeContext(seenOf([{ object: objectName(scope, "rooms", "a"), at: 5 }]), scope) as string;
    expect(() => decodeContext(token, { ...scope, project: "other" })).toThrow(damaged);
    expect(() => decodeContext("A".repeat(MAX_CONTEXT_BYTES + 1), scope)).toThrow(damaged);
    const json = (value: unknown) => toBase64Url(new TextEncoder().encode(JSON.stringify(value)));
    for (const wrong of [
      null,
      1,
      {},
      [],
      [1],
      [2, "main/global"],
      [1, "main/global", "a"],
      [1, "main/global", "a", -1],
      [1, "main/global", "a", 1.5],
    ])
      expect(() => decodeContext(json(wrong), scope), JSON.stringify(wrong)).toThrow(damaged);
    expect(() => decodeContext(json([1, "main/global", "a", 1, "a", 2]), scope)).toThrow(damaged);
    expect(() => decodeContext(json([1, "main/global", ...Array.from({ length: 65 }, (_, i) => [`r${i}`, i]).flat()]), scope)).toThrow(
      damaged,
    );
  });

  it("[WX4] no text makes it throw anything else", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.base64String(),
          fc.jsonValue().map((value) => toBase64Url(new TextEncoder().encode(JSON.stringify(value)))),
        ),
        (text) => {
          try {
            decodeContext(text, scope);
          } catch (thrown) {
            expect(thrown).toEqual(damaged);
          }
        },
      ),
    );
  });

  it("[WX5] entries of another scope stay out of a token", () => {
    const foreign = objectName({ project: "other", jurisdiction: "global" }, "rooms", "a");
    expect(encodeContext(new Map([[foreign, 1]]), scope)).toBeNull();
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { loggedPath, redact } from "./log.ts";

const part = fc.string({ unit: fc.constantFrom(..."abcXYZ019-_"), minLength: 8, maxLength: 40 });
const token = fc.tuple(part, part, part).map((parts) => parts.join("."));
const key = "pB7x9Qw2Lm5Tz8Rk4Vn1Yc6dX";

describe("what is logged", () => {
  it("[GT6] no token survives, in whatever parameter, path or text it stands", () => {
    const place = fc.constantFrom("?token=", "?a=1&token=", "?access_token=", "?x=", "/", "/v1/rooms/a?b=", "?TOKEN=");
    fc.assert(
      fc.property(token, place, (secret, before) => {
        expect(loggedPath(`http://h${before.startsWith("?") ? "/v1/rooms/a" : ""}${before}${secret}`)).not.toContain(secret);
        expect(redact(JSON.stringify({ detail: `said "Bearer ${secret}"`, path: secret }))).not.toContain(secret);
      }),
    );
  });

  it("[GT6] the admin key survives nowhere, and ?token= never, whatever its form", () => {
    expect(loggedPath(`http://h/v1/rooms/a?token=${key}`)).toBe("/v1/rooms/a?token=[redacted]");
    expect(redact(`{"path":"/v1/${key}"}`, key)).toBe('{"path":"/v1/[redacted]"}');
    expect(redact(`Authorization: Bearer ${key}`)).not.toContain(key);
  });

  it("keeps what is harmless, and bounds it", () => {
    expect(loggedPath("http://h/v1/tables/delays?key=ORD&limit=5")).toBe("/v1/tables/delays?key=ORD&limit=5");
    expect(loggedPath(`http://h/${"a".repeat(10_000)}`)).toHaveLength(2_048);
  });
});

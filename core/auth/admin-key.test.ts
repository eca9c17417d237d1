import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkAdminKey, looksLikeToken } from "./admin-key.ts";

describe("the admin key", () => {
  it.each([
    [undefined, "not set"],
    [null, "not set"],
    ["", "not set"],
    ["a3", "shorter than 24"],
    ["pB7x9Qw2Lm5Tz8Rk4Vn1Yc6", "shorter than 24"],
    ["pB7x9Qw2Lm5 Tz8Rk4Vn1Yc6d", "not printable ASCII"],
    ["pB7x9Qw2Lm5Tz8Rk4Vn1Yc6dé", "not printable ASCII"],
    ["pB7x9Qw2Lm5Tz8Rk4Vn1Yc6d\n", "not printable ASCII"],
    ["changeme-changeme-changeme", "placeholder"],
    ["CHANGE_ME_BEFORE_YOU_DEPLOY", "placeholder"],
    ["<your admin key goes here>".replaceAll(" ", "-"), "placeholder"],
    ["<pB7x9Qw2Lm5Tz8Rk4Vn1Yc6d>", "placeholder"],
    ["$" + "{SKERRY_ADMIN_KEY_GOES_HERE}", "placeholder"],
    ["secret-secret-secret-secret", "placeholder"],
    ["my-secret-admin-key-1234567890", "placeholder"],
    ["default-admin-password-000000", "placeholder"],
    ["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", ""],
    ["xyxyxyxyxyxyxyxyxyxyxyxyxyxy", "too few different"],
    ["eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl", "form of a signed token"],
  ])("[AK1] %j is refused: %s", (key, why) => {
    const problem = checkAdminKey(key);
    expect(problem).toContain(why);
    expect(problem).toContain("Set SKERRY_ADMIN_KEY to a random value");
    // The sentence is shown to whoever asks: it must not show the key.
    if (key) expect(problem).not.toContain(key);
  });

  it("[AK2] random keys are accepted, in hexadecimal and in base64", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 24, maxLength: 48 }), (bytes) => {
        fc.pre(new Set(bytes).size > 16);
        expect(checkAdminKey(Buffer.from(bytes).toString("hex"))).toBeNull();
        expect(checkAdminKey(Buffer.from(bytes).toString("base64url"))).toBeNull();
        expect(checkAdminKey(Buffer.from(bytes).toString("base64"))).toBeNull();
      }),
      { numRuns: 500, seed: 7 },
    );
  });

  it("tells a token from a key", () => {
    expect(looksLikeToken("aaa.bbb.ccc")).toBe(true);
    for (const key of ["aaa.bbb", "aaa.bbb.ccc.ddd", "aaa..ccc", "plain", "a b.c.d", ""]) expect(looksLikeToken(key)).toBe(false);
  });
});

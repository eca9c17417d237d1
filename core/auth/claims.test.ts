import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Grant } from "../wire/grant.ts";
import { actorOf, DEFAULT_MAX_LIFETIME, MAX_LIFETIME, newClaims, parseClaims, refreshedClaims } from "./claims.ts";

const NOW = 1_795_000_000_123;
const grants: Grant[] = [{ capability: "rooms", name: "team-*", rights: ["read"] }];
const ttl = fc.integer({ min: 1, max: MAX_LIFETIME });
const plain = (value: object) => JSON.parse(JSON.stringify(value)) as Record<string, unknown>;
const code = (expected: string) => expect.objectContaining({ code: expected });

describe("claims", () => {
  it("[TK1] what is made reads back, as the actor it names", () => {
    const claims = newClaims("main", { grants, expiresIn: 60, subject: "ada" }, "id-1", NOW);
    expect(parseClaims(plain(claims), "main", NOW)).toEqual(claims);
    expect(actorOf(claims)).toEqual({
      project: "main",
      subject: "ada",
      tokenId: "id-1",
      expiresAt: (Math.floor(NOW / 1000) + 60) * 1000,
      grants,
    });
  });

  it("[TK3] a token ends to the millisecond", () => {
    fc.assert(
      fc.property(ttl, (expiresIn) => {
        const claims = newClaims("main", { grants, expiresIn }, "id", NOW);
        const end = claims.exp * 1000;
        expect(parseClaims(plain(claims), "main", end - 1)).toEqual(claims);
        expect(() => parseClaims(plain(claims), "main", end)).toThrow(code("token_expired"));
      }),
    );
  });

  it("[TK4] however a token is refreshed, it keeps id and grants, never shortens, and never passes its longest lifetime", () => {
    const steps = fc.array(fc.double({ min: 0, max: 1.2, noNaN: true }), { maxLength: 40 });
    fc.assert(
      fc.property(ttl, fc.option(ttl, { nil: undefined }), steps, (expiresIn, maxLifetime, fractions) => {
        fc.pre(maxLifetime === undefined || maxLifetime >= expiresIn);
        const first = newClaims("main", { grants, expiresIn, maxLifetime }, "id", NOW);
        expect(first.mxl - first.iat).toBe(maxLifetime ?? Math.max(expiresIn, DEFAULT_MAX_LIFETIME));
        let claims = first;
        let now = NOW;
        for (const fraction of fractions) {
          now += Math.round(fraction * expiresIn * 1000);
          try {
            const next = refreshedClaims(claims, now);
            expect(next).toMatchObject({ jti: "id", sub: first.sub, aud: "main", mxl: first.mxl, grants });
            expect(next.exp).toBeGreaterThanOrEqual(claims.exp);
            expect(next.exp).toBeLessThanOrEqual(first.mxl);
            expect(parseClaims(plain(next), "main", now)).toEqual(next);
            claims = next;
          } catch (thrown) {
            expect(thrown).toEqual(code("token_expired"));
            expect(Math.floor(now / 1000) >= claims.exp || claims.exp === first.mxl).toBe(true);
          }
        }
      }),
    );
  });

  it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, MAX_LIFETIME + 1, "60" as unknown as number, undefined as unknown as number])(
    "[TK4] expiresIn %s is refused",
    (expiresIn) => {
      expect(() => newClaims("main", { grants, expiresIn }, "id", NOW)).toThrow(code("bad_request"));
    },
  );

  it("[TK4] a longest lifetime below the first one, or no grants, is refused", () => {
    expect(() => newClaims("main", { grants, expiresIn: 60, maxLifetime: 59 }, "id", NOW)).toThrow(code("bad_request"));
    expect(() => newClaims("main", { grants: [], expiresIn: 60 }, "id", NOW)).toThrow(code("bad_request"));
  });

  it("[TK7] reserved and unfit subjects are refused, in requests and in signed payloads", () => {
    for (const subject of ["admin", "anonymous", "", "a\nb", "x".repeat(129)])
      expect(() => newClaims("main", { grants, expiresIn: 60, subject }, "id", NOW), subject).toThrow(code("bad_request"));
    const claims = plain(newClaims("main", { grants, expiresIn: 60 }, "id", NOW));
    for (const sub of ["admin", "anonymous", 7]) expect(() => parseClaims({ ...claims, sub }, "main", NOW)).toThrow(code("token_invalid"));
  });

  it("[TK2] another project's claims, and claims that were never ours, are refused", () => {
    const claims = plain(newClaims("main", { grants, expiresIn: 60 }, "id", NOW));
    expect(() => parseClaims(claims, "other", NOW)).toThrow(code("project_mismatch"));
    for (const member of ["sub", "jti", "iat", "exp", "ttl", "mxl", "grants"]) {
      const { [member]: _gone, ...rest } = claims;
      expect(() => parseClaims(rest, "main", NOW), member).toThrow(code("token_invalid"));
    }
    const iat = claims.iat as number;
    expect(() => parseClaims({ ...claims, exp: iat + MAX_LIFETIME + 1, mxl: iat + 2 * MAX_LIFETIME }, "main", NOW)).toThrow(
      code("token_invalid"),
    );
    expect(() => parseClaims({ ...claims, mxl: (claims.exp as number) - 1 }, "main", NOW)).toThrow(code("token_invalid"));
  });
});

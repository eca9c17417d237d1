import fc from "fast-check";
import { exportJWK, generateKeyPair, generateSecret, SignJWT, UnsecuredJWT } from "jose";
import { beforeAll, describe, expect, it } from "vitest";
import { MAX_LIFETIME, newClaims } from "../../core/auth/claims.ts";
import { ALGORITHM, verifyToken } from "./verify.ts";

const NOW = 1_795_000_000_000;
const claims = newClaims("main", { grants: [{ capability: "rooms", name: "team-*", rights: ["read"] }], expiresIn: 60 }, "id-1", NOW);
const invalid = expect.objectContaining({ code: "token_invalid" });

let keys: { privateKey: CryptoKey; publicKey: CryptoKey };
let token: string;
const find = async (kid: string) => (kid === "k1" ? keys.publicKey : null);
const header = { alg: ALGORITHM, kid: "k1", typ: "JWT" };
const sign = (payload: object, protectedHeader: object = header, key = keys.privateKey) =>
  new SignJWT({ ...payload }).setProtectedHeader(protectedHeader as { alg: string }).sign(key);

beforeAll(async () => {
  keys = await generateKeyPair(ALGORITHM, { extractable: true });
  token = await sign(claims);
});

describe("verifying a token", () => {
  it("[TK1] a good one gives its claims", async () => {
    expect(await verifyToken(token, "main", NOW, find)).toEqual(claims);
  });

  it("[TK2] any change of any one byte is refused", async () => {
    const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: token.length - 1 }), fc.nat({ max: alphabet.length - 1 }), async (at, letter) => {
        fc.pre(alphabet[letter] !== token[at]);
        const changed = token.slice(0, at) + alphabet[letter] + token.slice(at + 1);
        await expect(verifyToken(changed, "main", NOW, find)).rejects.toEqual(invalid);
      }),
      { numRuns: 400 },
    );
  });

  it("[TK2] any piece of it, or anything appended, is refused", async () => {
    for (let i = 0; i < token.length; i += 7) await expect(verifyToken(token.slice(0, i), "main", NOW, find)).rejects.toEqual(invalid);
    for (const more of ["A", ".", "=", " ", "\0"]) await expect(verifyToken(token + more, "main", NOW, find)).rejects.toEqual(invalid);
  });

  it("[TK2] no signature at all (alg none) is refused", async () => {
    const bare = new UnsecuredJWT({ ...claims }).encode();
    const [, payload] = bare.split(".");
    const none = Buffer.from(JSON.stringify({ alg: "none", kid: "k1", typ: "JWT" })).toString("base64url");
    for (const forged of [bare, `${none}.${payload}.`, `${none}.${payload}.AAAA`])
      await expect(verifyToken(forged, "main", NOW, find)).rejects.toEqual(invalid);
  });

  it("[TK2] an HMAC keyed with the public key, which anyone may read, is refused", async () => {
    const { x } = await exportJWK(keys.publicKey);
    const hmac = await crypto.subtle.importKey("raw", Buffer.from(x as string, "base64url"), { name: "HMAC", hash: "SHA-256" }, true, [
      "sign",
    ]);
    await expect(sign(claims, { ...header, alg: "HS256" }, hmac).then((forged) => verifyToken(forged, "main", NOW, find))).rejects.toEqual(
      invalid,
    );
    const secret = (await generateSecret("HS256")) as CryptoKey;
    await expect(
      sign(claims, { ...header, alg: "HS256" }, secret).then((forged) => verifyToken(forged, "main", NOW, find)),
    ).rejects.toEqual(invalid);
  });

  it("[TK2] another key, an unknown key id, or none is refused", async () => {
    const other = await generateKeyPair(ALGORITHM);
    await expect(sign(claims, header, other.privateKey).then((forged) => verifyToken(forged, "main", NOW, find))).rejects.toEqual(invalid);
    for (const kid of ["k2", "", "__proto__", undefined, 7]) {
      const forged = await sign(claims, { alg: ALGORITHM, typ: "JWT", ...(kid !== undefined && { kid }) });
      await expect(verifyToken(forged, "main", NOW, find), String(kid)).rejects.toEqual(invalid);
    }
  });

  it("[TK2] a key that the token brings along is not used", async () => {
    const own = await generateKeyPair(ALGORITHM, { extractable: true });
    const jwk = await exportJWK(own.publicKey);
    const forged = await sign(claims, { ...header, jwk, jku: "https://example.com/keys" }, own.privateKey);
    await expect(verifyToken(forged, "main", NOW, find)).rejects.toEqual(invalid);
  });

  it("[TK2] another audience, a list of audiences, or another type is refused", async () => {
    for (const aud of ["other", ["main", "other"], undefined])
      await expect(sign({ ...claims, aud }).then((t) => verifyToken(t, "main", NOW, find))).rejects.toThrow();
    await expect(verifyToken(token, "other", NOW, find)).rejects.toEqual(invalid);
    await expect(sign(claims, { ...header, typ: "other" }).then((t) => verifyToken(t, "main", NOW, find))).rejects.toEqual(invalid);
  });

  it("[TK3] an expired token is told apart, and one that would live too long is refused", async () => {
    await expect(verifyToken(token, "main", NOW + 60_000, find)).rejects.toEqual(expect.objectContaining({ code: "token_expired" }));
    expect(await verifyToken(token, "main", NOW + 59_999, find)).toEqual(claims);
    const eternal = { ...claims, exp: claims.iat + 10 * MAX_LIFETIME, mxl: claims.iat + 10 * MAX_LIFETIME };
    await expect(sign(eternal).then((t) => verifyToken(t, "main", NOW, find))).rejects.toEqual(invalid);
  });
});

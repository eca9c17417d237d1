import { decodeProtectedHeader, errors, jwtVerify } from "jose";
import { looksLikeToken } from "../../core/auth/admin-key.ts";
import { type Claims, expired, parseClaims } from "../../core/auth/claims.ts";
import { fromBase64Url } from "../../core/wire/base64url.ts";
import { SkerryError } from "../../core/wire/errors.ts";

/** The one algorithm. It is pinned when verifying, so that a token cannot choose a weaker one. */
export const ALGORITHM = "EdDSA";
/** Of Ed25519 (RFC 8032). */
const SIGNATURE_BYTES = 64;

/**
 * Verifies a token's signature, audience, times and claims. `find` gives the public key of a key id, or null.
 * Throws `token_invalid`, `token_expired` or `project_mismatch`. `now` in Unix milliseconds.
 */
export async function verifyToken(
  token: string,
  project: string,
  now: number,
  find: (kid: string) => Promise<CryptoKey | null>,
): Promise<Claims> {
  // One token has one spelling: decoders commonly take padding and stray bits, which would let a copy differ in its bytes.
  if (!looksLikeToken(token) || fromBase64Url(token.slice(token.lastIndexOf(".") + 1))?.length !== SIGNATURE_BYTES)
    throw invalid("it is damaged");
  let kid: unknown;
  try {
    kid = decodeProtectedHeader(token).kid;
  } catch (cause) {
    throw invalid("it is damaged", cause);
  }
  if (typeof kid !== "string") throw invalid("it names no key");
  const key = await find(kid);
  if (key === null) throw invalid("its key is unknown or has ended");
  try {
    const { payload } = await jwtVerify(token, key, { algorithms: [ALGORITHM], audience: project, typ: "JWT", currentDate: new Date(now) });
    return parseClaims(payload, project, now);
  } catch (thrown) {
    if (thrown instanceof SkerryError) throw thrown;
    if (thrown instanceof errors.JWTExpired) throw expired();
    throw invalid("its signature or claims do not hold", thrown);
  }
}

function invalid(why: string, cause?: unknown): SkerryError {
  return new SkerryError("token_invalid", `The token is not valid: ${why}.`, { cause });
}

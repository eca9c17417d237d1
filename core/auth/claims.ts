import { SkerryError } from "../wire/errors.ts";
import type { Actor, Grant } from "../wire/grant.ts";
import { checkProject } from "../wire/names.ts";
import { parseGrants } from "./grants.ts";

/** Seconds. No token outlives this, however often it is refreshed, and a retired key verifies at least as long. */
export const MAX_LIFETIME = 30 * 86_400;
/** Seconds that a token may be prolonged over by refreshing, if its maker names nothing else. */
export const DEFAULT_MAX_LIFETIME = 86_400;
export const MAX_SUBJECT = 128;

const RESERVED = new Set(["admin", "anonymous"]);
// biome-ignore lint/suspicious/noControlCharactersInRegex: refusing them is the point
const CONTROL = /[\u0000-\u001f\u007f]/;

/** What a token is asked for with. `expiresIn` and `maxLifetime` in seconds. */
export type TokenRequest = { grants: Grant[]; expiresIn: number; maxLifetime?: number | undefined; subject?: string | undefined };

/**
 * The claims of a signed token (RFC 7519): times in Unix seconds; `ttl` the seconds it was made for; `mxl` the end
 * that refreshing never passes. A refreshed token keeps its id, so that revoking the id ends every copy.
 */
export type Claims = { aud: string; sub: string; jti: string; iat: number; exp: number; ttl: number; mxl: number; grants: Grant[] };

/** The claims of a new token. Throws `bad_request`. `now` in Unix milliseconds, `id` unique in the project. */
export function newClaims(project: string, request: TokenRequest, id: string, now: number): Claims {
  const iat = Math.floor(now / 1000);
  const ttl = seconds("expiresIn", request.expiresIn);
  const life = seconds("maxLifetime", request.maxLifetime ?? Math.max(ttl, DEFAULT_MAX_LIFETIME));
  if (life < ttl) throw new SkerryError("bad_request", `"maxLifetime" is not less than "expiresIn".`);
  const grants = parseGrants(request.grants);
  if (grants.length === 0) throw new SkerryError("bad_request", `"grants" has at least one entry: a token without any could do nothing.`);
  return { aud: checkProject(project), sub: subject(request.subject), jti: id, iat, exp: iat + ttl, ttl, mxl: iat + life, grants };
}

/** The claims of a token's successor: same id, subject and grants, a new end, never past `mxl`. Throws `token_expired`. */
export function refreshedClaims(claims: Claims, now: number): Claims {
  const iat = Math.floor(now / 1000);
  if (iat >= claims.exp) throw expired();
  if (claims.exp >= claims.mxl)
    throw new SkerryError("token_expired", "The token has reached its longest lifetime and cannot be refreshed; ask for a new one.");
  // Never earlier than the end it already has: refreshing must not shorten a token.
  return { ...claims, iat, exp: Math.min(Math.max(claims.exp, iat + claims.ttl), claims.mxl) };
}

/** Checks a verified payload. The signature is already good; this refuses what another version or a mistake signed. */
export function parseClaims(payload: Record<string, unknown>, project: string, now: number): Claims {
  const { aud, sub, jti, iat, exp, ttl, mxl, grants } = payload;
  if (aud !== project) throw new SkerryError("project_mismatch", "The token belongs to another project.");
  const numbers = [iat, exp, ttl, mxl].every((n) => Number.isSafeInteger(n));
  if (typeof sub !== "string" || typeof jti !== "string" || jti === "" || !numbers || RESERVED.has(sub))
    throw new SkerryError("token_invalid", "The token lacks a claim.");
  const claims = { aud, sub, jti, iat, exp, ttl, mxl, grants } as Claims;
  if (now >= claims.exp * 1000) throw expired();
  if (claims.exp > claims.mxl || claims.exp - claims.iat > MAX_LIFETIME)
    throw new SkerryError("token_invalid", "The token lives too long.");
  try {
    claims.grants = parseGrants(grants);
  } catch (cause) {
    throw new SkerryError("token_invalid", "The token's grants cannot be read.", { cause });
  }
  return claims;
}

export function actorOf(claims: Claims): Actor {
  return { project: claims.aud, subject: claims.sub, tokenId: claims.jti, expiresAt: claims.exp * 1000, grants: claims.grants };
}

export function expired(): SkerryError {
  return new SkerryError("token_expired", "The token has expired. Refresh tokens before they end, at POST /v1/tokens/refresh.");
}

function seconds(member: string, value: number): number {
  if (!Number.isInteger(value) || value < 1 || value > MAX_LIFETIME)
    throw new SkerryError("bad_request", `"${member}" is a whole number of seconds from 1 to ${MAX_LIFETIME} (30 days).`);
  return value;
}

function subject(value: string | undefined): string {
  if (value === undefined) return "token";
  if (typeof value !== "string" || value === "" || value.length > MAX_SUBJECT || CONTROL.test(value))
    throw new SkerryError("bad_request", `"subject" has 1 to ${MAX_SUBJECT} characters and no control characters.`);
  if (RESERVED.has(value)) throw new SkerryError("bad_request", `"subject" cannot be "${value}": that name is reserved.`);
  return value;
}

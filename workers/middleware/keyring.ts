import { importJWK } from "jose";
import type { Claims } from "../../core/auth/claims.ts";
import { expired } from "../../core/auth/claims.ts";
import { SkerryError } from "../../core/wire/errors.ts";
import { objectName, type Scope } from "../../core/wire/names.ts";
import { ALGORITHM, verifyToken } from "../../durable-objects/project/verify.ts";

/** A revocation or a rotation is known to every isolate after this long, in milliseconds. */
export const KEYRING_TTL_MS = 5_000;
/** From this age on one request renews the copy while others still use it, so that none waits in the steady state. */
const RENEW_AFTER_MS = 3_000;
const MAX_PROJECTS = 256;
const MAX_VERIFIED = 4_096;
const MAX_UNKNOWN_KEYS = 1_024;
/** Revoked ids kept before the copy is read anew, which drops those of ended tokens. */
const MAX_REVOKED = 50_000;

type Copy = { keys: Map<string, CryptoKey>; revoked: Set<string>; seq: number; readAt: number; renewing: boolean };

/** The isolate's copies, by project; tokens whose signature has been checked; keys that no project has. All bounded. */
const copies = new Map<string, Copy>();
const verified = new Map<string, { claims: Claims; copy: string; keyId: string }>();
const unknownKeys = new Set<string>();

export function projectStub(env: Env, scope: Scope) {
  return env.PROJECT.getByName(objectName(scope, "platform", "project"));
}

/** The project of a token whose signature this isolate has checked already: judging it again costs nothing. Else null. */
export function projectOfKnown(token: string): string | null {
  return verified.get(token)?.copy ?? null;
}

/**
 * The claims of a token, with keys and revocations at most {@link KEYRING_TTL_MS} old.
 * Throws `token_invalid`, `token_expired`, `token_revoked` or `project_mismatch`.
 */
export async function verify(env: Env, scope: Scope, token: string, now: number): Promise<Claims> {
  let copy = await copyOf(env, scope, now);
  const known = verified.get(token);
  if (known !== undefined && known.copy === scope.project && copy.keys.has(known.keyId)) {
    if (now >= known.claims.exp * 1000) {
      verified.delete(token);
      throw expired();
    }
    return notRevoked(known.claims, copy);
  }
  let keyId = "";
  const claims = await verifyToken(token, scope.project, now, async (kid) => {
    keyId = kid;
    const found = copy.keys.get(kid);
    if (found) return found;
    // A key made a moment ago is not in the copy yet. Ids are random, so one that was unknown stays so.
    const name = `${scope.project}/${kid}`;
    if (unknownKeys.has(name)) return null;
    copy = await readCopy(env, scope, now);
    const fresh = copy.keys.get(kid) ?? null;
    if (fresh === null) remember(unknownKeys, name);
    return fresh;
  });
  if (verified.size >= MAX_VERIFIED) verified.delete(verified.keys().next().value as string);
  verified.set(token, { claims, copy: scope.project, keyId });
  return notRevoked(claims, copy);
}

function notRevoked(claims: Claims, copy: Copy): Claims {
  if (copy.revoked.has(claims.jti)) throw new SkerryError("token_revoked", "The token was revoked. Ask for a new one.");
  return claims;
}

async function copyOf(env: Env, scope: Scope, now: number): Promise<Copy> {
  const copy = copies.get(scope.project);
  if (copy === undefined || now - copy.readAt >= KEYRING_TTL_MS) return readCopy(env, scope, now);
  if (now - copy.readAt >= RENEW_AFTER_MS && !copy.renewing) {
    copy.renewing = true;
    return readCopy(env, scope, now);
  }
  return copy;
}

/** Reads the keys, and the revocations since the last read. `readAt` is when it was asked, so age is never understated. */
async function readCopy(env: Env, scope: Scope, now: number): Promise<Copy> {
  const before = copies.get(scope.project);
  try {
    const keep = before !== undefined && before.revoked.size < MAX_REVOKED;
    const { value } = await projectStub(env, scope).verification(keep ? before.seq : 0);
    const keys = new Map<string, CryptoKey>();
    for (const { id, publicJwk } of value.keys)
      keys.set(id, before?.keys.get(id) ?? ((await importJWK(publicJwk, ALGORITHM)) as CryptoKey));
    const copy = {
      keys,
      revoked: new Set([...(keep ? before.revoked : []), ...value.revoked]),
      seq: value.seq,
      readAt: now,
      renewing: false,
    };
    // Requests overlap: never replace a copy by an older one.
    const current = copies.get(scope.project);
    if (current !== undefined && current.readAt > now) return copy;
    copies.delete(scope.project);
    if (copies.size >= MAX_PROJECTS) copies.delete(copies.keys().next().value as string);
    copies.set(scope.project, copy);
    return copy;
  } catch (thrown) {
    if (before !== undefined) before.renewing = false;
    throw thrown;
  }
}

function remember(set: Set<string>, name: string): void {
  if (set.size >= MAX_UNKNOWN_KEYS) set.delete(set.keys().next().value as string);
  set.add(name);
}

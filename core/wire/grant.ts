import { type Capability, isPlatformGroup } from "./names.ts";

export type Right = "read" | "write" | "admin";

/** What a token allows: rights on the names of one capability that match a pattern (`*` stands for any run of characters). */
export type Grant = { capability: Capability | "*"; name: string; rights: Right[] };

/**
 * Who acts, as the Worker has established it. It travels to an object in the internal header {@link ACTOR_HEADER}
 * (the Worker strips the header from what clients send), and a hibernating socket keeps it in its attachment.
 */
export type Actor = {
  project: string;
  /** "admin", "anonymous", or the token's subject. */
  subject: string;
  /** The token's id, for revocation; null for the admin key and for anonymous. */
  tokenId: string | null;
  /** Unix milliseconds at which the token ends; null if it never does. */
  expiresAt: number | null;
  grants: Grant[];
};

export const ACTOR_HEADER = "x-skerry-actor";

/**
 * Whether `grants` allow `right` on `name`. `admin` implies `write`, which implies `read`. The platform's own groups hold what is
 * nobody's: who may do everything may read them, and nobody writes them by hand.
 */
export function allows(grants: readonly Grant[], capability: Capability, name: string, right: Right): boolean {
  if (capability === "groups" && isPlatformGroup(name)) return right === "read" && allowsEverything(grants);
  return grants.some(
    (grant) =>
      (grant.capability === "*" || grant.capability === capability) &&
      matches(grant.name, name) &&
      grant.rights.some((given) => RANK[given] >= RANK[right]),
  );
}

function allowsEverything(grants: readonly Grant[]): boolean {
  return grants.some(({ capability, name, rights }) => capability === "*" && name === "*" && rights.includes("admin"));
}

const RANK: Record<Right, number> = { read: 0, write: 1, admin: 2 };

/** Glob match with `*` only, in linear time (no backtracking, so a hostile pattern costs nothing). */
export function matches(pattern: string, name: string): boolean {
  const pieces = pattern.split("*");
  if (pieces.length === 1) return pattern === name;
  const first = pieces[0] as string;
  const last = pieces[pieces.length - 1] as string;
  if (name.length < first.length + last.length || !name.startsWith(first) || !name.endsWith(last)) return false;
  let at = first.length;
  const end = name.length - last.length;
  for (const piece of pieces.slice(1, -1)) {
    const found = name.indexOf(piece, at);
    if (found < 0 || found + piece.length > end) return false;
    at = found + piece.length;
  }
  return true;
}

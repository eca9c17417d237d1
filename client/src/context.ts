import { fromBase64Url } from "../../core/wire/base64url.ts";
import { decodeContext, encodeContext } from "../../core/wire/context.ts";
import { type Jurisdiction, parseObjectName, type Scope } from "../../core/wire/names.ts";

/**
 * Joins two `Skerry-Context` tokens into one that has seen what either has. Answers that were under way at the same
 * time each know only of themselves; keeping the last alone would forget the others. Tokens of two projects cannot be
 * joined: then the newer one stands.
 */
export function joinContexts(older: string | null, newer: string): string {
  if (older === null || older === newer) return newer;
  const scope = scopeOf(newer);
  if (scope === null) return newer;
  try {
    const joined = new Map(decodeContext(older, scope));
    for (const [object, at] of decodeContext(newer, scope)) {
      const known = joined.get(object) ?? 0;
      joined.delete(object);
      joined.set(object, Math.max(known, at));
    }
    return encodeContext(joined, scope) ?? newer;
  } catch {
    return newer;
  }
}

/** A token that has seen an object at a position, joined with what another has seen. */
export function withSeen(token: string | null, object: string, at: number): string | null {
  const made = encodeContext(new Map([[object, at]]), parseObjectName(object).scope);
  return made === null ? token : joinContexts(token, made);
}

/** How far a token has seen an object; 0: not at all. */
export function seenOf(token: string | null, object: string): number {
  if (token === null) return 0;
  try {
    return decodeContext(token, parseObjectName(object).scope).get(object) ?? 0;
  } catch {
    // Of another project.
    return 0;
  }
}

function scopeOf(token: string): Scope | null {
  try {
    const [, scope] = JSON.parse(new TextDecoder().decode(fromBase64Url(token) ?? new Uint8Array()));
    const [project, jurisdiction] = String(scope).split("/");
    return project && jurisdiction ? { project, jurisdiction: jurisdiction as Jurisdiction } : null;
  } catch {
    return null;
  }
}

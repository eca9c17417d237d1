import { fromBase64Url } from "../../core/wire/base64url.ts";
import { decodeContext, encodeContext } from "../../core/wire/context.ts";
import type { Jurisdiction, Scope } from "../../core/wire/names.ts";

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

function scopeOf(token: string): Scope | null {
  try {
    const [, scope] = JSON.parse(new TextDecoder().decode(fromBase64Url(token) ?? new Uint8Array()));
    const [project, jurisdiction] = String(scope).split("/");
    return project && jurisdiction ? { project, jurisdiction: jurisdiction as Jurisdiction } : null;
  } catch {
    return null;
  }
}

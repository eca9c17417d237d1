import type { Position } from "./answer.ts";
import { fromBase64Url, latin1ToBase64Url } from "./base64url.ts";
import { SkerryError } from "./errors.ts";
import type { Scope } from "./names.ts";

/**
 * The causal context of a caller: what it has seen, object by object, oldest first. It travels as the opaque token
 * `Skerry-Context`: base64url of the JSON array `[1, "project/jurisdiction", name, at, name, at, …]`, where the names
 * lack the prefix that the scope gives. It is bounded by entries and by bytes (clients commonly refuse headers beyond
 * 16 KB). Over a bound the entries touched longest ago go: for those objects the caller falls back to `durable`
 * reads without the promise to see its own writes through another location.
 */
export type Seen = ReadonlyMap<string, number>;

export const MAX_CONTEXT_ENTRIES = 64;
/** Bytes of the token; its JSON may have three quarters of it. */
export const MAX_CONTEXT_BYTES = 4096;

const VERSION = 1;
/** Names of objects are percent-encoded. */
const NAME = /^[\x20-\x7e]+$/;
export const NOTHING_SEEN: Seen = new Map();

/** Reads a token. Throws `bad_context` for anything that {@link encodeContext} did not make for this scope. */
export function decodeContext(token: string, scope: Scope): Seen {
  if (token.length > MAX_CONTEXT_BYTES) throw bad(`it is longer than ${MAX_CONTEXT_BYTES} bytes`);
  let parsed: unknown;
  try {
    const bytes = fromBase64Url(token);
    if (bytes === null) throw new SyntaxError("not base64url");
    parsed = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (cause) {
    throw bad("it is damaged", cause);
  }
  if (!Array.isArray(parsed) || parsed[0] !== VERSION || parsed.length % 2 !== 0) throw bad("it is damaged");
  if (parsed[1] !== `${scope.project}/${scope.jurisdiction}`) throw bad("it belongs to another project");
  if (parsed.length / 2 - 1 > MAX_CONTEXT_ENTRIES) throw bad(`it has more than ${MAX_CONTEXT_ENTRIES} entries`);
  const seen = new Map<string, number>();
  for (let i = 2; i < parsed.length; i += 2) {
    const [name, at] = [parsed[i], parsed[i + 1]];
    if (typeof name !== "string" || !NAME.test(name) || !Number.isSafeInteger(at) || at < 0 || seen.has(prefix(scope) + name))
      throw bad("it is damaged");
    seen.set(prefix(scope) + name, at);
  }
  return seen;
}

/** Merges what an answer shows into what the caller had seen: the greater position wins, and becomes the newest entry. */
export function withPosition(seen: Seen, position: Position): Seen {
  if (position === null) return seen;
  const merged = new Map(seen);
  merged.delete(position.object);
  merged.set(position.object, Math.max(position.at, seen.get(position.object) ?? 0));
  return merged;
}

/** The token of a context, within the bounds; null when there is nothing to say. Entries of another scope are left out. */
export function encodeContext(seen: Seen, scope: Scope): string | null {
  const head = prefix(scope);
  const flat: (string | number)[] = [];
  let bytes = 0;
  const budget = Math.floor((MAX_CONTEXT_BYTES * 3) / 4) - 80;
  for (const [object, at] of [...seen].reverse()) {
    if (!object.startsWith(head)) continue;
    const name = object.slice(head.length);
    // Object names are ASCII (percent-encoded), so a character is a byte.
    bytes += JSON.stringify(name).length + String(at).length + 2;
    if (bytes > budget || flat.length / 2 >= MAX_CONTEXT_ENTRIES) break;
    flat.unshift(name, at);
  }
  if (flat.length === 0) return null;
  return latin1ToBase64Url(JSON.stringify([VERSION, `${scope.project}/${scope.jurisdiction}`, ...flat]));
}

function prefix(scope: Scope): string {
  return `v1/${scope.project}/${scope.jurisdiction}/`;
}

function bad(why: string, cause?: unknown): SkerryError {
  return new SkerryError("bad_context", `The Skerry-Context token cannot be used: ${why}. Send the last one received, or none.`, { cause });
}

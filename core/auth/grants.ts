import { SkerryError } from "../wire/errors.ts";
import type { Grant, Right } from "../wire/grant.ts";
import { type Capability, MAX_NAME_BYTES } from "../wire/names.ts";

export const CAPABILITIES = ["rooms", "streams", "groups", "data", "models", "platform"] as const satisfies Capability[];
export const RIGHTS = ["read", "write", "admin"] as const satisfies Right[];
export const MAX_GRANTS = 64;
/** A token travels in a URL where a socket cannot send headers, so its grants stay small: bytes of their JSON. */
export const MAX_GRANTS_BYTES = 4096;

/** Reads grants from outside (a request body, a variable, a token). Throws `bad_request`, naming the wrong member. */
export function parseGrants(value: unknown): Grant[] {
  if (!Array.isArray(value)) throw bad("grants", "is an array");
  if (value.length > MAX_GRANTS) throw bad("grants", `has at most ${MAX_GRANTS} entries`);
  const grants = value.map(parseGrant);
  if (new TextEncoder().encode(JSON.stringify(grants)).length > MAX_GRANTS_BYTES)
    throw bad("grants", `takes at most ${MAX_GRANTS_BYTES} bytes as JSON`);
  return grants;
}

function parseGrant(value: unknown, index: number): Grant {
  const at = `grants[${index}]`;
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw bad(at, "is an object");
  const { capability, name, rights, ...rest } = value as Record<string, unknown>;
  // An unknown member may be a restriction that a later version knows: ignoring it would grant more than was meant.
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) throw bad(`${at}.${unknown.slice(0, 64)}`, "is not a member of a grant");
  if (capability !== "*" && !CAPABILITIES.includes(capability as Capability))
    throw bad(`${at}.capability`, `is "*" or one of ${CAPABILITIES.join(", ")}`);
  if (typeof name !== "string" || name === "") throw bad(`${at}.name`, `is a name or a pattern; "*" stands for any run of characters`);
  if (new TextEncoder().encode(name).length > MAX_NAME_BYTES) throw bad(`${at}.name`, `has at most ${MAX_NAME_BYTES} bytes`);
  if (!Array.isArray(rights) || rights.length === 0 || rights.some((right) => !RIGHTS.includes(right as Right)))
    throw bad(`${at}.rights`, `is a non-empty array of ${RIGHTS.join(", ")}`);
  return { capability: capability as Grant["capability"], name, rights: RIGHTS.filter((right) => rights.includes(right)) };
}

function bad(member: string, rule: string): SkerryError {
  return new SkerryError("bad_request", `"${member}" ${rule}.`);
}

/** What the admin key may do: everything in the project it names. */
export const ADMIN_GRANTS: Grant[] = [{ capability: "*", name: "*", rights: ["admin"] }];

/**
 * The grants of callers without a token, from the deployment's variable. Throws `misconfigured` where it cannot be
 * read, so that a typing mistake closes the deployment instead of opening or emptying it.
 */
export function parseAnonymousGrants(variable: string | undefined): Grant[] {
  if (variable === undefined || variable.trim() === "") return [];
  try {
    return parseGrants(JSON.parse(variable));
  } catch (cause) {
    const why = cause instanceof SkerryError ? cause.message : "It is not valid JSON.";
    throw new SkerryError(
      "misconfigured",
      `SKERRY_ANONYMOUS_GRANTS cannot be read: ${why} Set it to [] or to an array such as [{"capability":"rooms","name":"public-*","rights":["read"]}].`,
      { cause },
    );
  }
}

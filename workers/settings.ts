import { checkAdminKey } from "../core/auth/admin-key.ts";
import { SkerryError } from "../core/wire/errors.ts";
import { readVariables, type Variables } from "./variables.ts";

/** The deployment's variables and secrets, checked. */
export type Settings = Variables & { adminKey: string };

const cache = new WeakMap<object, Settings | SkerryError>();

/**
 * Reads the deployment's settings, once an isolate. Throws `misconfigured` with a sentence that says what to do: a
 * deployment whose settings cannot be read serves nothing.
 */
export function settings(env: Env): Settings {
  let known = cache.get(env);
  if (known === undefined) {
    known = read(env as unknown as Record<string, unknown>);
    cache.set(env, known);
  }
  if (known instanceof SkerryError) throw known;
  return known;
}

function read(vars: Record<string, unknown>): Settings | SkerryError {
  const adminKey = vars.SKERRY_ADMIN_KEY as string | undefined;
  const problem = checkAdminKey(adminKey);
  if (problem !== null) return new SkerryError("misconfigured", problem);
  try {
    return { ...readVariables(vars), adminKey: adminKey as string };
  } catch (thrown) {
    return thrown as SkerryError;
  }
}

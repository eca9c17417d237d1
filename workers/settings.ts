import { checkAdminKey } from "../core/auth/admin-key.ts";
import { parseAnonymousGrants } from "../core/auth/grants.ts";
import { SkerryError } from "../core/wire/errors.ts";
import type { Grant } from "../core/wire/grant.ts";

export type LogLevel = "info" | "warn" | "off";

/** The deployment's variables, checked. */
export type Settings = { adminKey: string; anonymousGrants: Grant[]; corsOrigins: string[]; log: LogLevel };

const LEVELS: LogLevel[] = ["info", "warn", "off"];
const cache = new WeakMap<object, Settings | SkerryError>();

/**
 * Reads the deployment's variables, once an isolate. Throws `misconfigured` with a sentence that says what to do: a
 * deployment whose settings cannot be read serves nothing.
 */
export function settings(env: Env): Settings {
  let known = cache.get(env);
  if (known === undefined) {
    known = read(env as unknown as Record<string, string | undefined>);
    cache.set(env, known);
  }
  if (known instanceof SkerryError) throw known;
  return known;
}

function read(vars: Record<string, string | undefined>): Settings | SkerryError {
  const problem = checkAdminKey(vars.SKERRY_ADMIN_KEY);
  if (problem !== null) return new SkerryError("misconfigured", problem);
  const log = (vars.SKERRY_LOG ?? "info") as LogLevel;
  if (!LEVELS.includes(log)) return new SkerryError("misconfigured", `SKERRY_LOG is one of ${LEVELS.join(", ")}.`);
  try {
    return {
      adminKey: vars.SKERRY_ADMIN_KEY as string,
      anonymousGrants: parseAnonymousGrants(vars.SKERRY_ANONYMOUS_GRANTS),
      corsOrigins: parseOrigins(vars.SKERRY_CORS_ORIGINS ?? "*"),
      log,
    };
  } catch (thrown) {
    return thrown as SkerryError;
  }
}

/** `*`, or origins (`https://app.example`) separated by commas or spaces; empty: no other origin may read answers. */
function parseOrigins(variable: string): string[] {
  const origins = variable.split(/[\s,]+/).filter((origin) => origin !== "");
  for (const origin of origins) {
    if (origin !== "*" && !isOrigin(origin))
      throw new SkerryError(
        "misconfigured",
        `SKERRY_CORS_ORIGINS has "${origin}", which is not an origin such as https://app.example.com.`,
      );
  }
  return origins;
}

function isOrigin(text: string): boolean {
  return URL.canParse(text) && new URL(text).origin === text;
}

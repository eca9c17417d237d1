import { parseAnonymousGrants } from "../core/auth/grants.ts";
import { SkerryError } from "../core/wire/errors.ts";
import type { Grant } from "../core/wire/grant.ts";

export type LogLevel = "info" | "warn" | "off";

/** The deployment's variables but for its secrets: those that wrangler.toml declares under `[vars]`. */
export type Variables = { anonymousGrants: Grant[]; corsOrigins: string[]; log: LogLevel };

const LEVELS: LogLevel[] = ["info", "warn", "off"];

/**
 * Reads the variables by their names. The Worker does so before it serves anything, and the scripts before they start or
 * deploy anything. Throws `misconfigured` with a sentence that says what to do.
 */
export function readVariables(vars: Record<string, unknown>): Variables {
  const text = (name: string) => (vars[name] === undefined ? undefined : String(vars[name]));
  const log = (text("SKERRY_LOG") ?? "info") as LogLevel;
  choice("SKERRY_PLACEMENT", text("SKERRY_PLACEMENT") ?? "measured", ["measured", "simulated"]);
  choice("SKERRY_FAULTS", text("SKERRY_FAULTS") ?? "0", ["0", "1"]);
  if (!LEVELS.includes(log)) throw new SkerryError("misconfigured", `SKERRY_LOG is one of ${LEVELS.join(", ")}, not "${log}".`);
  return {
    anonymousGrants: parseAnonymousGrants(text("SKERRY_ANONYMOUS_GRANTS")),
    corsOrigins: parseOrigins(text("SKERRY_CORS_ORIGINS") ?? "*"),
    log,
  };
}

function choice(name: string, value: string, choices: string[]): void {
  if (!choices.includes(value)) throw new SkerryError("misconfigured", `${name} is one of ${choices.join(", ")}, not "${value}".`);
}

/** Why a deployment must not run with these variables, as a sentence; null if they are fit. */
export function checkVariables(vars: Record<string, unknown>): string | null {
  try {
    readVariables(vars);
    return null;
  } catch (thrown) {
    if (thrown instanceof SkerryError) return thrown.message;
    throw thrown;
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

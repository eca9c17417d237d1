import { SkerryError } from "./errors.ts";

/** The capability segment of an object's name. `platform` is for the objects every project has. */
export type Capability = "rooms" | "streams" | "groups" | "data" | "models" | "platform";
export type Jurisdiction = "global" | "eu" | "us" | "fedramp";
/** The tenant a request acts in: every object name, R2 key and queue message begins with it. */
export type Scope = { project: string; jurisdiction: Jurisdiction };

const CAPABILITIES: readonly string[] = ["rooms", "streams", "groups", "data", "models", "platform"] satisfies Capability[];
const JURISDICTIONS: readonly string[] = ["global", "eu", "us", "fedramp"] satisfies Jurisdiction[];

export const DEFAULT_SCOPE: Scope = { project: "main", jurisdiction: "global" };
export const MAX_NAME_BYTES = 256;
/** The group that holds a project's directory. It is always there: its own metadata is fixed, and it is founded when it is first asked. */
export const SYSTEM_GROUP = "_system";

const ENCODER = new TextEncoder();
const PROJECT = /^[a-z][a-z0-9-]{0,38}$/;
// Control characters would break logs and headers; a lone surrogate has no UTF-8 form.
// biome-ignore lint/suspicious/noControlCharactersInRegex: refusing them is the point
const UNSAFE = /[\u0000-\u001f\u007f]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;

/**
 * Checks a user-chosen name (room, topic, bucket…): 1 to 256 UTF-8 bytes (or `most`), no control characters. Throws `bad_name`.
 */
export function checkName(noun: string, name: string, most: number = MAX_NAME_BYTES): string {
  if (name.length === 0) throw new SkerryError("bad_name", `The ${noun} name is empty.`);
  if (utf8Length(name) > most) throw new SkerryError("bad_name", `The ${noun} name is longer than ${most} bytes.`);
  if (UNSAFE.test(name)) throw new SkerryError("bad_name", `The ${noun} name has a control character or broken Unicode.`);
  return name;
}

/** Groups whose names begin so are the platform's own: nobody else makes, changes or deletes them. */
export function isPlatformGroup(name: string): boolean {
  return name.startsWith("_");
}

export function checkProject(project: string): string {
  if (!PROJECT.test(project)) throw new SkerryError("bad_name", "A project name is 1 to 39 of a-z, 0-9 and -, and begins with a letter.");
  return project;
}

/**
 * `v1/{project}/{jurisdiction}/{capability}/{parts…}`, each part percent-encoded, so that no user-chosen name can
 * reach another project or kind. Names last for ever: change them only with a new `v` prefix.
 */
export function objectName(scope: Scope, capability: Capability, ...parts: (string | number)[]): string {
  return ["v1", scope.project, scope.jurisdiction, capability, ...parts.map((part) => encodeURIComponent(String(part)))].join("/");
}

/** The inverse of {@link objectName}. Throws `bad_name` for what it did not make. */
export function parseObjectName(name: string): { scope: Scope; capability: Capability; parts: string[] } {
  const [version, project, jurisdiction, capability, ...parts] = name.split("/");
  if (version !== "v1" || !project || !jurisdiction || !capability) throw new SkerryError("bad_name", `"${name}" is not an object name.`);
  if (!JURISDICTIONS.includes(jurisdiction) || !CAPABILITIES.includes(capability)) {
    throw new SkerryError("bad_name", `"${name}" is not an object name.`);
  }
  try {
    return {
      scope: { project: checkProject(project), jurisdiction: jurisdiction as Jurisdiction },
      capability: capability as Capability,
      parts: parts.map(decodeURIComponent),
    };
  } catch (cause) {
    throw new SkerryError("bad_name", `"${name}" is not an object name.`, { cause });
  }
}

function utf8Length(text: string): number {
  return ENCODER.encode(text).length;
}

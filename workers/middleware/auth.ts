import type { Context, MiddlewareHandler } from "hono";
import { decodeJwt } from "jose";
import { looksLikeToken } from "../../core/auth/admin-key.ts";
import { actorOf } from "../../core/auth/claims.ts";
import { ADMIN_GRANTS } from "../../core/auth/grants.ts";
import { SkerryError } from "../../core/wire/errors.ts";
import { ACTOR_HEADER, type Actor, allows, type Right } from "../../core/wire/grant.ts";
import { type Capability, checkProject, DEFAULT_SCOPE, isPlatformGroup, type Scope } from "../../core/wire/names.ts";
import type { AppEnv } from "../env.ts";
import { settings } from "../settings.ts";
import { projectOfKnown, verify } from "./keyring.ts";
import { limitAddress, limitToken } from "./limits.ts";

/** Headers that say who acts travel only from the Worker to objects: what a client sends under these names is dropped. */
const INTERNAL = /^x-skerry-/i;
/** Longer than any token or key of ours; nothing beyond it is looked at. */
const MAX_CREDENTIAL = 8_192;

/** Establishes who acts and in which project, or refuses. Everything behind it can rely on `actor` and `scope`. */
export const authenticate: MiddlewareHandler<AppEnv> = async (c, next) => {
  const { anonymousGrants } = settings(c.env);
  const asked = c.req.header("skerry-project");
  const project = asked === undefined ? null : checkProject(asked);
  const credential = credentialOf(c);

  if (credential === null) {
    await limitAddress(c);
    const scope = scopeOf(project ?? DEFAULT_SCOPE.project);
    // The deployment's public names are names of the default project; elsewhere anonymous has nothing.
    const grants = scope.project === DEFAULT_SCOPE.project ? anonymousGrants : [];
    become(c, scope, { project: scope.project, subject: "anonymous", tokenId: null, expiresAt: null, grants });
  } else {
    const { scope, actor } = await identify(c, credential, project);
    become(c, scope, actor);
  }
  await next();
};

/**
 * Who a credential, the admin key or a token, stands for. Counts against the limits of the token or address. Throws `token_invalid`,
 * `token_expired`, `token_revoked`, `project_mismatch` or `rate_limited`.
 *
 * @param project the project that the request names, if it does.
 */
export async function identify(c: Context<AppEnv>, credential: string, project: string | null): Promise<{ scope: Scope; actor: Actor }> {
  if (!looksLikeToken(credential)) {
    if (!(await sameSecret(credential, settings(c.env).adminKey))) {
      await limitAddress(c);
      throw new SkerryError("token_invalid", "The credential is neither the admin key of this deployment nor a token of it.");
    }
    const scope = scopeOf(project ?? DEFAULT_SCOPE.project);
    return { scope, actor: { project: scope.project, subject: "admin", tokenId: null, expiresAt: null, grants: ADMIN_GRANTS } };
  }
  const known = projectOfKnown(credential);
  const scope = scopeOf(known ?? audienceOf(credential));
  if (project !== null && project !== scope.project)
    throw new SkerryError("project_mismatch", `The token belongs to the project "${scope.project}", not to "${project}".`);
  // Until a signature is checked anyone could have written the token, so the address answers for it.
  if (known === null) await limitAddress(c);
  const actor = actorOf(await verify(c.env, scope, credential, Date.now()));
  await limitToken(c, `${actor.project}/${actor.tokenId}`);
  return { scope, actor };
}

/**
 * Demands a right on a name. Throws `token_missing` where an anonymous caller lacks it, `forbidden` where a token does.
 * The first capability granted is the one the request is accounted to.
 */
export function authorize(c: Context<AppEnv>, capability: Capability, name: string, right: Right): void {
  const actor = c.get("actor");
  if (allows(actor.grants, capability, name, right)) {
    if (c.get("capability") === undefined) c.set("capability", capability);
    return;
  }
  if (actor.subject === "anonymous")
    throw new SkerryError(
      "token_missing",
      `This needs a token that grants "${right}" on ${capability} "${name}": send Authorization: Bearer <token>.`,
    );
  if (capability === "groups" && isPlatformGroup(name))
    throw new SkerryError(
      "forbidden",
      `The group "${name}" is the platform's own: the admin key may read it, and nobody changes it by hand.`,
    );
  throw new SkerryError("forbidden", `The token does not grant "${right}" on ${capability} "${name}".`);
}

export function isAdmin(actor: Actor): boolean {
  return actor.subject === "admin" && actor.tokenId === null;
}

/** Demands the admin key itself. Throws `token_missing` or `admin_only`. */
export function requireAdmin(c: Context<AppEnv>): void {
  const actor = c.get("actor");
  if (isAdmin(actor)) return;
  if (actor.subject === "anonymous")
    throw new SkerryError("token_missing", "This needs the admin key: send Authorization: Bearer <admin key>.");
  throw new SkerryError("admin_only", "Only the admin key may do this; a token cannot.");
}

/**
 * The headers of a request to an object: the client's, without credentials and without anything that only the Worker
 * may say, and with who acts, the trace and the request id.
 */
export function forwardHeaders(c: Context<AppEnv>): Headers {
  const headers = new Headers();
  for (const [name, value] of c.req.raw.headers) {
    if (!INTERNAL.test(name) && name !== "authorization" && name !== "cookie") headers.append(name, value);
  }
  // Header values are bytes; a subject or a name need not be ASCII.
  headers.set(ACTOR_HEADER, JSON.stringify(c.get("actor")).replace(/[^\x20-\x7e]/g, escapeUnit));
  headers.set("traceparent", c.get("traceparent"));
  headers.set("x-request-id", c.get("requestId"));
  return headers;
}

/**
 * The request as it goes on to an object by `stub.fetch`: {@link forwardHeaders}, the same method and body, and a URL
 * without `?token=`, so that no credential reaches an object or its traces.
 */
export function forward(c: Context<AppEnv>): Request {
  const url = new URL(c.req.url);
  url.searchParams.delete("token");
  const { method, body } = c.req.raw;
  return new Request(url, { method, headers: forwardHeaders(c), body, redirect: "manual" });
}

function escapeUnit(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

function become(c: Context<AppEnv>, scope: Scope, actor: Actor): void {
  c.set("scope", scope);
  c.set("actor", actor);
}

function scopeOf(project: string): Scope {
  return { project, jurisdiction: DEFAULT_SCOPE.jurisdiction };
}

/** Where clients of etcd send their token as the whole header. */
const BARE = /^\/v3\/|^\/v1\/groups\/[^/]+\/v3\//;

/** `Authorization: Bearer …`, or `?token=` for sockets of clients that cannot send headers. */
function credentialOf(c: Context<AppEnv>): string | null {
  const header = c.req.header("authorization");
  let credential: string | undefined;
  if (header !== undefined) {
    credential = (BARE.test(c.req.path) ? /^(?:bearer +)?(\S+) *$/i : /^bearer +(\S+) *$/i).exec(header)?.[1];
    if (credential === undefined) throw new SkerryError("token_invalid", "The Authorization header is not of the form: Bearer <token>.");
  } else {
    const given = c.req.queries("token");
    if (given === undefined) return null;
    if (given.length > 1) throw new SkerryError("token_invalid", "The request has more than one ?token=.");
    credential = given[0] as string;
  }
  if (credential === "" || credential.length > MAX_CREDENTIAL)
    throw new SkerryError("token_invalid", "The token is empty or far too long.");
  return credential;
}

/** The project a token says it is for. It is only a claim until the signature is checked with that project's key. */
function audienceOf(token: string): string {
  try {
    return checkProject(String(decodeJwt(token).aud));
  } catch (cause) {
    throw new SkerryError("token_invalid", "The token is not valid: it is damaged.", { cause });
  }
}

let hashed: { secret: string; digest: ArrayBuffer } | null = null;

/** Compares hashes, so that neither length nor content of the secret shows in the time it takes. The secret's own is made once. */
async function sameSecret(given: string, secret: string): Promise<boolean> {
  if (hashed?.secret !== secret) hashed = { secret, digest: await sha256(secret) };
  return crypto.subtle.timingSafeEqual(await sha256(given), hashed.digest);
}

function sha256(text: string): Promise<ArrayBuffer> {
  return crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
}

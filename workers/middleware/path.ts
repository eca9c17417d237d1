import type { MiddlewareHandler } from "hono";
import { SkerryError } from "../../core/wire/errors.ts";
import type { AppEnv } from "../env.ts";

const DOTS = /(?:^|\/)\.\.?(?:\/|$)/;

/**
 * A name in a path is one percent-encoded segment. Hono takes a malformed one as it stands, so that "%zz" and "%25zz"
 * would name the same thing; and "." and ".." name another path for most clients, however they are encoded: refused
 * instead. Throws `bad_name`.
 */
export const checkPath: MiddlewareHandler<AppEnv> = async (c, next) => {
  if (c.req.url.includes("%")) {
    try {
      decodeURIComponent(new URL(c.req.url).pathname);
    } catch (cause) {
      throw new SkerryError("bad_name", "The path is not percent-encoded UTF-8. Encode each name with encodeURIComponent.", { cause });
    }
  }
  if (DOTS.test(c.req.path))
    throw new SkerryError("bad_name", 'A name in a path cannot be "." or "..": clients and proxies would change the path.');
  await next();
};

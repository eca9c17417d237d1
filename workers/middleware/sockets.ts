import type { Context } from "hono";
import { SkerryError } from "../../core/wire/errors.ts";
import type { SocketClass } from "../../durable-objects/project/store.ts";
import type { AppEnv } from "../env.ts";
import { projectStub } from "./keyring.ts";
import { meter } from "./meter.ts";
import { countSocket } from "./metrics.ts";
import { timed } from "./trace.ts";

/**
 * Admits a socket: refuses what is no upgrade, and registers the object with the project, so that revoking the token
 * closes the socket even if it only listens. Routes call it before they hand the upgrade to the object.
 * Throws `bad_request`, `token_revoked` or `token_invalid`.
 */
export async function admitSocket(c: Context<AppEnv>, namespace: SocketClass, object: string): Promise<void> {
  if (c.req.header("upgrade")?.toLowerCase() !== "websocket")
    throw new SkerryError("bad_request", "This route speaks WebSocket: send Upgrade: websocket.", { headers: { upgrade: "websocket" } });
  await attachSocket(c, namespace, object);
  countSocket(namespace);
}

/**
 * Registers one more object that holds sockets of the caller's token. A route that opens an object's socket later than
 * the client's must call it right before each: the token may have been revoked since, and only an object that is
 * registered hears of it. Throws `token_revoked` or `token_invalid`.
 */
export async function attachSocket(c: Context<AppEnv>, namespace: SocketClass, object: string): Promise<void> {
  const { tokenId } = c.get("actor");
  // The admin key and anonymous cannot be revoked while a deployment runs; a new deployment closes every socket.
  if (tokenId === null) return;
  const attached = projectStub(c.env, c.get("scope")).attach({ tokenId, object, class: namespace });
  meter(c, { rows: (await timed(c, "attach", attached)).rows ?? 0 });
}

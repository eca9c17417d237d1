import { ERRORS, type ErrorCode, SkerryError } from "../../core/wire/errors.ts";
import { type Actor, allows, type Right } from "../../core/wire/grant.ts";
import type { Capability } from "../../core/wire/names.ts";

/** What a hibernating socket remembers of who opened it; the grants themselves are reduced to the rights on this object. */
export type SocketActor = { tokenId: string | null; expiresAt: number | null; subject: string; rights: Right[] };

/** A socket's attachment: the actor, and what the class keeps per connection (JSON). */
export type Attachment<State> = { actor: SocketActor; state: State };

/** The platform allows 16,384 bytes with its own framing; the rest is headroom for it. The local runtime may not check. */
export const MAX_ATTACHMENT_BYTES = 16_000;
const MAX_REASON_BYTES = 123;
const TOKEN_TAG = "token:";

/** What of an {@link Actor} a socket keeps: the rights it has on `name`. */
export function socketActor(actor: Actor, capability: Capability, name: string): SocketActor {
  const rights = (["read", "write", "admin"] as const).filter((right) => allows(actor.grants, capability, name, right));
  return { tokenId: actor.tokenId, expiresAt: actor.expiresAt, subject: actor.subject, rights };
}

/**
 * Accepts the server end of a new pair with hibernation and answers the upgrade. `protocol` echoes a chosen
 * `Sec-WebSocket-Protocol`. Throws `too_large` where the state does not fit an attachment.
 */
export function acceptSocket<State>(
  ctx: DurableObjectState,
  actor: SocketActor,
  state: State,
  options: { tags?: string[]; protocol?: string; headers?: Record<string, string> } = {},
): { socket: WebSocket; response: Response } {
  const { 0: client, 1: socket } = new WebSocketPair();
  const tags = [...(actor.tokenId === null ? [] : [tokenTag(actor.tokenId)]), ...(options.tags ?? [])];
  ctx.acceptWebSocket(socket, tags);
  writeAttachment(socket, { actor, state });
  const headers = new Headers(options.headers);
  if (options.protocol !== undefined) headers.set("sec-websocket-protocol", options.protocol);
  return { socket, response: new Response(null, { status: 101, webSocket: client, headers }) };
}

/** A tag holds at most 256 characters; token ids are far shorter. */
export function tokenTag(tokenId: string): string {
  return TOKEN_TAG + tokenId;
}

/** Whether the attachment fits; check before {@link writeAttachment} where the state grows with what clients send. */
export function fitsAttachment<State>(attachment: Attachment<State>): boolean {
  return encode(attachment).byteLength <= MAX_ATTACHMENT_BYTES;
}

/** Throws `too_large` where it does not fit: an attachment cut short would come back as something else after hibernation. */
export function writeAttachment<State>(socket: WebSocket, attachment: Attachment<State>): void {
  // Bytes, not an object or a string: their size is then the same here and in the platform's own encoding.
  const bytes = encode(attachment);
  if (bytes.byteLength > MAX_ATTACHMENT_BYTES) {
    throw new SkerryError(
      "too_large",
      `A connection's state takes ${bytes.byteLength} bytes; at most ${MAX_ATTACHMENT_BYTES} survive hibernation.`,
    );
  }
  socket.serializeAttachment(bytes);
}

/** Null for a socket that has none (one accepted by an older version of the class). */
export function readAttachment<State>(socket: WebSocket): Attachment<State> | null {
  const bytes: unknown = socket.deserializeAttachment();
  return bytes instanceof Uint8Array ? (JSON.parse(new TextDecoder().decode(bytes)) as Attachment<State>) : null;
}

function encode<State>(attachment: Attachment<State>): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(attachment));
}

/** Closes with the code's own close code and `code: detail` as the reason, cut at 123 bytes. Closing twice is harmless. */
export function closeSocket(socket: WebSocket, code: ErrorCode, detail = ""): void {
  try {
    socket.close(ERRORS[code].close, closeReason(code, detail));
  } catch {
    // Already closed by the peer: there is nobody left to tell.
  }
}

/**
 * Completes the closing handshake that a peer began; call it in `webSocketClose`. Otherwise the peer waits until the
 * object hibernates, 10 s later (run).
 */
export function answerClose(socket: WebSocket): void {
  try {
    socket.close();
  } catch {
    // Closed by us, or answered by the runtime already.
  }
}

/** The reason of a close frame: at most 123 bytes of whole UTF-8 characters. */
export function closeReason(code: ErrorCode, detail: string): string {
  const encoder = new TextEncoder();
  let reason = "";
  let size = 0;
  for (const character of detail === "" ? code : `${code}: ${detail}`) {
    size += encoder.encode(character).length;
    if (size > MAX_REASON_BYTES) break;
    reason += character;
  }
  return reason;
}

/** Closes every socket of a revoked token; returns them, so that the class can forget what it kept for each. */
export function closeToken(ctx: DurableObjectState, tokenId: string): WebSocket[] {
  const sockets = ctx.getWebSockets(tokenTag(tokenId));
  for (const socket of sockets) closeSocket(socket, "token_revoked", "the token was revoked");
  return sockets;
}

/** Closes every socket whose token has expired at `now` (unix milliseconds); returns them. */
export function closeExpired(ctx: DurableObjectState, now: number): WebSocket[] {
  const expired = ctx.getWebSockets().filter((socket) => (readAttachment(socket)?.actor.expiresAt ?? Infinity) <= now);
  for (const socket of expired) closeSocket(socket, "token_expired", "the token has expired; connect with a new one");
  return expired;
}

/** The earliest expiry among open sockets, or null. Reads every attachment: for the alarm, not for each connect. */
export function earliestExpiry(ctx: DurableObjectState): number | null {
  let earliest: number | null = null;
  for (const socket of ctx.getWebSockets()) {
    if (socket.readyState !== WebSocket.OPEN) continue;
    const expiresAt = readAttachment(socket)?.actor.expiresAt ?? null;
    if (expiresAt !== null && (earliest === null || expiresAt < earliest)) earliest = expiresAt;
  }
  return earliest;
}

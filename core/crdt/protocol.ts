import * as decoding from "lib0/decoding";
import * as encoding from "lib0/encoding";
import { SkerryError } from "../wire/errors.ts";

/**
 * The frames of a room's socket: those of y-protocols as `y-websocket` speaks them, and our extension frames, which
 * only a connection that asked for them (`?ack=1`) gets or may send. Numbers are variable-length unsigned integers.
 */
export type ClientFrame =
  | { type: "sync-step-1"; vector: Uint8Array }
  | { type: "sync-step-2"; update: Uint8Array }
  | { type: "update"; update: Uint8Array }
  | { type: "awareness"; states: PresenceState[] }
  | { type: "query-awareness" }
  | { type: "refresh"; token: string }
  | { type: "pong"; nonce: number };

/** One client's presence: `json` is the text of its state, `"null"` once it has left. */
export type PresenceState = { client: number; clock: number; json: string };

export const EXTENSION_VERSION = 1;

export const SYNC = 0;
export const AWARENESS = 1;
export const AUTH = 2;
export const QUERY_AWARENESS = 3;
/** Far from what y-protocols uses or its users tend to add. */
export const EXTENSION = 120;

export const STEP_1 = 0;
export const STEP_2 = 1;
export const UPDATE = 2;
export const PERMISSION_DENIED = 0;

export const HELLO = 0;
export const PERSISTED = 1;
export const REFRESHED = 2;
export const REFUSED = 3;
export const PING = 4;
export const REFRESH = 16;
export const PONG = 17;

/** Presence is small and short-lived; a larger state is a mistake or an attack. */
export const MAX_PRESENCE_STATE_BYTES = 32_768;

/** Reads a frame that a client sent. Throws `bad_frame` for everything else than exactly one known frame. */
export function decodeFrame(bytes: Uint8Array): ClientFrame {
  const decoder = decoding.createDecoder(bytes);
  try {
    const frame = read(decoder);
    if (decoding.hasContent(decoder)) throw unknown("bytes follow the message");
    return frame;
  } catch (error) {
    if (error instanceof SkerryError) throw error;
    throw unknown(error instanceof Error ? error.message : "it is cut short");
  }
}

function read(decoder: decoding.Decoder): ClientFrame {
  const type = decoding.readVarUint(decoder);
  switch (type) {
    case SYNC:
      return readSync(decoder);
    case AWARENESS:
      return { type: "awareness", states: readPresence(decoding.readVarUint8Array(decoder)) };
    case QUERY_AWARENESS:
      return { type: "query-awareness" };
    case EXTENSION:
      return readExtension(decoder);
    default:
      throw unknown(`message type ${type} is not one that a client sends`);
  }
}

function readSync(decoder: decoding.Decoder): ClientFrame {
  const type = decoding.readVarUint(decoder);
  const payload = decoding.readVarUint8Array(decoder);
  switch (type) {
    case STEP_1:
      return { type: "sync-step-1", vector: payload };
    case STEP_2:
      return { type: "sync-step-2", update: payload };
    case UPDATE:
      return { type: "update", update: payload };
    default:
      throw unknown(`sync message type ${type} does not exist`);
  }
}

function readPresence(bytes: Uint8Array): PresenceState[] {
  const decoder = decoding.createDecoder(bytes);
  const states: PresenceState[] = [];
  for (let count = decoding.readVarUint(decoder); count > 0; count--) {
    const client = decoding.readVarUint(decoder);
    const clock = decoding.readVarUint(decoder);
    const start = decoder.pos;
    const json = decoding.readVarString(decoder);
    if (decoder.pos - start > MAX_PRESENCE_STATE_BYTES) throw unknown(`a presence state is larger than ${MAX_PRESENCE_STATE_BYTES} bytes`);
    JSON.parse(json); // peers parse it unguarded
    states.push({ client, clock, json });
  }
  if (decoding.hasContent(decoder)) throw unknown("bytes follow the presence states");
  return states;
}

function readExtension(decoder: decoding.Decoder): ClientFrame {
  const kind = decoding.readVarUint(decoder);
  switch (kind) {
    case REFRESH:
      return { type: "refresh", token: decoding.readVarString(decoder) };
    case PONG:
      return { type: "pong", nonce: decoding.readVarUint(decoder) };
    default:
      throw unknown(`extension ${kind} is not one that a client sends`);
  }
}

function unknown(why: string): SkerryError {
  return new SkerryError("bad_frame", `The frame is not valid: ${why}.`);
}

export function syncStep1(vector: Uint8Array): Uint8Array {
  return sync(STEP_1, vector);
}

export function syncStep2(update: Uint8Array): Uint8Array {
  return sync(STEP_2, update);
}

export function updateFrame(update: Uint8Array): Uint8Array {
  return sync(UPDATE, update);
}

export function awarenessFrame(states: readonly PresenceState[]): Uint8Array {
  const payload = encoding.createEncoder();
  encoding.writeVarUint(payload, states.length);
  for (const { client, clock, json } of states) {
    encoding.writeVarUint(payload, client);
    encoding.writeVarUint(payload, clock);
    encoding.writeVarString(payload, json);
  }
  return message(AWARENESS, (encoder) => encoding.writeVarUint8Array(encoder, encoding.toUint8Array(payload)));
}

export function queryAwareness(): Uint8Array {
  return message(QUERY_AWARENESS, () => {});
}

/** y-protocols' auth message: the stock provider prints the reason. */
export function permissionDenied(reason: string): Uint8Array {
  return message(AUTH, (encoder) => {
    encoding.writeVarUint(encoder, PERMISSION_DENIED);
    encoding.writeVarString(encoder, reason);
  });
}

/**
 * First frame to a connection with extensions: the document's epoch, the journal's position, whether the connection may
 * write, and the commit delay in milliseconds.
 */
export function hello(epoch: string, position: number, mayWrite: boolean, commitDelay: number): Uint8Array {
  return extension(HELLO, (encoder) => {
    encoding.writeVarUint(encoder, EXTENSION_VERSION);
    encoding.writeVarString(encoder, epoch);
    encoding.writeVarUint(encoder, position);
    encoding.writeVarUint(encoder, mayWrite ? 1 : 0);
    encoding.writeVarUint(encoder, commitDelay);
  });
}

/** The first `count` document frames of this connection (sync step 2 and updates) are durable, at the journal's `position`. */
export function persisted(count: number, position: number): Uint8Array {
  return extension(PERSISTED, (encoder) => {
    encoding.writeVarUint(encoder, count);
    encoding.writeVarUint(encoder, position);
  });
}

/** A token refresh was accepted: it now ends at `expiresAt` (unix milliseconds; 0 for never). */
export function refreshed(expiresAt: number): Uint8Array {
  return extension(REFRESHED, (encoder) => encoding.writeVarUint(encoder, expiresAt));
}

/** A request in a frame was refused and the connection goes on: a code of the error table, and a sentence. */
export function refused(code: string, detail: string): Uint8Array {
  return extension(REFUSED, (encoder) => {
    encoding.writeVarString(encoder, code);
    encoding.writeVarString(encoder, detail);
  });
}

/** Asks a connection with extensions to prove that it reads: it answers with a pong of the same nonce. */
export function ping(nonce: number): Uint8Array {
  return extension(PING, (encoder) => encoding.writeVarUint(encoder, nonce));
}

function sync(type: number, payload: Uint8Array): Uint8Array {
  return message(SYNC, (encoder) => {
    encoding.writeVarUint(encoder, type);
    encoding.writeVarUint8Array(encoder, payload);
  });
}

function extension(kind: number, write: (encoder: encoding.Encoder) => void): Uint8Array {
  return message(EXTENSION, (encoder) => {
    encoding.writeVarUint(encoder, kind);
    write(encoder);
  });
}

function message(type: number, write: (encoder: encoding.Encoder) => void): Uint8Array {
  const encoder = encoding.createEncoder();
  encoding.writeVarUint(encoder, type);
  write(encoder);
  return encoding.toUint8Array(encoder);
}

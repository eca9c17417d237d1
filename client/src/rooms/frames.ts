import * as decoding from "lib0/decoding";
import * as encoding from "lib0/encoding";
import * as wire from "../../../core/crdt/protocol.ts";

export { syncStep1, syncStep2, updateFrame } from "../../../core/crdt/protocol.ts";

/** A frame as the server sends it. What a newer server may add is `unknown`. */
export type ServerFrame =
  | { type: "sync-step-1"; vector: Uint8Array }
  /** What this copy lacked (`isAnswer`), or an edit of somebody. */
  | { type: "update"; update: Uint8Array; isAnswer: boolean }
  | { type: "awareness"; states: Uint8Array }
  | { type: "query-awareness" }
  | { type: "denied"; reason: string }
  /** Unix milliseconds; null: the token does not end. */
  | { type: "refreshed"; expiresAt: number | null }
  | { type: "hello"; epoch: string; mayWrite: boolean }
  | { type: "persisted"; count: number }
  | { type: "refused"; code: string; detail: string }
  | { type: "ping"; nonce: number }
  | { type: "unknown" };

/** Reads a frame of the server. Throws for what is cut short. */
export function decodeServerFrame(bytes: Uint8Array): ServerFrame {
  const decoder = decoding.createDecoder(bytes);
  switch (decoding.readVarUint(decoder)) {
    case wire.SYNC:
      return readSync(decoder);
    case wire.AWARENESS:
      return { type: "awareness", states: decoding.readVarUint8Array(decoder) };
    case wire.QUERY_AWARENESS:
      return { type: "query-awareness" };
    case wire.AUTH:
      decoding.readVarUint(decoder);
      return { type: "denied", reason: decoding.readVarString(decoder) };
    case wire.EXTENSION:
      return readExtension(decoder);
    default:
      return { type: "unknown" };
  }
}

function readSync(decoder: decoding.Decoder): ServerFrame {
  const kind = decoding.readVarUint(decoder);
  const payload = decoding.readVarUint8Array(decoder);
  if (kind === wire.STEP_1) return { type: "sync-step-1", vector: payload };
  if (kind === wire.STEP_2 || kind === wire.UPDATE) return { type: "update", update: payload, isAnswer: kind === wire.STEP_2 };
  return { type: "unknown" };
}

function readExtension(decoder: decoding.Decoder): ServerFrame {
  switch (decoding.readVarUint(decoder)) {
    case wire.HELLO: {
      decoding.readVarUint(decoder); // the version: what it adds comes after what is known
      const epoch = decoding.readVarString(decoder);
      decoding.readVarUint(decoder); // the journal's position
      return { type: "hello", epoch, mayWrite: decoding.readVarUint(decoder) === 1 };
    }
    case wire.PERSISTED:
      return { type: "persisted", count: decoding.readVarUint(decoder) };
    case wire.REFRESHED: {
      const expiresAt = decoding.readVarUint(decoder);
      return { type: "refreshed", expiresAt: expiresAt === 0 ? null : expiresAt };
    }
    case wire.REFUSED:
      return { type: "refused", code: decoding.readVarString(decoder), detail: decoding.readVarString(decoder) };
    case wire.PING:
      return { type: "ping", nonce: decoding.readVarUint(decoder) };
    default:
      return { type: "unknown" };
  }
}

/** Presence in the encoding of y-protocols. */
export function awarenessFrame(states: Uint8Array): Uint8Array {
  return frame((encoder) => {
    encoding.writeVarUint(encoder, wire.AWARENESS);
    encoding.writeVarUint8Array(encoder, states);
  });
}

/** The room answers it, and nothing else happens. */
export const QUERY_AWARENESS = Uint8Array.of(wire.QUERY_AWARENESS);

export function refreshFrame(token: string): Uint8Array {
  return frame((encoder) => {
    encoding.writeVarUint(encoder, wire.EXTENSION);
    encoding.writeVarUint(encoder, wire.REFRESH);
    encoding.writeVarString(encoder, token);
  });
}

export function pongFrame(nonce: number): Uint8Array {
  return frame((encoder) => {
    encoding.writeVarUint(encoder, wire.EXTENSION);
    encoding.writeVarUint(encoder, wire.PONG);
    encoding.writeVarUint(encoder, nonce);
  });
}

function frame(write: (encoder: encoding.Encoder) => void): Uint8Array {
  const encoder = encoding.createEncoder();
  write(encoder);
  return encoding.toUint8Array(encoder);
}

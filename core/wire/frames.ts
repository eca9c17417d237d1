import { ERRORS, type ErrorCode, SkerryError } from "./errors.ts";
import { checkName } from "./names.ts";

/** The version this file describes, negotiated as the WebSocket subprotocol {@link SUBPROTOCOL} or as `?v=1`. */
export const WIRE_VERSION = 1;
export const SUBPROTOCOL = "skerry.v1";

/** UTF-8 bytes of one frame from a client, and of one from the server (the platform takes 32 MiB; a client should not have to). */
export const MAX_CLIENT_FRAME_BYTES = 64 * 1024;
export const MAX_SERVER_FRAME_BYTES = 1024 * 1024;
/**
 * Data frames a subscription may have granted and unused at any time. A server socket buffers without bound and without
 * saying so; credit times the size of a frame is what a client that never reads can make an isolate hold.
 */
export const MAX_CREDIT = 256;
export const MAX_POSITION_LENGTH = 512;
const MAX_ID = 2 ** 31 - 1;
const MAX_TOKEN_LENGTH = 16_384;

/** Where a subscription stands, in the target's own notation. A client keeps it and sends it back; it never reads it. */
export type StreamPosition = string;

/** Why the server ended a subscription without an error. */
export const END_REASONS = ["unsubscribed", "deleted", "complete"] as const;
export type EndReason = (typeof END_REASONS)[number];
export type Mode = "snapshot" | "resume";
export type DataKind = "snapshot" | "delta";

export type ClientFrame =
  | { type: "subscribe"; id: number; target: string; from?: StreamPosition; credit: number }
  | { type: "credit"; id: number; n: number }
  | { type: "unsubscribe"; id: number }
  | { type: "ack"; id: number; position: StreamPosition }
  | { type: "token"; token: string }
  | { type: "ping" };

/** What a data frame carries besides its subscription's id. `last` marks the part that completes a snapshot. */
export type DataItem = { position: StreamPosition; kind: DataKind; last?: boolean; payload: unknown };

export type ServerFrame =
  | { type: "hello"; version: number; expiresAt: number | null }
  | { type: "subscribed"; id: number; position: StreamPosition; mode: Mode }
  | ({ type: "data"; id: number } & DataItem)
  | { type: "token_ok"; expiresAt: number | null }
  | { type: "error"; id?: number; code: ErrorCode; detail: string; retryAfter?: number }
  | { type: "end"; id: number; reason: EndReason }
  | { type: "pong" };

/** The exact texts to hand to the platform's auto-response, so that a keep-alive wakes no object. */
export const PING_TEXT = '{"type":"ping"}';
export const PONG_TEXT = '{"type":"pong"}';

/**
 * Decides the version of a new socket from the `Sec-WebSocket-Protocol` header and the `v` query parameter.
 * `subprotocol` must be echoed in the response when it is not null (browsers drop the socket otherwise).
 * Throws `bad_request` if the client asks for neither or only for versions unknown here.
 */
export function negotiate(header: string | null, v: string | null): { version: number; subprotocol: string | null } {
  const offered = (header ?? "").split(",").map((name) => name.trim());
  if (offered.includes(SUBPROTOCOL)) return { version: WIRE_VERSION, subprotocol: SUBPROTOCOL };
  if (v === String(WIRE_VERSION)) return { version: WIRE_VERSION, subprotocol: null };
  throw new SkerryError(
    "bad_request",
    `This socket speaks version ${WIRE_VERSION}: offer the subprotocol "${SUBPROTOCOL}" or add ?v=1 to the URL.`,
  );
}

/** Reads a frame from a client. Throws `bad_frame`, never anything else, with a sentence that names what is wrong. */
export function parseClientFrame(text: string): ClientFrame {
  const frame = parseObject(text, MAX_CLIENT_FRAME_BYTES);
  switch (frame.type) {
    case "subscribe": {
      const from = frame.from === undefined || frame.from === null ? undefined : position(frame, "from");
      return {
        type: "subscribe",
        id: integer(frame, "id", 1, MAX_ID),
        target: target(frame),
        ...(from !== undefined && { from }),
        credit: integer(frame, "credit", 1, MAX_CREDIT),
      };
    }
    case "credit":
      return { type: "credit", id: integer(frame, "id", 1, MAX_ID), n: integer(frame, "n", 1, MAX_CREDIT) };
    case "unsubscribe":
      return { type: "unsubscribe", id: integer(frame, "id", 1, MAX_ID) };
    case "ack":
      return { type: "ack", id: integer(frame, "id", 1, MAX_ID), position: position(frame, "position") };
    case "token":
      return { type: "token", token: string(frame, "token", MAX_TOKEN_LENGTH) };
    case "ping":
      return { type: "ping" };
    default:
      throw bad(`"type" must be one of subscribe, credit, unsubscribe, ack, token, ping${got(frame.type)}.`);
  }
}

/** Reads a frame from the server. Throws `bad_frame`. A code this version does not know becomes `internal`. */
export function parseServerFrame(text: string): ServerFrame {
  const frame = parseObject(text, MAX_SERVER_FRAME_BYTES);
  switch (frame.type) {
    case "hello":
      return { type: "hello", version: integer(frame, "version", 1, MAX_ID), expiresAt: time(frame) };
    case "subscribed":
      return {
        type: "subscribed",
        id: integer(frame, "id", 1, MAX_ID),
        position: position(frame, "position"),
        mode: oneOf(frame, "mode", ["snapshot", "resume"]),
      };
    case "data": {
      if (!("payload" in frame)) throw bad('"payload" is missing.');
      if (frame.last !== undefined && typeof frame.last !== "boolean") throw bad('"last" must be a boolean.');
      return {
        type: "data",
        id: integer(frame, "id", 1, MAX_ID),
        position: position(frame, "position"),
        kind: oneOf(frame, "kind", ["snapshot", "delta"]),
        ...(frame.last === true && { last: true }),
        payload: frame.payload,
      };
    }
    case "token_ok":
      return { type: "token_ok", expiresAt: time(frame) };
    case "error":
      return {
        type: "error",
        ...(frame.id !== undefined && { id: integer(frame, "id", 1, MAX_ID) }),
        code: typeof frame.code === "string" && Object.hasOwn(ERRORS, frame.code) ? (frame.code as ErrorCode) : "internal",
        detail: typeof frame.detail === "string" ? frame.detail : "",
        ...(typeof frame.retryAfter === "number" && frame.retryAfter >= 0 && { retryAfter: frame.retryAfter }),
      };
    case "end":
      return { type: "end", id: integer(frame, "id", 1, MAX_ID), reason: oneOf(frame, "reason", END_REASONS) };
    case "pong":
      return { type: "pong" };
    default:
      throw bad(`"type" must be one of hello, subscribed, data, token_ok, error, end, pong${got(frame.type)}.`);
  }
}

/** The text of a frame. Throws `too_large` past the limit of its direction, `internal` for a payload that is not JSON. */
export function encode(frame: ClientFrame | ServerFrame): string {
  if (frame.type === "data") return dataFrame(frame.id, dataTail(frame));
  const text = JSON.stringify(frame);
  const limit = CLIENT_TYPES.has(frame.type) ? MAX_CLIENT_FRAME_BYTES : MAX_SERVER_FRAME_BYTES;
  if (longer(text, limit)) throw new SkerryError("too_large", `A ${frame.type} frame may have ${limit} bytes.`);
  return text;
}

const CLIENT_TYPES: ReadonlySet<string> = new Set(["subscribe", "credit", "unsubscribe", "ack", "token", "ping"]);

/**
 * The part of a data frame that is the same for every subscription, so that a payload is serialised once however many
 * sockets it goes to. Complete it with {@link dataFrame}. Throws as {@link encode} does.
 */
export function dataTail(item: DataItem): string {
  if (!isPosition(item.position)) throw new SkerryError("internal", "The target gave a position that is not valid.");
  const payload = JSON.stringify(item.payload);
  if (payload === undefined) throw new SkerryError("internal", "A payload must be a JSON value.");
  const tail = `"position":"${item.position}","kind":"${item.kind}"${item.last === true ? ',"last":true' : ""},"payload":${payload}}`;
  if (longer(tail, MAX_SERVER_FRAME_BYTES - DATA_HEAD_BYTES)) {
    throw new SkerryError("too_large", `A data frame may have ${MAX_SERVER_FRAME_BYTES} bytes; the target must cut it into parts.`);
  }
  return tail;
}

/** The text of a data frame for subscription `id` from a {@link dataTail}. */
export function dataFrame(id: number, tail: string): string {
  return `{"type":"data","id":${id},${tail}`;
}

/** What {@link dataFrame} puts before the tail, at the longest id. */
const DATA_HEAD_BYTES = `{"type":"data","id":${MAX_ID},`.length;

// No character that JSON or a URL query would have to escape: a stored position has a known size.
const POSITION = /^[A-Za-z0-9._~:,;|=@!*()-]+$/;

/** Whether `text` may stand for a position: 1 to 512 of `A-Z a-z 0-9 . _ ~ : , ; | = @ ! * ( ) -`. */
export function isPosition(text: string): boolean {
  return text.length <= MAX_POSITION_LENGTH && POSITION.test(text);
}

type Fields = Record<string, unknown>;

function parseObject(text: string, limit: number): Fields {
  if (typeof text !== "string") throw bad("A frame is a text message, not a binary one.");
  if (longer(text, limit)) throw bad(`A frame may have ${limit} bytes.`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw bad("A frame is one JSON object; this is not JSON.");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw bad("A frame is one JSON object.");
  return value as Fields;
}

function integer(frame: Fields, name: string, min: number, max: number): number {
  const value = frame[name];
  if (!Number.isInteger(value) || (value as number) < min || (value as number) > max) {
    throw bad(`"${name}" must be an integer from ${min} to ${max}${got(value)}.`);
  }
  return value as number;
}

function string(frame: Fields, name: string, maxLength: number): string {
  const value = frame[name];
  if (typeof value !== "string" || value.length === 0 || value.length > maxLength) {
    throw bad(`"${name}" must be a string of 1 to ${maxLength} characters.`);
  }
  return value;
}

function position(frame: Fields, name: string): StreamPosition {
  const value = string(frame, name, MAX_POSITION_LENGTH);
  if (!isPosition(value)) throw bad(`"${name}" is not a position that this server gave out.`);
  return value;
}

function target(frame: Fields): string {
  try {
    return checkName("target", string(frame, "target", MAX_CLIENT_FRAME_BYTES));
  } catch (error) {
    throw bad((error as Error).message);
  }
}

function oneOf<T extends string>(frame: Fields, name: string, values: readonly T[]): T {
  const value = frame[name];
  if (!values.includes(value as T)) throw bad(`"${name}" must be one of ${values.join(", ")}${got(value)}.`);
  return value as T;
}

/** Unix milliseconds, or null for a token that never ends. */
function time(frame: Fields): number | null {
  return frame.expiresAt === null ? null : integer(frame, "expiresAt", 0, Number.MAX_SAFE_INTEGER);
}

/** Echoes a bad value, cut short: the sentence travels in an error frame and in logs. */
function got(value: unknown): string {
  if (value === undefined) return "; it is missing";
  if (typeof value === "string") return `; it is "${value.slice(0, 40).toWellFormed()}"`;
  if (typeof value === "number" || typeof value === "boolean" || value === null) return `; it is ${value}`;
  return `; it is ${Array.isArray(value) ? "an array" : "an object"}`;
}

function bad(detail: string): SkerryError {
  return new SkerryError("bad_frame", detail);
}

/** Whether `text` has more than `limit` UTF-8 bytes, without encoding it where its length already decides. */
function longer(text: string, limit: number): boolean {
  if (text.length > limit) return true;
  return text.length * 3 > limit && new TextEncoder().encode(text).length > limit;
}

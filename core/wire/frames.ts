import { ERRORS, type ErrorCode, SkerryError } from "./errors.ts";
import { bad, type Fields, got, integer, list, longer, oneOf, parseObject, string } from "./fields.ts";
import { checkName } from "./names.ts";

/** The version this file describes, negotiated as the WebSocket subprotocol {@link SUBPROTOCOL} or as `?v=1`. */
export const WIRE_VERSION = 1;
export const SUBPROTOCOL = "skerry.v1";

/** UTF-8 bytes of one frame from a client, and of one from the server (the platform takes 32 MiB; a client should not have to). */
export const MAX_CLIENT_FRAME_BYTES = 64 * 1024;
export const MAX_SERVER_FRAME_BYTES = 1024 * 1024;
/** UTF-8 bytes that a `data` frame of a target may have whose items can neither be cut nor be small. */
export const MAX_DATA_FRAME_BYTES = 8 * 1024 * 1024;
/** UTF-8 bytes of a `call` frame, and of a `result` frame: a call or its answer cannot be cut, and may hold a large value. */
export const MAX_CALL_FRAME_BYTES = 4 * 1024 * 1024;
export const MAX_RESULT_FRAME_BYTES = 16 * 1024 * 1024;
/** Calls of a frame. */
export const MAX_CALLS = 1024;
/**
 * Data frames a subscription may have granted and unused at any time. A server socket buffers without bound and without
 * saying so; credit times the size of a frame is what a client that never reads can make an isolate hold.
 */
export const MAX_CREDIT = 256;
export const MAX_POSITION_LENGTH = 512;
/** UTF-8 bytes: a target may be a name with more beside it. */
export const MAX_TARGET_BYTES = 1024;
const MAX_ID = 2 ** 31 - 1;
const MAX_TOKEN_LENGTH = 16_384;
const MAX_OBJECT_LENGTH = 1024;

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
  | { type: "ping" }
  | CallFrame;

/**
 * Requests to be answered each on its own, in any order. Call number `i` of the frame has the id `id + i`; ids are not shared
 * with subscriptions. `read`: how many `result` frames the client has read of this socket.
 */
export type CallFrame = { type: "call"; id: number; read?: number; calls: unknown[] };
/** What became of a call. `extra` is what the error's problem document would have besides. */
export type CallError = { code: ErrorCode; detail: string; retryAfter?: number; extra?: Record<string, unknown> };
export type CallResult = { id: number; value: unknown } | { id: number; error: CallError };

/** What a data frame carries besides its subscription's id. `last` marks the part that completes a snapshot. */
export type DataItem = { position: StreamPosition; kind: DataKind; last?: boolean; payload: unknown };

export type ServerFrame =
  /** `member`: which replica is at the other end, where a name stands for several; `object`: what it is called in a `Skerry-Context`. */
  | { type: "hello"; version: number; expiresAt: number | null; member?: number; object?: string }
  | { type: "subscribed"; id: number; position: StreamPosition; mode: Mode }
  | ({ type: "data"; id: number } & DataItem)
  | { type: "token_ok"; expiresAt: number | null }
  | { type: "error"; id?: number; code: ErrorCode; detail: string; retryAfter?: number }
  | { type: "end"; id: number; reason: EndReason }
  | { type: "pong" }
  | { type: "result"; results: CallResult[] };

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

/**
 * How every `call` frame begins: only what begins so may be larger than other frames, which is known before it is parsed. The
 * server's results begin as {@link RESULT_HEAD}.
 */
const CALL_HEAD = '{"type":"call",';
const RESULT_HEAD = '{"type":"result",';
const DATA_HEAD = '{"type":"data",';

/**
 * Reads a frame from a client. Throws `bad_frame`, never anything else, with a sentence that names what is wrong.
 * `takes`: whether the socket answers calls.
 */
export function parseClientFrame(text: string, takes?: "subscriptions"): Exclude<ClientFrame, CallFrame>;
export function parseClientFrame(text: string, takes: "subscriptions" | "calls"): ClientFrame;
export function parseClientFrame(text: string, takes: "subscriptions" | "calls" = "subscriptions"): ClientFrame {
  const calls = takes === "calls";
  const frame = parseObject(text, calls && begins(text, CALL_HEAD) ? MAX_CALL_FRAME_BYTES : MAX_CLIENT_FRAME_BYTES);
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
      if (calls && frame.type === "call") return call(frame);
      throw bad(`"type" must be one of subscribe, credit, unsubscribe, ack, token, ping${calls ? ", call" : ""}${got(frame.type)}.`);
  }
}

/** Reads a frame from the server. Throws `bad_frame`. A code this version does not know becomes `internal`. */
export function parseServerFrame(text: string): ServerFrame {
  const limit = begins(text, RESULT_HEAD)
    ? MAX_RESULT_FRAME_BYTES
    : begins(text, DATA_HEAD)
      ? MAX_DATA_FRAME_BYTES
      : MAX_SERVER_FRAME_BYTES;
  const frame = parseObject(text, limit);
  switch (frame.type) {
    case "hello": {
      const member = frame.member === undefined ? {} : { member: integer(frame, "member", 1, Number.MAX_SAFE_INTEGER) };
      const object = frame.object === undefined ? {} : { object: string(frame, "object", MAX_OBJECT_LENGTH) };
      return { type: "hello", version: integer(frame, "version", 1, MAX_ID), expiresAt: time(frame), ...member, ...object };
    }
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
      return { type: "error", ...(frame.id !== undefined && { id: integer(frame, "id", 1, MAX_ID) }), ...complaint(frame) };
    case "end":
      return { type: "end", id: integer(frame, "id", 1, MAX_ID), reason: oneOf(frame, "reason", END_REASONS) };
    case "pong":
      return { type: "pong" };
    case "result":
      return { type: "result", results: list(frame, "results").map(result) };
    default:
      throw bad(`"type" must be one of hello, subscribed, data, token_ok, error, end, pong, result${got(frame.type)}.`);
  }
}

/** The text of a frame. Throws `too_large` past the limit of its direction, `internal` for a payload that is not JSON. */
export function encode(frame: ClientFrame | ServerFrame): string {
  if (frame.type === "data") return dataFrame(frame.id, dataTail(frame));
  const { type, ...rest } = frame;
  const text = JSON.stringify({ type, ...rest });
  const limit = LIMITS[type];
  if (longer(text, limit)) throw new SkerryError("too_large", `A ${type} frame may have ${limit} bytes.`);
  return text;
}

const LIMITS: Record<Exclude<(ClientFrame | ServerFrame)["type"], "data">, number> = {
  subscribe: MAX_CLIENT_FRAME_BYTES,
  credit: MAX_CLIENT_FRAME_BYTES,
  unsubscribe: MAX_CLIENT_FRAME_BYTES,
  ack: MAX_CLIENT_FRAME_BYTES,
  token: MAX_CLIENT_FRAME_BYTES,
  ping: MAX_CLIENT_FRAME_BYTES,
  call: MAX_CALL_FRAME_BYTES,
  hello: MAX_SERVER_FRAME_BYTES,
  subscribed: MAX_SERVER_FRAME_BYTES,
  token_ok: MAX_SERVER_FRAME_BYTES,
  error: MAX_SERVER_FRAME_BYTES,
  end: MAX_SERVER_FRAME_BYTES,
  pong: MAX_SERVER_FRAME_BYTES,
  result: MAX_RESULT_FRAME_BYTES,
};

/** The text of a `call` frame out of calls that are JSON text already. The caller keeps to {@link MAX_CALL_FRAME_BYTES}. */
export function callFrame(id: number, read: number, calls: readonly string[]): string {
  return `${CALL_HEAD}"id":${id},"read":${read},"calls":[${calls.join(",")}]}`;
}

/** The text of a `result` frame out of {@link resultText}s. The caller keeps to {@link MAX_RESULT_FRAME_BYTES}. */
export function resultFrame(results: readonly string[]): string {
  return `${RESULT_HEAD}"results":[${results.join(",")}]}`;
}

/** One result as it stands in a `result` frame. One that fits in no frame is the error `too_large` in its place. */
export function resultText(result: CallResult): string {
  const text = JSON.stringify(result);
  if (!longer(text, MAX_RESULT_FRAME_BYTES - RESULT_OVERHEAD)) return text;
  const detail = `The answer would take more than ${MAX_RESULT_FRAME_BYTES} bytes; ask for less at a time.`;
  return JSON.stringify({ id: result.id, error: { code: "too_large", detail } } satisfies CallResult);
}

/** What {@link resultFrame} puts around one result. */
const RESULT_OVERHEAD = `${RESULT_HEAD}"results":[]}`.length;

/**
 * The part of a data frame that is the same for every subscription, so that a payload is serialised once however many
 * sockets it goes to. Complete it with {@link dataFrame}. Throws as {@link encode} does, at `most` bytes.
 */
export function dataTail(item: DataItem, most: number = MAX_SERVER_FRAME_BYTES): string {
  if (!isPosition(item.position)) throw new SkerryError("internal", "The target gave a position that is not valid.");
  const payload = JSON.stringify(item.payload);
  if (payload === undefined) throw new SkerryError("internal", "A payload must be a JSON value.");
  const tail = `"position":"${item.position}","kind":"${item.kind}"${item.last === true ? ',"last":true' : ""},"payload":${payload}}`;
  if (longer(tail, most - DATA_HEAD_BYTES)) {
    throw new SkerryError("too_large", `A data frame may have ${most} bytes; the target must cut it into parts.`);
  }
  return tail;
}

/** The text of a data frame for subscription `id` from a {@link dataTail}. */
export function dataFrame(id: number, tail: string): string {
  return `${DATA_HEAD}"id":${id},${tail}`;
}

/** What {@link dataFrame} puts before the tail, at the longest id. */
const DATA_HEAD_BYTES = `{"type":"data","id":${MAX_ID},`.length;

// No character that JSON or a URL query would have to escape: a stored position has a known size.
const POSITION = /^[A-Za-z0-9._~:,;|=@!*()-]+$/;

/** Whether `text` may stand for a position: 1 to 512 of `A-Z a-z 0-9 . _ ~ : , ; | = @ ! * ( ) -`. */
export function isPosition(text: string): boolean {
  return text.length <= MAX_POSITION_LENGTH && POSITION.test(text);
}

function call(frame: Fields): CallFrame {
  const calls = list(frame, "calls");
  if (calls.length < 1 || calls.length > MAX_CALLS) throw bad(`"calls" must have 1 to ${MAX_CALLS} of them.`);
  const read = frame.read === undefined ? {} : { read: integer(frame, "read", 0, Number.MAX_SAFE_INTEGER) };
  return { type: "call", id: integer(frame, "id", 1, MAX_ID - calls.length + 1), ...read, calls };
}

function result(value: unknown): CallResult {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw bad('"results" must hold objects.');
  const fields = value as Fields;
  const id = integer(fields, "id", 1, MAX_ID);
  if ("value" in fields) return { id, value: fields.value };
  const { error } = fields;
  if (typeof error !== "object" || error === null || Array.isArray(error)) throw bad('A result must have "value" or "error".');
  const { extra } = error as Fields;
  const more = typeof extra === "object" && extra !== null && !Array.isArray(extra) ? { extra: extra as Record<string, unknown> } : {};
  return { id, error: { ...complaint(error as Fields), ...more } };
}

/** What is wrong, as an `error` frame or the result of a call tells it. */
function complaint({ code, detail, retryAfter }: Fields): Omit<CallError, "extra"> {
  return {
    code: typeof code === "string" && Object.hasOwn(ERRORS, code) ? (code as ErrorCode) : "internal",
    detail: typeof detail === "string" ? detail : "",
    ...(typeof retryAfter === "number" && retryAfter >= 0 && { retryAfter }),
  };
}

function position(frame: Fields, name: string): StreamPosition {
  const value = string(frame, name, MAX_POSITION_LENGTH);
  if (!isPosition(value)) throw bad(`"${name}" is not a position that this server gave out.`);
  return value;
}

function target(frame: Fields): string {
  try {
    return checkName("target", string(frame, "target", MAX_CLIENT_FRAME_BYTES), MAX_TARGET_BYTES);
  } catch (error) {
    throw bad((error as Error).message);
  }
}

/** Unix milliseconds, or null for a token that never ends. */
function time(frame: Fields): number | null {
  return frame.expiresAt === null ? null : integer(frame, "expiresAt", 0, Number.MAX_SAFE_INTEGER);
}

function begins(text: unknown, head: string): boolean {
  return typeof text === "string" && text.startsWith(head);
}

import { fromBase64Url, toBase64Url } from "./base64url.ts";
import { SkerryError } from "./errors.ts";
import { isPosition, type StreamPosition } from "./frames.ts";

/**
 * A place in a change log that numbers its changes 1, 2, 3…: `generation` changes when the log was rebuilt (so that old
 * positions mean nothing), `at` is the last change seen, `cursor` the last key sent of a snapshot begun at `at`.
 */
export type LogPosition = { generation: string; at: number; cursor?: string };

const GENERATION = /^[A-Za-z0-9_-]{1,64}$/;
const FORM = /^([A-Za-z0-9_-]{1,64})\.(0|[1-9][0-9]{0,15})(?:~([A-Za-z0-9_-]*))?$/;

/** UTF-8 bytes of a snapshot cursor; its base64url form then fits in a position beside the rest. */
export const MAX_CURSOR_BYTES = 300;

/** `{generation}.{at}`, or `{generation}.{at}~{base64url cursor}` within a snapshot. Equal places give equal strings. */
export function formatPosition(position: LogPosition): StreamPosition {
  if (!GENERATION.test(position.generation)) throw new SkerryError("internal", "A generation is 1 to 64 of A-Z a-z 0-9 _ and -.");
  if (!Number.isSafeInteger(position.at) || position.at < 0) throw new SkerryError("internal", "A change number is a safe integer from 0.");
  const base = `${position.generation}.${position.at}`;
  if (position.cursor === undefined) return base;
  const bytes = new TextEncoder().encode(position.cursor);
  if (bytes.length > MAX_CURSOR_BYTES) throw new SkerryError("too_large", `A snapshot cursor may have ${MAX_CURSOR_BYTES} bytes.`);
  return `${base}~${toBase64Url(bytes)}`;
}

/** The inverse of {@link formatPosition}; null for anything it did not make, which a client may well send. */
export function parsePosition(text: StreamPosition): LogPosition | null {
  const match = FORM.exec(text);
  if (match === null) return null;
  const at = Number(match[2]);
  if (!Number.isSafeInteger(at)) return null;
  if (match[3] === undefined) return { generation: match[1] as string, at };
  const bytes = fromBase64Url(match[3]);
  if (bytes === null || bytes.length > MAX_CURSOR_BYTES) return null;
  try {
    return { generation: match[1] as string, at, cursor: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes) };
  } catch {
    return null;
  }
}

/** What a change log retains: changes `first` to `head` inclusive (`first = head + 1` when it retains none). */
export type LogExtent = { generation: string; first: number; head: number };

/** What to read for a subscriber: everything anew, the rest of a snapshot begun at `at`, or the changes after `at`. */
export type Plan = { read: "snapshot" } | { read: "rest"; at: number; cursor: string } | { read: "changes"; after: number };

/**
 * How to go on from `from`. A position of another generation, one ahead of the head (the log was rewound), one whose
 * next change is no longer retained, and one that is not a position at all start over with a snapshot.
 */
export function planResume(log: LogExtent, from: StreamPosition | null): Plan {
  const position = from === null ? null : parsePosition(from);
  if (position === null || position.generation !== log.generation || position.at > log.head || position.at + 1 < log.first) {
    return { read: "snapshot" };
  }
  if (position.cursor !== undefined) return { read: "rest", at: position.at, cursor: position.cursor };
  return { read: "changes", after: position.at };
}

/**
 * One position for a subscription that a Worker serves from several objects (the partitions of a table): the
 * positions of the parts in order, null for a part not begun. Throws `too_large` past the limit of a position.
 */
export function joinPositions(parts: readonly (StreamPosition | null)[]): StreamPosition {
  const joined = parts.map((part) => part ?? "*").join("|");
  if (!isPosition(joined)) throw new SkerryError("too_large", "The positions of the parts are too long for one position.");
  return joined;
}

/** The inverse of {@link joinPositions}; null unless `position` has exactly `count` parts. */
export function splitPositions(position: StreamPosition, count: number): (StreamPosition | null)[] | null {
  const parts = position.split("|");
  if (parts.length !== count || parts.includes("")) return null;
  return parts.map((part) => (part === "*" ? null : part));
}

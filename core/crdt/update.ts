import * as decoding from "lib0/decoding";
import * as encoding from "lib0/encoding";
import * as Y from "yjs";
import { SkerryError } from "../wire/errors.ts";

/** What an update (Yjs encoding, version 1) holds, without its content. */
export type Scan = {
  /** For each client, the clock ranges `[from, to)` of its structs, ascending, gaps left out. */
  structs: Map<number, Range[]>;
  deletes: DeleteSet;
  /** Where in the bytes the delete set begins. */
  deletesAt: number;
  /** Neither structs nor deletes: nothing to store or to tell anybody. */
  empty: boolean;
};
/** `[from, to)` in the clock of one client. */
export type Range = [from: number, to: number];
/** Deleted ranges of each client, ascending and disjoint. */
export type DeleteSet = Map<number, Range[]>;

/** Decoding a subdocument makes a whole Y.Doc of a few bytes, so a frame of them could exhaust memory. */
const MAX_SUBDOCUMENTS = 1_000;

/**
 * Reads an update in one pass, without building its items, and checks everything that would make Yjs throw when it
 * decodes, merges or applies it: an update that was relayed and journalled must never break a room or a client.
 * Throws `bad_frame`.
 */
export function scanUpdate(update: Uint8Array): Scan {
  const decoder = decoding.createDecoder(update);
  try {
    const structs = scanStructs(decoder);
    const deletesAt = decoder.pos;
    const deletes = readDeletes(decoder);
    if (decoding.hasContent(decoder)) throw malformed("bytes follow its end");
    return { structs, deletes, deletesAt, empty: structs.size === 0 && deletes.size === 0 };
  } catch (error) {
    if (error instanceof SkerryError) throw error;
    throw malformed(error instanceof Error ? error.message : "it is cut short");
  }
}

function scanStructs(decoder: decoding.Decoder): Map<number, Range[]> {
  const structs = new Map<number, Range[]>();
  let subdocuments = 0;
  let previous = Infinity;
  for (let clients = decoding.readVarUint(decoder); clients > 0; clients--) {
    let count = decoding.readVarUint(decoder);
    const client = decoding.readVarUint(decoder);
    let clock = decoding.readVarUint(decoder);
    // Every encoder writes them so, and merging silently loses structs of an update that is not.
    if (client >= previous) throw malformed("its clients are not in descending order");
    previous = client;
    const ranges: Range[] = [];
    structs.set(client, ranges);
    for (; count > 0; count--) {
      const info = readByte(decoder);
      const kind = info & KIND;
      let length: number;
      if (info === SKIP || kind === GC) length = decoding.readVarUint(decoder);
      else {
        skipItemHead(decoder, info, client, clock);
        if (kind === SUBDOCUMENT && ++subdocuments > MAX_SUBDOCUMENTS)
          throw malformed(`it holds more than ${MAX_SUBDOCUMENTS} subdocuments`);
        length = skipContent(decoder, kind);
      }
      // Yjs finds a struct by clock: an empty one, or a clock that is no longer exact, would break its search.
      if (length < 1 || !Number.isSafeInteger(clock + length)) throw malformed("a struct has no valid length");
      if (info !== SKIP) append(ranges, clock, clock + length);
      clock += length;
    }
    if (ranges.length === 0) structs.delete(client);
  }
  return structs;
}

const KIND = 0b0001_1111;
const HAS_ORIGIN = 0b1000_0000;
const HAS_RIGHT_ORIGIN = 0b0100_0000;
const HAS_KEY = 0b0010_0000;
const GC = 0;
const SUBDOCUMENT = 9;
const SKIP = 10;

function skipItemHead(decoder: decoding.Decoder, info: number, client: number, clock: number): void {
  const origin = (info & HAS_ORIGIN) !== 0;
  const rightOrigin = (info & HAS_RIGHT_ORIGIN) !== 0;
  if (origin) checkReference(decoder, client, clock);
  if (rightOrigin) checkReference(decoder, client, clock);
  if (origin || rightOrigin) return;
  if (decoding.readVarUint(decoder) === 1) decoding.readVarString(decoder);
  else checkReference(decoder, client, clock);
  if ((info & HAS_KEY) !== 0) decoding.readVarString(decoder);
}

/** Yjs takes for granted that a struct refers to earlier ones of its own client; it throws in mid-transaction if not. */
function checkReference(decoder: decoding.Decoder, client: number, clock: number): void {
  const otherClient = decoding.readVarUint(decoder);
  const otherClock = decoding.readVarUint(decoder);
  if (otherClient === client && otherClock >= clock) throw malformed("a struct refers to a later one of the same client");
}

/** Skips the content of an item and returns its length in clock ticks. */
function skipContent(decoder: decoding.Decoder, kind: number): number {
  switch (kind) {
    case 1: // deleted
      return decoding.readVarUint(decoder);
    case 2: {
      const length = decoding.readVarUint(decoder);
      for (let i = 0; i < length; i++) {
        const json = decoding.readVarString(decoder);
        if (json !== "undefined") JSON.parse(json);
      }
      return length;
    }
    case 3: // binary
      decoding.readVarUint8Array(decoder);
      return 1;
    case 4: // string
      return decoding.readVarString(decoder).length;
    case 5: // embed
      JSON.parse(decoding.readVarString(decoder));
      return 1;
    case 6: // format
      decoding.readVarString(decoder);
      JSON.parse(decoding.readVarString(decoder));
      return 1;
    case 7: {
      const type = decoding.readVarUint(decoder);
      if (type > 6) throw malformed("it has a type that Yjs does not know");
      if (type === 3 || type === 5) decoding.readVarString(decoder);
      return 1;
    }
    case 8: {
      const length = decoding.readVarUint(decoder);
      for (let i = 0; i < length; i++) decoding.readAny(decoder);
      return length;
    }
    case SUBDOCUMENT: {
      decoding.readVarString(decoder);
      const options: unknown = decoding.readAny(decoder);
      if (typeof options !== "object" || options === null) throw malformed("a subdocument has no options");
      return 1;
    }
    default:
      throw malformed("it has content that Yjs does not know");
  }
}

function readDeletes(decoder: decoding.Decoder): DeleteSet {
  const deletes: DeleteSet = new Map();
  for (let clients = decoding.readVarUint(decoder); clients > 0; clients--) {
    const client = decoding.readVarUint(decoder);
    const ranges: Range[] = deletes.get(client) ?? [];
    for (let count = decoding.readVarUint(decoder); count > 0; count--) {
      const clock = decoding.readVarUint(decoder);
      const length = decoding.readVarUint(decoder);
      if (length < 1 || !Number.isSafeInteger(clock + length)) throw malformed("a deletion has no valid length");
      ranges.push([clock, clock + length]);
    }
    if (ranges.length > 0) deletes.set(client, normal(ranges));
  }
  return deletes;
}

/**
 * The same update without what is already known, or null if it is all known: structs below `clocks`, and deletions in `deletes`. A client that
 * reconnects sends its whole delete set again; stored and relayed as it is, that would be most of the traffic.
 */
export function withoutKnown(update: Uint8Array, scan: Scan, clocks: ReadonlyMap<number, number>, deletes: DeleteSet): Uint8Array | null {
  let fresh = false;
  for (const [client, ranges] of scan.structs) if (ranges.at(-1)![1] > (clocks.get(client) ?? 0)) fresh = true;
  const remaining: DeleteSet = new Map();
  for (const [client, ranges] of scan.deletes) {
    const left = subtract(ranges, deletes.get(client) ?? []);
    if (left.length > 0) remaining.set(client, left);
  }
  if (!fresh && remaining.size === 0) return null;
  const known = new Map([...clocks].filter(([client]) => scan.structs.has(client)));
  const encoder = encoding.createEncoder();
  if (fresh) {
    const trimmed = Y.diffUpdate(update, encodeVector(known));
    encoding.writeUint8Array(encoder, trimmed.subarray(0, scanUpdate(trimmed).deletesAt));
  } else encoding.writeVarUint(encoder, 0);
  encoding.writeUint8Array(encoder, encodeDeletes(remaining));
  return encoding.toUint8Array(encoder);
}

/** Merges updates in groups of 64, and the results again: flat merging of many small updates is quadratic. */
export function mergeTree(updates: readonly Uint8Array[]): Uint8Array {
  let level = updates;
  while (level.length > 1) {
    const next: Uint8Array[] = [];
    for (let i = 0; i < level.length; i += FAN_IN) next.push(Y.mergeUpdates(level.slice(i, i + FAN_IN)));
    level = next;
  }
  return level[0] ?? EMPTY_UPDATE;
}

const FAN_IN = 64;
/** No clients, no deletions. */
export const EMPTY_UPDATE: Uint8Array = new Uint8Array([0, 0]);

/** For each client the clock up to which `scan` has everything, as a state vector has it. */
export function clocksOf(scan: Scan): Map<number, number> {
  const clocks = new Map<number, number>();
  for (const [client, [first]] of scan.structs) if (first![0] === 0) clocks.set(client, first![1]);
  return clocks;
}

/** A state vector in Yjs' encoding, highest client first as Yjs writes it. */
export function encodeVector(clocks: ReadonlyMap<number, number>): Uint8Array {
  const encoder = encoding.createEncoder();
  encoding.writeVarUint(encoder, clocks.size);
  for (const [client, clock] of [...clocks].sort(([a], [b]) => b - a)) {
    encoding.writeVarUint(encoder, client);
    encoding.writeVarUint(encoder, clock);
  }
  return encoding.toUint8Array(encoder);
}

/** Throws `bad_frame`. */
export function decodeVector(bytes: Uint8Array): Map<number, number> {
  try {
    const decoder = decoding.createDecoder(bytes);
    const clocks = new Map<number, number>();
    for (let count = decoding.readVarUint(decoder); count > 0; count--) {
      clocks.set(decoding.readVarUint(decoder), decoding.readVarUint(decoder));
    }
    if (decoding.hasContent(decoder)) throw new Error("bytes follow its end");
    return clocks;
  } catch (error) {
    throw new SkerryError("bad_frame", `The state vector is not valid: ${(error as Error).message}.`);
  }
}

export function encodeDeletes(deletes: DeleteSet): Uint8Array {
  const encoder = encoding.createEncoder();
  encoding.writeVarUint(encoder, deletes.size);
  for (const [client, ranges] of [...deletes].sort(([a], [b]) => b - a)) {
    encoding.writeVarUint(encoder, client);
    encoding.writeVarUint(encoder, ranges.length);
    for (const [from, to] of ranges) {
      encoding.writeVarUint(encoder, from);
      encoding.writeVarUint(encoder, to - from);
    }
  }
  return encoding.toUint8Array(encoder);
}

/** Adds `more` to `deletes` in place. An edit deletes little of what may be much, so each range is put where it belongs. */
export function addDeletes(deletes: DeleteSet, more: DeleteSet): void {
  for (const [client, ranges] of more) {
    const known = deletes.get(client);
    if (known === undefined)
      deletes.set(
        client,
        ranges.map(([from, to]) => [from, to]),
      );
    else for (const [from, to] of ranges) insert(known, from, to);
  }
}

/** Adds a range to ascending, disjoint ones, joining those it touches. */
function insert(ranges: Range[], from: number, to: number): void {
  let low = 0;
  for (let high = ranges.length; low < high; ) {
    const middle = (low + high) >>> 1;
    if (ranges[middle]![1] < from) low = middle + 1;
    else high = middle;
  }
  let end = low;
  let [first, last] = [from, to];
  for (; end < ranges.length && ranges[end]![0] <= to; end++) {
    first = Math.min(first, ranges[end]![0]);
    last = Math.max(last, ranges[end]![1]);
  }
  ranges.splice(low, end - low, [first, last]);
}

/** Sorts and joins ranges. */
function normal(ranges: Range[]): Range[] {
  const joined: Range[] = [];
  for (const [from, to] of ranges.sort((a, b) => a[0] - b[0])) append(joined, from, to);
  return joined;
}

/** Adds a range that begins at or after the last one's start. */
function append(ranges: Range[], from: number, to: number): void {
  const last = ranges.at(-1);
  if (last !== undefined && from <= last[1]) last[1] = Math.max(last[1], to);
  else ranges.push([from, to]);
}

/** What of `ranges` is not in `known`; both ascending and disjoint. */
function subtract(ranges: readonly Range[], known: readonly Range[]): Range[] {
  const left: Range[] = [];
  let at = 0;
  for (const [from, to] of ranges) {
    let start = from;
    while (at < known.length && known[at]![1] <= start) at++;
    for (let i = at; i < known.length && known[i]![0] < to; i++) {
      if (known[i]![0] > start) left.push([start, known[i]![0]]);
      start = Math.max(start, known[i]![1]);
    }
    if (start < to) left.push([start, to]);
  }
  return left;
}

/** lib0 reads `undefined` beyond the end. */
function readByte(decoder: decoding.Decoder): number {
  if (!decoding.hasContent(decoder)) throw malformed("it is cut short");
  return decoding.readUint8(decoder);
}

function malformed(why: string): SkerryError {
  return new SkerryError("bad_frame", `The document update is not valid: ${why}.`);
}

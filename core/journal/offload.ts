import { Reader, varintSize, Writer } from "./bytes.ts";
import { crc32c } from "./crc32c.ts";
import { corrupt } from "./errors.ts";
import type { JournalStorage } from "./port.ts";
import { endOf, type JournalEntry } from "./rows.ts";
import type { WholeRow } from "./scan.ts";

/** A run of entries that left the journal for an object store: positions `from` to `to` (exclusive) under `key`. */
export type Segment = { key: string; from: number; to: number; bytes: number; checksum: number };
/** A segment yet to be stored. `key` is the last part of its name: the same entries always get the same one. */
export type OffloadPlan = { key: string; from: number; to: number; bytes: Uint8Array; checksum: number };
export type OffloadOptions = {
  /**
   * The segment ends with the row that reaches this many bytes of payload; below, there is no plan. So the same plan
   * comes out however often it is made, and a lost one leaves no stray object. The isolate holds it in memory.
   */
  minBytes: number;
  /** Positions from here on stay. Default: the checkpoint's, so that a wake never waits for the object store. */
  before?: number;
};
/** What planning needs of a journal. */
export type OffloadSource = {
  readonly base: number;
  readonly head: number;
  latestCheckpointPosition(): number | null;
  wholeRows(from: number): Iterable<WholeRow>;
};

const MAGIC = [0x53, 0x4b, 0x53, 1]; // "SKS", format 1
const SEGMENT_PREFIX = "segment/";

/**
 * The oldest whole rows as one segment, or null if too little may leave. Pure: store `plan.bytes` under a name that
 * ends in `plan.key`, then call `journal.markOffloaded(plan, name)`.
 */
export function planOffload(journal: OffloadSource, options: OffloadOptions): OffloadPlan | null {
  const before = Math.min(options.before ?? journal.latestCheckpointPosition() ?? journal.base, journal.head);
  if (before <= journal.base) return null;
  const entries: JournalEntry[] = [];
  let bytes = 0;
  for (const row of journal.wholeRows(journal.base)) {
    if (row.end > before) break;
    for (const entry of row.entries) {
      entries.push(entry);
      bytes += entry.bytes.length;
    }
    if (bytes >= options.minBytes) return encodeSegment(entries);
  }
  return null;
}

export function encodeSegment(entries: readonly JournalEntry[]): OffloadPlan {
  const from = entries[0]!.position;
  const to = endOf(entries.at(-1)!);
  let size = 4 + MAGIC.length + varintSize(from) + varintSize(entries.length);
  for (const { count, bytes } of entries) size += varintSize(count) + varintSize(bytes.length) + bytes.length;
  const writer = new Writer(size);
  writer.at = 4;
  writer.raw(new Uint8Array(MAGIC));
  writer.varint(from);
  writer.varint(entries.length);
  for (const entry of entries) {
    writer.varint(entry.count);
    writer.varint(entry.bytes.length);
    writer.raw(entry.bytes);
  }
  const checksum = crc32c(writer.bytes.subarray(4));
  writer.at = 0;
  writer.u32(checksum);
  return { key: `${pad(from)}-${pad(to)}-${checksum.toString(16).padStart(8, "0")}`, from, to, bytes: writer.bytes, checksum };
}

/**
 * The entries of a stored segment, as views of `bytes`. Throws `corrupt` where a single bit is off, and, if `segment`
 * says what was expected, where it is another segment.
 */
export function decodeSegment(bytes: Uint8Array, segment?: Segment): JournalEntry[] {
  const what = segment === undefined ? "The segment" : `The segment ${segment.key}`;
  const reader = new Reader(bytes, what);
  const checksum = reader.u32();
  if (checksum !== crc32c(bytes.subarray(4))) throw corrupt(`${what} failed its checksum.`);
  const magic = reader.raw(MAGIC.length);
  if (MAGIC.some((byte, i) => magic[i] !== byte)) throw corrupt(`${what} is not a segment of a format this code knows.`);
  let position = reader.varint();
  const from = position;
  const entries: JournalEntry[] = [];
  for (let left = reader.varint(); left > 0; left--) {
    const count = reader.varint();
    entries.push({ position, count, bytes: reader.raw(reader.varint()) });
    position += count;
  }
  reader.end();
  if (segment !== undefined && (segment.checksum !== checksum || segment.from !== from || segment.to !== position)) {
    throw corrupt(`${what} holds positions ${from} to ${position}, not what the journal handed over.`, { segment });
  }
  return entries;
}

/** The segments that left, ascending. One blob each, so that handing one over costs one row however many there are. */
export function listSegments(storage: JournalStorage): Segment[] {
  return storage.listBlobs(SEGMENT_PREFIX).map((key) => readSegment(storage, key));
}

/** The segment that holds `position`, or null. */
export function findSegment(storage: JournalStorage, position: number): Segment | null {
  // Keys are padded: their order is that of the positions.
  const keys = storage.listBlobs(SEGMENT_PREFIX);
  let low = 0;
  let high = keys.length;
  for (const sought = SEGMENT_PREFIX + pad(position); low < high; ) {
    const middle = (low + high) >>> 1;
    if (keys[middle]! <= sought) low = middle + 1;
    else high = middle;
  }
  if (low === 0) return null;
  const segment = readSegment(storage, keys[low - 1]!);
  return position < segment.to ? segment : null;
}

export function putSegment(storage: JournalStorage, segment: Segment): void {
  const name = new TextEncoder().encode(segment.key);
  const writer = new Writer(64 + name.length);
  writer.at = 4;
  writer.varint(segment.from);
  writer.varint(segment.to);
  writer.varint(segment.bytes);
  writer.u32(segment.checksum);
  writer.raw(name);
  const done = writer.done();
  writer.at = 0;
  writer.u32(crc32c(done.subarray(4)));
  storage.putBlob(SEGMENT_PREFIX + pad(segment.from), done);
}

export function deleteSegment(storage: JournalStorage, segment: Segment): void {
  storage.deleteBlob(SEGMENT_PREFIX + pad(segment.from));
}

function readSegment(storage: JournalStorage, key: string): Segment {
  const what = `The journal's index record ${key}`;
  const stored = storage.getBlob(key);
  if (stored === null) throw corrupt(`${what} is missing.`);
  const reader = new Reader(stored, what);
  if (reader.u32() !== crc32c(stored.subarray(4))) throw corrupt(`${what} failed its checksum.`);
  const from = reader.varint();
  const to = reader.varint();
  const bytes = reader.varint();
  const checksum = reader.u32();
  return { key: new TextDecoder().decode(reader.rest()), from, to, bytes, checksum };
}

function pad(position: number): string {
  return String(position).padStart(16, "0");
}

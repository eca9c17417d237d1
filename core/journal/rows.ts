import { Reader, varintSize, Writer } from "./bytes.ts";
import { crc32c } from "./crc32c.ts";
import { corrupt } from "./errors.ts";
import type { StoredRow } from "./port.ts";

/**
 * `count` consecutive positions from `position`, and one payload for all of them. `bytes` may be a view of a larger
 * buffer: do not change it.
 */
export type JournalEntry = { position: number; count: number; bytes: Uint8Array };
/** What the log has ever held up to some position; differences of two give the cost of what lies between. */
export type Totals = { rows: number; bytes: number; entries: number };
export const NOTHING: Totals = { rows: 0, bytes: 0, entries: 0 };

/** A decoded row: whole entries, or one piece of an entry that is larger than a row. */
export type RowContent = {
  /** The end (exclusive) of the commit that wrote this row: the last row of a log must reach it. */
  commitEnd: number;
  /** The totals before this row. */
  before: Totals;
} & ({ kind: "packed"; entries: JournalEntry[] } | { kind: "piece"; parts: number; length: number; bytes: Uint8Array });

const PACKED = 0;
const PIECE = 1;
/** No row header is longer: at most eight numbers of eight bytes, and the kind. */
export const ROW_HEADER_BYTES = 80;
export const MIN_ROW_BYTES = 128;

/** A packed row that can be filled: where it begins, how many entries it holds, those as stored, and the totals before it. */
export type PackedRow = { first: number; count: number; body: Uint8Array; before: Totals };

/** Rows to be written; `last` is the last of them, where it can be filled. */
export type EncodedRows = { rows: StoredRow[]; after: Totals; last: PackedRow | null };

/**
 * Packs consecutive entries in as few rows as `maxRowBytes` allows (greedily, which is optimal for a sequence), and
 * cuts an entry that fits in no row in pieces.
 */
export function encodeRows(entries: readonly JournalEntry[], before: Totals, maxRowBytes: number): EncodedRows {
  const budget = maxRowBytes - ROW_HEADER_BYTES;
  const end = endOf(entries.at(-1)!);
  const rows: StoredRow[] = [];
  let totals = before;
  let start = 0;
  let used = 0;
  let last: PackedRow | null = null;
  const flush = (stop: number) => {
    if (stop === start) return;
    const row = packedRow(entries, start, stop, used, end, totals);
    rows.push(row);
    last = { first: row.first, count: stop - start, body: row.bytes.subarray(row.bytes.length - used), before: totals };
    totals = { rows: totals.rows + 1, bytes: totals.bytes, entries: totals.entries + (stop - start) };
    for (let i = start; i < stop; i++) totals.bytes += entries[i]!.bytes.length;
  };
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i]!;
    const size = entrySize(entry);
    if (used + size <= budget) {
      used += size;
      continue;
    }
    flush(i);
    start = i;
    used = size;
    if (size <= budget) continue;
    const parts = Math.ceil(entry.bytes.length / budget);
    for (let part = 0; part < parts; part++) rows.push(pieceRow(entry, part, parts, budget, end, totals));
    last = null;
    totals = { rows: totals.rows + parts, bytes: totals.bytes + entry.bytes.length, entries: totals.entries + 1 };
    start = i + 1;
    used = 0;
  }
  flush(entries.length);
  return { rows, after: totals, last };
}

/** Bytes that entries take in a packed row, without its header. */
export function packedSize(entries: readonly JournalEntry[]): number {
  let size = 0;
  for (const entry of entries) size += entrySize(entry);
  return size;
}

function entrySize(entry: JournalEntry): number {
  return varintSize(entry.count) + varintSize(entry.bytes.length) + entry.bytes.length;
}

/** The row that holds what `row` holds, and `entries`, which follow it. */
export function fillRow(row: PackedRow, entries: readonly JournalEntry[]): { stored: StoredRow; filled: PackedRow } {
  const end = endOf(entries.at(-1)!);
  const count = row.count + entries.length;
  const writer = new Writer(ROW_HEADER_BYTES + row.body.length + packedSize(entries));
  writePackedHead(writer, end - row.first, row.before, count);
  const start = writer.at;
  writer.raw(row.body);
  for (const entry of entries) writeEntry(writer, entry);
  const bytes = writer.done();
  const stored = sealed({ first: row.first, last: end - 1, part: 0, bytes, checksum: 0 });
  return { stored, filled: { ...row, count, body: bytes.subarray(start) } };
}

/** Verifies and decodes a row; the entries are views of its bytes. Throws `corrupt`. */
export function decodeRow(row: StoredRow): RowContent {
  const what = `The journal row at ${row.first}`;
  const extra = { row: { first: row.first, part: row.part } };
  if (rowChecksum(row) !== row.checksum) throw corrupt(`${what} failed its checksum.`, extra);
  const reader = new Reader(row.bytes, what);
  const kind = reader.varint();
  const commitEnd = row.first + reader.varint();
  const before = readTotals(reader);
  if (kind === PIECE) {
    const parts = reader.varint();
    const length = reader.varint();
    return { kind: "piece", commitEnd, before, parts, length, bytes: reader.rest() };
  }
  if (kind !== PACKED) throw corrupt(`${what} is of an unknown kind.`, extra);
  const entries: JournalEntry[] = [];
  let position = row.first;
  for (let left = reader.varint(); left > 0; left--) {
    const count = reader.varint();
    const bytes = reader.raw(reader.varint());
    entries.push({ position, count, bytes });
    position += count;
  }
  reader.end();
  if (position !== row.last + 1) throw corrupt(`${what} does not hold the positions it names.`, extra);
  return { kind: "packed", commitEnd, before, entries };
}

export function endOf(entry: JournalEntry): number {
  return entry.position + entry.count;
}

/** The totals after a run of entries that together take `rows` rows. */
export function addTotals(before: Totals, rows: number, entries: readonly JournalEntry[]): Totals {
  let bytes = before.bytes;
  for (const entry of entries) bytes += entry.bytes.length;
  return { rows: before.rows + rows, bytes, entries: before.entries + entries.length };
}

export function writeTotals(writer: Writer, totals: Totals): void {
  writer.varint(totals.rows);
  writer.varint(totals.bytes);
  writer.varint(totals.entries);
}

export function readTotals(reader: Reader): Totals {
  return { rows: reader.varint(), bytes: reader.varint(), entries: reader.varint() };
}

function packedRow(entries: readonly JournalEntry[], start: number, stop: number, used: number, end: number, before: Totals): StoredRow {
  const first = entries[start]!.position;
  const writer = new Writer(used + ROW_HEADER_BYTES);
  writePackedHead(writer, end - first, before, stop - start);
  for (let i = start; i < stop; i++) writeEntry(writer, entries[i]!);
  return sealed({ first, last: endOf(entries[stop - 1]!) - 1, part: 0, bytes: writer.done(), checksum: 0 });
}

function writePackedHead(writer: Writer, span: number, before: Totals, count: number): void {
  writer.varint(PACKED);
  writer.varint(span);
  writeTotals(writer, before);
  writer.varint(count);
}

function writeEntry(writer: Writer, entry: JournalEntry): void {
  writer.varint(entry.count);
  writer.varint(entry.bytes.length);
  writer.raw(entry.bytes);
}

function pieceRow(entry: JournalEntry, part: number, parts: number, budget: number, end: number, before: Totals): StoredRow {
  const piece = entry.bytes.subarray(part * budget, (part + 1) * budget);
  const writer = new Writer(piece.length + ROW_HEADER_BYTES);
  writer.varint(PIECE);
  writer.varint(end - entry.position);
  writeTotals(writer, before);
  writer.varint(parts);
  writer.varint(entry.bytes.length);
  writer.raw(piece);
  return sealed({ first: entry.position, last: endOf(entry) - 1, part, bytes: writer.done(), checksum: 0 });
}

function sealed(row: StoredRow): StoredRow {
  row.checksum = rowChecksum(row);
  return row;
}

const KEY = new Uint8Array(24);
const KEY_VIEW = new DataView(KEY.buffer);

function rowChecksum(row: StoredRow): number {
  // Doubles are exact for every safe integer, and their eight bytes are the same on every machine.
  KEY_VIEW.setFloat64(0, row.first);
  KEY_VIEW.setFloat64(8, row.last);
  KEY_VIEW.setFloat64(16, row.part);
  return crc32c(row.bytes, crc32c(KEY));
}

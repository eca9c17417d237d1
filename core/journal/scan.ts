import { badPosition, corrupt } from "./errors.ts";
import type { JournalStorage, StoredRow } from "./port.ts";
import { addTotals, decodeRow, type JournalEntry, type RowContent, type Totals } from "./rows.ts";

/** What one packed row holds, or all the rows of one split entry. */
export type WholeRow = {
  first: number;
  /** Exclusive. */
  end: number;
  entries: JournalEntry[];
  commitEnd: number;
  before: Totals;
  after: Totals;
};

/** Bytes to have in memory at a time, roughly: what is asked of the storage at once is estimated from what it gave. */
const READ_AHEAD_BYTES = 4_000_000;
const MAX_ROWS = 256;

/**
 * The rows from the one that holds `from` up to `head`, every one verified and every position accounted for: throws
 * `corrupt` at the first that is damaged or missing.
 */
export function* scanRows(storage: JournalStorage, from: number, head: number): Generator<WholeRow, void> {
  let expected: number | null = null;
  let pieces: Piece[] = [];
  let [first, part, limit] = [from, 0, 4];
  while ((expected ?? from) < head) {
    const rows = storage.rows(first, part, limit);
    if (rows.length === 0) throw missing(expected ?? from);
    let bytes = 0;
    for (const row of rows) {
      bytes += row.bytes.length;
      if (expected === null ? row.first > from || row.last < from : row.first !== expected) throw missing(expected ?? from);
      const content = decodeRow(row);
      if (row.part !== pieces.length) throw missing(row.first, pieces.length);
      expected = row.first;
      if (content.kind === "piece") {
        pieces.push(content);
        if (pieces.length < content.parts) continue;
      }
      const entries = content.kind === "packed" ? content.entries : [join(row, pieces)];
      const { commitEnd, before } = content;
      const after = addTotals(before, Math.max(1, pieces.length), entries);
      pieces = [];
      expected = row.last + 1;
      yield { first: row.first, end: expected, entries, commitEnd, before, after };
    }
    const last = rows.at(-1)!;
    [first, part] = [last.first, last.part + 1];
    limit = Math.min(MAX_ROWS, Math.max(1, Math.floor((READ_AHEAD_BYTES * rows.length) / bytes)));
  }
}

type Piece = Extract<RowContent, { kind: "piece" }>;

function join(row: StoredRow, pieces: readonly Piece[]): JournalEntry {
  const { length } = pieces[0]!;
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    if (piece.length !== length || at + piece.bytes.length > length)
      throw corrupt(`The pieces of the entry at ${row.first} do not fit together.`);
    bytes.set(piece.bytes, at);
    at += piece.bytes.length;
  }
  if (at !== length) throw corrupt(`The entry at ${row.first} is shorter than it says.`);
  return { position: row.first, count: row.last + 1 - row.first, bytes };
}

function missing(position: number, part = 0): Error {
  return corrupt(`The journal lacks the row at ${position}${part > 0 ? `, part ${part}` : ""}.`, { row: { first: position, part } });
}

export function checkPosition(position: number): void {
  if (!(Number.isSafeInteger(position) && position >= 0)) throw badPosition(`${position} is not a position.`);
}

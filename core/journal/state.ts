import type { CheckpointHeader } from "./checkpoint.ts";
import { corrupt } from "./errors.ts";
import { readHead } from "./head.ts";
import type { JournalStorage } from "./port.ts";
import { addTotals, decodeRow, NOTHING, type PackedRow, packedSize, type RowContent, type Totals } from "./rows.ts";

/** What a journal knows of its storage; replaced, never changed, so that an aborted transaction can put it back. */
export type State = {
  /** Whether the stored head record says the same. A journal that was only ever read has none. */
  headWritten: boolean;
  payload: number;
  base: number;
  baseTotals: Totals;
  head: number;
  totals: Totals;
  /** `undefined`: not looked up yet. */
  checkpoint: CheckpointHeader | null | undefined;
  /** The last row, if it is packed and can be filled; `undefined`: not looked up since it changed. */
  last: PackedRow | null | undefined;
};
/**
 * Reads where the log begins and ends: the head record and the last row, however long the log is. Throws `corrupt`
 * where they are damaged, do not fit, or the last commit is there only in part.
 */
export function readState(storage: JournalStorage, payload: number): State {
  const stored = readHead(storage);
  const last = storage.lastRow();
  if (stored === null) {
    if (last !== null || storage.listBlobs("").length > 0) throw corrupt("The journal has lost its head record.");
    return { headWritten: false, payload, base: 0, baseTotals: NOTHING, head: 0, totals: NOTHING, checkpoint: undefined, last: null };
  }
  const state = {
    headWritten: true,
    payload: stored.payload,
    base: stored.base,
    baseTotals: stored.before,
    checkpoint: undefined,
    last: undefined,
  };
  if (last === null) return { ...state, head: stored.base, totals: stored.before };
  const row = decodeRow(last);
  const head = last.last + 1;
  if (row.commitEnd !== head || (row.kind === "piece" && row.parts !== last.part + 1)) {
    throw corrupt(`The journal's last commit is not whole: it ends at ${head}, not at ${row.commitEnd}.`, {
      head,
      commitEnd: row.commitEnd,
    });
  }
  if (last.first < stored.base) throw corrupt(`The journal begins at ${stored.base}, but its last row is at ${last.first}.`);
  return { ...state, head, totals: totalsAfter(row) };
}

/** The last row as one that can be filled, or null where it is a piece of an entry, or there is none. */
export function readLast(storage: JournalStorage): PackedRow | null {
  const row = storage.lastRow();
  const content = row === null ? null : decodeRow(row);
  if (row === null || content?.kind !== "packed") return null;
  const body = row.bytes.subarray(row.bytes.length - packedSize(content.entries));
  return { first: row.first, count: content.entries.length, body, before: content.before };
}

function totalsAfter(row: RowContent): Totals {
  if (row.kind === "packed") return addTotals(row.before, 1, row.entries);
  return { rows: row.before.rows + row.parts, bytes: row.before.bytes + row.length, entries: row.before.entries + 1 };
}

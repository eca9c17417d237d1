import { type KeyHistory, type Mvcc, spanOf, upperBound } from "./mvcc.ts";
import { refusal } from "./refusals.ts";
import type { ByteString, KeyValue, WatchEvent } from "./types.ts";

/** A page of history. `next`: the first revision that the page does not cover; past the store's when it reached the present. */
export type HistoryPage = { events: WatchEvent[]; next: number };

/** Changes looked at for one page, at most, unless they are of one revision: bounds the time that a page takes. */
const MAX_SCANNED = 20_000;

/**
 * Events of the keys selected by `key` and `rangeEnd`, from `revision` on, in order, whole revisions. An event whose previous
 * version is compacted has none. Throws KvError `compacted`.
 */
export function readHistory(
  mvcc: Mvcc,
  revision: number,
  key: ByteString,
  rangeEnd: ByteString,
  maxEvents: number,
  maxBytes: number,
): HistoryPage {
  if (revision < mvcc.compactRevision) throw refusal("compacted");
  if (revision > mvcc.revision) return { events: [], next: revision };
  const span = spanOf(key, rangeEnd);
  const history = span === null ? mvcc.keys.get(key) : undefined;
  const changes = span === null ? (history?.versions() ?? []) : mvcc.log;
  const first = upperBound(changes, revision - 1);

  const events: WatchEvent[] = [];
  let bytes = 0;
  let i = first;
  for (; i < changes.length; i++) {
    const kv = changes[i]!;
    const full = events.length >= maxEvents || bytes >= maxBytes || i - first >= MAX_SCANNED;
    if (full && i > first && kv.modRevision !== changes[i - 1]!.modRevision) break;
    if (span !== null && (kv.key < span.start || (span.end !== null && kv.key >= span.end))) continue;
    events.push(eventOf(mvcc, kv, history ?? mvcc.keys.get(kv.key)!));
    bytes += kv.key.length + kv.value.length;
  }
  return { events, next: i < changes.length ? changes[i]!.modRevision : mvcc.revision + 1 };
}

function eventOf(mvcc: Mvcc, kv: KeyValue, history: KeyHistory): WatchEvent {
  const before = kv.modRevision - 1;
  const prevKv = before < mvcc.compactRevision ? null : history.at(before);
  return { type: kv.version === 0 ? "delete" : "put", kv, prevKv };
}

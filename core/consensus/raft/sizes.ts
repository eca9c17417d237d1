/** What entries count for where a limit is in bytes. */
import type { Entry } from "./types.ts";

/** Term, index, kind and length, as a row or a message holds them. */
export const ENTRY_OVERHEAD = 16;

/** Bytes of an entry in a message or a log. A storage counts by it too. */
export function entrySize(entry: Entry): number {
  return entry.data.length + ENTRY_OVERHEAD;
}

export function entriesSize(entries: readonly Entry[]): number {
  let size = 0;
  for (let i = 0; i < entries.length; i++) size += entrySize(entries[i]!);
  return size;
}

/** Bytes of data alone: what a proposer is held to. An empty entry counts nothing, so that a new leader's first always fits. */
export function payloadSize(entries: readonly Entry[]): number {
  let size = 0;
  for (let i = 0; i < entries.length; i++) size += entries[i]!.data.length;
  return size;
}

/** How many of `entries[from..to)` have at most `maxBytes` together: at least one, if there is one. */
export function countWithin(entries: readonly Entry[], from: number, to: number, maxBytes: number): number {
  let size = 0;
  for (let i = from; i < to; i++) {
    size += entrySize(entries[i]!);
    if (size > maxBytes && i > from) return i - from;
  }
  return to - from;
}

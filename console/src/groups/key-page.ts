import type { Entry, GroupEvent } from "@skerry/client/groups";

/** Part of the keys with a prefix, in order, as it is now. */
export type KeyPage = {
  /** What comes before belongs to the pages before this one. */
  from: Uint8Array;
  entries: readonly Entry[];
  /** All keys with the prefix. */
  count: number;
  /** They go on after the last entry. */
  more: boolean;
  /** Of the read, or of the last change since. */
  revision: number;
  /** Of the read: what is newer has changed under the reader's eyes. */
  readAt: number;
};

/** Keys compare by their bytes, as the store does. */
export function compareKeys(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return a.length - b.length;
}

/** A page after what a revision changed among the keys with its prefix. It grows to twice its size at most; what is more belongs to the next page. */
export function change(page: KeyPage, revision: number, events: readonly GroupEvent[], size: number): KeyPage {
  let { count, more } = page;
  const entries = [...page.entries];
  for (const { type, entry } of events) {
    const key = entry.keyBytes;
    if (type === "delete") count--;
    else if (entry.version === 1) count++;
    if (compareKeys(key, page.from) < 0) continue;
    let at = entries.findIndex((each) => compareKeys(each.keyBytes, key) >= 0);
    if (at === -1) at = entries.length;
    const found = at < entries.length && compareKeys(entries[at]!.keyBytes, key) === 0;
    if (type === "delete") {
      if (found) entries.splice(at, 1);
      continue;
    }
    if (found) entries[at] = entry;
    // Beyond the last of a page that has a next one.
    else if (at < entries.length || !more) entries.splice(at, 0, entry);
  }
  if (entries.length > 2 * size) {
    entries.length = 2 * size;
    more = true;
  }
  return { ...page, entries, count, more, revision };
}

/** The first key after all that begin with a prefix; null where there is none. */
export function prefixEnd(prefix: Uint8Array): Uint8Array | null {
  let length = prefix.length;
  while (length > 0 && prefix[length - 1] === 0xff) length--;
  if (length === 0) return null;
  const end = prefix.slice(0, length);
  end[length - 1]!++;
  return end;
}

/** The first key after one. */
export function nextKey(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1);
  next.set(key);
  return next;
}

import { type Span, spanOf } from "./mvcc.ts";
import type { ByteString } from "./types.ts";

/** `reach`: the greatest end of this and all earlier groups; null where one of them has no end. */
type Group<T> = { span: Span; items: Set<T>; reach: ByteString | null };

/**
 * Who is interested in a key: single keys in a Map, ranges grouped by their bounds and ordered by start. A look-up visits the
 * ranges that begin at or before the key, back to where none reaches it any more.
 */
export class SpanIndex<T> {
  readonly #single = new Map<ByteString, Set<T>>();
  readonly #groups = new Map<string, Group<T>>();
  /** Null: to be made again. */
  #ordered: Group<T>[] | null = null;

  add(key: ByteString, rangeEnd: ByteString, item: T): void {
    const span = spanOf(key, rangeEnd);
    if (span === null) {
      const items = this.#single.get(key);
      if (items === undefined) this.#single.set(key, new Set([item]));
      else items.add(item);
      return;
    }
    const name = nameOf(key, rangeEnd);
    const group = this.#groups.get(name);
    if (group !== undefined) {
      group.items.add(item);
    } else {
      this.#groups.set(name, { span, items: new Set([item]), reach: null });
      this.#ordered = null;
    }
  }

  delete(key: ByteString, rangeEnd: ByteString, item: T): void {
    const single = rangeEnd === "";
    const name = nameOf(key, rangeEnd);
    const items = single ? this.#single.get(key) : this.#groups.get(name)?.items;
    if (items === undefined) return;
    items.delete(item);
    if (items.size > 0) return;
    if (single) {
      this.#single.delete(key);
    } else {
      this.#groups.delete(name);
      this.#ordered = null;
    }
  }

  visit(key: ByteString, visit: (item: T) => void): void {
    for (const item of this.#single.get(key) ?? []) visit(item);
    this.#ordered ??= order([...this.#groups.values()]);
    const ordered = this.#ordered;
    let low = 0;
    let high = ordered.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (ordered[middle]!.span.start <= key) low = middle + 1;
      else high = middle;
    }
    for (let i = low - 1; i >= 0; i--) {
      const { span, items, reach } = ordered[i]!;
      if (reach !== null && reach <= key) return;
      if (span.end === null || span.end > key) for (const item of items) visit(item);
    }
  }
}

/** The length keeps two ranges apart whose bounds run together. */
function nameOf(key: ByteString, rangeEnd: ByteString): string {
  return `${key.length} ${key}${rangeEnd}`;
}

function order<T>(groups: Group<T>[]): Group<T>[] {
  groups.sort((a, b) => (a.span.start < b.span.start ? -1 : a.span.start > b.span.start ? 1 : 0));
  let reach: ByteString | null = "";
  for (const group of groups) {
    reach = reach === null || group.span.end === null ? null : group.span.end > reach ? group.span.end : reach;
    group.reach = reach;
  }
  return groups;
}

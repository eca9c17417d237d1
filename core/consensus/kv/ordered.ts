/** Entries a block takes before it is split, and below which it is joined with its neighbour. */
const MAX_BLOCK = 256;
const MIN_BLOCK = 64;

/** `live`: to be counted by {@link OrderedIndex.countLive}; whoever changes it tells {@link OrderedIndex.liveChanged}. */
export type Indexed = { readonly key: string; readonly live: boolean };
type Block<E> = { entries: E[]; live: number };

/**
 * Entries by key, also in the order of keys: a Map for one key, and sorted blocks of at most 256 entries for ranges. A
 * range costs two binary searches and what it visits, a count what it covers in blocks; an insertion moves at most a block.
 */
export class OrderedIndex<E extends Indexed> {
  readonly #byKey = new Map<string, E>();
  readonly #blocks: Block<E>[] = [];

  /** An index of entries that are in order and distinct. */
  static fromSorted<E extends Indexed>(entries: E[]): OrderedIndex<E> {
    const index = new OrderedIndex<E>();
    for (let at = 0; at < entries.length; at += MAX_BLOCK / 2) index.#blocks.push(blockOf(entries.slice(at, at + MAX_BLOCK / 2)));
    for (const entry of entries) index.#byKey.set(entry.key, entry);
    return index;
  }

  get size(): number {
    return this.#byKey.size;
  }

  get(key: string): E | undefined {
    return this.#byKey.get(key);
  }

  /** The key must be new. */
  add(entry: E): void {
    this.#byKey.set(entry.key, entry);
    const blocks = this.#blocks;
    const at = this.#placeOf(entry.key);
    const block = blocks[at];
    if (block === undefined) {
      blocks.push(blockOf([entry]));
      return;
    }
    const { entries } = block;
    const position = lowerBound(entries, entry.key);
    if (entries.length < MAX_BLOCK) {
      insert(block, position, entry);
    } else if (at === blocks.length - 1 && position === entries.length) {
      // Keys that come in order fill their blocks.
      blocks.push(blockOf([entry]));
    } else {
      const upper = blockOf(entries.splice(MAX_BLOCK / 2));
      block.live -= upper.live;
      blocks.splice(at + 1, 0, upper);
      if (position <= entries.length) insert(block, position, entry);
      else insert(upper, position - MAX_BLOCK / 2, entry);
    }
  }

  delete(key: string): void {
    if (!this.#byKey.delete(key)) return;
    const blocks = this.#blocks;
    const at = this.#placeOf(key);
    const block = blocks[at]!;
    const [gone] = block.entries.splice(lowerBound(block.entries, key), 1);
    if (gone!.live) block.live--;
    if (block.entries.length === 0) blocks.splice(at, 1);
    else if (block.entries.length < MIN_BLOCK && !this.#join(at)) this.#join(at - 1);
  }

  liveChanged(entry: E): void {
    this.#blocks[this.#placeOf(entry.key)]!.live += entry.live ? 1 : -1;
  }

  /** Visits the entries from `start` to below `end` (null: to the last) in order, until `visit` answers false. It must not change the index. */
  visit(start: string, end: string | null, visit: (entry: E) => boolean | undefined): void {
    this.#visitBlocks(start, end, ({ entries }, from, to) => {
      for (let i = from; i < to; i++) if (visit(entries[i]!) === false) return false;
      return true;
    });
  }

  /** How many entries from `start` to below `end` (null: to the last) are live. */
  countLive(start: string, end: string | null): number {
    let count = 0;
    this.#visitBlocks(start, end, ({ entries, live }, from, to) => {
      if (to - from === entries.length) count += live;
      else for (let i = from; i < to; i++) if (entries[i]!.live) count++;
      return true;
    });
    return count;
  }

  /** All entries in order. */
  *[Symbol.iterator](): Generator<E> {
    for (const { entries } of this.#blocks) yield* entries;
  }

  #visitBlocks(start: string, end: string | null, visit: (block: Block<E>, from: number, to: number) => boolean): void {
    const blocks = this.#blocks;
    const first = this.#placeOf(start);
    for (let at = first; at < blocks.length; at++) {
      const block = blocks[at]!;
      const { entries } = block;
      if (end !== null && entries[0]!.key >= end) return;
      const from = at === first ? lowerBound(entries, start) : 0;
      const to = end === null || entries[entries.length - 1]!.key < end ? entries.length : lowerBound(entries, end);
      if (!visit(block, from, to)) return;
    }
  }

  /** Makes one of a block and the next, where that leaves room to grow. */
  #join(at: number): boolean {
    const [block, next] = [this.#blocks[at], this.#blocks[at + 1]];
    if (block === undefined || next === undefined || block.entries.length + next.entries.length > MAX_BLOCK / 2) return false;
    this.#blocks.splice(at, 2, { entries: block.entries.concat(next.entries), live: block.live + next.live });
    return true;
  }

  /** The last block that begins at or before `key`; the first where none does. */
  #placeOf(key: string): number {
    let low = 0;
    let high = this.#blocks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.#blocks[middle]!.entries[0]!.key <= key) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

function blockOf<E extends Indexed>(entries: E[]): Block<E> {
  return { entries, live: entries.reduce((sum, { live }) => sum + (live ? 1 : 0), 0) };
}

function insert<E extends Indexed>(block: Block<E>, position: number, entry: E): void {
  block.entries.splice(position, 0, entry);
  if (entry.live) block.live++;
}

/** The first position whose key is not below `key`. */
function lowerBound(entries: readonly Indexed[], key: string): number {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (entries[middle]!.key < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

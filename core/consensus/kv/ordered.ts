/** Entries a block takes before it is split, and below which it is joined with its neighbour. */
const MAX_BLOCK = 64;
const MIN_BLOCK = 16;

/** `live`: to be counted by {@link OrderedIndex.countLive}; whoever changes it tells {@link OrderedIndex.liveChanged}. */
export type Indexed = { readonly key: string; readonly live: boolean };
/** `keys` are those of the entries, in a list of their own: a search that looks at nothing else misses the cache less. */
type Block<E> = { keys: string[]; entries: E[]; live: number };

/**
 * Entries by key, also in the order of keys: a Map for one key, and sorted blocks of at most 64 entries for ranges. A
 * range costs two binary searches and what it visits, a count what it covers in blocks; an insertion moves at most a block.
 */
export class OrderedIndex<E extends Indexed> {
  readonly #byKey = new Map<string, E>();
  readonly #blocks: Block<E>[] = [];
  /** The first key of each block. */
  readonly #firsts: string[] = [];

  /** An index of entries that are in order and distinct. */
  static fromSorted<E extends Indexed>(entries: E[]): OrderedIndex<E> {
    const index = new OrderedIndex<E>();
    for (let at = 0; at < entries.length; at += MAX_BLOCK / 2) {
      index.#insertBlock(index.#blocks.length, blockOf(entries.slice(at, at + MAX_BLOCK / 2)));
    }
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
    const at = this.#placeOf(entry.key);
    const block = this.#blocks[at];
    if (block === undefined) {
      this.#insertBlock(0, blockOf([entry]));
      return;
    }
    const position = lowerBound(block.keys, entry.key);
    const { length } = block.keys;
    if (length < MAX_BLOCK) {
      insert(block, position, entry);
      if (position === 0) this.#firsts[at] = entry.key;
    } else if (at === this.#blocks.length - 1 && position === length) {
      // Keys that come in order fill their blocks.
      this.#insertBlock(at + 1, blockOf([entry]));
    } else {
      const upper = blockOf(block.entries.splice(MAX_BLOCK / 2));
      block.keys.length = block.entries.length;
      block.live -= upper.live;
      this.#insertBlock(at + 1, upper);
      if (position <= MAX_BLOCK / 2) insert(block, position, entry);
      else insert(upper, position - MAX_BLOCK / 2, entry);
      if (position === 0) this.#firsts[at] = entry.key;
    }
  }

  delete(key: string): void {
    if (!this.#byKey.delete(key)) return;
    const at = this.#placeOf(key);
    const block = this.#blocks[at]!;
    const position = lowerBound(block.keys, key);
    block.keys.splice(position, 1);
    const [gone] = block.entries.splice(position, 1);
    if (gone!.live) block.live--;
    const [first] = block.keys;
    if (first === undefined) {
      this.#blocks.splice(at, 1);
      this.#firsts.splice(at, 1);
      return;
    }
    this.#firsts[at] = first;
    if (block.keys.length < MIN_BLOCK && !this.#join(at)) this.#join(at - 1);
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
      if (end !== null && this.#firsts[at]! >= end) return;
      const block = blocks[at]!;
      const { keys } = block;
      const from = at === first ? lowerBound(keys, start) : 0;
      const to = end === null || keys[keys.length - 1]! < end ? keys.length : lowerBound(keys, end);
      if (!visit(block, from, to)) return;
    }
  }

  #insertBlock(at: number, block: Block<E>): void {
    this.#blocks.splice(at, 0, block);
    this.#firsts.splice(at, 0, block.keys[0]!);
  }

  /** Makes one of a block and the next, where that leaves room to grow. */
  #join(at: number): boolean {
    const [block, next] = [this.#blocks[at], this.#blocks[at + 1]];
    if (block === undefined || next === undefined || block.keys.length + next.keys.length > MAX_BLOCK / 2) return false;
    this.#blocks.splice(at, 2, {
      keys: block.keys.concat(next.keys),
      entries: block.entries.concat(next.entries),
      live: block.live + next.live,
    });
    this.#firsts.splice(at + 1, 1);
    return true;
  }

  /** The last block that begins at or before `key`; the first where none does. */
  #placeOf(key: string): number {
    return Math.max(0, upperBound(this.#firsts, key) - 1);
  }
}

function blockOf<E extends Indexed>(entries: E[]): Block<E> {
  return { keys: entries.map(({ key }) => key), entries, live: entries.reduce((sum, { live }) => sum + (live ? 1 : 0), 0) };
}

function insert<E extends Indexed>(block: Block<E>, position: number, entry: E): void {
  block.keys.splice(position, 0, entry.key);
  block.entries.splice(position, 0, entry);
  if (entry.live) block.live++;
}

/** The first position whose key is not below `key`. */
function lowerBound(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (keys[middle]! < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The first position whose key is above `key`. */
function upperBound(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (keys[middle]! <= key) low = middle + 1;
    else high = middle;
  }
  return low;
}

import { SkerryError } from "../wire/errors.ts";
import { murmur2 } from "./partition.ts";

/** One row of a windowed table. `state` holds the aggregators' slots, `revision` the task's when it last changed. */
export type Cell = { key: string; start: number; revision: number; state: unknown[] };

/** Changed pages that only memory has, and an estimate of their bytes. */
export type Dirty = { pages: number; bytes: number };

/** Named blobs under one prefix; writes happen only inside the task's checkpoint transaction. */
export interface PageStorage {
  get(id: string): Uint8Array | null;
  put(id: string, bytes: Uint8Array): void;
  delete(id: string): void;
}

/** The port in memory, for tests and simulations. */
export class MemoryPages implements PageStorage {
  readonly pages = new Map<string, Uint8Array>();

  get(id: string): Uint8Array | null {
    return this.pages.get(id) ?? null;
  }

  put(id: string, bytes: Uint8Array): void {
    this.pages.set(id, bytes);
  }

  delete(id: string): void {
    this.pages.delete(id);
  }
}

/** What {@link rowPages} needs of a storage: named blobs, a row each. */
type Blobs = {
  getBlob(key: string): Uint8Array | null;
  putBlob(key: string, bytes: Uint8Array): void;
  deleteBlob(key: string): void;
};

/** Below the platform's 2 MB a row. */
const MAX_ROW_BYTES = 1_400_000;
const PARTS = 0x7b; // "{": a page itself is a JSON array

/**
 * Pages as rows. One that is larger than a row (a fold's state can be) takes several, `{id}/0`, `{id}/1`…, and under its
 * own name the number of them.
 */
export function rowPages(blobs: Blobs): PageStorage {
  const parts = (first: Uint8Array | null): number =>
    first?.[0] === PARTS ? (JSON.parse(text.decode(first)) as { parts: number }).parts : 0;
  const drop = (id: string, from: number, to: number): void => {
    for (let at = from; at < to; at++) blobs.deleteBlob(`page/${id}/${at}`);
  };
  /** Pages in parts, as far as they were read or written: a page is always read before it is changed. */
  const known = new Map<string, number>();
  return {
    get(id) {
      const first = blobs.getBlob(`page/${id}`);
      const count = parts(first);
      if (count === 0) return first;
      known.set(id, count);
      const all = Array.from({ length: count }, (_, at) => blobs.getBlob(`page/${id}/${at}`) ?? new Uint8Array());
      const whole = new Uint8Array(all.reduce((sum, part) => sum + part.length, 0));
      let at = 0;
      for (const part of all) {
        whole.set(part, at);
        at += part.length;
      }
      return whole;
    },
    put(id, bytes) {
      const count = bytes.length <= MAX_ROW_BYTES ? 0 : Math.ceil(bytes.length / MAX_ROW_BYTES);
      for (let at = 0; at < count; at++) blobs.putBlob(`page/${id}/${at}`, bytes.subarray(at * MAX_ROW_BYTES, (at + 1) * MAX_ROW_BYTES));
      drop(id, count, known.get(id) ?? 0);
      if (count > 0) known.set(id, count);
      else known.delete(id);
      blobs.putBlob(`page/${id}`, count === 0 ? bytes : utf8.encode(JSON.stringify({ parts: count })));
    },
    delete(id) {
      drop(id, 0, parts(blobs.getBlob(`page/${id}`)));
      known.delete(id);
      blobs.deleteBlob(`page/${id}`);
    },
  };
}

type Page = { cells: Map<string, Cell>; dirty: boolean; bytes: number };
/** `splitAt`: bytes of a page from which on splitting the window is worth a look. */
type Window = { bits: number; pages: Map<number, Page>; splitAt: number };

/** A page larger than this is split, so that a checkpoint rewrites little. */
const SPLIT_BYTES = 48 * 1024;

/**
 * The cells of one table: a write-back cache over pages. A page holds the keys of one window whose hash ends in the
 * page's number; a window begins with one page and doubles when a page grows too large. Changed pages reach the
 * storage only in {@link flush}; clean ones may be dropped from memory in {@link shrink}.
 */
export class CellStore {
  readonly #table: string;
  readonly #storage: PageStorage;
  readonly #windows = new Map<number, Window>();
  #order: number[] | null = null;
  #stale: string[] = [];
  #bytes = 0;

  /** @param windows what {@link flush} returned at the checkpoint: window start and its number of hash bits */
  constructor(table: string, storage: PageStorage, windows: [number, number][] = []) {
    this.#table = table;
    this.#storage = storage;
    for (const [start, bits] of windows) this.#windows.set(start, { bits, pages: new Map(), splitAt: SPLIT_BYTES });
  }

  /** Estimated bytes of the pages in memory. */
  get bytes(): number {
    return this.#bytes;
  }

  /** What the next {@link flush} writes. */
  get dirty(): Dirty {
    const dirty = { pages: 0, bytes: 0 };
    for (const window of this.#windows.values()) {
      for (const page of window.pages.values()) {
        if (!page.dirty) continue;
        dirty.pages++;
        dirty.bytes += page.bytes;
      }
    }
    return dirty;
  }

  /** Window starts, ascending. */
  starts(): number[] {
    this.#order ??= [...this.#windows.keys()].sort((a, b) => a - b);
    return this.#order;
  }

  get(start: number, key: string): Cell | undefined {
    const window = this.#windows.get(start);
    if (window === undefined) return undefined;
    return this.#page(start, window, bucketOf(key, window.bits)).cells.get(key);
  }

  /** The cell to change, made by `init` if it is new; its page counts as dirty. */
  update(start: number, key: string, init: () => unknown[]): Cell {
    let window = this.#windows.get(start);
    if (window === undefined) {
      window = { bits: 0, pages: new Map([[0, { cells: new Map(), dirty: false, bytes: 0 }]]), splitAt: SPLIT_BYTES };
      this.#windows.set(start, window);
      this.#order = null;
    }
    const bucket = bucketOf(key, window.bits);
    const page = this.#page(start, window, bucket);
    page.dirty = true;
    let cell = page.cells.get(key);
    if (cell === undefined) {
      cell = { key, start, revision: -1, state: init() };
      page.cells.set(key, cell);
      const bytes = sizeOf(cell);
      page.bytes += bytes;
      this.#bytes += bytes;
      if (page.bytes > window.splitAt && page.cells.size > 1) this.#split(start, window, page.bytes);
    }
    return cell;
  }

  /** Takes back a cell that {@link update} has just made. */
  remove(start: number, key: string): void {
    const window = this.#windows.get(start);
    if (window === undefined) return;
    const page = this.#page(start, window, bucketOf(key, window.bits));
    const cell = page.cells.get(key);
    if (cell === undefined) return;
    page.cells.delete(key);
    const bytes = sizeOf(cell);
    page.bytes -= bytes;
    this.#bytes -= bytes;
  }

  /** The cells of one window, in key order. */
  cells(start: number): Cell[] {
    const window = this.#windows.get(start);
    if (window === undefined) return [];
    const all: Cell[] = [];
    for (let bucket = 0; bucket < 1 << window.bits; bucket++) all.push(...this.#page(start, window, bucket).cells.values());
    return all.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  }

  /** Forgets a window; its stored pages go in the next {@link flush}. */
  drop(start: number): void {
    const window = this.#windows.get(start);
    if (window === undefined) return;
    for (const page of window.pages.values()) this.#bytes -= page.bytes;
    this.#forget(start, window.bits);
    this.#windows.delete(start);
    this.#order = null;
  }

  /** Writes the changed pages; call inside the checkpoint's transaction and keep the result in the checkpoint. */
  flush(): [number, number][] {
    for (const id of this.#stale) this.#storage.delete(id);
    this.#stale = [];
    for (const [start, window] of this.#windows) {
      for (const [bucket, page] of window.pages) {
        if (!page.dirty) continue;
        const bytes = encode(page);
        this.#storage.put(this.#id(start, window.bits, bucket), bytes);
        // What was estimated is now known: states can grow to any size.
        this.#bytes += bytes.length - page.bytes;
        page.bytes = bytes.length;
        page.dirty = false;
      }
    }
    return [...this.#windows].map(([start, window]) => [start, window.bits]);
  }

  /** Drops clean pages, oldest windows first, until about `budget` bytes remain. */
  shrink(budget: number): void {
    for (const start of this.starts()) {
      if (this.#bytes <= budget) return;
      for (const [bucket, page] of (this.#windows.get(start) as Window).pages) {
        if (page.dirty) continue;
        this.#bytes -= page.bytes;
        (this.#windows.get(start) as Window).pages.delete(bucket);
      }
    }
  }

  #page(start: number, window: Window, bucket: number): Page {
    let page = window.pages.get(bucket);
    if (page) return page;
    const id = this.#id(start, window.bits, bucket);
    const bytes = this.#storage.get(id);
    // A page is stored once it has had a cell; a window that has split may have empty ones.
    page = bytes === null ? { cells: new Map(), dirty: false, bytes: 0 } : decode(start, bytes, id);
    window.pages.set(bucket, page);
    this.#bytes += page.bytes;
    return page;
  }

  #split(start: number, window: Window, largest: number): void {
    const cells = this.cells(start);
    let total = 0;
    for (const page of window.pages.values()) total += page.bytes;
    if (total < (SPLIT_BYTES / 4) * 2 ** window.bits) {
      // One page is full and the others are not: its keys share their hash, and no number of pages parts them.
      window.splitAt = 2 * largest;
      return;
    }
    this.#bytes -= total;
    this.#forget(start, window.bits);
    window.bits++;
    window.pages = new Map();
    for (let bucket = 0; bucket < 1 << window.bits; bucket++) window.pages.set(bucket, { cells: new Map(), dirty: true, bytes: 0 });
    for (const cell of cells) {
      const page = window.pages.get(bucketOf(cell.key, window.bits)) as Page;
      page.cells.set(cell.key, cell);
      const bytes = sizeOf(cell);
      page.bytes += bytes;
      this.#bytes += bytes;
    }
  }

  #forget(start: number, bits: number): void {
    for (let bucket = 0; bucket < 1 << bits; bucket++) this.#stale.push(this.#id(start, bits, bucket));
  }

  #id(start: number, bits: number, bucket: number): string {
    return `${this.#table}/${String(start).padStart(16, "0")}/${bits}.${bucket}`;
  }
}

/** An estimate, until the page is written. */
function sizeOf(cell: Cell): number {
  return cell.key.length + 24 * cell.state.length + 24;
}

function bucketOf(key: string, bits: number): number {
  if (bits === 0) return 0;
  // Partitioning used the low bits of the same hash; these are the high ones, so that pages fill evenly.
  return (murmur2(utf8.encode(key)) >>> 8) & ((1 << bits) - 1);
}

const utf8 = new TextEncoder();
const text = new TextDecoder();

function encode(page: Page): Uint8Array {
  return utf8.encode(JSON.stringify([...page.cells.values()].map((cell) => [cell.key, cell.revision, ...cell.state])));
}

function decode(start: number, bytes: Uint8Array, id: string): Page {
  let rows: [string, number, ...unknown[]][];
  try {
    rows = JSON.parse(text.decode(bytes));
  } catch (cause) {
    throw new SkerryError("corrupt", `Page ${id} of a table is not readable.`, { cause });
  }
  const page: Page = { cells: new Map(), dirty: false, bytes: bytes.length };
  for (const [key, revision, ...state] of rows) page.cells.set(key, { key, start, revision, state });
  return page;
}

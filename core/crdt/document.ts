import * as Y from "yjs";
import { decodeRecord, decodeSnapshot } from "./records.ts";
import { addDeletes, clocksOf, type DeleteSet, EMPTY_UPDATE, encodeVector, mergeTree, type Scan, scanUpdate } from "./update.ts";

/** What is stored of a room: its checkpoint and the journal entries after it. */
export type StoredRoom = { snapshot: Uint8Array | null; entries: Iterable<Uint8Array> };

/**
 * A room's document as updates, never as a Y.Doc: enough to answer every joiner with what it lacks. It is a cache over
 * what is stored: loaded when first asked, extended by each new update, dropped when memory is short. All joiners
 * between two updates share one merge.
 */
export class DocumentCache {
  readonly #load: () => StoredRoom;
  readonly #uncommitted: () => readonly Uint8Array[];
  #loaded: Loaded | null = null;

  /** `uncommitted` are the updates that `load` does not return yet. */
  constructor(load: () => StoredRoom, uncommitted: () => readonly Uint8Array[]) {
    this.#load = load;
    this.#uncommitted = uncommitted;
  }

  get loaded(): boolean {
    return this.#loaded !== null;
  }

  /** Bytes held; 0 while not loaded. */
  get bytes(): number {
    return this.#loaded?.bytes ?? 0;
  }

  /** Extends the cache, if there is one. */
  append(update: Uint8Array, scan: Scan): void {
    this.#loaded?.append(update, scan);
  }

  /** The whole document as one update. */
  merged(): Uint8Array {
    return this.#open().merged();
  }

  /** What a client with `vector` lacks. */
  diff(vector: Uint8Array): Uint8Array {
    const merged = this.merged();
    // An empty vector is one byte, 0: the most common question, and the answer needs no work.
    return vector.length === 1 && vector[0] === 0 ? merged : Y.diffUpdate(merged, vector);
  }

  clocks(): ReadonlyMap<number, number> {
    return this.#open().summary().clocks;
  }

  deletes(): DeleteSet {
    return this.#open().summary().deletes;
  }

  vector(): Uint8Array {
    return this.#open().vector();
  }

  /** The last sequence number applied of each sink source. */
  sources(): Map<string, number> {
    return this.#open().sources;
  }

  /** Puts an equivalent, smaller encoding in the place of what was merged. */
  replace(merged: Uint8Array): void {
    this.#open().replace(merged);
  }

  forget(): void {
    this.#loaded = null;
  }

  #open(): Loaded {
    if (this.#loaded === null) {
      const { snapshot, entries } = this.#load();
      const { update, sources } =
        snapshot === null ? { update: EMPTY_UPDATE, sources: new Map<string, number>() } : decodeSnapshot(snapshot);
      const updates: Uint8Array[] = [];
      for (const entry of entries) {
        const record = decodeRecord(entry);
        if (record.kind === "sink") sources.set(record.source, record.seq);
        updates.push(record.update);
      }
      this.#loaded = new Loaded(update, [...updates, ...this.#uncommitted()], sources);
    }
    return this.#loaded;
  }
}

const FAN_IN = 64;

class Loaded {
  readonly sources: Map<string, number>;
  bytes: number;
  #base: Uint8Array;
  /** Level n holds fewer than 64 merges of 64^n updates each: appending costs a logarithm, whatever came before. */
  #levels: Uint8Array[][] = [];
  #summary: { clocks: Map<number, number>; deletes: DeleteSet } | null = null;
  #vector: Uint8Array | null = null;

  constructor(base: Uint8Array, updates: readonly Uint8Array[], sources: Map<string, number>) {
    this.#base = updates.length === 0 ? base : mergeTree([base, mergeTree(updates)]);
    this.bytes = this.#base.length;
    this.sources = sources;
  }

  append(update: Uint8Array, scan: Scan): void {
    this.bytes += update.length;
    this.#push(update, 0);
    this.#vector = null;
    if (this.#summary === null) return;
    const { clocks, deletes } = this.#summary;
    for (const [client, ranges] of scan.structs) {
      let clock = clocks.get(client) ?? 0;
      for (const [from, to] of ranges) if (from <= clock) clock = Math.max(clock, to);
      if (clock > 0) clocks.set(client, clock);
    }
    addDeletes(deletes, scan.deletes);
  }

  merged(): Uint8Array {
    if (this.#levels.some((level) => level.length > 0)) {
      this.#base = mergeTree([this.#base, ...this.#levels.toReversed().flat()]);
      this.#levels = [];
      this.bytes = this.#base.length;
    }
    return this.#base;
  }

  replace(merged: Uint8Array): void {
    this.#base = merged;
    this.#levels = [];
    this.bytes = merged.length;
  }

  summary(): { clocks: Map<number, number>; deletes: DeleteSet } {
    if (this.#summary === null) {
      const scan = scanUpdate(this.merged());
      this.#summary = { clocks: clocksOf(scan), deletes: scan.deletes };
    }
    return this.#summary;
  }

  vector(): Uint8Array {
    this.#vector ??= encodeVector(this.summary().clocks);
    return this.#vector;
  }

  #push(update: Uint8Array, height: number): void {
    while (this.#levels.length <= height) this.#levels.push([]);
    const level = this.#levels[height]!;
    level.push(update);
    if (level.length < FAN_IN) return;
    this.#levels[height] = [];
    this.#push(Y.mergeUpdates(level), height + 1);
  }
}

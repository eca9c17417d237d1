import { OrderedIndex } from "./ordered.ts";
import { refusal } from "./refusals.ts";
import type { ByteString, KeyValue } from "./types.ts";

/** What a key and a version of it take in memory beside their bytes: estimates, part of the quota's definition. */
export const KEY_BYTES = 128;
export const VERSION_BYTES = 96;

/** The versions of a key that can be read, oldest first, the last one apart. A version 0 is a tombstone: the key was deleted at `modRevision`. */
export class KeyHistory {
  readonly key: ByteString;
  last: KeyValue;
  older: KeyValue[] | null = null;

  constructor(key: ByteString, last: KeyValue) {
    this.key = key;
    this.last = last;
  }

  /** Whether the key exists now. */
  get live(): boolean {
    return this.last.version !== 0;
  }

  /** The version visible at `revision`; null where the key did not exist. */
  at(revision: number): KeyValue | null {
    if (this.last.modRevision <= revision) return this.last.version === 0 ? null : this.last;
    const older = this.older;
    if (older === null) return null;
    const kv = older[upperBound(older, revision) - 1];
    return kv === undefined || kv.version === 0 ? null : kv;
  }

  push(kv: KeyValue): void {
    if (this.older === null) this.older = [this.last];
    else this.older.push(this.last);
    this.last = kv;
  }

  /** All versions, oldest first. */
  versions(): KeyValue[] {
    return this.older === null ? [this.last] : [...this.older, this.last];
  }
}

/** `end` null: no end. */
export type Span = { start: ByteString; end: ByteString | null };

/** What `key` and `rangeEnd` of a request select; null where it is the one key. */
export function spanOf(key: ByteString, rangeEnd: ByteString): Span | null {
  if (rangeEnd === "") return null;
  return { start: key, end: rangeEnd === "\0" ? null : rangeEnd };
}

/**
 * Every version of every key since the last compaction. A change is stamped with the revision it makes; within one
 * revision a key changes at most once (transactions are checked for that), so a version is found by revision alone.
 */
export class Mvcc {
  keys = new OrderedIndex<KeyHistory>();
  /** All versions from `compactRevision` on, in the order in which they were made: what watches read. */
  log: KeyValue[] = [];
  revision = 1;
  compactRevision = -1;
  bytes = 0;

  get(key: ByteString, revision: number): KeyValue | null {
    const history = this.keys.get(key);
    return history === undefined ? null : history.at(revision);
  }

  /** Visits the versions visible at `revision`, in the order of keys, until `visit` answers false. */
  scan(key: ByteString, rangeEnd: ByteString, revision: number, visit: (kv: KeyValue) => boolean | undefined): void {
    const span = spanOf(key, rangeEnd);
    if (span === null) {
      const kv = this.get(key, revision);
      if (kv !== null) visit(kv);
      return;
    }
    this.keys.visit(span.start, span.end, (history) => {
      const kv = history.at(revision);
      return kv === null ? undefined : visit(kv);
    });
  }

  /** How many keys exist now. */
  count(key: ByteString, rangeEnd: ByteString): number {
    const span = spanOf(key, rangeEnd);
    if (span === null) return this.keys.get(key)?.live ? 1 : 0;
    return this.keys.countLive(span.start, span.end);
  }

  put(key: ByteString, value: ByteString, lease: bigint, revision: number): KeyValue {
    const history = this.keys.get(key);
    const before = history?.last;
    const kv: KeyValue = {
      key: history === undefined ? key : history.key,
      createRevision: before === undefined || before.version === 0 ? revision : before.createRevision,
      modRevision: revision,
      version: before === undefined ? 1 : before.version + 1,
      value,
      lease,
    };
    if (history === undefined) {
      this.keys.add(new KeyHistory(key, kv));
      this.bytes += KEY_BYTES + key.length;
    } else {
      history.push(kv);
      if (kv.version === 1) this.keys.liveChanged(history);
    }
    this.log.push(kv);
    this.bytes += VERSION_BYTES + value.length;
    return kv;
  }

  /** The key must exist. */
  delete(key: ByteString, revision: number): KeyValue {
    const history = this.keys.get(key)!;
    const kv: KeyValue = { key: history.key, createRevision: 0, modRevision: revision, version: 0, value: "", lease: 0n };
    history.push(kv);
    this.keys.liveChanged(history);
    this.log.push(kv);
    this.bytes += VERSION_BYTES;
    return kv;
  }

  /**
   * Forgets what only reads before `revision` need. What is visible at it stays, and so does a tombstone made exactly at it,
   * for watches that start there. Costs time in the changes since the last compaction, not in the keys.
   */
  compact(revision: number): void {
    if (revision <= this.compactRevision) throw refusal("compacted");
    if (revision > this.revision) throw refusal("futureRevision");
    const end = upperBound(this.log, revision);
    for (let i = 0; i < end; i++) {
      const history = this.keys.get(this.log[i]!.key);
      if (history !== undefined) this.#prune(history, revision);
    }
    this.log = this.log.slice(upperBound(this.log, revision - 1));
    this.compactRevision = revision;
  }

  #prune(history: KeyHistory, revision: number): void {
    const older = history.older;
    const lastVisible = history.last.modRevision <= revision;
    if (older !== null) {
      const newest = lastVisible ? older.length : upperBound(older, revision) - 1;
      const keep = newest >= 0 && newest < older.length && isForgotten(older[newest]!, revision) ? newest + 1 : newest;
      if (keep > 0) {
        for (let i = 0; i < keep; i++) this.bytes -= VERSION_BYTES + older[i]!.value.length;
        history.older = keep === older.length ? null : older.slice(keep);
      }
    }
    if (lastVisible && isForgotten(history.last, revision)) {
      this.keys.delete(history.key);
      this.bytes -= VERSION_BYTES + KEY_BYTES + history.key.length;
    }
  }

  /** Where the changes from `revision` on begin in {@link log}. */
  logFrom(revision: number): number {
    return upperBound(this.log, revision - 1);
  }
}

function isForgotten(kv: KeyValue, compacted: number): boolean {
  return kv.version === 0 && kv.modRevision < compacted;
}

/** How many of the versions, ordered by revision, are not after `revision`. */
export function upperBound(versions: readonly KeyValue[], revision: number): number {
  let low = 0;
  let high = versions.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (versions[middle]!.modRevision <= revision) low = middle + 1;
    else high = middle;
  }
  return low;
}

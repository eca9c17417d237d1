import { eventBytes } from "./size.ts";
import { SpanIndex } from "./spans.ts";
import type { KvStore } from "./store.ts";
import { KvError, type WatchCreate, type WatchEvent } from "./types.ts";

/** etcd's request limit and what it adds for gRPC: a response that may be cut is cut to less than this. */
const MAX_RESPONSE_BYTES = 2 * 2 ** 20;
const HEADER_BYTES = 64;
/** The id in an answer to a watch that was not created. */
const NO_WATCH = -1;

/**
 * One message to a watcher. `revision` is the header's. `next`: resume after this message with it as `startRevision`. Where
 * `fragment` is set more of the same answer follows, and resuming repeats the revision that was cut.
 */
export type WatchResponse = {
  id: number;
  revision: number;
  created: boolean;
  canceled: boolean;
  /** Not 0: the watch asked for what is compacted; it can start again from here. */
  compactRevision: number;
  cancelReason: string;
  fragment: boolean;
  events: WatchEvent[];
  next: number;
};

export type WatchSource = Pick<KvStore, "revision" | "compactRevision" | "eventsFrom">;

/** `next`: the first revision not delivered, where it is behind; where it is not, events before it are not wanted. */
type Watcher = {
  id: number;
  request: WatchCreate;
  next: number;
  behind: boolean;
  paused: boolean;
  /** A progress answer waits until it has caught up. */
  owed: boolean;
  /** No event since the last tick. */
  quiet: boolean;
};

/**
 * The watchers of one store. It keeps no events: a watcher that is not at the present, or whose consumer takes nothing, reads
 * on in the store's history, so a slow one costs nothing and loses nothing. Pure: the host delivers what the methods
 * return, in order.
 */
export class WatchHub {
  #store: WatchSource;
  #revision: number;
  readonly #maxResponseBytes: number;
  readonly #watchers = new Map<number, Watcher>();
  readonly #spans = new SpanIndex<Watcher>();

  constructor(store: WatchSource, options: { maxResponseBytes?: number } = {}) {
    this.#store = store;
    this.#revision = store.revision;
    this.#maxResponseBytes = options.maxResponseBytes ?? MAX_RESPONSE_BYTES;
  }

  get size(): number {
    return this.#watchers.size;
  }

  /** `id`: the host's choice, not negative. The answer is `created`; with `canceled` and a reason where there is now no such watch. */
  create(id: number, request: WatchCreate): WatchResponse {
    // As in etcd, no key is the first key, and so with a range end everything below it.
    const key = request.key === "" ? "\0" : request.key;
    const { rangeEnd, startRevision } = request;
    const fault =
      rangeEnd !== "" && rangeEnd !== "\0" && key >= rangeEnd
        ? "mvcc: watcher range is empty"
        : this.#watchers.has(id)
          ? "mvcc: duplicate watch ID provided on the WatchStream"
          : null;
    const revision = this.#store.revision;
    if (fault !== null) return { ...blank(NO_WATCH, revision, 0), created: true, canceled: true, cancelReason: fault };

    // A negative start that is not before the (negative) compaction is none.
    const fromNow = startRevision === 0 || (startRevision < 0 && startRevision >= this.#store.compactRevision);
    const next = fromNow ? revision + 1 : startRevision;
    const behind = next <= revision;
    const watcher: Watcher = { id, request: { ...request, key }, next, behind, paused: false, owed: false, quiet: true };
    this.#watchers.set(id, watcher);
    this.#spans.add(key, rangeEnd, watcher);
    return { ...blank(id, revision, next), created: true };
  }

  /** Null where there is no such watch. */
  cancel(id: number): WatchResponse | null {
    const watcher = this.#watchers.get(id);
    if (watcher === undefined) return null;
    this.#remove(watcher);
    return { ...blank(id, this.#store.revision, this.#nextOf(watcher)), canceled: true };
  }

  /**
   * What the watchers that are at the present get of a revision. To be called right after the store applied it, for each
   * revision with events, before anything else is asked of the hub.
   */
  apply(revision: number, events: WatchEvent[]): WatchResponse[] {
    this.#revision = revision;
    if (this.#watchers.size === 0) return [];
    const matched = new Map<Watcher, WatchEvent[]>();
    for (const event of events) {
      this.#spans.visit(event.kv.key, (watcher) => {
        if (watcher.behind || watcher.next > revision || isFiltered(watcher.request, event)) return;
        const own = matched.get(watcher);
        if (own === undefined) matched.set(watcher, [event]);
        else own.push(event);
      });
    }
    const responses: WatchResponse[] = [];
    for (const [watcher, own] of [...matched].sort(([a], [b]) => a.id - b.id)) {
      if (watcher.paused) {
        watcher.behind = true;
        watcher.next = revision;
      } else {
        watcher.next = revision + 1;
        responses.push(...this.#deliver(watcher, own, revision));
      }
    }
    return responses;
  }

  /** The watches that are behind and not paused: {@link read} for them until they are not. */
  behind(): number[] {
    return [...this.#watchers.values()].filter(({ behind, paused }) => behind && !paused).map(({ id }) => id);
  }

  /** Goes on in history for a watch that is behind: the next page, and what is owed once it has caught up. It may be the end: compacted. */
  read(id: number): WatchResponse[] {
    const watcher = this.#watchers.get(id);
    if (watcher === undefined || !watcher.behind || watcher.paused) return [];
    const { key, rangeEnd } = watcher.request;
    for (;;) {
      let page: ReturnType<WatchSource["eventsFrom"]>;
      try {
        page = this.#store.eventsFrom(watcher.next, key, rangeEnd);
      } catch (error) {
        if (!(error instanceof KvError)) throw error;
        this.#remove(watcher);
        const { compactRevision } = this.#store;
        return [{ ...blank(id, 0, compactRevision), canceled: true, compactRevision }];
      }
      watcher.next = page.next;
      watcher.behind = page.next <= this.#store.revision;
      const events = page.events.filter((event) => !isFiltered(watcher.request, event));
      const responses = events.length === 0 ? [] : this.#deliver(watcher, events, this.#store.revision);
      responses.push(...this.#settle(watcher));
      if (responses.length > 0 || !watcher.behind) return responses;
    }
  }

  /** The consumer takes no more: the watch gets nothing until {@link resume}, and then all of it. */
  pause(id: number): void {
    const watcher = this.#watchers.get(id);
    if (watcher !== undefined) watcher.paused = true;
  }

  /** What was owed, if the watch did not fall behind; if it did, it is among {@link behind}. */
  resume(id: number): WatchResponse[] {
    const watcher = this.#watchers.get(id);
    if (watcher === undefined) return [];
    watcher.paused = false;
    return this.#settle(watcher);
  }

  /**
   * The answer to a progress request: all events up to its revision were delivered. Null while the watch is behind or paused:
   * the answer would overtake events, so it is owed and comes after them.
   */
  progress(id: number): WatchResponse | null {
    const watcher = this.#watchers.get(id);
    if (watcher === undefined) return null;
    watcher.owed = true;
    return this.#settle(watcher)[0] ?? null;
  }

  /** Periodic progress, for the host's timer: to every watch that asked for it, is at the present, and had no event since the last tick. */
  tick(): WatchResponse[] {
    const responses: WatchResponse[] = [];
    for (const watcher of this.#watchers.values()) {
      if (watcher.request.progressNotify && watcher.quiet && !watcher.behind && !watcher.paused) responses.push(this.#bookmark(watcher));
      watcher.quiet = true;
    }
    return responses;
  }

  /** Another store took the place of this one, as when a replica is given a snapshot: the watches go on in its history. */
  replace(store: WatchSource): void {
    for (const watcher of this.#watchers.values()) {
      watcher.next = this.#nextOf(watcher);
      watcher.behind = watcher.next <= store.revision;
    }
    this.#store = store;
    this.#revision = store.revision;
  }

  #nextOf({ behind, next }: Watcher): number {
    return behind ? next : Math.max(next, this.#revision + 1);
  }

  #remove(watcher: Watcher): void {
    this.#watchers.delete(watcher.id);
    this.#spans.delete(watcher.request.key, watcher.request.rangeEnd, watcher);
  }

  #settle(watcher: Watcher): WatchResponse[] {
    if (!watcher.owed || watcher.behind || watcher.paused) return [];
    watcher.owed = false;
    return [this.#bookmark(watcher)];
  }

  #bookmark(watcher: Watcher): WatchResponse {
    return blank(watcher.id, this.#store.revision, this.#nextOf(watcher));
  }

  #deliver(watcher: Watcher, events: WatchEvent[], revision: number): WatchResponse[] {
    watcher.quiet = false;
    const { prevKv, fragment } = watcher.request;
    const shown = prevKv ? events : events.map(({ type, kv }) => ({ type, kv, prevKv: null }));
    const parts = fragment ? this.#cut(shown) : [shown];
    return parts.map((part, i) => {
      const following = parts[i + 1]?.[0];
      const next = following === undefined ? watcher.next : following.kv.modRevision;
      return { ...blank(watcher.id, revision, next), fragment: following !== undefined, events: part };
    });
  }

  #cut(events: WatchEvent[]): WatchEvent[][] {
    const parts: WatchEvent[][] = [[]];
    let bytes = HEADER_BYTES;
    for (const event of events) {
      const size = eventBytes(event);
      const part = parts[parts.length - 1]!;
      if (part.length > 0 && bytes + size >= this.#maxResponseBytes) {
        parts.push([event]);
        bytes = HEADER_BYTES + size;
      } else {
        part.push(event);
        bytes += size;
      }
    }
    return parts;
  }
}

function blank(id: number, revision: number, next: number): WatchResponse {
  return { id, revision, created: false, canceled: false, compactRevision: 0, cancelReason: "", fragment: false, events: [], next };
}

function isFiltered({ filters }: WatchCreate, { type }: WatchEvent): boolean {
  return filters.length > 0 && filters.includes(type === "put" ? "noPut" : "noDelete");
}

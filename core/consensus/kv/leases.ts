import type { LeaseRecord } from "./lease-table.ts";

export { MAX_LEASE_TTL, MIN_LEASE_TTL } from "./lease-table.ts";

/** After this long a lease that was due and is still there is due again: its revocation was lost. Milliseconds. */
export const RETRY_MS = 3000;
/** A renewal is logged when the last logged one is older than this part of the TTL. */
const LOGGED_PART = 1 / 3;
/** A renewal that is logged takes along those heard within this part of their TTLs before it: they live longer by no more than that. */
const RECENT_PART = 1 / 10;

/** `ttl` in seconds. `log`: to be answered only once a `leaseRenew` that names the lease (see {@link LeaseBook.renewals}) is applied. */
export type Renewal = { ttl: number; log: boolean };

/**
 * `retryAt`: when it is due again; null while it was not due yet. `hastened`: only a keep-alive puts off its end. `scheduled` is what the
 * heap knows, never later than the truth.
 */
type Entry = {
  id: bigint;
  ttlMs: number;
  loggedAt: number;
  renewedAt: number;
  deadline: number;
  retryAt: number | null;
  unlogged: boolean;
  hastened: boolean;
  scheduled: number;
};

/**
 * The deadlines of leases, kept by the leader alone and lost with its memory. All times are Unix milliseconds of its clock.
 *
 * Most renewals are not logged: one is when a third of the TTL went by since the last that was. So whoever holds the log knows
 * that no renewal answered is later than a third of the TTL after the last logged one.
 */
export class LeaseBook {
  readonly #entries = new Map<bigint, Entry>();
  /** A binary heap by `scheduled`, then id. Entries that are gone or due later are found out at the top. */
  readonly #heap: Entry[] = [];
  /** When the last renewal was heard. */
  #heard = 0;

  /**
   * A new leader: every lease lives its whole TTL from `now`, for the one before may have renewed it. Its clock is another one,
   * so {@link renewals} names all leases: propose that with the first entry of the term.
   */
  static promote(leases: Iterable<LeaseRecord>, now: number): LeaseBook {
    const book = new LeaseBook();
    book.#heard = now;
    for (const { id, ttl, renewedAt } of leases)
      book.#add({ ...entryOf(id, ttl, renewedAt, now + ttl * 1000), renewedAt: now, unlogged: true });
    return book;
  }

  /** The same leader in the same term, woken without its memory: no lease ends earlier than its TTL after the last renewal that can have been answered. */
  static resume(leases: Iterable<LeaseRecord>): LeaseBook {
    const book = new LeaseBook();
    for (const { id, ttl, renewedAt } of leases) {
      book.#add(entryOf(id, ttl, renewedAt, renewedAt + Math.ceil(ttl * 1000 * (1 + LOGGED_PART))));
    }
    return book;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** A `leaseGrant` was applied. */
  granted({ id, ttl, renewedAt }: LeaseRecord, now: number): void {
    this.#add(entryOf(id, ttl, renewedAt, Math.max(now, renewedAt) + ttl * 1000));
  }

  /** A `leaseRevoke` was applied. */
  revoked(id: bigint): void {
    this.#entries.delete(id);
  }

  /** A `leaseRenew` was applied. */
  renewed(ids: Iterable<bigint>, at: number): void {
    for (const id of ids) {
      const entry = this.#entries.get(id);
      if (entry === undefined) continue;
      entry.loggedAt = at;
      entry.unlogged = entry.renewedAt > at;
      if (!entry.hastened) entry.deadline = Math.max(entry.deadline, at + entry.ttlMs);
    }
  }

  /** A keep-alive. Null: there is no such lease, or it has ended and is being revoked. */
  renew(id: bigint, now: number): Renewal | null {
    const entry = this.#entries.get(id);
    if (entry === undefined || entry.retryAt !== null || entry.deadline <= now) return null;
    entry.deadline = Math.max(entry.deadline, now + entry.ttlMs);
    entry.renewedAt = now;
    entry.unlogged = true;
    entry.hastened = false;
    this.#heard = now;
    return { ttl: entry.ttlMs / 1000, log: now - entry.loggedAt > entry.ttlMs * LOGGED_PART };
  }

  /** The holder is known to be gone: the lease ends at `at` where that is earlier, unless a keep-alive comes before. */
  hasten(id: bigint, at: number): void {
    const entry = this.#entries.get(id);
    if (entry === undefined || entry.retryAt !== null || entry.deadline <= at) return;
    // Another entry in its place: the heap must not know a later time than the truth.
    this.#add({ ...entry, deadline: at, hastened: true, scheduled: at });
  }

  /**
   * What a `leaseRenew` should name, proposed with the time of the last {@link renew}: the leases heard just now or shortly before
   * whose renewal is not logged, at most `limit`. So leases that are kept alive at about the same time share an entry of the log.
   */
  renewals(limit = Number.POSITIVE_INFINITY): bigint[] {
    const ids: bigint[] = [];
    for (const entry of this.#entries.values()) {
      if (ids.length >= limit) break;
      const recent = entry.renewedAt >= this.#heard - entry.ttlMs * RECENT_PART;
      if (entry.unlogged && recent && !entry.hastened && entry.retryAt === null) ids.push(entry.id);
    }
    return ids;
  }

  /** Milliseconds a lease has left, 0 if it has ended; null: there is no such lease. */
  remaining(id: bigint, now: number): number | null {
    const entry = this.#entries.get(id);
    if (entry === undefined) return null;
    return entry.retryAt === null ? Math.max(0, entry.deadline - now) : 0;
  }

  /** When {@link due} next has something; null: never. */
  deadline(): number | null {
    for (let top = this.#heap[0]; top !== undefined; top = this.#heap[0]) {
      const time = top.retryAt ?? top.deadline;
      if (this.#entries.get(top.id) !== top) this.#pop();
      else if (top.scheduled < time) this.#reschedule(top, time);
      else return time;
    }
    return null;
  }

  /** The leases that have ended, the earliest first, to be revoked. One that is not is due again after {@link RETRY_MS}. */
  due(now: number, limit = 500): bigint[] {
    const ids: bigint[] = [];
    while (ids.length < limit) {
      const deadline = this.deadline();
      if (deadline === null || deadline > now) break;
      const top = this.#heap[0]!;
      top.retryAt = now + RETRY_MS;
      ids.push(top.id);
    }
    return ids;
  }

  #add(entry: Entry): void {
    this.#entries.set(entry.id, entry);
    this.#heap.push(entry);
    let at = this.#heap.length - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(entry, this.#heap[parent]!)) break;
      this.#heap[at] = this.#heap[parent]!;
      at = parent;
    }
    this.#heap[at] = entry;
  }

  #pop(): void {
    const last = this.#heap.pop()!;
    if (this.#heap.length > 0) this.#sink(last);
  }

  #reschedule(top: Entry, time: number): void {
    top.scheduled = time;
    this.#sink(top);
  }

  /** Puts an entry where the top was, and restores the order. */
  #sink(entry: Entry): void {
    const heap = this.#heap;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
      if (!before(heap[child]!, entry)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = entry;
  }
}

function entryOf(id: bigint, ttl: number, loggedAt: number, deadline: number): Entry {
  return {
    id,
    ttlMs: ttl * 1000,
    loggedAt,
    renewedAt: loggedAt,
    unlogged: false,
    deadline,
    retryAt: null,
    hastened: false,
    scheduled: deadline,
  };
}

function before(a: Entry, b: Entry): boolean {
  return a.scheduled < b.scheduled || (a.scheduled === b.scheduled && a.id < b.id);
}

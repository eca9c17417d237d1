import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { LeaseRecord } from "./lease-table.ts";
import { LeaseBook, RETRY_MS } from "./leases.ts";
import { KvStore } from "./store.ts";
import type { Operation } from "./types.ts";

const lease = (id: bigint, ttl: number, renewedAt = 0): LeaseRecord => ({ id, ttl, renewedAt });

describe("the leader's book of leases", () => {
  it("[KL1] names leases that have ended, the earliest first, and again while they are not revoked", () => {
    const book = LeaseBook.promote([lease(1n, 30), lease(2n, 10), lease(3n, 10)], 1000);
    expect(book.deadline()).toBe(11_000);
    expect(book.due(10_999)).toEqual([]);
    expect(book.due(11_000)).toEqual([2n, 3n]);
    expect(book.deadline()).toBe(11_000 + RETRY_MS);
    book.revoked(3n);
    expect(book.due(14_000)).toEqual([2n]);
    book.revoked(2n);
    expect(book.deadline()).toBe(31_000);
    expect(book.due(40_000, 0)).toEqual([]);
    book.revoked(1n);
    expect(book.deadline()).toBeNull();
    expect(book.size).toBe(0);
  });

  it("[KL2] a renewal moves the end; one of an ended or unknown lease is refused, even while it is not revoked yet", () => {
    const book = LeaseBook.resume([]);
    book.granted(lease(1n, 9, 500), 1000);
    expect(book.renew(1n, 5000)).toEqual({ ttl: 9, log: true });
    expect(book.remaining(1n, 6000)).toBe(8000);
    expect(book.deadline()).toBe(14_000);
    expect(book.renew(2n, 5000)).toBeNull();
    expect(book.remaining(2n, 5000)).toBeNull();
    expect(book.renew(1n, 14_000)).toBeNull();
    expect(book.due(14_000)).toEqual([1n]);
    // A clock that steps back does not bring it back.
    expect(book.renew(1n, 13_000)).toBeNull();
    expect(book.remaining(1n, 13_000)).toBe(0);
  });

  it("[KL6] the end of one whose holder is gone is put forward; only its own keep-alive puts it off again", () => {
    const book = LeaseBook.resume([]);
    book.granted(lease(1n, 60, 0), 0);
    book.granted(lease(2n, 9, 0), 0);
    book.renew(1n, 5000);
    book.hasten(1n, 8000);
    book.hasten(2n, 20_000);
    book.hasten(3n, 1000);
    expect(book.deadline()).toBe(8000);
    expect(book.remaining(2n, 0)).toBe(9000);
    // Neither a renewal that was under way when it went, nor those of others, which go along with what was heard lately.
    book.renewed([1n], 5000);
    book.renew(2n, 5000);
    expect(book.renewals()).toEqual([2n]);
    expect(book.deadline()).toBe(8000);
    expect(book.renew(1n, 7999)).toMatchObject({ ttl: 60 });
    expect(book.remaining(1n, 7999)).toBe(60_000);
    book.renewed(book.renewals(), 8001);
    expect(book.remaining(1n, 8001)).toBe(60_000);
    book.hasten(1n, 8001);
    expect(book.due(8001)).toEqual([1n]);
    book.hasten(1n, 9000);
    expect(book.renew(1n, 8500)).toBeNull();
    expect(book.due(8001 + RETRY_MS)).toEqual([1n]);
  });

  it("[KL3] a renewal is to be logged when the last logged one is older than a third of the TTL", () => {
    const book = LeaseBook.resume([lease(1n, 9, 0), lease(2n, 60, 0)]);
    expect(book.renew(1n, 3000)).toEqual({ ttl: 9, log: false });
    expect(book.renew(1n, 3001)).toEqual({ ttl: 9, log: true });
    expect(book.renew(2n, 3001)).toEqual({ ttl: 60, log: false });
    // The second was not in need of it, but was heard just now.
    expect(book.renewals()).toEqual([1n, 2n]);
    book.renewed([1n, 2n, 77n], 3005);
    expect(book.renewals()).toEqual([]);
    expect(book.renew(1n, 6005)).toEqual({ ttl: 9, log: false });
    expect(book.renewals()).toEqual([1n]);
    expect(book.renewals(0)).toEqual([]);
    // A tenth of its TTL later the first renewal is too old to be logged with the time of the second.
    book.renew(2n, 6905);
    expect(book.renewals()).toEqual([1n, 2n]);
    book.renew(2n, 6906);
    expect(book.renewals()).toEqual([2n]);
  });

  it("[KL4] a new leader gives every lease its whole TTL, and says so in the log", () => {
    const book = LeaseBook.promote([lease(1n, 9, 0)], 50_000);
    expect(book.deadline()).toBe(59_000);
    expect(book.renewals()).toEqual([1n]);
    book.renewed([1n], 50_010);
    expect(book.deadline()).toBe(59_010);
    expect(book.renewals()).toEqual([]);
  });
});

/**
 * Leaders with clocks of their own that come, go, and lose their memory, and holders that keep leases alive; the log commits
 * some time after a proposal, or loses it with the leader.
 */
const event = fc.oneof(
  { arbitrary: fc.record({ do: fc.constant("renew" as const), id: fc.integer({ min: 0, max: 2 }) }), weight: 12 },
  { arbitrary: fc.record({ do: fc.constant("wait" as const), ms: fc.integer({ min: 1, max: 4000 }) }), weight: 12 },
  { arbitrary: fc.record({ do: fc.constant("commit" as const) }), weight: 6 },
  { arbitrary: fc.record({ do: fc.constant("wake" as const) }), weight: 2 },
  { arbitrary: fc.record({ do: fc.constant("elect" as const), skew: fc.integer({ min: -1_000_000, max: 1_000_000 }) }), weight: 1 },
);
const TTLS = [2, 9, 30];

it("[KL5] no lease ends before its TTL after the last answered keep-alive, and each ends in less than half its TTL more after the last", () => {
  fc.assert(
    fc.property(fc.array(event, { maxLength: 80, size: "max" }), (events) => {
      const store = new KvStore();
      const apply = (operation: Operation, at: number) => store.apply({ operation, at, session: null });
      let [real, skew] = [5_000_000, 0];
      const now = () => real + skew;
      for (const [i, ttl] of TTLS.entries()) apply({ op: "leaseGrant", request: { id: BigInt(i + 1), ttl } }, now());
      let book = LeaseBook.promote(store.leases(), now());
      book.renewed([1n, 2n, 3n], now());
      /** By lease: the real time of the last keep-alive that was answered, and of the last sign that may have lengthened it. */
      const answered = TTLS.map(() => real);
      const latest = TTLS.map(() => real);
      let proposed: { ids: bigint[]; at: number; waiting: [number, number][] }[] = [];
      let logged = 0;

      const propose = (ids: bigint[], waiting: [number, number][]) => proposed.push({ ids, at: now(), waiting });
      const commit = () => {
        for (const { ids, at, waiting } of proposed) {
          apply({ op: "leaseRenew", request: { ids } }, at);
          book.renewed(ids, at);
          logged++;
          for (const [lease, time] of waiting) answered[lease] = Math.max(answered[lease]!, time);
        }
        proposed = [];
      };
      const expire = () => {
        for (const id of book.due(now())) {
          const place = Number(id) - 1;
          expect(real, `lease ${id} ended too early`).toBeGreaterThanOrEqual(answered[place]! + TTLS[place]! * 1000);
          apply({ op: "leaseRevoke", request: { id } }, now());
          book.revoked(id);
        }
        for (const { id, ttl } of store.leases()) {
          const place = Number(id) - 1;
          expect(real, `lease ${id} lives too long`).toBeLessThanOrEqual(latest[place]! + Math.ceil(ttl * 1000 * (4 / 3 + 1 / 10)));
        }
      };

      for (const each of events) {
        if (each.do === "wait") {
          // The alarm goes off at the deadline.
          const until = real + each.ms;
          for (let at = book.deadline(); at !== null && at - skew <= until; at = book.deadline()) {
            real = Math.max(real, at - skew);
            expire();
          }
          real = until;
        } else if (each.do === "commit") {
          commit();
        } else if (each.do === "renew") {
          const renewal = book.renew(BigInt(each.id + 1), now());
          if (renewal === null) continue;
          latest[each.id] = real;
          if (renewal.log) propose(book.renewals(), [[each.id, real]]);
          else answered[each.id] = real;
        } else {
          // What was proposed is lost with the leader's memory, and nobody was answered.
          proposed = [];
          if (each.do === "elect") {
            skew = each.skew;
            book = LeaseBook.promote(store.leases(), now());
            for (const { id } of store.leases()) latest[Number(id) - 1] = real;
            propose(book.renewals(), []);
            commit();
          } else {
            book = LeaseBook.resume(store.leases());
          }
        }
        expire();
      }
      expect(logged).toBeLessThanOrEqual(events.length);
    }),
    { numRuns: 500 },
  );
});

it("[KL3] keep-alives every second of a lease of a minute are logged three times a minute", () => {
  const book = LeaseBook.promote([lease(1n, 60, 0)], 0);
  book.renewed([1n], 0);
  let logged = 0;
  for (let now = 1000; now <= 600_000; now += 1000) {
    if (!book.renew(1n, now)!.log) continue;
    book.renewed(book.renewals(), now);
    logged++;
  }
  expect(logged).toBeGreaterThanOrEqual(20);
  expect(logged).toBeLessThanOrEqual(30);
});

it("[KL1] due leases come in order whatever was renewed, hastened, revoked and granted again", () => {
  const act = fc.record({
    id: fc.bigInt({ min: 1n, max: 8n }),
    how: fc.constantFrom("grant", "renew", "renew", "hasten", "revoke"),
    after: fc.nat(3000),
  });
  fc.assert(
    fc.property(fc.array(act, { maxLength: 60, size: "max" }), (acts) => {
      const book = LeaseBook.promote([], 0);
      const ends = new Map<bigint, number>();
      let now = 0;
      for (const { id, how, after } of acts) {
        now += after;
        const over = [...ends].filter(([, end]) => end <= now).sort(([a, x], [b, y]) => x - y || (a < b ? -1 : 1));
        const earliest = Math.min(...ends.values());
        expect(book.deadline()).toBe(ends.size === 0 ? null : earliest);
        expect(book.due(now)).toEqual(over.map(([each]) => each));
        for (const [each] of over) {
          book.revoked(each);
          ends.delete(each);
        }
        const ttl = 2 + Number(id);
        if (how === "hasten" && ends.has(id)) {
          book.hasten(id, now + 2500);
          ends.set(id, Math.min(ends.get(id)!, now + 2500));
          continue;
        }
        if (how === "grant" && !ends.has(id)) {
          book.granted(lease(id, ttl, now), now);
          ends.set(id, now + ttl * 1000);
        } else if (how === "revoke") {
          book.revoked(id);
          ends.delete(id);
        } else if (ends.has(id)) {
          expect(book.renew(id, now)).not.toBeNull();
          ends.set(id, now + ttl * 1000);
        }
      }
    }),
    { numRuns: 300 },
  );
});

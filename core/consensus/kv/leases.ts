import type { LeaseRecord } from "./store.ts";

/** Seconds. The least is one and a half election timeouts of etcd's defaults, rounded up. */
export const MIN_LEASE_TTL = 2;
export const MAX_LEASE_TTL = 9_000_000_000;

/** `log`: answer only after a `leaseRenew` of {@link LeaseBook.renewals} is committed. */
export type Renewal = { ttl: number; log: boolean };

/** The leader's deadlines. All times are Unix milliseconds of the leader's clock; only a leader has a book. */
export class LeaseBook {
  /** A new leader: every lease lives at least its whole TTL from `now`. */
  static promote(_leases: Iterable<LeaseRecord>, _now: number): LeaseBook {
    throw new Error("to come");
  }

  /** The same leader, woken with its memory lost: no lease ends earlier than its TTL after the last renewal that can have been answered. */
  static resume(_leases: Iterable<LeaseRecord>): LeaseBook {
    throw new Error("to come");
  }

  /** A `leaseGrant` was applied. */
  granted(_lease: LeaseRecord): void {
    throw new Error("to come");
  }

  /** A `leaseRevoke` was applied. */
  revoked(_id: bigint): void {
    throw new Error("to come");
  }

  /** A `leaseRenew` was applied. */
  renewed(_ids: Iterable<bigint>, _at: number): void {
    throw new Error("to come");
  }

  /** A keep-alive. Null: no such lease, or it has ended. */
  renew(_id: bigint, _now: number): Renewal | null {
    throw new Error("to come");
  }

  /** What a `leaseRenew` should name: all leases renewed since their last logged renewal, at most `limit`. */
  renewals(_limit = 1000): bigint[] {
    throw new Error("to come");
  }

  /** Milliseconds a lease has left, 0 if it ended; null: no such lease. */
  remaining(_id: bigint, _now: number): number | null {
    throw new Error("to come");
  }

  /** When {@link due} has something next; null: never. */
  deadline(): number | null {
    throw new Error("to come");
  }

  /** The leases that have ended, the earliest first, for `leaseRevoke`. One that is not revoked is due again after `RETRY_MS`. */
  due(_now: number, _limit = 500): bigint[] {
    throw new Error("to come");
  }
}

import { refusal } from "./refusals.ts";
import type { ByteString } from "./types.ts";

/** Seconds. The least is one and a half election timeouts of etcd's defaults, rounded up; shorter ones are lengthened. */
export const MIN_LEASE_TTL = 2;
export const MAX_LEASE_TTL = 9_000_000_000;
/** What a lease and a key attached to it take in memory: estimates, part of the quota's definition. */
export const LEASE_BYTES = 288;
const ATTACHMENT_BYTES = 48;

/** A lease as the log knows it: `renewedAt` is the `at` of its grant or of the last logged renewal, Unix milliseconds; `ttl` in seconds. */
export type LeaseRecord = { id: bigint; ttl: number; renewedAt: number };
type Entry = LeaseRecord & { readonly keys: Set<ByteString> };

/** The leases of the state machine and the keys attached to them. When one ends is not its matter: that is a `leaseRevoke` in the log. */
export class LeaseTable {
  readonly #leases = new Map<bigint, Entry>();
  bytes = 0;

  has(id: bigint): boolean {
    return this.#leases.has(id);
  }

  get(id: bigint): LeaseRecord | undefined {
    const entry = this.#leases.get(id);
    return entry && { id, ttl: entry.ttl, renewedAt: entry.renewedAt };
  }

  /** By id. */
  all(): LeaseRecord[] {
    return [...this.#leases.values()].map(({ id, ttl, renewedAt }) => ({ id, ttl, renewedAt })).sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** In order. */
  keys(id: bigint): ByteString[] {
    return [...(this.#leases.get(id)?.keys ?? [])].sort();
  }

  /** The TTL granted, in seconds. Throws KvError. */
  grant(id: bigint, ttl: number, at: number): number {
    if (id === 0n) throw refusal("leaseNotFound");
    if (ttl > MAX_LEASE_TTL) throw refusal("leaseTtlTooLarge");
    if (this.#leases.has(id)) throw refusal("leaseExists");
    const granted = Math.max(ttl, MIN_LEASE_TTL);
    this.load({ id, ttl: granted, renewedAt: at });
    return granted;
  }

  /** Puts back a lease that was granted before. */
  load({ id, ttl, renewedAt }: LeaseRecord): void {
    this.#leases.set(id, { id, ttl, renewedAt, keys: new Set() });
    this.bytes += LEASE_BYTES;
  }

  /** The order of the log decides, not the clocks: a new leader's may be behind the one before. */
  renew(id: bigint, at: number): void {
    const entry = this.#leases.get(id);
    if (entry !== undefined) entry.renewedAt = at;
  }

  /** The lease must have no keys left. */
  remove(id: bigint): void {
    if (this.#leases.delete(id)) this.bytes -= LEASE_BYTES;
  }

  /** A key that had the lease `from` has `to` (0n: none). */
  move(key: ByteString, from: bigint, to: bigint): void {
    if (from === to) return;
    if (from !== 0n && this.#leases.get(from)?.keys.delete(key)) this.bytes -= ATTACHMENT_BYTES;
    if (to !== 0n) {
      this.#leases.get(to)!.keys.add(key);
      this.bytes += ATTACHMENT_BYTES;
    }
  }
}

import type { Capability } from "../wire/names.ts";
import { PRICES } from "./prices.ts";

/** What a capability used; bytes are those of request and response bodies. `rows` are storage rows written, as billed. */
export type Amounts = { requests: number; rows: number; bytesIn: number; bytesOut: number };
/** One bucket of the account: an hour (Unix hours, UTC) of a capability. */
export type UsageBucket = { hour: number; capability: Capability } & Amounts;

export const HOUR_MS = 3_600_000;
/** Hours kept: 400 days, so that a year can be compared with the one before. */
export const KEPT_HOURS = 400 * 24;

export const NO_AMOUNTS: Amounts = { requests: 0, rows: 0, bytesIn: 0, bytesOut: 0 };

export function hourOf(now: number): number {
  return Math.floor(now / HOUR_MS);
}

export function addAmounts(a: Amounts, b: Partial<Amounts>): Amounts {
  return {
    requests: a.requests + (b.requests ?? 0),
    rows: a.rows + (b.rows ?? 0),
    bytesIn: a.bytesIn + (b.bytesIn ?? 0),
    bytesOut: a.bytesOut + (b.bytesOut ?? 0),
  };
}

/** Adds to the pending account of an isolate, in place. */
export function accumulate(pending: Map<string, UsageBucket>, hour: number, capability: Capability, amounts: Partial<Amounts>): void {
  const key = `${hour}/${capability}`;
  const before = pending.get(key) ?? { hour, capability, ...NO_AMOUNTS };
  pending.set(key, { hour, capability, ...addAmounts(before, amounts) });
}

/** Totals by capability and over all. */
export function totals(buckets: readonly UsageBucket[]): { total: Amounts; byCapability: Partial<Record<Capability, Amounts>> } {
  const byCapability: Partial<Record<Capability, Amounts>> = {};
  let total = NO_AMOUNTS;
  for (const bucket of buckets) {
    byCapability[bucket.capability] = addAmounts(byCapability[bucket.capability] ?? NO_AMOUNTS, bucket);
    total = addAmounts(total, bucket);
  }
  return { total, byCapability };
}

/**
 * Dollars at list price for amounts: each request is one of the Worker and, as a rule, one of an object. What the
 * account does not see (queue messages, object duration, storage at rest, free allowances) is not in it.
 */
export function dollars(amounts: Amounts): { requests: number; rows: number; total: number } {
  const requests = (amounts.requests * (PRICES.workerRequest + PRICES.objectRequest)) / 1e6;
  const rows = (amounts.rows * PRICES.rowWritten) / 1e6;
  return { requests, rows, total: requests + rows };
}

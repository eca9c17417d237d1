import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Capability } from "../wire/names.ts";
import { PRICES } from "./prices.ts";
import { accumulate, addAmounts, dollars, hourOf, NO_AMOUNTS, totals, type UsageBucket } from "./usage.ts";

const amount = fc.integer({ min: 0, max: 1_000_000 });
const amounts = fc.record({ requests: amount, rows: amount, bytesIn: amount, bytesOut: amount });
const entry = fc.tuple(fc.integer({ min: 0, max: 3 }), fc.constantFrom<Capability>("rooms", "streams", "platform"), amounts);

describe("the account", () => {
  it("[US1] nothing is lost or counted twice, in whatever order and pieces it comes", () => {
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 40 }), fc.integer({ min: 1, max: 10 }), (entries, flushEvery) => {
        const written: UsageBucket[] = [];
        const pending = new Map<string, UsageBucket>();
        entries.forEach(([hour, capability, used], i) => {
          accumulate(pending, hour, capability, used);
          if (i % flushEvery === 0) {
            written.push(...pending.values());
            pending.clear();
          }
        });
        written.push(...pending.values());
        const { total, byCapability } = totals(written);
        expect(total).toEqual(entries.reduce((sum, [, , used]) => addAmounts(sum, used), NO_AMOUNTS));
        for (const capability of ["rooms", "streams", "platform"] as const) {
          const mine = entries.filter((one) => one[1] === capability);
          expect(byCapability[capability] ?? NO_AMOUNTS).toEqual(mine.reduce((sum, [, , used]) => addAmounts(sum, used), NO_AMOUNTS));
        }
      }),
    );
  });

  it("[US2] dollars follow the price list: a million requests and a million rows", () => {
    expect(dollars({ requests: 1e6, rows: 0, bytesIn: 0, bytesOut: 0 }).total).toBeCloseTo(0.45, 12);
    expect(dollars({ requests: 0, rows: 1e6, bytesIn: 5, bytesOut: 5 }).total).toBeCloseTo(1, 12);
    expect(PRICES.workerRequest + PRICES.objectRequest).toBeCloseTo(0.45, 12);
  });

  it("[US3] an hour's bucket begins on the hour, in UTC", () => {
    const noon = Date.UTC(2026, 10, 23, 12);
    expect([noon, noon + 3_599_999].map(hourOf)).toEqual([noon / 3_600_000, noon / 3_600_000]);
    expect(hourOf(noon + 3_600_000)).toBe(noon / 3_600_000 + 1);
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MAX_LIFETIME } from "./claims.ts";
import { currentKey, type KeyRecord, pruneKeys, verifiesUntil } from "./keyring.ts";

const LIFE = MAX_LIFETIME * 1000;

describe("the keyring", () => {
  it("[KR1] through any rotations one key signs, and a key verifies while any token it signed can live", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: LIFE }), { maxLength: 30 }), (gaps) => {
        let keys: KeyRecord[] = [{ id: "0", createdAt: 0, retiredAt: null }];
        let now = 0;
        gaps.forEach((gap, i) => {
          now += gap;
          keys = keys.map((key) => (key.retiredAt === null ? { ...key, retiredAt: now } : key));
          keys.push({ id: String(i + 1), createdAt: now, retiredAt: null });
          const { live, dead } = pruneKeys(keys, now);
          expect(live.length + dead.length).toBe(keys.length);
          expect(currentKey(live)?.id).toBe(String(i + 1));
          expect(live.filter((key) => key.retiredAt === null)).toHaveLength(1);
          // The last token of a key was made no later than the key retired.
          for (const key of dead) expect((key.retiredAt as number) + LIFE).toBeLessThanOrEqual(now);
          for (const key of live) expect(verifiesUntil(key) ?? now + 1).toBeGreaterThan(now);
          keys = live;
        });
      }),
    );
  });

  it("[KR1] an empty ring has no key to sign with", () => {
    expect(currentKey([])).toBeNull();
  });
});

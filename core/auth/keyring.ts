import { MAX_LIFETIME } from "./claims.ts";

/** A signing key as its holder lists it; times in Unix milliseconds. `retiredAt` is null for the key that signs. */
export type KeyRecord = { id: string; createdAt: number; retiredAt: number | null };

/** Keys that may verify at once. Rotation beyond it is refused: it would be a mistake or an attack, not hygiene. */
export const MAX_KEYS = 32;

/** When a retired key stops verifying: by then its last token has ended. Null for the key that signs. */
export function verifiesUntil(key: KeyRecord): number | null {
  return key.retiredAt === null ? null : key.retiredAt + MAX_LIFETIME * 1000;
}

/** Splits keys into those that still verify at `now` and those that can be forgotten. */
export function pruneKeys<K extends KeyRecord>(keys: K[], now: number): { live: K[]; dead: K[] } {
  const isLive = (key: K) => (verifiesUntil(key) ?? Number.POSITIVE_INFINITY) > now;
  return { live: keys.filter(isLive), dead: keys.filter((key) => !isLive(key)) };
}

/** The key that signs, or null before the first use. */
export function currentKey<K extends KeyRecord>(keys: K[]): K | null {
  return keys.find((key) => key.retiredAt === null) ?? null;
}

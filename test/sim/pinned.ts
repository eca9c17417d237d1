/**
 * Seeds that once failed, by scenario. They run before all others, for ever: a fixed bug stays fixed. Add one with the
 * commit that fixes what it found.
 */
export const PINNED: Readonly<Record<string, readonly number[]>> = {
  // A task whose replay failed once (its log was out of reach) never tried again.
  streams: [35],
};

/**
 * Seeds that once failed, by scenario. They run before all others, for ever: a fixed bug stays fixed. Add one with the
 * commit that fixes what it found. A change of a scenario gives its seeds another course: then look for one that finds the bug again,
 * or let go of it where a test of its own has it.
 */
export const PINNED: Readonly<Record<string, readonly number[]>> = {
  // A task whose replay failed once (its log was out of reach) never tried again.
  streams: [35],
  groups: [
    // A round of reads that writes had made needless kept a leader awake for ever, for its own word was missing.
    1715,
    // A new leader that was to hand over at once logged nothing of leases; resumed, it ended them by its predecessor's clock.
    6283,
  ],
};

/** Bytes of a request body, unless a route sets its own limit. */
export const MAX_BODY_BYTES = 8 * 1024 * 1024;
/** Of the snapshot that a group is restored from: what a group can hold comes back. */
export const MAX_SNAPSHOT_BYTES = 32 * 1024 * 1024;
/** One request in so many is put to the rate limiter of that name, whose limit in wrangler.toml is smaller by as much. */
export const SAMPLES = { RATE_TOKEN: 100, RATE_ADDRESS: 10 };

/** Bytes of a request body, unless a route sets its own limit below this. */
export const MAX_BODY_BYTES = 8 * 1024 * 1024;
/** One request in so many is put to the rate limiter of that name, whose limit in wrangler.toml is smaller by as much. */
export const SAMPLES = { RATE_TOKEN: 100, RATE_ADDRESS: 10 };

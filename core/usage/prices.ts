/**
 * Cloudflare's list prices in dollars per million, paid plan, as of 2026-11. The one table that every estimate of
 * cost in this repository reads.
 */
export const PRICES = {
  workerRequest: 0.3,
  objectRequest: 0.15,
  /** A WebSocket message to an object: a twentieth of a request. Outgoing ones are free. */
  socketMessageIn: 0.0075,
  /** A million seconds of one object awake (128 MB). */
  objectSecond: 1.6,
  rowWritten: 1,
  rowRead: 0.001,
  /** Set and fired. */
  alarm: 1.15,
  /** Written, read and deleted. */
  queueMessage: 1.2,
  r2Write: 4.5,
  r2Read: 0.36,
} as const;

import { SkerryError } from "../wire/errors.ts";
import type { Jurisdiction } from "../wire/names.ts";

/**
 * The doorbell, a queue message: "partition `partition` of `topic` now ends at `to`". It carries the records of
 * `[from, to)` where they are small enough, to save the reader a call. It promises nothing: it may come twice, late,
 * out of order or not at all.
 */
export type Ring = {
  v: 1;
  project: string;
  jurisdiction: Jurisdiction;
  topic: string;
  generation: number;
  partition: number;
  from: number;
  to: number;
  batch: string | null;
  traceparent: string | null;
};

/** Inline records up to this many UTF-8 bytes; a queue message holds 128 KB. */
export const MAX_INLINE_BYTES = 60_000;

/** Checks a message from the queue: an older or foreign producer may have sent it. Throws `bad_request`. */
export function checkRing(body: unknown): Ring {
  const ring = body as Partial<Ring> | null;
  const isText = (value: unknown) => typeof value === "string" && value.length > 0;
  const isCount = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0;
  if (
    ring?.v !== 1 ||
    ![ring.project, ring.jurisdiction, ring.topic].every(isText) ||
    ![ring.generation, ring.partition, ring.from, ring.to].every(isCount) ||
    !(ring.batch === null || typeof ring.batch === "string")
  ) {
    throw new SkerryError("bad_request", "The queue message is not a doorbell of a version this deployment knows.");
  }
  return ring as Ring;
}

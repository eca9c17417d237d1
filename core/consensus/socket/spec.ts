import { SkerryError } from "../../wire/errors.ts";
import { MAX_TARGET_BYTES } from "../../wire/frames.ts";
import { prefixEnd } from "../kv/concurrency.ts";
import type { ByteString, WatchCreate } from "../kv/types.ts";
import { readBytes, writeBytes } from "./bytes.ts";
import { choice, flag, type Members, members } from "./reading.ts";

/** What is watched: keys as in a range, puts or deletions alone, and whether each event comes with what was there before. */
export type WatchSpec = { key: ByteString; rangeEnd: ByteString; prevKv: boolean; filters: WatchCreate["filters"] };

/**
 * The target of a subscription: a JSON object `{key, prefix?, rangeEnd?, prevKv?, only?}`, where `prefix: true` stands for the
 * range end that it takes. Throws `too_large` where it is longer than a target may be.
 */
export function writeTarget({ key, rangeEnd, prevKv, filters }: WatchSpec): string {
  const prefix = rangeEnd !== "" && key !== "" && rangeEnd === prefixEnd(key);
  const span: Members = { key: writeBytes(key), ...(prefix ? { prefix } : rangeEnd !== "" && { rangeEnd: writeBytes(rangeEnd) }) };
  const only = filters.includes("noDelete") ? "puts" : filters.includes("noPut") ? "deletes" : undefined;
  const text = JSON.stringify({ ...span, ...(prevKv && { prevKv }), ...(only !== undefined && { only }) });
  // A target holds no control character, and JSON leaves this one as it is.
  const target = text.replaceAll("\x7f", "\\u007f");
  if (new TextEncoder().encode(target).length > MAX_TARGET_BYTES)
    throw new SkerryError("too_large", `What is watched takes more than ${MAX_TARGET_BYTES} bytes; watch a shorter prefix.`);
  return target;
}

/** The inverse of {@link writeTarget}. Throws `bad_request`. */
export function readTarget(target: string): WatchSpec {
  let value: unknown;
  try {
    value = JSON.parse(target);
  } catch {
    throw new SkerryError("bad_request", 'A target is a JSON object such as {"key":"jobs/","prefix":true}.');
  }
  const spec = members(value, "target");
  const key = readBytes(spec.key, "key");
  const prefix = flag(spec.prefix, "prefix");
  if (prefix && spec.rangeEnd !== undefined) throw new SkerryError("bad_request", 'A target has "prefix" or "rangeEnd", not both.');
  const rangeEnd = prefix ? prefixEnd(key) : spec.rangeEnd === undefined ? "" : readBytes(spec.rangeEnd, "rangeEnd");
  if (key === "" && rangeEnd === "") throw new SkerryError("bad_request", 'A target names a key, or with "prefix" all keys.');
  if (rangeEnd !== "" && rangeEnd !== "\0" && rangeEnd <= key)
    throw new SkerryError("bad_request", 'The range of a target is empty: "rangeEnd" is not above "key".');
  const only = choice(spec.only, "only", ["puts", "deletes", "all"], "all");
  const filters: WatchSpec["filters"] = only === "puts" ? ["noDelete"] : only === "deletes" ? ["noPut"] : [];
  return { key, rangeEnd, prevKv: flag(spec.prevKv, "prevKv"), filters };
}

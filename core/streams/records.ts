import type { TopicMeta } from "../wire/directory.ts";
import { SkerryError } from "../wire/errors.ts";
import { encodeBatch, type RecordBatch } from "./batch.ts";
import { partitionOf } from "./partition.ts";

export const MAX_RECORDS = 10_000;
/** A key is part of table cursors and positions, which clients carry in URLs and frames. */
export const MAX_KEY_BYTES = 256;
/** A partition's share of one append must fit a row, with room for its header. */
export const MAX_BATCH_BYTES = 1_400_000;

/** One partition's share of an append: `count` records, the latest event time among them, and the encoded batch. */
export type SubBatch = { count: number; maxTime: number; batch: string };

/**
 * Reads the body of an append to a JSON topic: an array is flattened by one level, anything else is one record
 * (Durable Streams, JSON mode). Throws `bad_json`, `bad_record` (naming the index) or `too_large`.
 */
export function parseBody(body: string): unknown[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch (cause) {
    throw new SkerryError("bad_json", `The body is not valid JSON: ${(cause as Error).message}.`, { cause });
  }
  const values = Array.isArray(parsed) ? parsed : [parsed];
  if (values.length === 0) throw new SkerryError("bad_record", "The array holds no record; an append needs at least one.");
  if (values.length > MAX_RECORDS)
    throw new SkerryError("too_large", `An append takes at most ${MAX_RECORDS} records, this one has ${values.length}.`);
  return values;
}

/**
 * Splits records over the topic's partitions by key and reads their event times.
 * @param fallback which partition takes records of a topic without keys (a number that is the same for a retry)
 * @param now Unix ms; the event time of records where the topic names no member for it
 */
export function partitionRecords(values: unknown[], topic: TopicMeta, now: number, fallback: number): SubBatch[] {
  const keyOf = topic.key === null ? null : pointer(topic.key);
  const timeOf = topic.timestamp === null ? null : pointer(topic.timestamp);
  const latest = now + topic.maxFutureMs;
  const parts: RecordBatch[] = Array.from({ length: topic.partitions }, () => ({ k: [], t: [], v: [] }));
  const maxTimes = new Array<number>(topic.partitions).fill(0);
  const homes = new Map<string, number>();
  for (let index = 0; index < values.length; index++) {
    const value = values[index];
    const time = timeOf === null ? now : eventTime(timeOf(value), topic.timestamp as string, index);
    if (time > latest) {
      throw new SkerryError(
        "record_in_future",
        `Record ${index} has event time ${time} (Unix ms), more than ${topic.maxFutureMs} ms after now. Nothing was appended.`,
        { extra: { index, time, latest } },
      );
    }
    let key: string | null = null;
    let home = fallback % topic.partitions;
    if (keyOf !== null) {
      key = keyText(keyOf(value), topic.key as string, index);
      const known = homes.get(key);
      home = known ?? partitionOf(key, topic.partitions);
      if (known === undefined) homes.set(key, home);
    }
    const part = parts[home] as RecordBatch;
    part.k.push(key);
    part.t.push(time);
    part.v.push(value);
    if (time > (maxTimes[home] as number)) maxTimes[home] = time;
  }
  return parts.map((part, home) => {
    const batch = encodeBatch(part);
    // UTF-16 length times three bounds the UTF-8 length; only a batch near the limit is measured exactly.
    if (batch.length * 3 > MAX_BATCH_BYTES && utf8.encode(batch).length > MAX_BATCH_BYTES) {
      throw new SkerryError(
        "too_large",
        `The records for partition ${home} are larger than ${MAX_BATCH_BYTES} bytes; send smaller batches.`,
      );
    }
    return { count: part.t.length, maxTime: maxTimes[home] as number, batch };
  });
}

const utf8 = new TextEncoder();

function keyText(found: unknown, path: string, index: number): string {
  if (typeof found === "string") {
    // UTF-16 length times three bounds the UTF-8 length.
    if (found.length * 3 <= MAX_KEY_BYTES || utf8.encode(found).length <= MAX_KEY_BYTES) return found;
    throw new SkerryError("bad_record", `The key of record ${index} is longer than ${MAX_KEY_BYTES} bytes.`, { extra: { index } });
  }
  if (typeof found === "number" || typeof found === "boolean") return String(found);
  throw new SkerryError(
    "bad_record",
    `Record ${index} has no key: the topic reads it at "${path}" and needs a string, number or boolean there.`,
    {
      extra: { index },
    },
  );
}

const RFC3339 = /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/;
/** The largest time ECMAScript can represent, in ms on either side of the epoch. */
const MAX_TIME = 8.64e15;

function eventTime(found: unknown, path: string, index: number): number {
  let time = Number.NaN;
  if (typeof found === "number") time = Math.trunc(found);
  else if (typeof found === "string" && RFC3339.test(found)) time = parseRfc3339(found);
  if (Number.isNaN(time) || time < 0 || time > MAX_TIME) {
    throw new SkerryError(
      "bad_record",
      `Record ${index} has no event time: the topic reads it at "${path}" and needs Unix milliseconds (not before 1970) or an RFC 3339 text there.`,
      { extra: { index } },
    );
  }
  return time;
}

/** RFC 3339 to Unix ms, by the proleptic Gregorian calendar (days-from-civil; core has no `Date`). */
export function parseRfc3339(text: string): number {
  const year = Number(text.slice(0, 4));
  const month = Number(text.slice(5, 7));
  const day = Number(text.slice(8, 10));
  const [hour, minute, second] = [Number(text.slice(11, 13)), Number(text.slice(14, 16)), Number(text.slice(17, 19))];
  if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60) return Number.NaN;
  const zone = /([Zz]|[+-]\d{2}:\d{2})$/.exec(text)?.[0] as string;
  const fraction = /\.(\d+)/.exec(text)?.[1] ?? "0";
  const shift = zone.length === 1 ? 0 : Number(`${zone[0]}1`) * (Number(zone.slice(1, 3)) * 60 + Number(zone.slice(4, 6)));
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  const days = era * 146_097 + dayOfEra - 719_468;
  return ((days * 24 + hour) * 60 + minute - shift) * 60_000 + second * 1000 + Math.floor(Number(`0.${fraction}`) * 1000);
}

/** Compiles an RFC 6901 JSON Pointer to a look-up; what is not there reads as `undefined`. Throws `bad_request`. */
export function pointer(path: string): (value: unknown) => unknown {
  if (path !== "" && !path.startsWith("/"))
    throw new SkerryError("bad_request", `"${path}" is not a JSON Pointer: it must be empty or begin with "/".`);
  const steps = path
    .split("/")
    .slice(1)
    .map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
  const only = steps[0];
  if (steps.length === 1 && only !== undefined) return (value) => member(value, only);
  return (value) => steps.reduce(member, value);
}

function member(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;
}

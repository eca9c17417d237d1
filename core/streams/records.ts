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
 * Reads the body of an append to a JSON topic, UTF-8 (a byte order mark is skipped): an array is flattened by one level, anything else is one record
 * (Durable Streams, JSON mode). Throws `bad_json`, `bad_record` (naming the index) or `too_large`.
 */
export function parseBody(body: string | ArrayBuffer): unknown[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(typeof body === "string" ? body : strict.decode(body));
  } catch (cause) {
    throw new SkerryError("bad_json", `The body is not valid JSON: ${(cause as Error).message}.`, { cause });
  }
  const values = Array.isArray(parsed) ? parsed : [parsed];
  if (values.length === 0) throw new SkerryError("bad_record", "The array holds no record; an append needs at least one.");
  if (values.length > MAX_RECORDS)
    throw new SkerryError("too_large", `An append takes at most ${MAX_RECORDS} records, this one has ${values.length}.`);
  return values;
}

type Placed = { home: number; key: string | null; time: number };

/** Reads where a record goes, and when it happened. Throws `bad_record` or `record_in_future`, naming the index. */
function placer(topic: TopicMeta, now: number, fallback: number): (value: unknown, index: number) => Placed {
  const keyOf = topic.key === null ? null : pointer(topic.key);
  const timeOf = topic.timestamp === null ? null : pointer(topic.timestamp);
  const latest = now + topic.maxFutureMs;
  const homes = new Map<string, number>();
  return (value, index) => {
    const time = timeOf === null ? now : eventTime(timeOf(value), topic.timestamp as string, index);
    if (time > latest) {
      throw new SkerryError(
        "record_in_future",
        `Record ${index} has event time ${time} (Unix ms), more than ${topic.maxFutureMs} ms after now. Nothing was appended.`,
        { extra: { index, time, latest } },
      );
    }
    if (keyOf === null) return { home: fallback % topic.partitions, key: null, time };
    const key = keyText(keyOf(value), topic.key as string, index);
    let home = homes.get(key);
    if (home === undefined) {
      home = partitionOf(key, topic.partitions);
      homes.set(key, home);
    }
    return { home, key, time };
  };
}

/**
 * Splits records over the topic's partitions by key and reads their event times.
 * @param fallback which partition takes records of a topic without keys (a number that is the same for a retry)
 * @param now Unix ms; the event time of records where the topic names no member for it
 */
export function partitionRecords(values: unknown[], topic: TopicMeta, now: number, fallback: number): SubBatch[] {
  const place = placer(topic, now, fallback);
  const parts = emptyParts(topic);
  for (let index = 0; index < values.length; index++) add(parts, place(values[index], index), values[index]);
  const shares = parts.map(toShare);
  // Only a batch with a null in it can hold one that stands for a number JSON.parse made infinite.
  if (shares.some(({ batch }) => batch.includes("null", batch.indexOf('],"v":[')))) refuseInfinite(values);
  return shares;
}

/** A number beyond 1.8e308 would be stored as null: not what was sent. */
function refuseInfinite(values: unknown[]): void {
  for (let index = 0; index < values.length; index++) {
    // A list of its own: records may be nested deeper than calls can be.
    const inside: unknown[] = [values[index]];
    for (let value = inside.pop(); value !== undefined; value = inside.pop()) {
      if (value === Number.POSITIVE_INFINITY || value === Number.NEGATIVE_INFINITY)
        throw new SkerryError("bad_record", `Record ${index} has a number beyond 1.8e308; send it as a text.`, { extra: { index } });
      if (typeof value === "object" && value !== null) for (const each of Object.values(value)) inside.push(each);
    }
  }
}

/** What {@link appendsOf} could not place, with the reason. */
export type Refused = { index: number; error: string };

/**
 * A task's output as appends to a topic, in order: one takes what fits, and a large output takes several. Where they are
 * cut depends on the values alone, so a replay cuts the same, whatever became of the topic meanwhile. Records that the
 * topic cannot take are left out, and told.
 */
export function appendsOf(
  values: unknown[],
  topic: TopicMeta,
  now: number,
  fallback: number,
): { appends: SubBatch[][]; refused: Refused[] } {
  const place = placer({ ...topic, maxFutureMs: Number.MAX_SAFE_INTEGER }, now, fallback);
  const appends: SubBatch[][] = [];
  const refused: Refused[] = [];
  let parts = emptyParts(topic);
  let [count, characters] = [0, 0];
  for (const [index, value] of values.entries()) {
    const size = textOf(value)?.length ?? 0;
    // Also what is refused counts: the cut must not depend on what this topic happens to take.
    if (count === MAX_RECORDS || (count > 0 && characters + size > MAX_OUTPUT_CHARACTERS)) {
      appends.push(parts.map(toShare));
      parts = emptyParts(topic);
      [count, characters] = [0, 0];
    }
    count++;
    characters += size;
    try {
      if (size === 0) throw new SkerryError("bad_record", `Record ${index} is not a JSON value.`);
      const placed = place(value, index);
      if (size > MAX_OUTPUT_CHARACTERS) checkSize(encodeBatch({ k: [placed.key], t: [placed.time], v: [value] }), placed.home);
      add(parts, placed, value);
    } catch (thrown) {
      refused.push({ index, error: (thrown as Error).message });
    }
  }
  appends.push(parts.map(toShare));
  return { appends, refused };
}

function textOf(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch {
    return undefined; // a cycle or a BigInt
  }
}

/** A character takes up to three bytes, twice where it is in the key too: this stays below {@link MAX_BATCH_BYTES}. */
const MAX_OUTPUT_CHARACTERS = 200_000;

type Part = RecordBatch & { maxTime: number };

function emptyParts(topic: TopicMeta): Part[] {
  return Array.from({ length: topic.partitions }, () => ({ k: [], t: [], v: [], maxTime: 0 }));
}

function add(parts: Part[], { home, key, time }: Placed, value: unknown): void {
  const part = parts[home] as Part;
  part.k.push(key);
  part.t.push(time);
  part.v.push(value);
  if (time > part.maxTime) part.maxTime = time;
}

function toShare({ k, t, v, maxTime }: Part, home: number): SubBatch {
  let batch: string;
  try {
    batch = encodeBatch({ k, t, v });
  } catch (cause) {
    throw new SkerryError("bad_record", "A record is nested more deeply than can be stored.", { cause });
  }
  checkSize(batch, home);
  return { count: t.length, maxTime, batch };
}

function checkSize(batch: string, home: number): void {
  // UTF-16 length times three bounds the UTF-8 length; only a batch near the limit is measured exactly.
  if (batch.length * 3 > MAX_BATCH_BYTES && utf8.encode(batch).length > MAX_BATCH_BYTES) {
    throw new SkerryError("too_large", `The records for partition ${home} are larger than ${MAX_BATCH_BYTES} bytes; send smaller batches.`);
  }
}

const utf8 = new TextEncoder();
/** Broken bytes are refused: replaced, they would be other data than what was sent. */
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false });

function keyText(found: unknown, path: string, index: number): string {
  if (typeof found === "string") {
    if (!found.isWellFormed())
      throw new SkerryError("bad_record", `The key of record ${index} has half of a surrogate pair.`, { extra: { index } });
    // UTF-16 length times three bounds the UTF-8 length.
    if (found.length * 3 <= MAX_KEY_BYTES || utf8.encode(found).length <= MAX_KEY_BYTES) return found;
    throw new SkerryError("bad_record", `The key of record ${index} is longer than ${MAX_KEY_BYTES} bytes.`, { extra: { index } });
  }
  if (Number.isFinite(found) || typeof found === "boolean") return String(found);
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

function daysOf(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

/** RFC 3339 to Unix ms, by the proleptic Gregorian calendar (days-from-civil; core has no `Date`). NaN for a day or time that is not. */
export function parseRfc3339(text: string): number {
  const year = Number(text.slice(0, 4));
  const month = Number(text.slice(5, 7));
  const day = Number(text.slice(8, 10));
  const [hour, minute, second] = [Number(text.slice(11, 13)), Number(text.slice(14, 16)), Number(text.slice(17, 19))];
  const zone = /([Zz]|[+-]\d{2}:\d{2})$/.exec(text)?.[0] as string;
  if (month < 1 || month > 12 || day < 1 || day > daysOf(year, month) || hour > 23 || minute > 59 || second > 60) return Number.NaN;
  if (zone.length > 1 && (Number(zone.slice(1, 3)) > 23 || Number(zone.slice(4)) > 59)) return Number.NaN;
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

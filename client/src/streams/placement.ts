import { partitionOf } from "../../../core/streams/partition.ts";
import { SkerryError } from "../../../core/wire/errors.ts";
import type { TopicInfo } from "./topic.ts";

/** The longest key, in UTF-8 bytes. */
const MAX_KEY_BYTES = 256;
/** What the server adds to a record at most, besides its key: an event time, quotes and commas. */
const OVERHEAD = 24;

/** A record as it is sent. `bytes` is the most that it takes where it is stored; `partition` is null where any will do. */
export type Placed = { text: string; bytes: number; partition: number | null };

/**
 * A record as JSON, taken now: what happens to the object later does not matter. Throws `bad_record` for what JSON
 * cannot say.
 */
export function textOf(record: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(record);
  } catch (cause) {
    throw new SkerryError("bad_record", `The record is not JSON: ${(cause as Error).message}.`, { cause });
  }
  if (text === undefined) throw new SkerryError("bad_record", `The record is not JSON: it is ${typeof record}.`);
  return text;
}

/** Where a topic's records go, by the same rules as the server: a key's text by murmur2, as in Kafka. */
export class Placement {
  readonly partitions: number;
  readonly #path: string | null;
  readonly #steps: string[];

  constructor({ partitions, key }: Pick<TopicInfo, "partitions" | "key">) {
    this.partitions = partitions;
    this.#path = key;
    this.#steps = (key ?? "")
      .split("/")
      .slice(1)
      .map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
  }

  /** `record` may be absent where only its text is left. Throws `bad_record` where there is no key. */
  place(text: string, record?: unknown): Placed {
    if (this.#path === null) return { text, bytes: utf8Length(text) + OVERHEAD, partition: null };
    const key = this.#keyOf(record === undefined ? JSON.parse(text) : record, text);
    return { text, bytes: utf8Length(text) + utf8Length(JSON.stringify(key)) + OVERHEAD, partition: partitionOf(key, this.partitions) };
  }

  #keyOf(record: unknown, text: string): string {
    let found = record;
    for (const step of this.#steps) {
      if (isObject(found) && "toJSON" in found) return this.#keyOf(JSON.parse(text), text);
      found = isObject(found) && Object.hasOwn(found, step) ? (found as Record<string, unknown>)[step] : undefined;
    }
    // A Date, say, is a text once it is sent.
    if (isObject(found) && "toJSON" in found) return this.#keyOf(JSON.parse(text), text);
    if (typeof found === "number" ? Number.isFinite(found) : typeof found === "boolean") return String(found);
    if (typeof found !== "string")
      throw new SkerryError(
        "bad_record",
        `The record has no key: the topic reads it at "${this.#path}" and needs a string, number or boolean.`,
      );
    if (utf8Length(found) > MAX_KEY_BYTES) throw new SkerryError("bad_record", `The record's key is longer than ${MAX_KEY_BYTES} bytes.`);
    return found;
  }
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

/** UTF-8 bytes of a text, without encoding it. */
function utf8Length(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    // A surrogate is half of a pair of four bytes; a lone one is sent as three.
    bytes += unit < 0x800 || (unit >= 0xd800 && unit < 0xe000 && isPaired(text, i)) ? 1 : 2;
  }
  return bytes;
}

function isPaired(text: string, i: number): boolean {
  const [before, unit, after] = [text.charCodeAt(i - 1), text.charCodeAt(i), text.charCodeAt(i + 1)];
  return unit < 0xdc00 ? after >= 0xdc00 && after < 0xe000 : before >= 0xd800 && before < 0xdc00;
}

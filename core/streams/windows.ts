import { SkerryError } from "../wire/errors.ts";

/** A time window definition, in ms: `[start, start + size)`, one beginning every `advance`, aligned to the epoch. */
export type Windows = { size: number; advance: number; grace: number; retention: number };

export type Duration = number | `${number}${"ms" | "s" | "m" | "h" | "d"}`;

const UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** "90m" or a number of ms, to ms. Throws `bad_request`. */
export function duration(value: Duration): number {
  const ms = typeof value === "number" ? value : parse(value);
  if (!Number.isSafeInteger(ms) || ms < 0)
    throw new SkerryError("bad_request", `"${value}" is not a duration: use whole ms or a text such as "90m".`);
  return ms;
}

function parse(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text);
  return match === null ? Number.NaN : Number(match[1]) * UNITS[match[2] as keyof typeof UNITS];
}

type WindowOptions = { size: Duration; grace: Duration; retention?: Duration };

/** Windows that do not overlap. `grace` is explicit, as in Kafka Streams since 3.0; `retention` defaults to 7 days past the grace. */
export function tumbling(options: WindowOptions): Windows {
  return hopping({ ...options, advance: options.size });
}

/** Windows of `size` that begin every `advance`. */
export function hopping(options: WindowOptions & { advance: Duration }): Windows {
  const size = duration(options.size);
  const advance = duration(options.advance);
  const grace = duration(options.grace);
  const retention = options.retention === undefined ? size + grace + 7 * UNITS.d : duration(options.retention);
  if (size === 0) throw new SkerryError("bad_request", "A window needs a size above zero.");
  if (advance === 0 || advance > size) throw new SkerryError("bad_request", "A window's advance is above zero and at most its size.");
  if (retention < size + grace) throw new SkerryError("bad_request", "A window's retention is at least its size plus its grace.");
  return { size, advance, grace, retention };
}

/** One window that holds all of time and never closes (Kafka's UnlimitedWindows). */
export function unlimited(): Windows {
  return { size: Number.MAX_SAFE_INTEGER, advance: Number.MAX_SAFE_INTEGER, grace: 0, retention: Number.MAX_SAFE_INTEGER };
}

/** Start of the earliest window that holds `time`: `floor(max(0, time - size + advance) / advance) * advance` (Kafka's TimeWindows). */
export function firstStart(windows: Windows, time: number): number {
  return Math.floor(Math.max(0, time - windows.size + windows.advance) / windows.advance) * windows.advance;
}

/**
 * The one closing rule, for dropping, emitting and querying alike: a window is closed, and its result final, once
 * stream time has reached its end plus the grace.
 */
export function isClosed(windows: Windows, start: number, streamTime: number): boolean {
  return start + windows.size + windows.grace <= streamTime;
}

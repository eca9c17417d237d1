const DAY_MS = 86_400_000;
/** Above this a `Date` holds nothing; a table without windows keeps its rows in one that ends later. */
const MAX_TIME = 8.64e15;

/**
 * A window of a table in words, in UTC, from Unix milliseconds: "2001-01-01 14:00 – 15:00", with the day of its end where it spans one
 * or more, and "all time" where it never ends.
 */
export function spanOf({ start, end }: { start: number; end: number }): string {
  if (end > MAX_TIME) return "all time";
  return `${stamp(start)} – ${end - start < DAY_MS ? stamp(end).slice(11) : stamp(end)}`;
}

/** "2001-01-01 14:00". */
function stamp(time: number): string {
  return new Date(time).toISOString().slice(0, 16).replace("T", " ");
}

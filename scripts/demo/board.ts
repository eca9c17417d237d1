import type { DelayRow } from "./oracle.ts";

/** One line of the board: an airport in the latest hour. */
export type BoardLine = { airport: string; hour: number; count: number; mean: number };

/** What the room's board must show for a table: the ten most delayed airports, of three flights or more, in the latest hour. */
export function expectedBoard(rows: readonly DelayRow[]): BoardLine[] {
  const ranked = rows.filter(({ value }) => value.count >= 3);
  const hour = Math.max(...ranked.map(({ window }) => window.start));
  return ranked
    .filter(({ window }) => window.start === hour)
    .map(({ key, value }) => ({ airport: key, hour, count: value.count, mean: value.mean }))
    .sort((a, b) => b.mean - a.mean || (a.airport < b.airport ? -1 : 1))
    .slice(0, 10);
}

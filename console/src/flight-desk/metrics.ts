import { oneDigit, percent, whole } from "../ui/format.ts";
import type { Cell } from "./delays.ts";

/** What of a window is drawn. */
export type Metric = "mean" | "count" | "max" | "delayed";

type MetricInfo = { label: string; unit: string; of: (cell: Cell) => number | null; say: (value: number) => string };

export const METRICS: Record<Metric, MetricInfo> = {
  mean: { label: "Mean delay", unit: "min", of: (cell) => cell.mean, say: (value) => `${oneDigit(value)} min` },
  count: { label: "Flights", unit: "", of: (cell) => cell.count, say: whole },
  max: { label: "Longest", unit: "min", of: (cell) => cell.max, say: (value) => `${whole(value)} min` },
  delayed: { label: "Over 15 min", unit: "%", of: (cell) => 100 * cell.delayed, say: (value) => percent(value / 100) },
};

/** Airports shown at once: one colour each. */
export const MAX_CHOSEN = 6;
/** Before anyone chooses, the busiest are shown. */
export const DEFAULT_CHOSEN = 3;

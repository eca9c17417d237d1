import uPlot from "uplot";
import type { Usage } from "../platform/answers.ts";
import { compact, timeOfDay } from "../ui/format.ts";
import { colour } from "../ui/theme.ts";
import { MEASURES, type Measure } from "./measures.ts";

const HOUR = 3_600_000;

export type Bars = { data: uPlot.AlignedData; highest: { at: number; value: number } | null };

/** A bar an hour, its capabilities one on the other: the first series is the sum of all, the last the first capability alone. */
export function barsOf(usage: Usage, hours: number, capabilities: readonly string[], measure: Measure): Bars {
  const last = Math.floor(usage.to / HOUR) * HOUR;
  const starts = Array.from({ length: hours }, (_, at) => last - (hours - 1 - at) * HOUR);
  const values = new Map(usage.hours.map((hour) => [`${hour.start}/${hour.capability}`, MEASURES[measure].of(hour)]));
  const stack = starts.map(() => 0);
  const series = capabilities.map((capability) => starts.map((start, at) => (stack[at]! += values.get(`${start}/${capability}`) ?? 0)));
  const most = Math.max(...stack);
  const highest = most > 0 ? { at: starts[stack.indexOf(most)]!, value: most } : null;
  return { data: [starts.map((start) => start / 1000), ...series.reverse()], highest };
}

/** "14:00", with the day below it where a day begins and at the left; in the browser's own zone, as the hours are billed by. */
function stamp(seconds: number, at: number): string {
  const time = new Date(seconds * 1000);
  const isMidnight = time.getHours() === 0 && time.getMinutes() === 0;
  return at === 0 || isMidnight ? `${timeOfDay(+time)}\n${DAY.format(time)}` : timeOfDay(+time);
}

const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

/** How the bars of so many capabilities are drawn. */
export function usageOptions(capabilities: number, measure: Measure): Omit<uPlot.Options, "width" | "height"> {
  const font = "11px system-ui, sans-serif";
  const bars = uPlot.paths.bars!({ size: [0.8, 60], align: 1 });
  return {
    padding: [10, 24, 0, 0],
    legend: { show: false },
    cursor: { show: false },
    scales: {
      x: { time: true, range: (_chart, min, max) => [min, max + HOUR / 1000] },
      y: { range: (_chart, _min, max) => [0, Math.max(1, (max ?? 0) * 1.08)] },
    },
    axes: [
      {
        stroke: () => colour("--muted"),
        grid: { show: false },
        ticks: { stroke: () => colour("--line"), width: 1, size: 5 },
        font,
        size: 40,
        values: (_chart, splits) => splits.map(stamp),
      },
      {
        stroke: () => colour("--muted"),
        grid: { stroke: () => colour("--line"), width: 1 },
        ticks: { show: false },
        font,
        size: 64,
        values: (_chart, splits) => splits.map((value) => (measure === "bytes" ? MEASURES.bytes.say(value) : compact(value))),
      },
    ],
    series: [
      {},
      ...Array.from({ length: capabilities }, (_, at): uPlot.Series => {
        const fill = () => colour(`--s${capabilities - at}`);
        return { stroke: fill, fill, width: 0, paths: bars, points: { show: false } };
      }),
    ],
  };
}

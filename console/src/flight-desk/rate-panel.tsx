import { useComputed } from "@preact/signals";
import { useMemo } from "preact/hooks";
import type uPlot from "uplot";
import { Chart } from "../ui/chart.tsx";
import { compact, whole } from "../ui/format.ts";
import { Panel } from "../ui/panel.tsx";
import { colour } from "../ui/theme.ts";
import { type Counters, SPAN } from "./counters.ts";

/** A line of few seconds is not drawn out further than this. */
const MIN_SPAN = 30;
/** Seconds before now that are marked. */
const AGO = [0, 15, 30, 60, 90, 120];

/** Records a second: the number, and the line of the last two minutes. */
export function RatePanel({ counters }: { counters: Counters }) {
  const data = useComputed<uPlot.AlignedData>(() => {
    const samples = counters.samples.value;
    return [samples.map(({ at }) => at / 1000), samples.map((each) => each.appendRate), samples.map((each) => each.applyRate)];
  });
  const options = useMemo(rateOptions, []);
  const rate = counters.rate.value;
  const said = rate === null ? "not known yet" : `${whole(rate)} records a second`;
  return (
    <Panel title="Records per second" class="rate">
      <p class="big" data-testid="rate">
        {rate === null ? "–" : whole(rate)}
        <span class="legend">
          <span class="key key-appended">appended</span>
          <span class="key key-applied">applied</span>
        </span>
      </p>
      <div class="rate-chart" role="img" aria-label={`Records per second over the last two minutes; now ${said}.`}>
        <Chart options={options} data={data.value} />
      </div>
    </Panel>
  );
}

function rateOptions(): Omit<uPlot.Options, "width" | "height"> {
  return {
    padding: [8, 16, 0, 0],
    legend: { show: false },
    cursor: { show: false },
    scales: {
      x: { range: (_chart, min, max) => [Math.max(max - SPAN, Math.min(min, max - MIN_SPAN)), max] },
      y: { range: (_chart, _min, max) => [0, niceCeiling(max)] },
    },
    axes: [
      {
        stroke: () => colour("--muted"),
        grid: { show: false },
        ticks: { show: false },
        size: 26,
        gap: 8,
        font: "11px system-ui, sans-serif",
        splits: (_chart, _axis, min, max) => AGO.map((seconds) => max - seconds).filter((at) => at >= min),
        values: (_chart, splits) => splits.map((at) => (at === splits[0] ? "now" : `−${Math.round(splits[0]! - at)} s`)),
      },
      {
        stroke: () => colour("--muted"),
        grid: { stroke: () => colour("--line"), width: 1 },
        ticks: { show: false },
        size: 44,
        font: "11px system-ui, sans-serif",
        space: 36,
        values: (_chart, splits) => splits.map(compact),
      },
    ],
    series: [
      {},
      { stroke: () => colour("--accent"), fill: () => colour("--accent-fill"), width: 2, points: { show: false } },
      { stroke: () => colour("--s2"), width: 1.5, points: { show: false } },
    ],
  };
}

/** The next of 10, 20, 30, 50, 100… at or above, so that the scale stands still while the line moves. */
function niceCeiling(value: number | null): number {
  if (value === null || !(value > 10)) return 10;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 3, 5, 10].map((step) => step * power).find((step) => step >= value)!;
}

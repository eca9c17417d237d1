import { type Signal, useComputed, useSignal } from "@preact/signals";
import { useId, useMemo, useRef } from "preact/hooks";
import type uPlot from "uplot";
import { Chart } from "../ui/chart.tsx";
import { Choice } from "../ui/choice.tsx";
import { clock, day, dayClock, plural } from "../ui/format.ts";
import { Cross } from "../ui/icons.tsx";
import { Panel } from "../ui/panel.tsx";
import { colour } from "../ui/theme.ts";
import { type DelayTable, HOUR } from "./delays.ts";
import { MAX_CHOSEN, METRICS, type Metric } from "./metrics.ts";

type DelayChartProps = { table: DelayTable; chosen: Signal<readonly string[]>; onChoose: (airports: readonly string[]) => void };

const METRIC_OPTIONS = (Object.keys(METRICS) as Metric[]).map((value) => ({ value, label: METRICS[value].label }));

/** Airports' windows hour by hour. Final windows are joined by a full line, open ones by a dashed line on shaded ground. */
export function DelayChart({ table, chosen, onChoose }: DelayChartProps) {
  const metric = useSignal<Metric>("mean");
  const cursor = useSignal<number | null>(null);
  const chart = useRef<uPlot | null>(null);
  const hours = useComputed(() => hoursOf(table));
  const data = useComputed(() => dataOf(table, chosen.value, metric.value, hours.value));
  const names = chosen.value.join(" ");
  const options = useMemo(() => optionsOf(table, chosen.value, metric.value, cursor), [table, names, metric.value]);

  const { unit, label } = METRICS[metric.value];
  const shown = Math.min(cursor.value ?? hours.value.length - 1, hours.value.length - 1);
  const hour = hours.value[shown];
  const move = (event: KeyboardEvent) => {
    const last = hours.value.length - 1;
    const next = { ArrowLeft: shown - 1, ArrowRight: shown + 1, Home: 0, End: last, PageUp: shown - 24, PageDown: shown + 24 }[event.key];
    if (next === undefined || chart.current === null) return;
    event.preventDefault();
    cursor.value = Math.max(0, Math.min(last, next));
    const left = chart.current.valToPos(hours.value[cursor.value]! / 1000, "x");
    chart.current.setCursor({ left, top: 10 });
  };

  return (
    <Panel
      title="Delay by hour"
      class="delays"
      problem={table.problem.value}
      aside={<Choice label="What is drawn" options={METRIC_OPTIONS} value={metric.value} onChange={(value) => (metric.value = value)} />}
    >
      <Readout table={table} chosen={chosen.value} metric={metric.value} hour={hour} onChoose={onChoose} />
      <div
        class="chart-focus"
        role="slider"
        tabIndex={0}
        aria-label={`${label}${unit && `, in ${unit},`} of ${names} by hour: the hour read out`}
        aria-valuemin={0}
        aria-valuemax={Math.max(0, hours.value.length - 1)}
        aria-valuenow={Math.max(0, shown)}
        aria-valuetext={hour === undefined ? "no data" : sentence(table, chosen.value, metric.value, hour)}
        onKeyDown={move}
        data-testid="delay-chart"
      >
        <Chart options={options} data={data.value} height={272} onChart={(made) => (chart.current = made)} />
      </div>
      <p class="legend legend-lines">
        <span class="line line-final">final</span>
        <span class="line line-open">open: records may still change it</span>
      </p>
    </Panel>
  );
}

type ReadoutProps = {
  table: DelayTable;
  chosen: readonly string[];
  metric: Metric;
  hour: number | undefined;
  onChoose: (airports: readonly string[]) => void;
};

/** The chosen airports with their values in one hour: the legend, and what changes the choice. */
function Readout({ table, chosen, metric, hour, onChoose }: ReadoutProps) {
  const id = useId();
  const input = useRef<HTMLInputElement>(null);
  const others = table.busiest.value.filter(({ airport }) => !chosen.includes(airport));
  const add = (event: Event) => {
    const field = event.currentTarget as HTMLInputElement;
    const airport = field.value.trim().toUpperCase();
    if (!others.some((other) => other.airport === airport)) return;
    field.value = "";
    onChoose([...chosen, airport]);
  };
  return (
    <div class="readout">
      <span class="readout-hour">{hour === undefined ? "" : `${day(hour)}, ${clock(hour)}–${clock(hour + HOUR)}`}</span>
      <ul>
        {chosen.map((airport, index) => {
          const cell = hour === undefined ? undefined : table.cell(airport, hour);
          const value = cell === undefined ? null : METRICS[metric].of(cell);
          return (
            <li key={airport} class="chip">
              <span class={`swatch s${index + 1}`} aria-hidden="true" />
              <b>{airport}</b>
              <span class="chip-value">{value === null ? "–" : METRICS[metric].say(value)}</span>
              {cell !== undefined && (
                <span class="muted">{table.isFinal(cell) ? plural(cell.count, "flight") : `${plural(cell.count, "flight")}, open`}</span>
              )}
              <button
                type="button"
                class="chip-remove"
                aria-label={`Remove ${airport}`}
                disabled={chosen.length === 1}
                onClick={() => onChoose(chosen.filter((other) => other !== airport))}
              >
                <Cross />
              </button>
            </li>
          );
        })}
        {chosen.length < MAX_CHOSEN && others.length > 0 && (
          <li>
            <label class="visually-hidden" for={id}>
              Add an airport
            </label>
            <input
              ref={input}
              id={id}
              class="add"
              list={`${id}-list`}
              placeholder="+ airport"
              autocomplete="off"
              maxLength={8}
              onInput={add}
            />
            <datalist id={`${id}-list`}>
              {others.map(({ airport, flights }) => (
                <option key={airport} value={airport}>
                  {plural(flights, "flight")}
                </option>
              ))}
            </datalist>
          </li>
        )}
      </ul>
    </div>
  );
}

function hoursOf(table: DelayTable): number[] {
  const { first, last } = table.overview.value;
  if (last < 0) return [];
  return Array.from({ length: (last - first) / HOUR + 1 }, (_, index) => first + index * HOUR);
}

/** Two lines an airport: the final windows, and the open ones from the last final one on, so that they join. */
function dataOf(table: DelayTable, chosen: readonly string[], metric: Metric, hours: readonly number[]): uPlot.AlignedData {
  const lines: (number | null)[][] = [];
  for (const airport of chosen) {
    const final: (number | null)[] = [];
    const open: (number | null)[] = [];
    for (const hour of hours) {
      const cell = table.cell(airport, hour);
      const value = cell === undefined ? null : METRICS[metric].of(cell);
      const isFinal = cell !== undefined && table.isFinal(cell);
      final.push(isFinal ? value : null);
      open.push(isFinal ? null : value);
    }
    const lastFinal = final.findLastIndex((value) => value !== null);
    if (lastFinal >= 0 && open[lastFinal + 1] != null) open[lastFinal] = final[lastFinal]!;
    lines.push(final, open);
  }
  return [hours.map((hour) => hour / 1000), ...lines];
}

function sentence(table: DelayTable, chosen: readonly string[], metric: Metric, hour: number): string {
  const values = chosen.map((airport) => {
    const cell = table.cell(airport, hour);
    const value = cell === undefined ? null : METRICS[metric].of(cell);
    if (cell === undefined || value === null) return `${airport}: no flights`;
    return `${airport}: ${METRICS[metric].say(value)} over ${plural(cell.count, "flight")}, ${table.isFinal(cell) ? "final" : "open"}`;
  });
  return `${dayClock(hour)}. ${values.join(". ")}.`;
}

function optionsOf(
  table: DelayTable,
  chosen: readonly string[],
  metric: Metric,
  cursor: Signal<number | null>,
): Omit<uPlot.Options, "width" | "height"> {
  const font = "11px system-ui, sans-serif";
  const lines = chosen.flatMap((_, index): uPlot.Series[] => {
    const stroke = () => colour(`--s${index + 1}`);
    return [
      { stroke, width: 2, points: { show: true, size: 4, stroke, fill: stroke, filter: alone } },
      { stroke, width: 2, dash: [4, 4], points: { show: true, size: 5, stroke, fill: () => colour("--panel") } },
    ];
  });
  return {
    padding: [10, 10, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { size: 7 }, drag: { x: false, y: false } },
    scales: {
      x: { time: true },
      y: { range: (_chart, min, max) => (max === null || min === null ? [0, 1] : [Math.min(0, min * 1.1), Math.max(max * 1.08, 1)]) },
    },
    tzDate: (seconds) => wallClock(seconds),
    axes: [
      {
        stroke: () => colour("--muted"),
        grid: { show: false },
        ticks: { stroke: () => colour("--line"), width: 1, size: 5 },
        font,
        size: 40,
        space: 64,
        values: (_chart, splits) => splits.map((at, index) => tick(at * 1000, index === 0 ? null : splits[index - 1]! * 1000)),
      },
      {
        stroke: () => colour("--muted"),
        grid: { stroke: () => colour("--line"), width: 1 },
        ticks: { show: false },
        font,
        size: 48,
        values: (_chart, splits) => splits.map((value) => `${value}${METRICS[metric].unit && ` ${METRICS[metric].unit}`}`),
      },
    ],
    series: [{}, ...lines],
    hooks: {
      setCursor: [(chart) => (cursor.value = chart.cursor.idx ?? null)],
      drawClear: [(chart) => shadeOpen(chart, table, chosen)],
    },
  };
}

/** The values without neighbours: no line reaches them. */
function alone(chart: uPlot, series: number): number[] {
  const values = chart.data[series]!;
  return [...values.keys()].filter((at) => values[at] != null && values[at - 1] == null && values[at + 1] == null);
}

/** uPlot takes the local parts of a date; event times are a wall clock kept as UTC. */
function wallClock(seconds: number): Date {
  const at = new Date(seconds * 1000);
  return new Date(at.getUTCFullYear(), at.getUTCMonth(), at.getUTCDate(), at.getUTCHours(), at.getUTCMinutes(), at.getUTCSeconds());
}

function tick(at: number, before: number | null): string {
  return before === null || day(before) !== day(at) ? `${clock(at)}\n${day(at)}` : clock(at);
}

/** Shades the hours in which some chosen airport's window is still open. */
function shadeOpen(chart: uPlot, table: DelayTable, chosen: readonly string[]): void {
  const open = chosen.flatMap((airport) =>
    [...(table.airports.get(airport)?.values() ?? [])].filter((cell) => !table.isFinal(cell)).map((cell) => cell.start),
  );
  if (open.length === 0) return;
  const { ctx, bbox } = chart;
  const left = Math.max(bbox.left, chart.valToPos((Math.min(...open) - HOUR / 2) / 1000, "x", true));
  ctx.save();
  ctx.fillStyle = colour("--open");
  ctx.fillRect(left, bbox.top, bbox.left + bbox.width - left, bbox.height);
  ctx.restore();
}

import type { Signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { clock, day, dayClock, oneDigit, plural, whole } from "../ui/format.ts";
import { Panel } from "../ui/panel.tsx";
import { colour, theme } from "../ui/theme.ts";
import { type Cell, type DelayTable, HOUR } from "./delays.ts";
import { heat, heatGradient } from "./heat.ts";
import { MAX_CHOSEN } from "./metrics.ts";

type HeatmapProps = { table: DelayTable; chosen: Signal<readonly string[]>; onChoose: (airports: readonly string[]) => void };

/** Airports shown, and the hours that a row has room for. */
const ROWS = 12;
const HOURS = 72;
const ROW_HEIGHT = 24;
const AXIS = 22;

type Pointed = { airport: string; cell: Cell; x: number; y: number };

/** The mean delay of the busiest airports, hour by hour, in colours. Open windows are hatched. */
export function Heatmap({ table, chosen, onChoose }: HeatmapProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [pointed, setPointed] = useState<Pointed | null>(null);
  const [width, setWidth] = useState(0);
  const airports = table.busiest.value.slice(0, ROWS);
  const { first, last } = table.overview.value;
  const from = Math.max(first, last - (HOURS - 1) * HOUR);
  const columns = last < 0 ? 0 : (last - from) / HOUR + 1;
  const shade = theme.value;
  const version = table.version.value;

  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => setWidth(entry!.contentRect.width));
    observer.observe(canvas.current!.parentElement!);
    return () => observer.disconnect();
  }, []);

  // Drawn from the table as it stands at `version`.
  useEffect(() => {
    if (columns > 0 && width > 0) draw(canvas.current!, table, airports, from, columns, width, shade);
  }, [version, width, shade, columns]);

  const point = (event: PointerEvent) => {
    const box = canvas.current!.getBoundingClientRect();
    const row = Math.floor((event.clientY - box.top) / ROW_HEIGHT);
    const column = Math.floor(((event.clientX - box.left) / box.width) * columns);
    const airport = airports[row]?.airport;
    const cell = airport === undefined ? undefined : table.cell(airport, from + column * HOUR);
    if (airport === undefined || cell === undefined) return setPointed(null);
    setPointed({ airport, cell, x: ((column + 0.5) / columns) * box.width, y: row * ROW_HEIGHT });
  };
  const toggle = (airport: string) => {
    if (!chosen.value.includes(airport)) onChoose([...chosen.value, airport].slice(-MAX_CHOSEN));
    else if (chosen.value.length > 1) onChoose(chosen.value.filter((other) => other !== airport));
  };

  return (
    <Panel title="Mean delay of the busiest airports" class="heat" aside={<Scale />}>
      <div class="heat-body">
        <ul class="heat-names">
          {airports.map(({ airport, flights }) => (
            <li key={airport} style={{ height: `${ROW_HEIGHT}px` }}>
              <button
                type="button"
                aria-pressed={chosen.value.includes(airport)}
                aria-label={`${airport}, ${plural(flights, "flight")}: draw in the chart`}
                onClick={() => toggle(airport)}
              >
                {airport}
              </button>
            </li>
          ))}
        </ul>
        <div class="heat-plot" onPointerMove={point} onPointerDown={point} onPointerLeave={() => setPointed(null)}>
          <canvas
            ref={canvas}
            role="img"
            aria-label={`Mean delay by hour of ${airports.map(({ airport }) => airport).join(", ")}${columns > 0 ? `, from ${dayClock(from)} to ${dayClock(last + HOUR)}` : ""}.`}
          />
          {pointed !== null && <Tip pointed={pointed} final={table.isFinal(pointed.cell)} flip={pointed.x > width / 2} />}
        </div>
      </div>
    </Panel>
  );
}

function Scale() {
  return (
    <p class="scale">
      <span>−10</span>
      <span class="scale-bar" style={{ background: heatGradient(theme.value) }} />
      <span>60 min</span>
      <span class="scale-open">open</span>
    </p>
  );
}

function Tip({ pointed: { airport, cell, x, y }, final, flip }: { pointed: Pointed; final: boolean; flip: boolean }) {
  return (
    <div class="tip" style={{ top: `${y + ROW_HEIGHT + 4}px`, ...(flip ? { right: `calc(100% - ${x}px)` } : { left: `${x}px` }) }}>
      <b>
        {airport} {day(cell.start)}, {clock(cell.start)}–{clock(cell.end)}
      </b>
      <span>
        {cell.mean === null ? "no mean" : `mean ${oneDigit(cell.mean)} min`}
        {cell.max !== null && `, longest ${whole(cell.max)} min`}
      </span>
      <span class="muted">
        {plural(cell.count, "flight")}, {final ? "final" : "open"}
      </span>
    </div>
  );
}

function draw(
  canvas: HTMLCanvasElement,
  table: DelayTable,
  airports: readonly { airport: string }[],
  from: number,
  columns: number,
  width: number,
  shade: "dark" | "light",
): void {
  const height = airports.length * ROW_HEIGHT + AXIS;
  const scale = devicePixelRatio || 1;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const ctx = canvas.getContext("2d")!;
  ctx.scale(scale, scale);
  const cellWidth = width / columns;
  const gap = cellWidth > 6 ? 1.5 : 0.5;
  const panel = colour("--panel");
  const empty = colour("--inset");
  airports.forEach(({ airport }, row) => {
    for (let column = 0; column < columns; column++) {
      const cell = table.cell(airport, from + column * HOUR);
      const [x, y, w, h] = [column * cellWidth, row * ROW_HEIGHT + 1, cellWidth - gap, ROW_HEIGHT - 2];
      ctx.fillStyle = cell?.mean == null ? empty : heat(cell.mean, shade);
      ctx.fillRect(x, y, w, h);
      if (cell !== undefined && !table.isFinal(cell)) hatch(ctx, x, y, w, h, panel);
    }
  });
  drawAxis(ctx, from, columns, cellWidth, airports.length * ROW_HEIGHT);
}

/** Marks a window that may still change: diagonals of the background's colour. */
function hatch(ctx: CanvasRenderingContext2D, x: number, y: number, w: number, h: number, stroke: string): void {
  ctx.save();
  ctx.beginPath();
  ctx.rect(x, y, w, h);
  ctx.clip();
  ctx.strokeStyle = stroke;
  ctx.lineWidth = 1.6;
  ctx.beginPath();
  for (let at = x - h; at < x + w; at += 5) {
    ctx.moveTo(at, y + h);
    ctx.lineTo(at + h, y);
  }
  ctx.stroke();
  ctx.restore();
}

/** A mark every six hours where there is room, and the day at each midnight. */
function drawAxis(ctx: CanvasRenderingContext2D, from: number, columns: number, cellWidth: number, top: number): void {
  ctx.fillStyle = colour("--muted");
  ctx.font = "11px system-ui, sans-serif";
  ctx.textBaseline = "middle";
  const every = [3, 6, 12, 24].find((hours) => hours * cellWidth > 52) ?? 24;
  let free = 0;
  for (let column = 0; column < columns; column++) {
    const at = from + column * HOUR;
    const hour = new Date(at).getUTCHours();
    if (hour % every !== 0) continue;
    const text = hour === 0 ? day(at) : clock(at);
    const x = column * cellWidth;
    if (x < free || x + ctx.measureText(text).width > columns * cellWidth) continue;
    ctx.fillText(text, x, top + AXIS / 2 + 2);
    free = x + ctx.measureText(text).width + 10;
  }
}

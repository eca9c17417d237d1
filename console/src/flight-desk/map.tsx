import type { Signal } from "@preact/signals";
import { useEffect, useId, useState } from "preact/hooks";
import { clock, day, dayClock, oneDigit, plural } from "../ui/format.ts";
import { Panel } from "../ui/panel.tsx";
import { theme } from "../ui/theme.ts";
import { type Cell, type DelayTable, HOUR } from "./delays.ts";
import { heat } from "./heat.ts";
import { loadMap, mapProblem, type UsMap, usMap } from "./map-data.ts";
import { MAX_CHOSEN } from "./metrics.ts";

type MapProps = { table: DelayTable; chosen: Signal<readonly string[]>; onChoose: (airports: readonly string[]) => void };
type Spot = { airport: string; city: string; x: number; y: number; cell: Cell | undefined };

/** Flights below which a mean says little; such airports are not named as the worst. */
const ENOUGH = 3;

/** Airports where they are, in one hour: as large as they have flights, in the colour of their mean delay. */
export function AirportMap({ table, chosen, onChoose }: MapProps) {
  const id = useId();
  /** Null: the last hour that the data's clock has left behind; of the one it is in, few flights have arrived. */
  const [held, setHeld] = useState<number | null>(null);
  const [pointed, setPointed] = useState<Spot | null>(null);
  useEffect(() => {
    const left = new AbortController();
    void loadMap(left.signal);
    return () => left.abort();
  }, []);
  const map = usMap.value;
  const { first, last, streamTime } = table.overview.value;
  const now = Math.min(last, Math.floor(Math.max(streamTime, first) / HOUR) * HOUR);
  const latest = Math.max(first, now - HOUR);
  const hour = held === null ? latest : Math.min(Math.max(held, first), last);

  const spots = map === null ? [] : spotsOf(map, table, hour);
  const toggle = (airport: string) => {
    if (!chosen.value.includes(airport)) onChoose([...chosen.value, airport].slice(-MAX_CHOSEN));
    else if (chosen.value.length > 1) onChoose(chosen.value.filter((other) => other !== airport));
  };
  return (
    <Panel
      title="Airports"
      class="map"
      problem={mapProblem.value}
      aside={
        <span class="panel-note">{`${day(hour)}, ${clock(hour)}–${clock(hour + HOUR)}${held === null ? ", the last full hour" : ""}`}</span>
      }
    >
      <div class="map-body">
        {map === null ? (
          mapProblem.value === null && <p class="empty-note">Loading the map …</p>
        ) : (
          <div role="img" aria-label={inWords(spots, hour)} data-testid="map">
            <svg viewBox={`0 0 ${map.width} ${map.height}`} aria-hidden="true" focusable="false" onPointerLeave={() => setPointed(null)}>
              <path class="land" d={map.land} />
              {spots.map((spot) => (
                // biome-ignore lint/a11y/noStaticElementInteractions: a pointer's way; the names of the heat map are the keyboard's.
                <circle
                  key={spot.airport}
                  class={`spot${spot.cell === undefined ? " spot-none" : ""}${chosen.value.includes(spot.airport) ? " spot-chosen" : ""}`}
                  cx={spot.x}
                  cy={spot.y}
                  r={radiusOf(spot.cell)}
                  fill={spot.cell?.mean == null ? undefined : heat(spot.cell.mean, theme.value)}
                  onPointerEnter={() => setPointed(spot)}
                  onPointerDown={() => setPointed(spot)}
                  onClick={() => spot.cell !== undefined && toggle(spot.airport)}
                />
              ))}
            </svg>
            {pointed !== null && <Tip spot={spots.find(({ airport }) => airport === pointed.airport) ?? pointed} map={map} table={table} />}
          </div>
        )}
      </div>
      <div class="map-time">
        <label for={id}>Hour</label>
        <input
          id={id}
          type="range"
          min={first}
          max={now}
          step={HOUR}
          value={Math.min(hour, now)}
          aria-valuetext={dayClock(hour)}
          onInput={(event) => {
            const chosenHour = Number(event.currentTarget.value);
            setHeld(chosenHour === latest ? null : chosenHour);
          }}
        />
        <button type="button" class="button button-small" disabled={held === null} onClick={() => setHeld(null)}>
          Latest
        </button>
      </div>
    </Panel>
  );
}

function Tip({ spot: { airport, city, x, y, cell }, map, table }: { spot: Spot; map: UsMap; table: DelayTable }) {
  const flip = x > map.width / 2;
  const across = `${(100 * (flip ? map.width - x : x)) / map.width}%`;
  return (
    <div class="tip" style={{ top: `${(100 * y) / map.height}%`, ...(flip ? { right: across } : { left: across }) }}>
      <b>
        {airport} <span class="muted">{city}</span>
      </b>
      {cell === undefined ? (
        <span>no flights in this hour</span>
      ) : (
        <>
          <span>{cell.mean === null ? "no mean" : `mean ${oneDigit(cell.mean)} min`}</span>
          <span class="muted">
            {plural(cell.count, "flight")}, {table.isFinal(cell) ? "final" : "open"}
          </span>
        </>
      )}
    </div>
  );
}

/** The largest first, so that small ones stay in reach. */
function spotsOf(map: UsMap, table: DelayTable, hour: number): Spot[] {
  const spots = Object.entries(map.airports).map(
    ([airport, [city, x, y]]): Spot => ({ airport, city, x, y, cell: table.cell(airport, hour) }),
  );
  return spots.sort((a, b) => (b.cell?.count ?? 0) - (a.cell?.count ?? 0) || (a.airport < b.airport ? -1 : 1));
}

/** As an area grows, not as a line. */
function radiusOf(cell: Cell | undefined): number {
  return cell === undefined ? 4 : 6 + 5 * Math.sqrt(cell.count);
}

function inWords(spots: readonly Spot[], hour: number): string {
  const open = spots.filter(({ cell }) => cell !== undefined);
  const flights = open.reduce((sum, { cell }) => sum + cell!.count, 0);
  const worst = open.filter(({ cell }) => cell!.count >= ENOUGH && cell!.mean !== null).sort((a, b) => b.cell!.mean! - a.cell!.mean!);
  const named = worst.slice(0, 3).map(({ airport, cell }) => `${airport} ${oneDigit(cell!.mean!)} min`);
  return `Map of the United States, ${dayClock(hour)}: ${plural(flights, "flight")} from ${plural(open.length, "airport")}${named.length > 0 ? `; the most delayed ${named.join(", ")}` : ""}.`;
}

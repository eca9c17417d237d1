import { count, fold, max, mean, share } from "../core/streams/aggregators.ts";
import { type RowOf, type Topology, topology } from "../core/streams/topology.ts";
import { tumbling, unlimited } from "../core/streams/windows.ts";
import { FLIGHT_FEATURES, writeFeatures } from "./flight-features.ts";
import { DESK_GROUP, isUnusual, parseThresholds, THRESHOLDS_KEY } from "./flight-thresholds.ts";

/** A record of the topic `flights`: event time in Unix ms, delay in minutes, distance in miles. */
export type Flight = { id: string; date: number; delay: number; distance: number; origin: string; destination: string };

type Delays = { count: number; mean: number | null; max: number | null; delayed: number };
type DelayChange = { airport: string; hour: number; count: number; mean: number };
type Board = { hour: number; airports: Record<string, { count: number; mean: number }> };

/** An airport with fewer flights in the hour has no mean worth ranking. */
const MIN_FLIGHTS = 3;
const BOARD_SIZE = 10;

/** Delays by airport and hour, and a score for every flight: those beyond the desk's thresholds are unusual. */
export const flightDesk: Topology = topology("flight-desk", { version: 1, partitions: 4, closeOnIdle: "20s" }, (t) => {
  const thresholds = t.setting(DESK_GROUP, THRESHOLDS_KEY, parseThresholds);
  const flights = t.stream<Flight>("flights", { key: "/origin", timestamp: "/date" });

  flights
    .groupByKey()
    .windowedBy(tumbling({ size: "1h", grace: "2h" }))
    .aggregate("delays", {
      count: count(),
      mean: mean("delay"),
      max: max("delay"),
      delayed: share((flight: Flight) => flight.delay > 15),
    })
    .toStream({ every: "1s" })
    .filter((row) => row.value.mean !== null && row.value.count >= MIN_FLIGHTS)
    .mapValues(
      (row: RowOf<Delays>): DelayChange => ({
        airport: row.key,
        hour: row.window.start,
        count: row.value.count,
        mean: row.value.mean as number,
      }),
    )
    .to("delays-changes", { partitions: 1, timestamp: "/hour" });

  flights
    .score("flight-forest", {
      width: FLIGHT_FEATURES.length,
      features: writeFeatures,
      apply: (flight, score) => ({ ...flight, score }),
    })
    .filter((flight, context) => isUnusual(flight, thresholds(context)))
    .to("unusual", { partitions: 1, key: "/origin", timestamp: "/date" });
});

/** The ten most delayed airports of the latest hour, as a map of the room `flight-desk`. */
export const flightBoard: Topology = topology("flight-board", { version: 1, partitions: 1 }, (t) => {
  t.stream<DelayChange>("delays-changes", { timestamp: "/hour" })
    .groupBy(() => "board")
    .windowedBy(unlimited())
    .aggregate("board", {
      board: fold<DelayChange, Board>(
        () => ({ hour: 0, airports: {} }),
        (board, change) => {
          if (change.hour < board.hour) return board;
          const airports = change.hour > board.hour ? {} : board.airports;
          airports[change.airport] = { count: change.count, mean: change.mean };
          return { hour: change.hour, airports };
        },
      ),
    })
    .toStream({ every: "1s" })
    .toRoom("flight-desk", "board", (rows) => {
      const { hour, airports } = rows.at(-1)!.value.board;
      const ranked = Object.entries(airports)
        .sort(([a, x], [b, y]) => y.mean - x.mean || (a < b ? -1 : 1))
        .slice(0, BOARD_SIZE);
      const set: Record<string, unknown> = {};
      ranked.forEach(([airport, delays], index) => {
        set[rank(index)] = { airport, hour, ...delays };
      });
      return { set, delete: Array.from({ length: BOARD_SIZE - ranked.length }, (_, index) => rank(ranked.length + index)) };
    });
});

function rank(index: number): string {
  return String(index + 1).padStart(2, "0");
}

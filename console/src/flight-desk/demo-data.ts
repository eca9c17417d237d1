/** A flight as it is sent to the topic `flights`: Unix milliseconds, minutes, miles. */
export type Flight = { date: number; delay: number; distance: number; origin: string; destination: string; id: string };

/** The flights of the demo: `count` arrivals, some of them twice, in the order in which they are sent. */
export type DemoFlights = { dataset: string; count: number; arrivals: (from: number, to: number) => Flight[] };

type Header = { format: number; dataset: string; start: number; flights: number; arrivals: number; routes: [string, string, number][] };

const MINUTE = 60_000;

/**
 * Reads what the build has packed (scripts/lib/demo-asset.ts). Little-endian: the length of a JSON header and the header;
 * then columns of the flights in event order: the route as an index (uint16), minutes late (int16), minutes since the
 * flight before (uint16); then the arrivals, each the index of its flight (uint16). An id is the day and the flight's
 * rank in it, as in the original.
 */
export function unpackFlights(packed: ArrayBuffer): DemoFlights {
  const view = new DataView(packed);
  const length = view.getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(packed, 4, length))) as Header;
  if (header.format !== 1) throw new RangeError("The flights of the demo are of another version than this page. Reload the page.");
  const { flights, arrivals, routes } = header;
  const begin = 4 + length;
  const column = (index: number) => (at: number) => begin + 2 * (index * flights + at);
  const [route, delay, gap] = [column(0), column(1), column(2)];
  const dates = new Float64Array(flights);
  const ranks = new Uint32Array(flights);
  let date = header.start;
  for (let at = 0; at < flights; at++) {
    const before = date;
    date += view.getUint16(gap(at), true) * MINUTE;
    dates[at] = date;
    ranks[at] = at === 0 || dayOf(before) !== dayOf(date) ? 1 : ranks[at - 1]! + 1;
  }
  const flight = (at: number): Flight => {
    const [origin, destination, distance] = routes[view.getUint16(route(at), true)]!;
    const id = `${dayOf(dates[at]!)}-${String(ranks[at]!).padStart(5, "0")}`;
    return { date: dates[at]!, delay: view.getInt16(delay(at), true), distance, origin, destination, id };
  };
  return {
    dataset: header.dataset,
    count: arrivals,
    arrivals: (from, to) =>
      Array.from({ length: Math.max(0, Math.min(to, arrivals) - from) }, (_, index) =>
        flight(view.getUint16(begin + 2 * (3 * flights + from + index), true)),
      ),
  };
}

/** "20010131". */
function dayOf(date: number): string {
  return new Date(date).toISOString().slice(0, 10).replaceAll("-", "");
}

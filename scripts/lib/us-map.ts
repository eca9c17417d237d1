import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./paths.ts";

/** The states as one SVG path, and airports by code: a city, and where they stand. All in the coordinates of a box of `width` by `height`. */
export type UsMap = { width: number; height: number; land: string; airports: Record<string, [city: string, x: number, y: number]> };

type Point = [x: number, y: number];
type Geometry = { id: number } & ({ type: "Polygon"; arcs: number[][] } | { type: "MultiPolygon"; arcs: number[][][] });
/** The parts of TopoJSON that are used: quantized arcs, and polygons as indexes of them (~i: backwards). */
type Topology = { transform: { scale: Point; translate: Point }; arcs: Point[][]; objects: { states: { geometries: Geometry[] } } };

/**
 * Albers' equal-area conic projection with two standard parallels (Snyder, "Map Projections: A Working Manual", 14-1 to
 * 14-6, for a sphere). Degrees; `centre` comes to stand at `at`, a radian is `scale` long.
 */
type Conic = { parallels: [number, number]; centre: Point; at: Point; scale: number };

const WIDTH = 1950;
const HEIGHT = 1220;
const SCALE = 2600;
const MAINLAND: Conic = { parallels: [29.5, 45.5], centre: [-96.6, 38.7], at: [WIDTH / 2, HEIGHT / 2], scale: SCALE };
/** Those that are far away stand below the others, Alaska smaller than it is. */
const ALASKA: Conic = { parallels: [55, 65], centre: [-152, 62], at: [290, 1030], scale: 0.34 * SCALE };
const HAWAII: Conic = { parallels: [8, 18], centre: [-157.5, 20.6], at: [640, 1130], scale: SCALE };
const CARIBBEAN: Conic = { parallels: [8, 18], centre: [-66, 18.2], at: [1800, 1140], scale: SCALE };
/** By FIPS code and by postal code; all others are the mainland. */
const APART: Record<string, Conic> = {
  2: ALASKA,
  AK: ALASKA,
  15: HAWAII,
  HI: HAWAII,
  72: CARIBBEAN,
  PR: CARIBBEAN,
  78: CARIBBEAN,
  VI: CARIBBEAN,
};

/** How far a simplified line may be from the original, and the least extent of an island that is drawn. */
const TOLERANCE = 1.6;
const LEAST = 6;

/** A map of the United States with some airports, from npm `vega-datasets`. Throws RangeError for an airport without a place. */
export function usMap(airports: ReadonlySet<string>): UsMap {
  const folder = join(ROOT, "node_modules/vega-datasets/data");
  const topology = JSON.parse(readFileSync(join(folder, "us-10m.json"), "utf8")) as Topology;
  const rings = topology.objects.states.geometries.flatMap((state) => {
    const conic = APART[state.id] ?? MAINLAND;
    const polygons = state.type === "Polygon" ? [state.arcs] : state.arcs;
    return polygons.flat().map((arcs) => ringOf(topology, arcs, conic));
  });
  const places = readAirports(readFileSync(join(folder, "airports.csv"), "utf8"));
  const found = [...airports].sort().map((code): [string, [string, number, number]] => {
    const place = places.get(code);
    if (place === undefined) throw new RangeError(`vega-datasets does not say where the airport ${code} is.`);
    const [x, y] = project(APART[place.state] ?? MAINLAND, [place.longitude, place.latitude]);
    return [code, [place.city, Math.round(x), Math.round(y)]];
  });
  return { width: WIDTH, height: HEIGHT, land: rings.map(pathOf).join(""), airports: Object.fromEntries(found) };
}

function project({ parallels, centre, at, scale }: Conic, [longitude, latitude]: Point): Point {
  const [phi1, phi2] = parallels.map(radians) as Point;
  const n = (Math.sin(phi1) + Math.sin(phi2)) / 2;
  const c = Math.cos(phi1) ** 2 + 2 * n * Math.sin(phi1);
  const rho = (phi: number) => Math.sqrt(c - 2 * n * Math.sin(phi)) / n;
  // Some of the Aleutians lie beyond the 180th meridian.
  const turn = ((longitude - centre[0] + 540) % 360) - 180;
  const theta = n * radians(turn);
  const far = rho(radians(latitude));
  return [at[0] + scale * far * Math.sin(theta), at[1] - scale * (rho(radians(centre[1])) - far * Math.cos(theta))];
}

const radians = (degrees: number): number => (degrees * Math.PI) / 180;

/** A ring of arcs, each simplified by itself, so that neighbours keep one border. */
function ringOf({ arcs: all, transform: { scale, translate } }: Topology, arcs: readonly number[], conic: Conic): Point[] {
  return arcs.flatMap((index) => {
    const position: Point = [0, 0];
    const line = all[index < 0 ? ~index : index]!.map(([dx, dy]) => {
      position[0] += dx;
      position[1] += dy;
      return project(conic, [position[0] * scale[0] + translate[0], position[1] * scale[1] + translate[1]]);
    });
    const simple = simplify(line);
    return index < 0 ? simple.reverse() : simple;
  });
}

/** Ramer, Douglas and Peucker's: keeps the ends and what is further than the tolerance from the line between kept points. */
function simplify(line: Point[]): Point[] {
  const [first, last] = [line[0]!, line.at(-1)!];
  let [far, most] = [0, TOLERANCE];
  for (let at = 1; at < line.length - 1; at++) {
    const distance = distanceTo(line[at]!, first, last);
    if (distance > most) [far, most] = [at, distance];
  }
  return far === 0 ? [first, last] : [...simplify(line.slice(0, far + 1)).slice(0, -1), ...simplify(line.slice(far))];
}

function distanceTo([x, y]: Point, [x0, y0]: Point, [x1, y1]: Point): number {
  const length = Math.hypot(x1 - x0, y1 - y0);
  return length === 0 ? Math.hypot(x - x0, y - y0) : Math.abs((x1 - x0) * (y0 - y) - (x0 - x) * (y1 - y0)) / length;
}

/** In whole coordinates, each relative to the one before. Nothing for an island too small to see. */
function pathOf(ring: readonly Point[]): string {
  const whole = ring.map(([x, y]): Point => [Math.round(x), Math.round(y)]);
  const [xs, ys] = [whole.map(([x]) => x), whole.map(([, y]) => y)];
  if (Math.max(...xs) - Math.min(...xs) < LEAST && Math.max(...ys) - Math.min(...ys) < LEAST) return "";
  const steps = whole.slice(1).map(([x, y], at) => [x - whole[at]![0], y - whole[at]![1]]);
  const moves = steps.filter(([dx, dy]) => dx !== 0 || dy !== 0).map(([dx, dy]) => `${dx} ${dy}`);
  return `M${whole[0]!.join(" ")}l${moves.join(" ")}z`;
}

type Airport = { city: string; state: string; latitude: number; longitude: number };

/** Lines of iata,name,city,state,country,latitude,longitude; a value with commas stands in quotes. */
function readAirports(csv: string): Map<string, Airport> {
  const lines = csv.trim().split(/\r?\n/).slice(1);
  return new Map(
    lines.map((line) => {
      const cells = [...line.matchAll(/(?:^|,)(?:"([^"]*)"|([^,]*))/g)].map(([, quoted, plain]) => quoted ?? plain ?? "");
      const [iata, , city, state, , latitude, longitude] = cells as [string, string, string, string, string, string, string];
      return [iata, { city, state, latitude: Number(latitude), longitude: Number(longitude) }];
    }),
  );
}

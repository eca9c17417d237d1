/**
 * What the model `flight-forest` sees of a flight. `scripts/train/train_forest.py` computes the same numbers in the same
 * order of operations (double precision, then rounded to float32), so a change here needs a new training.
 */
export const FLIGHT_FEATURES = ["delay", "distance", "hour", "delay_share"] as const;

/**
 * Scores from here up are unusual: 1 % of the flights that the model was trained on. It is the artifact's own threshold (a test
 * compares them), written down because a topology must decide the same on every replay.
 */
export const UNUSUAL_SCORE = 0.686473923377264;

/** A flight as the topic `flights` carries it, as far as the model cares. */
export type FlightLike = {
  /** Departure on the wall clock of the origin: ISO 8601 ("2001-01-01T00:01:00…", or a space for the T), or Unix milliseconds of that clock. */
  date: string | number;
  /** Minutes late; negative when early. */
  delay: number;
  /** Miles. */
  distance: number;
};

/**
 * The features of one flight, in the order of {@link FLIGHT_FEATURES}:
 * - `delay` (minutes) and `distance` (miles) as they are;
 * - `hour`: time of day of the departure, 0 to 24, minutes as a fraction;
 * - `delay_share`: delay over the estimated time from gate to gate, `30 + distance / 8` minutes (half an hour on the
 *   ground and in the climb, then 480 miles an hour), so that an hour late on a short hop weighs more than across the continent.
 *
 * A member that is missing or of the wrong type gives NaN, and a row with NaN scores NaN: never "unusual", never an error.
 */
export function flightFeatures(flight: FlightLike): Float32Array {
  const row = new Float32Array(FLIGHT_FEATURES.length);
  writeFeatures(flight, row, 0);
  return row;
}

/** The features of many flights as one row-major matrix, ready for `env.MODELS.score("flight-forest", rows, flights.length)`. */
export function flightRows(flights: readonly FlightLike[]): Float32Array {
  const rows = new Float32Array(flights.length * FLIGHT_FEATURES.length);
  for (let i = 0; i < flights.length; i++) writeFeatures(flights[i]!, rows, i * FLIGHT_FEATURES.length);
  return rows;
}

/** Writes the features of one flight into `rows` from index `at`: the form a topology's model operator takes. */
export function writeFeatures(flight: FlightLike, rows: Float32Array, at: number): void {
  const delay = typeof flight.delay === "number" ? flight.delay : Number.NaN;
  const distance = typeof flight.distance === "number" ? flight.distance : Number.NaN;
  rows[at] = delay;
  rows[at + 1] = distance;
  rows[at + 2] = minuteOfDay(flight.date) / 60;
  rows[at + 3] = delay / (30 + distance / 8);
}

const MINUTES_A_DAY = 1440;

/** Minutes since midnight on the clock the date was written in, by position: no zone conversion, which would depend on where the code runs. */
function minuteOfDay(date: unknown): number {
  if (typeof date === "number") {
    const minutes = Math.floor(date / 60_000) % MINUTES_A_DAY;
    return minutes < 0 ? minutes + MINUTES_A_DAY : minutes;
  }
  if (typeof date !== "string" || date.charCodeAt(13) !== COLON) return Number.NaN;
  return (digit(date, 11) * 10 + digit(date, 12)) * 60 + digit(date, 14) * 10 + digit(date, 15);
}

const COLON = 58;

function digit(text: string, at: number): number {
  const value = text.charCodeAt(at) - 48;
  return value >= 0 && value <= 9 ? value : Number.NaN;
}

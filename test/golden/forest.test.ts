import { describe, expect, it } from "vitest";
import { Forest } from "../../core/inference/forest.ts";
import { FLIGHT_FEATURES, flightFeatures, flightRows, UNUSUAL_SCORE } from "../../topologies/flight-features.ts";
import { artifact, golden, instantiate } from "./forest.fixture.ts";

const n = golden.rows.length;
const rows = new Float32Array(golden.rows.flat());

describe("flight-forest against scikit-learn", () => {
  const forest = Forest.load(instantiate(), artifact);

  it("[IF1] [IF2] scores every golden row to 1e-6, thresholds hit exactly and the ends of float32 included", () => {
    expect(n).toBeGreaterThanOrEqual(500);
    const scores = forest.score(rows, n);
    const off = golden.scores.map((score, i) => Math.abs(score - (scores[i] as number)));
    expect(Math.max(...off)).toBeLessThan(1e-6);
    expect(scores.every((score) => score > 0 && score <= 1)).toBe(true);
  });

  it("[IF2] judges every golden row by the threshold as scikit-learn's scores do", () => {
    expect(forest.threshold).toBe(golden.threshold);
    expect(UNUSUAL_SCORE).toBe(golden.threshold);
    const scores = forest.score(rows, n);
    expect([...scores].map((score) => score >= forest.threshold)).toEqual(golden.scores.map((score) => score >= golden.threshold));
  });

  it("computes the features of flights as the training did, bit for bit", () => {
    expect(forest.features).toEqual(FLIGHT_FEATURES);
    expect(golden.flights.length).toBeGreaterThanOrEqual(300);
    for (const [i, flight] of golden.flights.entries()) {
      expect([...flightFeatures(flight)]).toEqual(golden.rows[i]);
      expect([...flightFeatures({ ...flight, date: Date.parse(flight.date) })]).toEqual(golden.rows[i]);
    }
    expect([...flightRows(golden.flights)]).toEqual([...rows.subarray(0, golden.flights.length * FLIGHT_FEATURES.length)]);
  });

  it("[IF3] scores a malformed flight NaN, which is never unusual", () => {
    const malformed = [{ date: "yesterday", delay: 5, distance: 300 }, { date: "2001-01-01T10:00:00Z", delay: "5", distance: 300 }, {}];
    for (const flight of malformed) {
      const [score] = forest.score(flightFeatures(flight as never), 1);
      expect(score).toBeNaN();
    }
  });
});

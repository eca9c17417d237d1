import fc from "fast-check";
import { expect, it } from "vitest";
import { DEFAULT_THRESHOLDS, isUnusual, parseThresholds } from "./flight-thresholds.ts";

it("reads what was set, and what stands in for the rest", () => {
  expect(parseThresholds('{"score":0.9,"delay":30}')).toEqual({ score: 0.9, delay: 30 });
  expect(parseThresholds('{"score":0,"delay":-5}')).toEqual({ score: 0, delay: -5 });
  expect(parseThresholds('{"delay":30}')).toEqual({ ...DEFAULT_THRESHOLDS, delay: 30 });
  for (const text of [null, "", "7", "null", "[]", "{", '{"score":2}', '{"score":"0.5","delay":"x"}', '{"score":null,"delay":1e9}'])
    expect(parseThresholds(text)).toEqual(DEFAULT_THRESHOLDS);
});

it("no text makes it throw, and what it reads survives the journal", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      const read = parseThresholds(text);
      expect(JSON.parse(JSON.stringify(read))).toEqual(read);
    }),
  );
});

it("a flight is unusual where both are met; one without a score never is", () => {
  const flight = { delay: 40, score: 0.7 };
  expect(isUnusual(flight, { score: 0.7, delay: null })).toBe(true);
  expect(isUnusual(flight, { score: 0.71, delay: null })).toBe(false);
  expect(isUnusual(flight, { score: 0, delay: 40 })).toBe(true);
  expect(isUnusual(flight, { score: 0, delay: 41 })).toBe(false);
  expect(isUnusual({ delay: 40, score: Number.NaN }, { score: 0, delay: null })).toBe(false);
});

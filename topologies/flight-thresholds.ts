import { UNUSUAL_SCORE } from "./flight-features.ts";

/** Where the desk keeps them: a key of a group, which whoever may write to the group can change. */
export const DESK_GROUP = "flight-desk";
export const THRESHOLDS_KEY = "desk/thresholds";

/**
 * From where on a flight is unusual. `score`: of the model, 0 to 1. `delay`: minutes late, or null where only the model counts.
 * Both must be met.
 */
export type Thresholds = { score: number; delay: number | null };

export const MAX_DELAY = 10_000;
/** What holds where nobody has set any: what the model was trained to find unusual. */
export const DEFAULT_THRESHOLDS: Readonly<Thresholds> = { score: UNUSUAL_SCORE, delay: null };

/** Reads the key's text (null: there is none). What is not a threshold is as if nobody had set it. */
export function parseThresholds(text: string | null): Thresholds {
  const given = objectOf(text);
  return {
    score: isScore(given.score) ? given.score : DEFAULT_THRESHOLDS.score,
    delay: isDelay(given.delay) ? given.delay : DEFAULT_THRESHOLDS.delay,
  };
}

export function isScore(value: unknown): value is number {
  return typeof value === "number" && value >= 0 && value <= 1;
}

export function isDelay(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value) && Math.abs(value) <= MAX_DELAY;
}

export function isUnusual(flight: { delay: number; score: number }, { score, delay }: Thresholds): boolean {
  return flight.score >= score && (delay === null || flight.delay >= delay);
}

function objectOf(text: string | null): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text ?? "null");
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

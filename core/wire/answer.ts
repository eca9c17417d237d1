/**
 * The level a response achieved, named in `Skerry-Level`. `durable`: one object has committed it; `session`: at least
 * what the caller's context names; `eventual`: a cache or a table that trails its source. Of groups: `single`, `quorum`: so many
 * replicas have committed it; `linearizable`, `bounded`, `stale`: what a read may trail.
 */
export type Level = "durable" | "session" | "eventual" | "quorum" | "linearizable" | "single" | "bounded" | "stale";

/**
 * What an object had applied when it answered: `object` is its name, `at` a number that only grows (an offset, a
 * sequence number, a revision). `null` where the object answers for itself and nothing can trail.
 */
export type Position = { object: string; at: number } | null;

/** What every call of a Durable Object returns. One middleware turns it into `Skerry-Context` and `Skerry-Level`. */
export type Answer<T> = {
  value: T;
  position: Position;
  level: Level;
  /** Of a group's answer: how the places of its replicas are known. */
  placement?: "measured" | "simulated";
  /** Storage rows this call wrote, as the platform bills them; the Worker counts them for the project. */
  rows?: number;
};

export function answer<T>(value: T, position: Position, level: Level, rows = 0): Answer<T> {
  return rows === 0 ? { value, position, level } : { value, position, level, rows };
}

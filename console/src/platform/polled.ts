import { useEffect, useRef, useState } from "preact/hooks";
import { type Connection, report } from "./connections.ts";
import { poll } from "./poll.ts";

/** What a question that is asked again and again has been answered so far. */
export type Polled<T> = {
  /** The last answer; null before the first. */
  value: T | null;
  /** Unix milliseconds of the last answer. */
  at: number;
  /** What is wrong with the source, in a sentence to show. */
  problem: string | null;
  /** Asks at once, after a change of one's own. */
  reload(): void;
};

/**
 * Asks while the component is there, so many milliseconds after each answer, and reports how that stands under `name`.
 * Another key in `about` is another question: its answers begin anew. While it is `paused`, nobody asks and the last answer stays.
 */
export function usePolled<T>(
  name: string,
  ask: (signal: AbortSignal) => Promise<T>,
  everyMs: number,
  about: string = name,
  paused = false,
): Polled<T> {
  const [answer, setAnswer] = useState<{ about: string; value: T; at: number } | null>(null);
  const [connection, setConnection] = useState<Connection>({ state: "connecting" });
  const [turn, setTurn] = useState(0);
  const every = useRef(everyMs);
  every.current = everyMs;
  useEffect(() => {
    if (paused) return;
    const asking = poll(
      async (signal) => setAnswer({ about, value: await ask(signal), at: Date.now() }),
      () => every.current,
      (state) => {
        report(name, state);
        setConnection(state);
      },
    );
    return () => {
      asking.stop();
      report(name, null);
    };
  }, [about, turn, paused]);
  const known = answer !== null && answer.about === about ? answer : null;
  return {
    value: known?.value ?? null,
    at: known?.at ?? 0,
    problem: connection.state === "refused" || connection.state === "waiting" ? connection.detail : null,
    reload: () => setTurn((before) => before + 1),
  };
}

import { useRef } from "preact/hooks";

/** How far back a rate looks, in milliseconds: batches come in bursts. */
const SPAN = 5_000;

type Sample = { at: number; counts: ReadonlyMap<string, number> };

/** The growth a second of counts by name, over their last readings; null where that is not known yet. */
export function useRates(counts: ReadonlyMap<string, number>, at: number): (name: string) => number | null {
  const samples = useRef<Sample[]>([]);
  if (at > 0 && samples.current.at(-1)?.at !== at) {
    const before = samples.current;
    const oldest = before.findLastIndex((sample) => sample.at <= at - SPAN);
    samples.current = [...before.slice(Math.max(0, oldest)), { at, counts }];
  }
  return (name) => {
    const last = samples.current.at(-1);
    const first = samples.current.find((sample) => sample.counts.has(name));
    const [from, to] = [first?.counts.get(name), last?.counts.get(name)];
    if (last === undefined || first === undefined || first === last || from === undefined || to === undefined) return null;
    // Counts only grow, unless what they count was deleted and made anew.
    return to < from ? null : ((to - from) * 1000) / (last.at - first.at);
  };
}

import { search } from "./checker.ts";
import { explain } from "./explain.ts";
import { isAnswered, type Operation } from "./history.ts";
import type { Model } from "./model.ts";

export type Verdict =
  | { linearizable: true; steps: number; parts: number }
  /** `explanation`: the first answer that no order explains, and what came before it. */
  | { linearizable: false; explanation: string; steps: number; parts: number }
  /** The search was given up; nothing is known. */
  | { linearizable: null; explanation: string; steps: number; parts: number };

export type CheckOptions = {
  /** Bound on the steps of the search of each part; 20 million by default, about ten seconds. */
  maxSteps?: number;
};

/** Decides whether a history is linearizable, part by part: operations that share no key cannot disturb each other. */
export function check<S, I, O>(model: Model<S, I, O>, history: readonly Operation<I, O>[], options: CheckOptions = {}): Verdict {
  const maxSteps = options.maxSteps ?? 20_000_000;
  const parts = partition(model, history);
  let steps = 0;
  for (const part of parts) {
    const result = search(model, part, maxSteps);
    steps += result.steps;
    if (result.found) continue;
    if (result.stuck === null) {
      const explanation = `${model.name}: no verdict within ${maxSteps} steps over ${part.length} operations.`;
      return { linearizable: null, explanation, steps, parts: parts.length };
    }
    return { linearizable: false, explanation: explain(model, part, result.stuck), steps, parts: parts.length };
  }
  return { linearizable: true, steps, parts: parts.length };
}

/**
 * Is `order` (places in `history`) a linearization? It holds every answered operation once, keeps what was answered before
 * another was called before it, and fits. Takes one pass: who has a good guess, such as the positions in a log, asks this
 * first. A no says nothing about other orders.
 */
export function isLinearization<S, I, O>(model: Model<S, I, O>, history: readonly Operation<I, O>[], order: readonly number[]): boolean {
  const left = new Set(history.keys());
  let state = model.init();
  let latestCall = Number.NEGATIVE_INFINITY;
  for (const place of order) {
    const operation = history[place];
    if (operation === undefined || !left.delete(place) || operation.return < latestCall) return false;
    latestCall = Math.max(latestCall, operation.call);
    const next = model.step(state, operation.input, operation.output);
    if (next === null) return false;
    state = next.state;
  }
  return [...left].every((place) => !isAnswered(history[place] as Operation<I, O>));
}

/** Throws where a history is not linearizable, with the explanation, and where nobody can tell. */
export function assertLinearizable<S, I, O>(model: Model<S, I, O>, history: readonly Operation<I, O>[], options: CheckOptions = {}): void {
  const verdict = check(model, history, options);
  if (verdict.linearizable !== true) throw new Error(verdict.explanation);
}

/** Operations in groups that share no key (union-find over the keys), each in the order of the history. */
export function partition<S, I, O>(model: Model<S, I, O>, history: readonly Operation<I, O>[]): Operation<I, O>[][] {
  const { touches } = model;
  if (touches === undefined) return history.length === 0 ? [] : [[...history]];
  const parents = new Map<string, string>();
  const root = (key: string): string => {
    let at = key;
    for (let parent = parents.get(at); parent !== undefined && parent !== at; parent = parents.get(at)) at = parent;
    parents.set(key, at);
    return at;
  };
  const parts = new Map<string, Operation<I, O>[]>();
  const keys = history.map(({ input }) => touches.call(model, input));
  for (const touched of keys) for (const key of touched) parents.set(root(key), root(touched[0] as string));
  history.forEach((operation, i) => {
    const first = keys[i]?.[0];
    // An operation on nothing fits anywhere.
    if (first === undefined) return;
    const part = parts.get(root(first));
    if (part === undefined) parts.set(root(first), [operation]);
    else part.push(operation);
  });
  return [...parts.values()];
}

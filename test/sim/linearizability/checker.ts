import { EventList } from "./events.ts";
import { isAnswered, type Operation } from "./history.ts";
import type { Model } from "./model.ts";
import { SeenConfigurations } from "./seen.ts";

export type Search<S> = { found: true; order: number[]; steps: number } | { found: false; stuck: Stuck<S> | null; steps: number };

/** How far the search came where it found nothing (it was given up where there is no such thing). */
export type Stuck<S> = {
  /** An operation answered before which no order gets: every order of what was answered until then leaves it impossible. */
  culprit: number;
  /** One order of what was answered before it, and the state it leaves. */
  order: number[];
  state: S;
  /** Some of the states in which the culprit might have come next, but for its answer. */
  refused: S[];
};

/** How many states that refuse the culprit are kept for the message. */
const KEPT_REFUSALS = 6;

type Option<S> = { op: number; state: S; key: string | number };

/**
 * Looks for a linearization of `operations`: the algorithm of Wing & Gong (1993) with Lowe's memory (2017) of the
 * configurations (set linearized, state) already seen. Four shortcuts lose nothing:
 *
 * - An answer that fits and that only a read gives comes at once, and nothing else is tried there: whatever order has it
 *   later stays valid with it moved here. (A write of the value that is there is no read: moved, it would not overwrite.)
 * - An operation of unknown outcome need not be linearized, so it is not where it changes nothing, and the search ends when
 *   all answered ones are.
 * - It comes as late as possible: of some in a row, the last one right before an answered operation that shares a key with
 *   it. Any other it could change places with, since it has no end that it must come before. In a row, those that share no
 *   key come in the order of their calls.
 * - Of those that can stand in for each other, they come in the order of their calls: whatever may come now could have been
 *   called now, and two of them can change places.
 *
 * `maxSteps` bounds the search, whose problem is NP-complete.
 */
export function search<S, I, O>(model: Model<S, I, O>, operations: readonly Operation<I, O>[], maxSteps: number): Search<S> {
  const list = new EventList(operations);
  const seen = new SeenConfigurations(operations.length);
  const refused = new Map<string | number, S>();
  let stuck: Omit<Stuck<S>, "refused"> = { culprit: -1, order: [], state: model.init() };
  let farthest = 0;
  const order: number[] = [];
  let answered = operations.reduce((sum, each) => sum + (isAnswered(each) ? 1 : 0), 0);
  let steps = 0;

  const kinds = model.kinds?.(operations) ?? [];

  const operation = (op: number) => operations[op] as Operation<I, O>;
  const touches = (op: number) => model.touches?.(operation(op).input) ?? [""];

  /** What may come next in a state, after `last`. */
  const optionsOf = (state: S, last: number | null): Option<S>[] => {
    const before = model.key(state);
    const bound = last === null || isAnswered(operation(last)) ? null : touches(last);
    const options: Option<S>[] = [];
    const { candidates, firstAnswered, place } = list.frontier();
    if (place > farthest) {
      farthest = place;
      stuck = { culprit: firstAnswered, order: order.slice(), state };
      refused.clear();
    }
    const passed = new Set<string>();
    for (const op of candidates) {
      const { input, output } = operation(op);
      const kind = output === undefined ? (kinds[op] ?? null) : null;
      if (kind !== null) {
        if (passed.has(kind)) continue;
        passed.add(kind);
      }
      if (bound !== null && !touches(op).some((key) => bound.includes(key)) && (output !== undefined || op < (last as number))) continue;
      steps++;
      const next = model.step(state, input, output);
      if (next === null) {
        if (op === firstAnswered && place === farthest && refused.size < KEPT_REFUSALS) refused.set(before, state);
        continue;
      }
      const key = model.key(next.state);
      if (output !== undefined && model.readOnly(input, output)) return [{ op, state: next.state, key }];
      // What came before also decides what may come after an unknown outcome, so it is a part of the configuration.
      if (output !== undefined) options.push({ op, state: next.state, key });
      else if (key !== before) options.push({ op, state: next.state, key: `${op}?${key}` });
    }
    return options;
  };

  const frames = [{ state: model.init(), options: optionsOf(model.init(), null), next: 0 }];
  while (answered > 0) {
    if (steps > maxSteps) return { found: false, stuck: null, steps };
    const frame = frames.at(-1) as (typeof frames)[number];
    const option = frame.options[frame.next++];
    if (option === undefined) {
      frames.pop();
      const last = order.pop();
      if (last === undefined) return { found: false, stuck: { ...stuck, refused: [...refused.values()] }, steps };
      seen.leave(last);
      list.restore(last);
      if (isAnswered(operation(last))) answered++;
    } else if (seen.add(option.op, option.key)) {
      order.push(option.op);
      list.remove(option.op);
      if (isAnswered(operation(option.op))) answered--;
      frames.push({ state: option.state, options: optionsOf(option.state, option.op), next: 0 });
    }
  }
  return { found: true, order, steps };
}

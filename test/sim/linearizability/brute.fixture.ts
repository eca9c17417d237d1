import type { Operation } from "./history.ts";
import type { Model } from "./model.ts";

/**
 * The definition, word by word: is there a choice of the operations of unknown outcome, and an order of them and of all
 * answered ones, that keeps what came before what and that the object allows? For a handful of operations only.
 */
export function linearizableByDefinition<S, I, O>(model: Model<S, I, O>, history: readonly Operation<I, O>[]): boolean {
  const extend = (state: S, rest: readonly Operation<I, O>[]): boolean => {
    if (rest.every(({ output }) => output === undefined)) return true;
    return rest.some((each) => {
      if (rest.some((other) => other !== each && other.return < each.call)) return false;
      const next = model.step(state, each.input, each.output);
      const others = rest.filter((other) => other !== each);
      return next !== null && extend(next.state, others);
    });
  };
  return extend(model.init(), history);
}

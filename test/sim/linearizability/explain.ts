import type { Stuck } from "./checker.ts";
import { isAnswered, type Operation } from "./history.ts";
import type { Model } from "./model.ts";

/** How many operations before the culprit are shown. */
const SHOWN = 12;

/** Says why a history is not linearizable: the answer where every order ends, and an order of all that came before it. */
export function explain<S, I, O>(model: Model<S, I, O>, part: readonly Operation<I, O>[], stuck: Stuck<S>): string {
  const at = (op: number) => line(model, part[op] as Operation<I, O>);
  const end = (part[stuck.culprit] as Operation<I, O>).return;
  const shown = stuck.order.slice(-SHOWN);
  const open = [...part.keys()].filter((op) => {
    const { call, return: until } = part[op] as Operation<I, O>;
    return call <= end && until > end && !stuck.order.includes(op);
  });
  const found = stuck.refused.map((state) => model.describeState(state));
  return [
    `${model.name}: not linearizable. The first answer that no order explains:`,
    `  ${at(stuck.culprit)}`,
    found.length === 0 ? "  in every order something before it fails" : `  it would have found ${found.join(", or ")}`,
    `An order of what was answered before it (the last ${shown.length} of ${stuck.order.length}):`,
    ...shown.map((op) => `  ${at(op)}`),
    `  leaves ${model.describeState(stuck.state)}`,
    ...(open.length === 0 ? [] : ["Open at that time:", ...open.slice(-SHOWN).map((op) => `  ${at(op)}`)]),
  ].join("\n");
}

function line<S, I, O>(model: Model<S, I, O>, operation: Operation<I, O>): string {
  const { process, input, output, call, return: end } = operation;
  return `[${call}-${isAnswered(operation) ? end : ""}] ${process}: ${model.describe(input, output)}`;
}

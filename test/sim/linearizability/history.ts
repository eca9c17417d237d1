/** What one client saw of one operation. Times are the places of events in one total order; an equal time is taken as an overlap. */
export type Operation<I, O> = {
  /** Who asked; for messages alone. */
  process: string;
  input: I;
  call: number;
  /** Undefined: nobody knows whether it happened. It may have at any time after `call`, or never. */
  output: O | undefined;
  /** Infinity where the output is unknown. */
  return: number;
};

export function isAnswered(operation: Operation<unknown, unknown>): boolean {
  return operation.return !== Number.POSITIVE_INFINITY;
}

/**
 * Writes down a history as it happens in one process, which is what orders the events: of two, the one that was recorded
 * first was first.
 */
export class History<I, O> {
  readonly operations: Operation<I, O>[] = [];
  #clock = 0;

  /** An operation begins. Returns its number. */
  call(process: string, input: I): number {
    this.operations.push({ process, input, call: this.#clock++, output: undefined, return: Number.POSITIVE_INFINITY });
    return this.operations.length - 1;
  }

  /** It was answered. What is never answered has an unknown outcome. */
  answer(id: number, output: O): void {
    const operation = this.operations[id];
    if (operation === undefined) throw new RangeError(`There is no operation ${id}.`);
    operation.output = output;
    operation.return = this.#clock++;
  }

  /** It surely never happened and never will: as if it had not been called. */
  never(id: number): void {
    const operation = this.operations[id];
    if (operation === undefined) throw new RangeError(`There is no operation ${id}.`);
    this.#never.add(operation);
  }

  readonly #never = new Set<Operation<I, O>>();

  /** The operations that may have happened. */
  happened(): Operation<I, O>[] {
    return this.operations.filter((each) => !this.#never.has(each));
  }
}

/**
 * Aggregators. Each owns `width` consecutive slots of a cell's state (an array of JSON values) and reads one column,
 * the values its `select` took from the records: selecting runs beside the other stateless work, in parallel, and
 * only the selected scalars travel to the task.
 */
export type Aggregator<V, R> = {
  /** Identity of the column this reads: aggregators with the same selector share one. `null` reads none. */
  column: unknown;
  select: ((value: V) => unknown) | null;
  width: number;
  /** Whether {@link add} runs code of the topology, which may throw. */
  fallible?: boolean;
  init(state: unknown[], at: number): void;
  add(state: unknown[], at: number, selected: unknown): void;
  result(state: readonly unknown[], at: number): R;
};

/** A member's name, or a function of the record; a function is one column of its own. */
export type Selector<V, T> = (keyof V & string) | ((value: V) => T);

function columnOf<V, T>(selector: Selector<V, T>): { column: unknown; select: (value: V) => unknown } {
  return { column: selector, select: typeof selector === "function" ? selector : (value) => value[selector] };
}

/** How many records. */
export function count<V>(): Aggregator<V, number> {
  return {
    column: null,
    select: null,
    width: 1,
    init: (state, at) => {
      state[at] = 0;
    },
    add: (state, at) => {
      (state as number[])[at]!++;
    },
    result: (state, at) => state[at] as number,
  };
}

function isNumber(value: unknown): value is number {
  return Number.isFinite(value);
}

/** State is kept as JSON, which has no infinity: a sum stops at the largest number there is. */
function finite(total: number): number {
  return Math.min(Number.MAX_VALUE, Math.max(-Number.MAX_VALUE, total));
}

function numeric<V>(
  selector: Selector<V, number>,
  init: number | null,
  fold: (total: number, next: number) => number,
): Aggregator<V, number | null> {
  return {
    ...columnOf(selector),
    width: 1,
    init: (state, at) => {
      state[at] = init;
    },
    add: (state, at, selected) => {
      if (!isNumber(selected)) return;
      state[at] = state[at] === null ? selected : finite(fold(state[at] as number, selected));
    },
    result: (state, at) => state[at] as number | null,
  };
}

/** Sum of a number; records without one add nothing. */
export const sum = <V>(selector: Selector<V, number>) => numeric(selector, 0, (total, next) => total + next);
/** Largest of a number; null where no record had one. */
export const max = <V>(selector: Selector<V, number>) => numeric(selector, null, Math.max);
/** Smallest of a number; null where no record had one. */
export const min = <V>(selector: Selector<V, number>) => numeric(selector, null, Math.min);

/** Arithmetic mean of a number; null where no record had one. */
export function mean<V>(selector: Selector<V, number>): Aggregator<V, number | null> {
  return {
    ...columnOf(selector),
    width: 2,
    init: (state, at) => {
      state[at] = 0;
      state[at + 1] = 0;
    },
    add: (state, at, selected) => {
      if (!isNumber(selected)) return;
      state[at] = finite((state[at] as number) + selected);
      (state as number[])[at + 1]!++;
    },
    result: (state, at) => ((state[at + 1] as number) === 0 ? null : (state[at] as number) / (state[at + 1] as number)),
  };
}

/** Share of the records, 0 to 1, for which the predicate holds. */
export function share<V>(predicate: (value: V) => boolean): Aggregator<V, number> {
  const { column, select } = columnOf<V, boolean>(predicate);
  return {
    column,
    // A number, so that the column travels as a typed array.
    select: (value) => (select(value) ? 1 : 0),
    width: 2,
    init: (state, at) => {
      state[at] = 0;
      state[at + 1] = 0;
    },
    add: (state, at, selected) => {
      (state as number[])[at]! += selected as number;
      (state as number[])[at + 1]!++;
    },
    result: (state, at) => ((state[at + 1] as number) === 0 ? 0 : (state[at] as number) / (state[at + 1] as number)),
  };
}

/** Kafka's `aggregate(initializer, aggregator)`: any JSON state, a pure function of the state and the record. */
export function fold<V, S>(initial: () => S, step: (state: S, value: V) => S): Aggregator<V, S> {
  return {
    ...columnOf<V, V>((value) => value),
    width: 1,
    fallible: true,
    init: (state, at) => {
      state[at] = initial();
    },
    add: (state, at, selected) => {
      state[at] = step(state[at] as S, selected as V);
    },
    result: (state, at) => state[at] as S,
  };
}

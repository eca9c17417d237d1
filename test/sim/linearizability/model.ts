import type { Operation } from "./history.ts";

/**
 * A sequential object: what each operation may answer in each state. States are immutable.
 *
 * Linearizability is local (Herlihy & Wing 1990): a history of several objects is linearizable exactly if each object's
 * part of it is. `touches` names the objects an operation needs; operations that share one are checked together.
 */
export interface Model<S, I, O> {
  readonly name: string;
  /** The keys an operation reads or writes; leave it out where all operations belong to one object. */
  touches?(input: I): readonly string[];
  init(): S;
  /** The state after, or null if `output` cannot be the answer in this state. An undefined output fits wherever the input does. */
  step(state: S, input: I, output: O | undefined): Next<S> | null;
  /** True only if every state in which this answer fits stays as it is: the search is much shorter for it. */
  readOnly(input: I, output: O): boolean;
  /**
   * Which operations of unknown outcome can stand in for each other: those of a kind do the same in every state, but for something
   * that no answer and no other operation shows. A kind for each operation, null for one that is like no other.
   */
  kinds?(operations: readonly Operation<I, O>[]): (string | null)[];
  /** Equal exactly for equal states. */
  key(state: S): string | number;
  describe(input: I, output: O | undefined): string;
  describeState(state: S): string;
}

/** In a box, so that a state may be anything, null too. */
export type Next<S> = { state: S };

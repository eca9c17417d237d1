import type { Compare, CompareResult, RequestOp, ResponseOp, TxnRequest } from "../../../core/consensus/kv/types.ts";
import type { RangeOptions } from "./options.ts";
import { readRange } from "./options.ts";
import { type Bytes, byteString, Entry, entryOrNull, rangeOf, type Span } from "./values.ts";

/** What is put: text, bytes, or with {@link json} whatever JSON can say. */
export type PutOptions = {
  /** The key ends with this lease. */
  lease?: { readonly id: string } | string | null | undefined;
  /** Answer with what was there before. */
  previous?: boolean;
};

export type Put = { previous: Entry | null };
export type Deleted = { deleted: number; previous: Entry[] };
export type Range = {
  entries: Entry[] /** Of the whole range. */;
  count: number /** The range has more than was asked for. */;
  more: boolean;
};

/** One step of a transaction. `R` is what it answers. */
export type Op<R> = { readonly request: RequestOp; readonly read: (response: ResponseOp) => R };
type Answers<Ops extends readonly Op<unknown>[]> = { -readonly [I in keyof Ops]: Ops[I] extends Op<infer R> ? R : never };

/** A value as JSON. */
export function json(value: unknown): string {
  return JSON.stringify(value);
}

export function put(key: Bytes, value: Bytes, { lease, previous = false }: PutOptions = {}): Op<Put> {
  const request = {
    key: byteString(key),
    value: byteString(value),
    lease: leaseId(lease),
    prevKv: previous,
    ignoreValue: false,
    ignoreLease: false,
  };
  return { request: { op: "put", request }, read: (response) => putOf(response) };
}

/** Deletes a key, or all keys of a span. */
export function del(span: Span, { previous = false }: { previous?: boolean } = {}): Op<Deleted> {
  return { request: { op: "deleteRange", request: { ...rangeOf(span), prevKv: previous } }, read: (response) => deletedOf(response) };
}

/** Reads a key. */
export function get(key: Bytes): Op<Entry | null> {
  return { request: { op: "range", request: readRange(key, {}) }, read: (response) => rangeAnswer(response).entries[0] ?? null };
}

/** Reads a span. */
export function range(span: Span, options: RangeOptions = {}): Op<Range> {
  return { request: { op: "range", request: readRange(span, options) }, read: (response) => rangeAnswer(response) };
}

/** A condition of a transaction on what is there before it. */
export type Condition = Compare;
type Test<V> = { is(value: V): Condition; isNot(value: V): Condition; above(value: V): Condition; below(value: V): Condition };

/** Conditions on a key: on its value, on how often it was written (0: it is not there), on the revisions that made and last wrote it. */
export function when(key: Span) {
  const at = rangeOf(key);
  const numbers = (target: "version" | "create" | "mod"): Test<number> => tests((result, value) => ({ ...at, result, target, value }));
  return {
    exists: (): Condition => ({ ...at, result: "greater", target: "version", value: 0 }),
    absent: (): Condition => ({ ...at, result: "equal", target: "version", value: 0 }),
    value: tests<Bytes>((result, value) => ({ ...at, result, target: "value", value: byteString(value) })),
    version: numbers("version"),
    createRevision: numbers("create"),
    modRevision: numbers("mod"),
    lease: tests<string>((result, value) => ({ ...at, result, target: "lease", value: BigInt(value) })),
  };
}

function tests<V>(make: (result: CompareResult, value: V) => Condition): Test<V> {
  return {
    is: (value) => make("equal", value),
    isNot: (value) => make("notEqual", value),
    above: (value) => make("greater", value),
    below: (value) => make("less", value),
  };
}

/** What a transaction did: the answers of the branch that was taken, in the order of its steps. */
export type Committed<Do extends readonly Op<unknown>[], Else extends readonly Op<unknown>[]> = {
  revision: number;
  level: string;
} & ({ succeeded: true; answers: Answers<Do> } | { succeeded: false; answers: Answers<Else> });

type Commit = (request: TxnRequest) => Promise<{ succeeded: boolean; responses: ResponseOp[]; revision: number; level: string }>;

/**
 * A transaction: if all conditions hold, one list of steps, otherwise another, all at one revision.
 * @example
 * const { succeeded } = await group.txn().if(when("duty").absent()).do(put("duty", "ada")).commit();
 */
export class Txn<Do extends readonly Op<unknown>[] = [], Else extends readonly Op<unknown>[] = []> {
  readonly #commit: Commit;
  readonly #if: readonly Condition[];
  readonly #do: Do;
  readonly #else: Else;

  constructor(commit: Commit, conditions: readonly Condition[], onTrue: Do, onFalse: Else) {
    this.#commit = commit;
    this.#if = conditions;
    this.#do = onTrue;
    this.#else = onFalse;
  }

  /** Adds conditions: all must hold. */
  if(...conditions: Condition[]): Txn<Do, Else> {
    return new Txn(this.#commit, [...this.#if, ...conditions], this.#do, this.#else);
  }

  /** Adds steps to be done where all conditions hold. */
  do<const More extends readonly Op<unknown>[]>(...steps: More): Txn<[...Do, ...More], Else> {
    return new Txn(this.#commit, this.#if, [...this.#do, ...steps], this.#else);
  }

  /** Adds steps to be done where one of them does not. */
  else<const More extends readonly Op<unknown>[]>(...steps: More): Txn<Do, [...Else, ...More]> {
    return new Txn(this.#commit, this.#if, this.#do, [...this.#else, ...steps]);
  }

  async commit(): Promise<Committed<Do, Else>> {
    const requests = (steps: readonly Op<unknown>[]) => steps.map(({ request }) => request);
    const request = { compare: [...this.#if], success: requests(this.#do), failure: requests(this.#else) };
    const { succeeded, responses, revision, level } = await this.#commit(request);
    const steps = succeeded ? this.#do : this.#else;
    const answers = responses.map((response, i) => (steps[i] as Op<unknown>).read(response));
    return { revision, level, succeeded, answers } as Committed<Do, Else>;
  }
}

export function leaseId(lease: PutOptions["lease"]): bigint {
  if (lease === undefined || lease === null) return 0n;
  return BigInt(typeof lease === "string" ? lease : lease.id);
}

export function putOf(response: ResponseOp): Put {
  return { previous: response.op === "put" ? entryOrNull(response.response.prevKv) : null };
}

export function deletedOf(response: ResponseOp): Deleted {
  if (response.op !== "deleteRange") return { deleted: 0, previous: [] };
  const { deleted, prevKvs } = response.response;
  return { deleted, previous: prevKvs.map((kv) => new Entry(kv)) };
}

export function rangeAnswer(response: ResponseOp): Range {
  if (response.op !== "range") return { entries: [], count: 0, more: false };
  const { kvs, count, more } = response.response;
  return { entries: kvs.map((kv) => new Entry(kv)), count, more };
}

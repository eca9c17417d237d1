import type { Model } from "./model.ts";

/** `version`: how often the key was put since it came to be (etcd's `version`). */
export type KvCell = { value: string; version: number };
/** A test on one key; `version` 0: it does not exist. */
export type KvCompare = { key: string; value: string } | { key: string; version: number };
export type KvStep = { op: "get"; key: string } | { op: "put"; key: string; value: string } | { op: "delete"; key: string };
export type KvInput = KvStep | { op: "txn"; compare: KvCompare[]; success: KvStep[]; failure: KvStep[] };
/** `previous`: what the key held before, where it was asked for. */
export type KvStepOutput =
  | { op: "get"; cell: KvCell | null }
  | { op: "put"; previous?: KvCell | null }
  | { op: "delete"; deleted: number; previous?: KvCell | null };
export type KvOutput = KvStepOutput | { op: "txn"; succeeded: boolean; results: KvStepOutput[] };

type State = ReadonlyMap<string, KvCell>;

/** The histories of a group's key-value store, as far as single keys and transactions over named keys go. */
export const keyValue: Model<State, KvInput, KvOutput> = {
  name: "key-value",
  touches(input) {
    if (input.op !== "txn") return [input.key];
    return [...input.compare, ...input.success, ...input.failure].map(({ key }) => key);
  },
  init: () => new Map(),
  step(state, input, output) {
    if (input.op !== "txn") {
      const [next, made] = perform(state, input);
      return output === undefined || same(output, made) ? { state: next } : null;
    }
    const succeeded = input.compare.every((each) => holds(state, each));
    if (output !== undefined && (output.op !== "txn" || output.succeeded !== succeeded)) return null;
    const steps = succeeded ? input.success : input.failure;
    if (output?.op === "txn" && output.results.length !== steps.length) return null;
    let next = state;
    for (const [i, step] of steps.entries()) {
      const [after, made] = perform(next, step);
      if (output?.op === "txn" && !same(output.results[i] as KvStepOutput, made)) return null;
      next = after;
    }
    return { state: next };
  },
  readOnly: (_, output) => (output.op === "txn" ? output.results.every(reads) : reads(output)),
  kinds(operations) {
    // Values that somebody saw, or asked for.
    const shown = new Set<string>();
    for (const { input, output } of operations) {
      if (input.op === "txn") for (const each of input.compare) if ("value" in each) shown.add(each.value);
      for (const each of output === undefined ? [] : output.op === "txn" ? output.results : [output]) {
        const cell = each.op === "get" ? each.cell : each.previous;
        if (cell) shown.add(cell.value);
      }
    }
    return operations.map(({ input }) => {
      if (input.op === "delete") return `delete ${input.key}`;
      if (input.op === "put") return shown.has(input.value) ? null : `put ${input.key}`;
      if (input.op === "get" || input.success.length !== 1 || input.failure.some(({ op }) => op !== "get")) return null;
      const [success] = input.success;
      if (success?.op !== "put" || shown.has(success.value)) return null;
      return `swap ${JSON.stringify([success.key, input.compare])}`;
    });
  },
  key(state) {
    if (state.size === 0) return "";
    const cells = [...state].map(([key, { value, version }]) => `${key.length}:${key}${version}=${value.length}:${value}`);
    return state.size === 1 ? (cells[0] as string) : cells.sort().join("");
  },
  describe(input, output) {
    const made = output === undefined ? " -> unknown" : ` -> ${describeOutput(output)}`;
    if (input.op !== "txn") return describeStep(input) + made;
    const compare = input.compare.map((each) => `${each.key} ${"value" in each ? `= ${each.value}` : `has version ${each.version}`}`);
    const [success, failure] = [input.success, input.failure].map((steps) => steps.map(describeStep).join(", ") || "nothing");
    return `if ${compare.join(" and ") || "true"} then ${success} else ${failure}${made}`;
  },
  describeState(state) {
    return `{${[...state].map(([key, cell]) => `${key}: ${describeCell(cell)}`).join(", ")}}`;
  },
};

function perform(state: State, step: KvStep): [State, KvStepOutput] {
  const cell = state.get(step.key) ?? null;
  if (step.op === "get") return [state, { op: "get", cell }];
  if (step.op === "delete" && cell === null) return [state, { op: "delete", deleted: 0, previous: null }];
  const next = new Map(state);
  if (step.op === "delete") {
    next.delete(step.key);
    return [next, { op: "delete", deleted: 1, previous: cell }];
  }
  next.set(step.key, { value: step.value, version: (cell?.version ?? 0) + 1 });
  return [next, { op: "put", previous: cell }];
}

function holds(state: State, compare: KvCompare): boolean {
  const cell = state.get(compare.key);
  // As etcd has it: a comparison with the value of a key that does not exist fails.
  return "value" in compare ? cell?.value === compare.value : (cell?.version ?? 0) === compare.version;
}

/** Does an answer say the same as what the model made, as far as it says anything? */
function same(output: KvOutput, made: KvStepOutput): boolean {
  if (output.op === "get") return made.op === "get" && sameCell(output.cell, made.cell);
  if (output.op === "txn" || made.op === "get" || output.op !== made.op) return false;
  if (output.op === "delete" && made.op === "delete" && output.deleted !== made.deleted) return false;
  return output.previous === undefined || sameCell(output.previous, made.previous ?? null);
}

function reads(output: KvStepOutput): boolean {
  return output.op === "get" || (output.op === "delete" && output.deleted === 0);
}

function sameCell(a: KvCell | null, b: KvCell | null): boolean {
  return a?.value === b?.value && a?.version === b?.version;
}

function describeStep(step: KvStep): string {
  return step.op === "put" ? `put ${step.key} = ${step.value}` : `${step.op} ${step.key}`;
}

function describeCell(cell: KvCell | null): string {
  return cell === null ? "absent" : `${cell.value} (version ${cell.version})`;
}

function describeOutput(output: KvOutput): string {
  if (output.op === "txn") return `${output.succeeded ? "then" : "else"} [${output.results.map(describeOutput).join("; ")}]`;
  if (output.op === "get") return describeCell(output.cell);
  const previous = output.previous === undefined ? "" : `, before ${describeCell(output.previous)}`;
  return `${output.op === "delete" ? `${output.deleted} deleted` : "done"}${previous}`;
}

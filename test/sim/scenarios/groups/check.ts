import { check, isLinearization } from "../../linearizability/check.ts";
import type { Operation } from "../../linearizability/history.ts";
import { type KvInput, type KvOutput, keyValue } from "../../linearizability/kv-model.ts";
import type { Clients } from "./clients.ts";
import { type Probe, Violation } from "./probe.ts";

/** Steps of a search for another order, where the log's own is none; enough for an explanation. */
const SEARCH_STEPS = 2_000_000;
const FULL_SEARCH_STEPS = 50_000;

/**
 * What the clients saw could have been seen of one store. The log names an order, by revisions: that is verified first. Where it
 * is none, that is a violation, and the search says what nobody can explain. `search`: search also where it is one.
 */
export function checkHistory(clients: Clients, probe: Probe, search: boolean): { operations: number; unknown: number } {
  const history = clients.history.happened();
  const order = guess(clients, probe);
  const unknown = history.filter(({ output }) => output === undefined).length;
  if (isLinearization(keyValue, history, order)) {
    if (search && check(keyValue, history, { maxSteps: FULL_SEARCH_STEPS }).linearizable === false)
      throw new Error("The checker found no order where there is one.");
    return { operations: history.length, unknown };
  }
  const verdict = check(keyValue, history, { maxSteps: SEARCH_STEPS });
  if (verdict.linearizable === true)
    throw new Violation(
      "linearizability",
      `the revisions that were told are no order of what happened, though another one is\n${describe(history, order)}`,
    );
  throw new Violation("linearizability", verdict.explanation);
}

/** Operations as the log has them: by revision, what wrote it before what saw it. Those of unknown outcome only if they changed something. */
function guess(clients: Clients, probe: Probe): number[] {
  const { operations } = clients.history;
  const placed: { op: number; revision: number; writes: boolean; call: number }[] = [];
  for (const [op, operation] of operations.entries()) {
    const seen = clients.seen.get(op);
    const place = seen?.session == null ? undefined : probe.places.get(seen.session);
    if (operation.output === undefined) {
      if (place?.changed) placed.push({ op, revision: place.revision, writes: true, call: operation.call });
      continue;
    }
    const writes = !keyValue.readOnly(operation.input, operation.output);
    placed.push({ op, revision: seen?.revision ?? 0, writes, call: operation.call });
  }
  placed.push(...unnumbered(clients, probe));
  placed.sort((a, b) => a.revision - b.revision || Number(b.writes) - Number(a.writes) || a.call - b.call);
  return placed.map(({ op }) => op);
}

/** Writes without a session whose outcome is unknown: they happened if what only they write was ever there. */
function unnumbered(clients: Clients, probe: Probe): { op: number; revision: number; writes: boolean; call: number }[] {
  const found: { op: number; revision: number; writes: boolean; call: number }[] = [];
  for (const [op, { input, output, call }] of clients.history.operations.entries()) {
    if (output !== undefined || clients.seen.get(op)?.session != null) continue;
    const steps = input.op === "txn" ? [...input.success, ...input.failure] : [input];
    for (const step of steps) {
      if (step.op !== "put") continue;
      const there = probe.contents.get(step.key)?.find(({ kv }) => kv?.value === step.value);
      if (there !== undefined) found.push({ op, revision: there.revision, writes: true, call });
    }
  }
  return found;
}

function describe(history: readonly Operation<KvInput, KvOutput>[], order: readonly number[]): string {
  return order
    .slice(-15)
    .map((op) => {
      const { process, input, output, call, return: end } = history[op] as Operation<KvInput, KvOutput>;
      return `  [${call}-${Number.isFinite(end) ? end : ""}] ${process}: ${keyValue.describe(input, output)}`;
    })
    .join("\n");
}

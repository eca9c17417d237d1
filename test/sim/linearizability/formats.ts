import type { Operation } from "./history.ts";
import type { AppendInput, AppendOutput, RegisterInput, RegisterOutput } from "./models.ts";

type Pending<I> = { input: I; call: number };

/** Pairs calls with what became of them, by process: a process has one operation at a time. */
class Pairing<I, O> {
  readonly operations: Operation<I, O>[] = [];
  readonly #open = new Map<string, Pending<I>>();
  #clock = 0;

  call(process: string, input: I): void {
    if (this.#open.has(process)) throw new SyntaxError(`Process ${process} calls again before its answer.`);
    this.#open.set(process, { input, call: this.#clock++ });
  }

  answer(process: string, output: (input: I) => O): void {
    const { input, call } = this.#take(process);
    this.operations.push({ process, input, call, output: output(input), return: this.#clock++ });
  }

  /** It never happened. */
  drop(process: string): void {
    this.#take(process);
  }

  unknown(process: string): void {
    const { input, call } = this.#take(process);
    this.operations.push({ process, input, call, output: undefined, return: Number.POSITIVE_INFINITY });
  }

  /** What is open at the end has an unknown outcome. */
  end(): Operation<I, O>[] {
    for (const process of [...this.#open.keys()]) this.unknown(process);
    return this.operations;
  }

  #take(process: string): Pending<I> {
    const pending = this.#open.get(process);
    if (pending === undefined) throw new SyntaxError(`Process ${process} is answered without a call.`);
    this.#open.delete(process);
    return pending;
  }
}

/**
 * A Jepsen log of a register, `INFO  jepsen.util - PROCESS :TYPE :F VALUE`; `:info` is an unknown outcome, a `cas` that
 * fails surely found another value, anything else that fails did not happen. Lines of other components are left out.
 */
export function parseJepsen(text: string): Operation<RegisterInput, RegisterOutput>[] {
  const pairing = new Pairing<RegisterInput, RegisterOutput>();
  for (const line of text.split("\n")) {
    const match = /jepsen\.util - (\d+)\s+:(\w+)\s+:(\w+)\s*(.*)$/.exec(line);
    if (match === null) continue;
    const [, process = "", type, f, value = ""] = match;
    if (f !== "read" && f !== "write" && f !== "cas") throw new SyntaxError(`Not an operation of a register: ${line}`);
    if (type === "invoke") pairing.call(process, jepsenInput(f, value));
    else if (type === "ok") pairing.answer(process, ({ op }) => jepsenOutput(op, value));
    else if (type === "fail" && f === "cas" && !value.includes("timed-out")) pairing.answer(process, () => ({ op: "cas", swapped: false }));
    else if (type === "fail") pairing.drop(process);
    else if (type === "info") pairing.unknown(process);
    else throw new SyntaxError(`Not an event of an operation: ${line}`);
  }
  return pairing.end();
}

function jepsenInput(op: "read" | "write" | "cas", value: string): RegisterInput {
  if (op === "read") return { op };
  const numbers = value.match(/-?\d+/g)?.map(Number) ?? [];
  if (numbers.length !== (op === "write" ? 1 : 2)) throw new SyntaxError(`${op} with the value ${value}`);
  return op === "write" ? { op, value: numbers[0] as number } : { op, from: numbers[0] as number, to: numbers[1] as number };
}

function jepsenOutput(op: "read" | "write" | "cas", value: string): RegisterOutput {
  if (op === "read") return { op, value: value.trim() === "nil" ? null : whole(value) };
  return op === "write" ? { op } : { op, swapped: true };
}

function whole(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isSafeInteger(value)) throw new SyntaxError(`Not a whole number: "${text}"`);
  return value;
}

/** A log of the key-value tests, one EDN map a line: `{:process 0, :type :invoke, :f :get, :key "7", :value nil}`. */
export function parseAppendLog(text: string): Operation<AppendInput, AppendOutput>[] {
  const pairing = new Pairing<AppendInput, AppendOutput>();
  for (const line of text.split("\n")) {
    if (line.trim() === "") continue;
    const match = /^\{:process (\d+), :type :(invoke|ok), :f :(get|put|append), :key "([^"]*)", :value (?:nil|"([^"]*)")\}$/.exec(
      line.trim(),
    );
    if (match === null) throw new SyntaxError(`Not an event: ${line}`);
    const [, process = "", type, op, key = "", value = ""] = match;
    if (type === "ok") pairing.answer(process, (input) => (input.op === "get" ? { op: "get", value } : { op: "done" }));
    else pairing.call(process, op === "get" ? { op, key } : { op: op as "put" | "append", key, value });
  }
  return pairing.end();
}

/** Our own format: `operations` as `[process, call, return or null, input, output or null]`. */
export type StoredHistory = {
  name: string;
  model: "register" | "append" | "kv";
  linearizable: boolean;
  operations: [process: string, call: number, end: number | null, input: unknown, output: unknown][];
};

export function storeHistory<I, O>(
  name: string,
  model: StoredHistory["model"],
  linearizable: boolean,
  history: readonly Operation<I, O>[],
): StoredHistory {
  const operations = history.map(({ process, call, return: end, input, output }): StoredHistory["operations"][number] => [
    process,
    call,
    end === Number.POSITIVE_INFINITY ? null : end,
    input,
    output ?? null,
  ]);
  return { name, model, linearizable, operations };
}

/** The operations of a stored history; that they suit the model is for the reader to know. */
export function restoreHistory<I, O>(stored: StoredHistory): Operation<I, O>[] {
  return stored.operations.map(([process, call, end, input, output]) => ({
    process,
    call,
    return: end ?? Number.POSITIVE_INFINITY,
    input: input as I,
    output: end === null ? undefined : (output as O),
  }));
}

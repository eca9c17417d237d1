import type { Model } from "./model.ts";

/** A register that is empty (null) at first. */
export type RegisterInput = { op: "read" } | { op: "write"; value: number } | { op: "cas"; from: number; to: number };
export type RegisterOutput = { op: "read"; value: number | null } | { op: "write" } | { op: "cas"; swapped: boolean };

export const register: Model<number | null, RegisterInput, RegisterOutput> = {
  name: "register",
  init: () => null,
  step(state, input, output) {
    switch (input.op) {
      case "read":
        return output?.op !== "read" || output.value === state ? { state } : null;
      case "write":
        return { state: input.value };
      case "cas": {
        const swapped = state === input.from;
        if (output?.op === "cas" && output.swapped !== swapped) return null;
        return { state: swapped ? input.to : state };
      }
    }
  },
  readOnly: (_, output) => output.op === "read" || (output.op === "cas" && !output.swapped),
  key: (state) => state ?? "empty",
  describe(input, output) {
    const unknown = output === undefined ? " -> unknown" : "";
    if (input.op === "write") return `write ${input.value}${unknown}`;
    if (input.op === "read") return output?.op === "read" ? `read -> ${output.value ?? "empty"}` : `read${unknown}`;
    return `cas ${input.from} to ${input.to}${output?.op === "cas" ? ` -> ${output.swapped ? "done" : "not done"}` : unknown}`;
  },
  describeState: (state) => `${state ?? "empty"}`,
};

/** Keys that hold strings, empty at first. */
export type AppendInput = { key: string } & ({ op: "get" } | { op: "put"; value: string } | { op: "append"; value: string });
export type AppendOutput = { op: "get"; value: string } | { op: "done" };

export const appendStore: Model<string, AppendInput, AppendOutput> = {
  name: "key with append",
  touches: ({ key }) => [key],
  init: () => "",
  step(state, input, output) {
    switch (input.op) {
      case "get":
        return output?.op !== "get" || output.value === state ? { state } : null;
      case "put":
        return { state: input.value };
      case "append":
        return { state: state + input.value };
    }
  },
  readOnly: ({ op }) => op === "get",
  key: (state) => state,
  describe(input, output) {
    const result = output === undefined ? " -> unknown" : output.op === "get" ? ` -> ${tail(output.value)}` : "";
    return `${input.op} ${input.key}${input.op === "get" ? "" : ` ${JSON.stringify(input.value)}`}${result}`;
  },
  describeState: tail,
};

/** The end of a string: with appends, that is where it differs. */
function tail(text: string): string {
  return text.length <= 60 ? JSON.stringify(text) : `…${JSON.stringify(text.slice(-59))} (${text.length} characters)`;
}

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Random } from "../kit/index.ts";
import { linearizableByDefinition } from "./brute.fixture.ts";
import { assertLinearizable, check, isLinearization, partition } from "./check.ts";
import { History, type Operation } from "./history.ts";
import { type KvInput, type KvOutput, type KvStep, keyValue } from "./kv-model.ts";
import { type RegisterInput, type RegisterOutput, register } from "./models.ts";

/** Spans that overlap or not, with outcomes drawn at random: most such histories are wrong, many in a small way. */
function spans<I, O>(operation: fc.Arbitrary<[I, O]>): fc.Arbitrary<Operation<I, O>[]> {
  const one = fc.tuple(operation, fc.integer({ min: 0, max: 12 }), fc.integer({ min: 0, max: 8 }), fc.boolean(), fc.boolean());
  return fc.array(one, { maxLength: 7 }).map((drawn) =>
    drawn.map(([[input, output], call, length, a, b], i) => {
      const unknown = a && b;
      const base = { process: String(i), input, call };
      return unknown ? { ...base, output: undefined, return: Number.POSITIVE_INFINITY } : { ...base, output, return: call + length };
    }),
  );
}

const value = fc.integer({ min: 0, max: 2 });
const registerOperation: fc.Arbitrary<[RegisterInput, RegisterOutput]> = fc.oneof(
  fc.option(value).map((v): [RegisterInput, RegisterOutput] => [{ op: "read" }, { op: "read", value: v }]),
  value.map((v): [RegisterInput, RegisterOutput] => [{ op: "write", value: v }, { op: "write" }]),
  fc.tuple(value, value, fc.boolean()).map(([from, to, swapped]): [RegisterInput, RegisterOutput] => [
    { op: "cas", from, to },
    { op: "cas", swapped },
  ]),
);

const key = fc.constantFrom("a", "b");
const cell = fc.option(fc.record({ value: fc.constantFrom("x", "y"), version: fc.integer({ min: 1, max: 2 }) }));
const kvOperation: fc.Arbitrary<[KvInput, KvOutput]> = fc.oneof(
  fc.tuple(key, cell).map(([k, c]): [KvInput, KvOutput] => [
    { op: "get", key: k },
    { op: "get", cell: c },
  ]),
  fc.tuple(key, fc.constantFrom("x", "y")).map(([k, v]): [KvInput, KvOutput] => [{ op: "put", key: k, value: v }, { op: "put" }]),
  fc.tuple(key, fc.integer({ min: 0, max: 1 })).map(([k, deleted]): [KvInput, KvOutput] => [
    { op: "delete", key: k },
    { op: "delete", deleted },
  ]),
  fc.tuple(key, key, fc.boolean(), cell).map(([k, other, succeeded, c]): [KvInput, KvOutput] => [
    { op: "txn", compare: [{ key: k, version: 0 }], success: [{ op: "put", key: other, value: "x" }], failure: [{ op: "get", key: k }] },
    { op: "txn", succeeded, results: succeeded ? [{ op: "put" }] : [{ op: "get", cell: c }] },
  ]),
  fc.tuple(cell, cell).map(([a, b]): [KvInput, KvOutput] => [
    { op: "txn", compare: [], success: ["a", "b"].map((each) => ({ op: "get", key: each }) as const), failure: [] },
    { op: "txn", succeeded: true, results: [a, b].map((each) => ({ op: "get", cell: each }) as const) },
  ]),
);

/** The answer that an operation of unknown outcome would have got at its place of an order. */
function fitting(order: readonly Operation<RegisterInput, RegisterOutput>[], at: number): RegisterOutput {
  const state = order.slice(0, at).reduce<number | null>((now, { input }) => register.step(now, input, undefined)?.state ?? null, null);
  const input = (order[at] as (typeof order)[number]).input;
  if (input.op === "read") return { op: "read", value: state };
  return input.op === "write" ? { op: "write" } : { op: "cas", swapped: state === input.from };
}

describe("the checker", () => {
  it("says what the definition says, of a register", () => {
    const seen = { true: 0, false: 0 };
    fc.assert(
      fc.property(spans(registerOperation), (history) => {
        const expected = linearizableByDefinition(register, history);
        seen[`${expected}`]++;
        expect(check(register, history).linearizable).toBe(expected);
      }),
      { numRuns: 3000 },
    );
    expect(Math.min(seen.true, seen.false)).toBeGreaterThan(300);
  });

  it("says what the definition says, of a store with transactions, whole and in parts", () => {
    const seen = { true: 0, false: 0 };
    fc.assert(
      fc.property(spans(kvOperation), (history) => {
        const expected = linearizableByDefinition(keyValue, history);
        seen[`${expected}`]++;
        expect(check(keyValue, history).linearizable).toBe(expected);
        const { touches: _, ...whole } = keyValue;
        expect(check(whole, history).linearizable).toBe(expected);
      }),
      { numRuns: 2000 },
    );
    expect(Math.min(seen.true, seen.false)).toBeGreaterThan(200);
  });

  it("takes a given order for a linearization exactly if it is one", () => {
    const seen = { true: 0, false: 0 };
    const permuted = spans(registerOperation).chain((history) =>
      fc.tuple(fc.constant(history), fc.shuffledSubarray([...history.keys()], { minLength: Math.max(0, history.length - 1) })),
    );
    fc.assert(
      fc.property(permuted, ([history, order]) => {
        const chosen = order.map((place) => history[place]) as typeof history;
        const missing = history.some(({ output }, place) => output !== undefined && !order.includes(place));
        const backwards = chosen.some((each, i) => chosen.slice(0, i).some((earlier) => each.return < earlier.call));
        // With the times of its order, a history has this one linearization or none.
        const inTurn = chosen.map((each, i) => ({ ...each, output: each.output ?? fitting(chosen, i), call: 2 * i, return: 2 * i + 1 }));
        const expected = !missing && !backwards && linearizableByDefinition(register, inTurn);
        seen[`${expected}`]++;
        expect(isLinearization(register, history, order)).toBe(expected);
      }),
      { numRuns: 3000 },
    );
    expect(Math.min(seen.true, seen.false)).toBeGreaterThan(200);
  });

  it("checks keys apart unless a transaction ties them", () => {
    const put = (k: string, call: number): Operation<KvInput, KvOutput> => ({
      process: "p",
      input: { op: "put", key: k, value: "v" },
      call,
      output: { op: "put" },
      return: call + 1,
    });
    const tie: Operation<KvInput, KvOutput> = {
      process: "p",
      input: { op: "txn", compare: [{ key: "b", version: 0 }], success: [{ op: "put", key: "d", value: "v" }], failure: [] },
      call: 99,
      output: undefined,
      return: Number.POSITIVE_INFINITY,
    };
    const puts = ["a", "b", "c", "d", "a"].map((k, i) => put(k, i * 2));
    const keysOf = (part: Operation<KvInput, KvOutput>[]) => part.flatMap(({ input }) => keyValue.touches?.(input) ?? []).join("");
    expect(partition(keyValue, puts).map(keysOf)).toEqual(["aa", "b", "c", "d"]);
    expect(partition(keyValue, [...puts, tie]).map(keysOf)).toEqual(["aa", "bdbd", "c"]);
  });

  it("finds writes of unknown outcome to several keys that one read sees together", () => {
    const history = new History<KvInput, KvOutput>();
    for (const k of ["a", "b", "c"]) history.call(k, { op: "put", key: k, value: "v" });
    const gets = (keys: string[]) => keys.map((each) => ({ op: "get", key: each }) as const);
    const read = (seen: string[]) => {
      const id = history.call("r", { op: "txn", compare: [], success: gets(["a", "b", "c"]), failure: [] });
      const cells = ["a", "b", "c"].map((each) => (seen.includes(each) ? { value: "v", version: 1 } : null));
      history.answer(id, { op: "txn", succeeded: true, results: cells.map((each) => ({ op: "get", cell: each }) as const) });
    };
    read([]);
    read(["a", "c"]);
    read(["a", "b", "c"]);
    expect(check(keyValue, history.operations).linearizable).toBe(true);
    read(["a", "c"]);
    expect(check(keyValue, history.operations).linearizable).toBe(false);
  });

  it("does not try which of many writes, that nobody saw and nobody was told of, came first", () => {
    const history = new History<KvInput, KvOutput>();
    for (let i = 0; i < 24; i++) history.call(`c${i}`, { op: "put", key: "k", value: `lost ${i}` });
    for (let i = 0; i < 6; i++) history.call(`d${i}`, { op: "delete", key: "k" });
    const swap = (value: string): KvInput => ({
      op: "txn",
      compare: [{ key: "k", version: 0 }],
      success: [{ op: "put", key: "k", value }],
      failure: [],
    });
    for (let i = 0; i < 6; i++) history.call(`s${i}`, swap(`made ${i}`));
    const put = history.call("a", { op: "put", key: "k", value: "seen" });
    history.answer(put, { op: "put", previous: { value: "lost 5", version: 12 } });
    const verdict = check(keyValue, history.operations);
    expect(verdict).toMatchObject({ linearizable: true });
    expect(verdict.steps).toBeLessThan(50_000);
    const read = history.call("a", { op: "get", key: "k" });
    history.answer(read, { op: "get", cell: { value: "seen", version: 99 } });
    const refused = check(keyValue, history.operations);
    expect(refused).toMatchObject({ linearizable: false });
    // Of the orders of 36 operations.
    expect(refused.steps).toBeLessThan(500_000);
  });

  it("takes operations that touch at the same instant for concurrent, and refuses answers before their call", () => {
    const write = { process: "a", input: { op: "write", value: 1 }, call: 0, output: { op: "write" }, return: 5 } as const;
    const read = { process: "b", input: { op: "read" }, call: 5, output: { op: "read", value: null }, return: 6 } as const;
    expect(check(register, [write, read]).linearizable).toBe(true);
    expect(check(register, [write, { ...read, call: 6 }]).linearizable).toBe(false);
    expect(() => check(register, [{ ...read, return: 4 }])).toThrow(RangeError);
  });

  it("gives up at its bound and says that it did", () => {
    const history = new History<RegisterInput, RegisterOutput>();
    for (let i = 0; i < 14; i++) history.call(`w${i}`, { op: "write", value: i });
    const read = history.call("r", { op: "read" });
    history.answer(read, { op: "read", value: 99 });
    const verdict = check(register, history.operations, { maxSteps: 1000 });
    expect(verdict).toMatchObject({ linearizable: null, explanation: expect.stringContaining("no verdict within 1000 steps") });
    expect(() => assertLinearizable(register, history.operations, { maxSteps: 1000 })).toThrow("no verdict");
  });

  it("explains with the shortest prefix: the answer, what it would have found, an order before it, what was open", () => {
    const history = new History<RegisterInput, RegisterOutput>();
    const write = (process: string, v: number) => history.answer(history.call(process, { op: "write", value: v }), { op: "write" });
    const read = (process: string, v: number) => history.answer(history.call(process, { op: "read" }), { op: "read", value: v });
    write("a", 1);
    history.call("b", { op: "write", value: 2 });
    read("c", 1);
    read("c", 2);
    read("a", 1);
    write("a", 7);
    read("c", 8);
    const verdict = check(register, history.operations);
    expect(verdict).toMatchObject({
      linearizable: false,
      explanation: [
        "register: not linearizable. The first answer that no order explains:",
        "  [7-8] a: read -> 1",
        "  it would have found 2",
        "An order of what was answered before it (the last 4 of 4):",
        "  [0-1] a: write 1",
        "  [3-4] c: read -> 1",
        "  [2-] b: write 2 -> unknown",
        "  [5-6] c: read -> 2",
        "  leaves 2",
      ].join("\n"),
    });
  });
});

/** Clients of a store that takes effect at one instant between call and answer; some answers get lost, some requests too. */
function play(seed: number, stale: boolean): Operation<KvInput, KvOutput>[] {
  const random = new Random(seed);
  const history = new History<KvInput, KvOutput>();
  type Agenda = { time: number; run: () => void };
  const agenda: Agenda[] = [];
  const at = (time: number, run: () => void) => void agenda.push({ time, run });
  const keys = ["a", "b", "c"];
  const past = [keyValue.init()];
  const step = (): KvStep => {
    const k = random.pick(keys);
    const put = { op: "put", key: k, value: String(random.int(0, 999)) } as const;
    return random.pick([{ op: "get", key: k }, { op: "get", key: k }, put, put, { op: "delete", key: k }] as const);
  };
  const next = (client: number, time: number, left: number): void => {
    if (left === 0) return;
    at(time, () => {
      const txn = random.chance(0.2);
      const compare = { key: random.pick(keys), version: random.int(0, 2) };
      const input: KvInput = txn ? { op: "txn", compare: [compare], success: [step(), step()], failure: [step()] } : step();
      const id = history.call(`client-${client}`, input);
      const effect = time + random.int(1, 40);
      const answer = effect + random.int(1, 40);
      const fate = random.chance(0.85) ? "fine" : random.pick(["lost request", "lost answer", "late"] as const);
      let output: KvOutput | null = null;
      const late = fate === "late" ? random.int(0, 400) : 0;
      if (fate !== "lost request")
        at(effect + late, () => {
          // The planted mistake: a read of a state that was the present long ago.
          const state = stale && input.op === "get" && random.chance(0.2) ? (past.at(-6) ?? past[0]) : past.at(-1);
          const made = outcomeOf(state as never, input);
          if (input.op !== "get") past.push(made.state);
          output = made.output;
        });
      if (fate === "fine") at(answer, () => history.answer(id, output as KvOutput));
      next(client, answer + random.int(0, 30), left - 1);
    });
  };
  for (let client = 0; client < 4; client++) next(client, random.int(0, 20), 25);
  while (agenda.length > 0) {
    agenda.sort((x, y) => x.time - y.time);
    agenda.shift()?.run();
  }
  return history.happened();
}

/** What a store in this state answers: found with the model's own transitions, which take only the one right answer. */
function outcomeOf(state: ReturnType<typeof keyValue.init>, input: KvInput): { state: typeof state; output: KvOutput } {
  let now = state;
  const perform = (step: KvStep) => {
    const before = now.get(step.key) ?? null;
    now = keyValue.step(now, step, undefined)?.state ?? now;
    if (step.op === "get") return { op: "get" as const, cell: before };
    if (step.op === "put") return { op: "put" as const, previous: before };
    return { op: "delete" as const, deleted: before === null ? 0 : 1, previous: before };
  };
  if (input.op !== "txn") return { output: perform(input), state: now };
  const succeeded = input.compare.every((each) => "version" in each && (now.get(each.key)?.version ?? 0) === each.version);
  const results = (succeeded ? input.success : input.failure).map(perform);
  return { output: { op: "txn", succeeded, results }, state: now };
}

describe("histories of a store that is linearizable by its making", () => {
  it("always pass", () => {
    for (let seed = 1; seed <= 100; seed++) assertLinearizable(keyValue, play(seed, false));
  });

  it("with stale reads planted, fail", () => {
    let caught = 0;
    for (let seed = 1; seed <= 40; seed++) if (check(keyValue, play(seed, true)).linearizable === false) caught++;
    expect(caught).toBeGreaterThan(30);
  });
});

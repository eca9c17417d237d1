import { describe, expect, it } from "vitest";
import { artifact, golden, instantiate } from "../../test/golden/forest.fixture.ts";
import { SkerryError } from "../wire/errors.ts";
import { ModelHost } from "./host.ts";
import type { InferenceExports } from "./port.ts";

/** `(module (func (export "trap") unreachable))`: a trap as the engine itself throws it. */
const trapping = new WebAssembly.Module(
  new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 7, 8, 1, 4, 116, 114, 97, 112, 0, 0, 10, 5, 1, 3, 0, 0, 11]),
);
const trap = () => (new WebAssembly.Instance(trapping).exports.trap as () => never)();

/** Instances whose scoring traps as often as `traps` says, one entry an instance. */
function faulty(traps: boolean[]) {
  const made: InferenceExports[] = [];
  const make = (): InferenceExports => {
    const real = instantiate();
    const broken = traps[made.length] ?? false;
    const exports = { ...real, memory: real.memory, ...(broken && { forest_score: trap }) };
    made.push(exports);
    return exports;
  };
  return { made, make };
}

const row = new Float32Array(golden.rows[0] as number[]);
const expected = golden.scores[0] as number;

describe("ModelHost", () => {
  it("loads once and at first use", () => {
    const { made, make } = faulty([]);
    const host = new ModelHost(make, artifact);
    expect([made.length, host.memoryBytes]).toEqual([0, 0]);
    for (let i = 0; i < 3; i++) host.run((forest) => forest.score(row, 1));
    expect(made).toHaveLength(1);
    expect(host.memoryBytes).toBe(made[0]?.memory.buffer.byteLength);
  });

  it("[IH1] heals after a trap on a fresh instance, which it keeps", () => {
    const { made, make } = faulty([true]);
    const host = new ModelHost(make, artifact);
    expect(host.run((forest) => forest.score(row, 1))[0]).toBeCloseTo(expected, 6);
    host.run((forest) => forest.score(row, 1));
    expect([made.length, host.traps]).toEqual([2, 1]);
  });

  it("[IH2] reports an input that traps twice, and serves the next one", () => {
    const { made, make } = faulty([true, true]);
    const host = new ModelHost(make, artifact);
    expect(() => host.run((forest) => forest.score(row, 1))).toThrow(expect.objectContaining({ code: "model_failed" }));
    expect([host.traps, host.memoryBytes]).toEqual([2, 0]);
    expect(host.run((forest) => forest.score(row, 1))[0]).toBeCloseTo(expected, 6);
    expect(made).toHaveLength(3);
  });

  it("[IH3] passes our own errors on and keeps the instance", () => {
    const { made, make } = faulty([]);
    const host = new ModelHost(make, artifact);
    expect(() => host.run((forest) => forest.score(row, 2))).toThrow(SkerryError);
    host.run((forest) => forest.score(row, 1));
    expect([made.length, host.traps]).toEqual([1, 0]);
    expect(() => new ModelHost(make, artifact.slice(1)).run((forest) => forest.name)).toThrow(
      expect.objectContaining({ code: "bad_model" }),
    );
  });
});

import { SkerryError } from "../wire/errors.ts";
import { Forest } from "./forest.ts";
import type { InferenceExports } from "./port.ts";

/**
 * Keeps one model in a Wasm instance of its own, loaded at first use. A trap leaves an instance in an unknown state, so after
 * one the instance is dropped and the call repeated once on a fresh one: a fault of the instance heals, and an input
 * that traps a fresh instance too is reported as the input's fault and never retried.
 *
 * @example
 * const host = new ModelHost(() => new WebAssembly.Instance(module).exports as unknown as InferenceExports, artifact);
 * const scores = host.run((forest) => forest.score(rows, n));
 */
export class ModelHost {
  private forest: Forest | null = null;
  private trapCount = 0;

  private readonly instantiate: () => InferenceExports;
  private readonly artifact: Uint8Array;

  constructor(instantiate: () => InferenceExports, artifact: Uint8Array) {
    this.instantiate = instantiate;
    this.artifact = artifact;
  }

  /** Traps since the start, for metrics. */
  get traps(): number {
    return this.trapCount;
  }

  /** Bytes of linear memory held now; 0 before the first call and after a trap. */
  get memoryBytes(): number {
    return this.forest?.memoryBytes ?? 0;
  }

  /** Runs `call` on the loaded forest. Throws what the forest throws, and `model_failed` where the call traps twice. */
  run<T>(call: (forest: Forest) => T): T {
    try {
      return this.attempt(call);
    } catch (error) {
      if (error instanceof SkerryError) throw error;
    }
    try {
      return this.attempt(call);
    } catch (cause) {
      if (cause instanceof SkerryError) throw cause;
      throw new SkerryError(
        "model_failed",
        "The model trapped on this input, and again on a fresh instance. Do not send the same input again.",
        { cause },
      );
    }
  }

  /** One try. Whatever is not an answer of ours is a trap, after which the instance is never used again. */
  private attempt<T>(call: (forest: Forest) => T): T {
    try {
      this.forest ??= Forest.load(this.instantiate(), this.artifact);
      return call(this.forest);
    } catch (error) {
      if (!(error instanceof SkerryError)) {
        this.forest = null;
        this.trapCount++;
      }
      throw error;
    }
  }
}

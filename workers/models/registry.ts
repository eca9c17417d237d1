import type { Forest } from "../../core/inference/forest.ts";
import { ModelHost } from "../../core/inference/host.ts";
import type { InferenceExports } from "../../core/inference/port.ts";
import { SkerryError } from "../../core/wire/errors.ts";
import flightForest from "../../wasm/artifacts/flight-forest.bin";
import module from "../../wasm/artifacts/skerry_inference.wasm";

/** One model that this script serves; `version` is the beginning of its artifact's SHA-256, so a name with it never changes its meaning. */
export type Model = { name: string; version: string; host: ModelHost };

const DIGEST_LETTERS = 12;
const ARTIFACTS: readonly ArrayBuffer[] = [flightForest];

let opening: Promise<Model[]> | null = null;

/** The models of this script, opened once an isolate. */
export function models(): Promise<Model[]> {
  opening ??= Promise.all(ARTIFACTS.map(open)).catch((error: unknown) => {
    opening = null;
    throw error;
  });
  return opening;
}

/** The model of a name, `name` or `name@version`. Throws `model_not_found` with the names there are. */
export async function findModel(name: string, version?: string): Promise<Model> {
  const all = await models();
  const model = all.find((each) => (name === each.name || name === fullName(each)) && (version === undefined || version === each.version));
  if (model) return model;
  const asked = version === undefined ? name : `${name}, version ${version}`;
  throw new SkerryError("model_not_found", `There is no model "${asked}". There are: ${all.map(fullName).join(", ")}.`);
}

export function fullName(model: Model): string {
  return `${model.name}@${model.version}`;
}

/** Scores rows and says by which threshold to judge them. */
export function scoreWith(model: Model, rows: Float32Array, n: number): { scores: Float32Array; threshold: number } {
  return model.host.run((forest: Forest) => ({ scores: forest.score(rows, n), threshold: forest.threshold }));
}

async function open(buffer: ArrayBuffer): Promise<Model> {
  const artifact = new Uint8Array(buffer);
  const host = new ModelHost(() => new WebAssembly.Instance(module).exports as unknown as InferenceExports, artifact);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", artifact));
  const version = [...digest]
    .map((byte) => byte.toString(16).padStart(2, "0"))
    .join("")
    .slice(0, DIGEST_LETTERS);
  return { name: host.run((forest) => forest.name), version, host };
}

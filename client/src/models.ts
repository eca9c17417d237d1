import type { CallOptions, Http } from "./http.ts";

/** A tensor of the Open Inference Protocol (KServe v2): `data` in row-major order, flat or one list a row. */
export type Tensor = { name: string; shape: number[]; datatype: string; data: readonly unknown[] };
export type OutputTensor = { name: string; shape: number[]; datatype: string; data: (number | boolean)[] };
export type TensorInfo = { name: string; datatype: string; shape: number[] };

export type InferRequest = {
  /** Comes back with the answer. */
  id?: string;
  inputs: Tensor[];
  /** The outputs wanted; all of them where absent. */
  outputs?: { name: string }[];
};

export type Inference = { model: string; version: string; id?: string; outputs: OutputTensor[] };

/** What a model takes and gives; -1 in a shape stands for any size. `parameters` is what its artifact says of itself. */
export type ModelInfo = {
  name: string;
  versions: string[];
  platform: string;
  inputs: TensorInfo[];
  outputs: TensorInfo[];
  parameters: Record<string, unknown>;
};

export type ModelOptions = CallOptions & {
  /** The beginning of the SHA-256 of its artifact, which never changes its meaning; whatever is deployed unless given. */
  version?: string;
};

/** Models that run beside the data, by the Open Inference Protocol. */
export class Models {
  readonly #http: Http;

  constructor(http: Http) {
    this.#http = http;
  }

  /** The models that this client may read. */
  async list(options: CallOptions = {}): Promise<{ name: string; versions: string[] }[]> {
    return (await this.#http.json<{ models: { name: string; versions: string[] }[] }>("GET", "/v2/models", options)).models;
  }

  metadata(model: string, { version, signal }: ModelOptions = {}): Promise<ModelInfo> {
    return this.#http.json("GET", path(model, version), { signal });
  }

  /**
   * Runs a model on input tensors. Throws `model_not_found`, `bad_request`, `too_large`, and `model_failed` for an input
   * that should not be sent again.
   * @example
   * const { outputs } = await client.models.infer("flight-forest", {
   *   inputs: [{ name: "rows", shape: [1, 4], datatype: "FP32", data: [33, 2176, 0.02, 0.11] }],
   * });
   */
  async infer(model: string, request: InferRequest, { version, signal }: ModelOptions = {}): Promise<Inference> {
    const answer = await this.#http.json<{ model_name: string; model_version: string; id?: string; outputs: OutputTensor[] }>(
      "POST",
      `${path(model, version)}/infer`,
      { body: request, signal },
    );
    const { model_name, model_version, ...rest } = answer;
    return { model: model_name, version: model_version, ...rest };
  }
}

function path(model: string, version: string | undefined): string {
  const base = `/v2/models/${encodeURIComponent(model)}`;
  return version === undefined ? base : `${base}/versions/${encodeURIComponent(version)}`;
}

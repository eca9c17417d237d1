/**
 * The exports of `wasm/artifacts/skerry_inference.wasm` (`wasm/SPEC.md`), as far as the domain sees them. The shell makes
 * an instance and passes its exports; `memory.buffer` is read anew for every use, since it changes when memory grows.
 */
export interface InferenceExports {
  readonly memory: { readonly buffer: ArrayBuffer };
  abi_version(): number;
  /** A zeroed buffer aligned to 16, or 0 where memory or slots are used up. */
  buffer_alloc(length: number): number;
  buffer_free(pointer: number): number;
  /** A handle above 0, or an error code below. */
  forest_load(pointer: number, length: number): number;
  forest_free(handle: number): number;
  forest_features(handle: number): number;
  forest_score(handle: number, rows: number, n: number, d: number, scores: number): number;
}

/** The one ABI version that this build speaks. */
export const ABI_VERSION = 1;

/** The module's error codes and what they mean; they never change their meaning. */
export const ABI_ERRORS: Readonly<Record<number, string>> = {
  [-1]: "its length is not what its header says",
  [-2]: "it does not begin with the format's magic bytes",
  [-3]: "it has a format version that this build does not read",
  [-4]: "its checksum does not match",
  [-5]: "a count in its header is outside the limits",
  [-6]: "a node names a feature, child or value that cannot be",
  [-7]: "a tree is deeper than 12",
  [-8]: "it does not fit the memory budget",
  [-9]: "no model has this handle",
  [-10]: "a buffer is not one the module handed out",
  [-11]: "the rows have another number of columns than the model has features",
  [-12]: "all slots for models or buffers are taken",
};

/** What a score call returns: one score a row, in (0, 1], higher is more unusual; NaN for a row with NaN. */
export type Scores = {
  scores: Float32Array;
  /** Scores from here up are unusual (about 1 % of what the model was trained on). */
  threshold: number;
  /** The artifact that answered: `name@digest`, so that a stored score says where it came from. */
  model: string;
};

/**
 * The RPC surface of the Worker script `skerry-models`, bound as `env.MODELS`.
 * @example
 * const models = env.MODELS as unknown as ModelsService;
 * const { scores, threshold } = await models.score("flight-forest", flightRows(flights), flights.length);
 */
export interface ModelsService {
  /**
   * Scores `n` rows, row-major in `rows` (length n x features), at most {@link MAX_ROWS}. Call once a batch, not once a record.
   * Throws `model_not_found`, `bad_request` (shape), `too_large`, `model_failed` (the input trapped the model twice).
   */
  score(model: string, rows: Float32Array, n: number): Promise<Scores>;
}

/** Rows in one call. */
export const MAX_ROWS = 65_536;

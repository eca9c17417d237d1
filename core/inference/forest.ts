import { SkerryError } from "../wire/errors.ts";
import { ABI_ERRORS, ABI_VERSION, type InferenceExports, MAX_ROWS } from "./port.ts";

/** Larger artifacts are refused before a byte is copied; with its tables and buffers, a model then stays under the module's 32 MiB. */
export const MAX_ARTIFACT_BYTES = 8 * 1024 * 1024;
/** The window in linear memory through which rows pass, so that a large call does not make memory grow for ever. */
const WINDOW_BYTES = 64 * 1024;
const HEADER_BYTES = 32;

/** What the artifact says of itself; the rest of its metadata is for people. */
export type ForestMetadata = { name: string; features: string[] } & Record<string, unknown>;

/** What the instance holds for one forest: its handle, and two buffers through which `windowRows` rows pass at a time. */
type Loaded = { handle: number; rowsAt: number; scoresAt: number; windowRows: number };

/**
 * An isolation forest loaded into one Wasm instance. Scores are `-score_samples` of scikit-learn to 1e-6.
 *
 * @example
 * const forest = Forest.load(new WebAssembly.Instance(module).exports as unknown as InferenceExports, artifact);
 * const scores = forest.score(new Float32Array([12, 405, 7.5, 0.15]), 1);
 */
export class Forest {
  readonly metadata: ForestMetadata;
  /** Scores from here up are unusual. */
  readonly threshold: number;
  private readonly exports: InferenceExports;
  private readonly loaded: Loaded;

  private constructor(exports: InferenceExports, loaded: Loaded, metadata: ForestMetadata, threshold: number) {
    this.exports = exports;
    this.loaded = loaded;
    this.metadata = metadata;
    this.threshold = threshold;
  }

  /** Copies, checks and loads an artifact. Throws `bad_model` with the reason, `too_large`, or `misconfigured` for a foreign module. */
  static load(exports: InferenceExports, artifact: Uint8Array): Forest {
    const version = exports.abi_version();
    if (version !== ABI_VERSION)
      throw new SkerryError(
        "misconfigured",
        `The Wasm module speaks ABI ${version}; this build speaks ${ABI_VERSION}. Run npm run build:wasm.`,
      );
    if (artifact.byteLength > MAX_ARTIFACT_BYTES)
      throw new SkerryError("too_large", `The model artifact has ${artifact.byteLength} bytes; at most ${MAX_ARTIFACT_BYTES} are allowed.`);
    const at = allocate(exports, artifact.byteLength);
    new Uint8Array(exports.memory.buffer, at, artifact.byteLength).set(artifact);
    const handle = exports.forest_load(at, artifact.byteLength);
    exports.buffer_free(at);
    if (handle < 0) throw new SkerryError("bad_model", `The model artifact was refused: ${reasonOf(handle)}.`);
    let rowsAt = 0;
    try {
      const features = exports.forest_features(handle);
      const metadata = metadataOf(artifact, features);
      const windowRows = Math.max(1, Math.floor(WINDOW_BYTES / 4 / features));
      rowsAt = allocate(exports, windowRows * features * 4);
      const scoresAt = allocate(exports, windowRows * 4);
      return new Forest(exports, { handle, rowsAt, scoresAt, windowRows }, metadata, thresholdOf(artifact));
    } catch (error) {
      if (rowsAt !== 0) exports.buffer_free(rowsAt);
      exports.forest_free(handle);
      throw error;
    }
  }

  get name(): string {
    return this.metadata.name;
  }

  get features(): readonly string[] {
    return this.metadata.features;
  }

  /** Bytes of linear memory of the instance that holds the forest; it never shrinks. */
  get memoryBytes(): number {
    return this.exports.memory.buffer.byteLength;
  }

  /** One score for each of `n` rows, row-major in `rows`. Throws `bad_request` for a wrong shape and `too_large` beyond {@link MAX_ROWS}; anything else thrown is a trap. */
  score(rows: Float32Array, n: number): Float32Array<ArrayBuffer> {
    const d = this.features.length;
    if (!Number.isInteger(n) || n < 0)
      throw new SkerryError("bad_request", `The number of rows is ${n}; it must be a whole number from 0.`);
    if (n > MAX_ROWS) throw new SkerryError("too_large", `${n} rows are too many for one call; at most ${MAX_ROWS} are allowed.`);
    if (rows.length !== n * d)
      throw new SkerryError(
        "bad_request",
        `${n} rows of ${d} features (${this.features.join(", ")}) have ${n * d} values, but ${rows.length} came.`,
      );
    const { exports } = this;
    const { handle, rowsAt, scoresAt, windowRows } = this.loaded;
    const scores = new Float32Array(n);
    for (let from = 0; from < n; from += windowRows) {
      const count = Math.min(windowRows, n - from);
      new Float32Array(exports.memory.buffer, rowsAt, count * d).set(rows.subarray(from * d, (from + count) * d));
      const code = exports.forest_score(handle, rowsAt, count, d, scoresAt);
      // All arguments are right by now, so the instance has lost its mind: as bad as a trap, and no error of the caller's.
      if (code !== 0) throw new Error(`The instance is damaged: ${reasonOf(code)}.`);
      scores.set(new Float32Array(exports.memory.buffer, scoresAt, count), from);
    }
    return scores;
  }

  /** Gives the instance's memory back to other models. The forest is of no use afterwards. */
  free(): void {
    this.exports.forest_free(this.loaded.handle);
    this.exports.buffer_free(this.loaded.rowsAt);
    this.exports.buffer_free(this.loaded.scoresAt);
  }
}

function allocate(exports: InferenceExports, length: number): number {
  const at = exports.buffer_alloc(length);
  if (at === 0) throw new SkerryError("too_large", `The model needs ${length} more bytes than the memory budget of 32 MiB has left.`);
  return at;
}

/** Reads the JSON that the artifact carries; `forest_load` has checked the lengths and the checksum. */
function metadataOf(artifact: Uint8Array, features: number): ForestMetadata {
  const length = viewOf(artifact).getUint32(20, true);
  let metadata: Partial<ForestMetadata> | null;
  try {
    metadata = JSON.parse(
      new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(artifact.subarray(HEADER_BYTES, HEADER_BYTES + length)),
    );
  } catch (cause) {
    throw new SkerryError("bad_model", "The model artifact was refused: its metadata is not JSON in UTF-8.", { cause });
  }
  const names: unknown = metadata?.features;
  const named = Array.isArray(names) && names.length === features && names.every((name) => typeof name === "string");
  if (!named || typeof metadata?.name !== "string")
    throw new SkerryError("bad_model", `The model artifact was refused: its metadata must have a "name" and ${features} "features".`);
  return metadata as ForestMetadata;
}

function thresholdOf(artifact: Uint8Array): number {
  return viewOf(artifact).getFloat64(24, true);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function reasonOf(code: number): string {
  return ABI_ERRORS[code] ?? `code ${code}`;
}

import { SkerryError } from "../wire/errors.ts";

/** A tensor as the Open Inference Protocol (KServe v2) writes it in JSON: `data` flat or nested, in row-major order. */
export type Tensor = { name: string; shape: number[]; datatype: string; data: unknown[] };

/** Rows that one inference request may have. */
export const MAX_INFER_ROWS = 10_000;

/**
 * Reads a tensor of shape [n, d] as float32 rows. Values are rounded to float32, which is what the model was trained on; a
 * finite FP64 value beyond float32's range becomes an infinity and compares as one, as in scikit-learn.
 * Throws `bad_request` with a sentence that names the tensor and what is wrong, and `too_large` beyond {@link MAX_INFER_ROWS}.
 */
export function rowsOf(tensor: Tensor, features: readonly string[]): { rows: Float32Array; n: number } {
  const { name, shape, datatype } = tensor;
  const d = features.length;
  if (datatype !== "FP32" && datatype !== "FP64") throw refused(name, `has datatype ${datatype}; the model takes FP32 or FP64`);
  const [n, width] = shape;
  if (shape.length !== 2 || n === undefined || width !== d)
    throw refused(name, `has shape [${shape.join(", ")}]; the model takes [n, ${d}]: ${features.join(", ")}`);
  if (n < 1) throw refused(name, "has no rows");
  if (n > MAX_INFER_ROWS)
    throw new SkerryError("too_large", `Input "${name}" has ${n} rows; at most ${MAX_INFER_ROWS} are allowed in one request.`);
  const rows = new Float32Array(n * d);
  const values = tensor.data.length > 0 && Array.isArray(tensor.data[0]) ? unnest(name, tensor.data, n, d) : tensor.data;
  if (values.length !== n * d) throw refused(name, `has ${values.length} values in data; its shape [${n}, ${d}] needs ${n * d}`);
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (typeof value !== "number" || !Number.isFinite(value))
      throw refused(
        name,
        `has ${describe(value)} in row ${Math.floor(i / d)}, column ${features[i % d]}; only finite numbers can be scored`,
      );
    rows[i] = value;
    if (datatype === "FP32" && !Number.isFinite(rows[i]))
      throw refused(name, `has ${value} in row ${Math.floor(i / d)}, column ${features[i % d]}, beyond what FP32 holds; send FP64`);
  }
  return { rows, n };
}

function unnest(name: string, data: readonly unknown[], n: number, d: number): unknown[] {
  if (data.length !== n) throw refused(name, `has ${data.length} rows in data; its shape says ${n}`);
  const values: unknown[] = [];
  for (const [i, row] of data.entries()) {
    if (!Array.isArray(row) || row.length !== d) throw refused(name, `has a row ${i} in data that is not a list of ${d} numbers`);
    for (const value of row) values.push(value);
  }
  return values;
}

function refused(name: string, problem: string): SkerryError {
  return new SkerryError("bad_request", `Input "${name}" ${problem}.`);
}

/** What stood where a number should: never a long value in full. */
function describe(value: unknown): string {
  if (value === null || typeof value === "number" || typeof value === "boolean") return String(value);
  return Array.isArray(value) ? "a list" : `a ${typeof value}`;
}

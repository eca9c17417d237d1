import { SkerryError } from "../wire/errors.ts";

/**
 * Records on their way: columns of keys, event times (Unix ms) and JSON values, the i-th of each being one record.
 * It travels and is stored as one JSON text (`{"k":[…],"t":[…],"v":[…]}`): the runtime's own JSON parser is faster
 * than any decoder written in JavaScript, and the text is small enough to inline in a queue message.
 */
export type RecordBatch = { k: (string | null)[]; t: number[]; v: unknown[] };

export const EMPTY_BATCH = "";

export function encodeBatch(batch: RecordBatch): string {
  return batch.t.length === 0 ? EMPTY_BATCH : JSON.stringify(batch);
}

export function decodeBatch(text: string): RecordBatch {
  if (text === EMPTY_BATCH) return { k: [], t: [], v: [] };
  let batch: RecordBatch;
  try {
    batch = JSON.parse(text) as RecordBatch;
  } catch (cause) {
    throw new SkerryError("corrupt", "A stored batch of records is not JSON.", { cause });
  }
  if (!Array.isArray(batch.k) || batch.k.length !== batch.t?.length || batch.k.length !== batch.v?.length) {
    throw new SkerryError("corrupt", "A stored batch of records has columns of different lengths.");
  }
  return batch;
}

/** The records `[from, to)` of a batch, by index. */
export function sliceBatch(batch: RecordBatch, from: number, to: number): RecordBatch {
  if (from === 0 && to >= batch.t.length) return batch;
  return { k: batch.k.slice(from, to), t: batch.t.slice(from, to), v: batch.v.slice(from, to) };
}

/** One batch of all their records, in order. */
export function joinBatches(batches: RecordBatch[]): RecordBatch {
  if (batches.length === 1) return batches[0] as RecordBatch;
  return { k: batches.flatMap(({ k }) => k), t: batches.flatMap(({ t }) => t), v: batches.flatMap(({ v }) => v) };
}

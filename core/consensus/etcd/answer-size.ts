import { GRPC_CODES, type KeyValue, KvError, type ResponseOp } from "../kv/types.ts";
import type { Told } from "../replica/types.ts";

/**
 * Of keys and values in one answer: as much as a group holds. A transaction can ask for the same again and again, and in JSON that would
 * be more than an isolate has room for.
 */
export const MAX_ANSWER_BYTES = 32 * 2 ** 20;

/** Throws KvError where the answer cannot be sent; what was to be written is written all the same, and it says so. */
export function checkAnswer(told: Told): void {
  let bytes = 0;
  const count = (kvs: readonly (KeyValue | null)[]) => {
    for (const kv of kvs) bytes += kv === null ? 0 : kv.key.length + kv.value.length;
  };
  const add = (each: ResponseOp): void => {
    if (each.op === "range") count(each.response.kvs);
    else if (each.op === "put") count([each.response.prevKv]);
    else if (each.op === "deleteRange") count(each.response.prevKvs);
    else for (const response of each.response.responses) add(response);
  };
  if (told.told !== "write" || told.result.op !== "txn") return;
  add(told.result);
  if (bytes <= MAX_ANSWER_BYTES) return;
  const what = `The transaction was done; its answer has ${bytes} bytes of keys and values, and ${MAX_ANSWER_BYTES} may be sent.`;
  throw new KvError(GRPC_CODES.resourceExhausted, `${what} Read in several requests.`);
}

import { answerForgotten, sequencePassed, sessionUnknown } from "./refusals.ts";
import { type KeyValue, type KvError, MAX_PIPELINE, type OperationResult, type Session, type TxnResponse } from "./types.ts";

/** An answer larger than this is not remembered, only that the command happened. Part of the replicated state's definition. */
export const MAX_ANSWER_BYTES = 64 * 1024;
/** All sessions together. Part of the replicated state's definition. */
export const MAX_SESSIONS_BYTES = 4 * 2 ** 20;
const SESSION_BYTES = 160;
const RESPONSE_BYTES = 192;
const KV_BYTES = 96;

export type Outcome = { result: OperationResult; error?: never } | { error: KvError; result?: never };
/** `outcome` null: it was too large to keep. `revision`: the store's after the command. */
export type Answer = { seq: number; revision: number; outcome: Outcome | null };
/** Nothing is known of sequences up to `floor`. `answers` ascend. */
type Entry = { client: string; floor: number; answers: Answer[]; bytes: number };

/**
 * The last answers of each client, so that a retry gets its first answer again and does not happen twice. Bounded by
 * clients, answers and bytes; which ones go is a function of the log alone.
 */
export class SessionTable {
  readonly max: number;
  /** The one used longest ago first. */
  readonly #entries = new Map<string, Entry>();
  bytes = 0;

  constructor(max: number) {
    this.max = max;
  }

  /** Null where the command is new and to be applied; else the first answer, or the error that refuses it. Takes note of what the client has. */
  recall({ client, seq, ack }: Session): { outcome: Outcome; duplicate: boolean } | null {
    const entry = this.#entries.get(client);
    if (entry === undefined) {
      if (ack > 0) return refused(sessionUnknown());
      return seq > 0 ? null : refused(sequencePassed(seq, 0));
    }
    this.#entries.delete(client);
    this.#entries.set(client, entry);
    if (ack > entry.floor) this.#forget(entry, ack);
    if (seq <= entry.floor) return refused(sequencePassed(seq, entry.floor));
    const answer = entry.answers[placeOf(entry.answers, seq)];
    if (answer?.seq !== seq) return null;
    return { outcome: answer.outcome ?? { error: answerForgotten(answer.revision) }, duplicate: true };
  }

  /** The outcome of a command that {@link recall} called new. */
  remember({ client, seq }: Session, revision: number, outcome: Outcome): void {
    const entry = this.#entries.get(client) ?? this.#add({ client, floor: 0, answers: [], bytes: SESSION_BYTES + client.length });
    const answer = { seq, revision, outcome: outcomeBytes(outcome) <= MAX_ANSWER_BYTES ? outcome : null };
    entry.answers.splice(placeOf(entry.answers, seq), 0, answer);
    this.#grow(entry, outcomeBytes(answer.outcome));

    if (entry.answers.length > MAX_PIPELINE) this.#forget(entry, entry.answers[0]!.seq);
    for (const oldest of this.#entries.values()) {
      if (oldest === entry || (this.#entries.size <= this.max && this.bytes <= MAX_SESSIONS_BYTES)) break;
      this.#entries.delete(oldest.client);
      this.bytes -= oldest.bytes;
    }
    while (this.bytes > MAX_SESSIONS_BYTES && entry.answers.length > 1) this.#forget(entry, entry.answers[0]!.seq);
  }

  /** The one used longest ago first: {@link load} them in this order. */
  all(): Pick<Entry, "client" | "floor" | "answers">[] {
    return [...this.#entries.values()];
  }

  load(client: string, floor: number, answers: Answer[]): void {
    const entry = this.#add({ client, floor, answers, bytes: SESSION_BYTES + client.length });
    for (const answer of answers) this.#grow(entry, outcomeBytes(answer.outcome));
  }

  #add(entry: Entry): Entry {
    this.#entries.set(entry.client, entry);
    this.bytes += entry.bytes;
    return entry;
  }

  #forget(entry: Entry, floor: number): void {
    const gone = entry.answers.splice(0, placeOf(entry.answers, floor + 1));
    for (const answer of gone) this.#grow(entry, -outcomeBytes(answer.outcome));
    entry.floor = floor;
  }

  #grow(entry: Entry, bytes: number): void {
    entry.bytes += bytes;
    this.bytes += bytes;
  }
}

function refused(error: KvError): { outcome: Outcome; duplicate: boolean } {
  return { outcome: { error }, duplicate: false };
}

/** The first place whose sequence is not below `seq`. Sequences come in order but for a few, so it is looked for from the end. */
function placeOf(answers: Answer[], seq: number): number {
  let place = answers.length;
  while (place > 0 && answers[place - 1]!.seq >= seq) place--;
  return place;
}

function outcomeBytes(outcome: Outcome | null): number {
  if (outcome === null) return RESPONSE_BYTES;
  return outcome.result === undefined ? RESPONSE_BYTES + outcome.error.message.length : resultBytes(outcome.result);
}

/** Estimate of what an answer takes in memory, by its content alone, so that it is the same on every replica. */
function resultBytes(result: OperationResult): number {
  switch (result.op) {
    case "put":
      return RESPONSE_BYTES + kvBytes(result.response.prevKv);
    case "deleteRange":
      return RESPONSE_BYTES + kvsBytes(result.response.prevKvs);
    case "txn":
      return txnBytes(result.response);
    default:
      return RESPONSE_BYTES;
  }
}

function txnBytes(response: TxnResponse): number {
  let bytes = RESPONSE_BYTES;
  for (const each of response.responses) {
    if (each.op === "range") bytes += RESPONSE_BYTES + kvsBytes(each.response.kvs);
    else bytes += resultBytes(each);
  }
  return bytes;
}

function kvBytes(kv: KeyValue | null): number {
  return kv === null ? 0 : KV_BYTES + kv.key.length + kv.value.length;
}

function kvsBytes(kvs: KeyValue[]): number {
  return kvs.reduce((sum, kv) => sum + kvBytes(kv), 0);
}

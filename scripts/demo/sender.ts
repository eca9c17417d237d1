import { persist, REAL_TIME, Refused, type RetryOptions } from "./http.ts";

/** Where a producer is: the next sequence number to be acknowledged. Sequence number n is the n-th batch, always. */
export type ProducerState = { id: string; epoch: number; next: number };

export type Batch = { seq: number; records: number; body: string };

export type Acknowledged = {
  seq: number;
  records: number;
  /** The server had it already: an earlier acknowledgement was lost on its way. */
  duplicate: boolean;
  /** From the first attempt to the acknowledgement, ms. */
  latencyMs: number;
};

export type SendOptions = {
  /** The URL to append to. */
  url: string;
  key: string;
  producer: ProducerState;
  /** The n-th batch; equal bytes whenever it is asked for. Null after the last. */
  batchAt: (seq: number) => Batch | null;
  /** Batches under way at a time. More than one is safe: the server refuses a gap, and the sender fills it. */
  inFlight?: number;
  /** When the n-th batch may leave, ms since the call. */
  dueAt?: (seq: number) => number;
  /** Called in order of seq, once each; what it records durably is what a later run resumes from. */
  onAcknowledged?: (ack: Acknowledged) => void;
  signal?: AbortSignal;
  retry?: Partial<RetryOptions>;
};

/** The server does not know what it acknowledged: another state directory, or lost data. */
export class LostProgress extends Error {
  readonly expected: number;
  constructor(producer: ProducerState, expected: number) {
    super(`The server expects sequence number ${expected} of producer "${producer.id}", but has acknowledged all before ${producer.next}.`);
    this.name = "LostProgress";
    this.expected = expected;
  }
}

/**
 * Sends batches as one idempotent producer of the Durable Streams protocol, in order, each until it is acknowledged.
 *
 * It begins one batch before the next unacknowledged one: a server that lost what it acknowledged is found at once, and
 * for one that did not it is a duplicate.
 *
 * @returns when all are acknowledged; rejects with {@link LostProgress}, {@link Refused}, or the signal's reason
 */
export async function send(options: SendOptions): Promise<void> {
  const { producer, batchAt, inFlight = 1, dueAt = () => 0 } = options;
  const patience = { ...REAL_TIME, ...options.retry };
  const stop = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal;
  const began = patience.now();
  let late = 0; // by how much the schedule slipped, so that an outage does not end in a burst
  let nextToSend = Math.max(0, producer.next - 1);
  let oldest = nextToSend;
  const done = new Map<number, Acknowledged>();
  const waiting = new Set<() => void>();

  const settle = (ack: Acknowledged) => {
    done.set(ack.seq, ack);
    for (let next = done.get(oldest); next !== undefined; next = done.get(oldest)) {
      done.delete(oldest++);
      producer.next = Math.max(producer.next, oldest);
      options.onAcknowledged?.(next);
    }
    wakeAll();
  };
  const turn = () => new Promise<void>((resolve) => waiting.add(resolve));
  const wakeAll = () => {
    for (const wake of waiting) wake();
    waiting.clear();
  };
  signal.addEventListener("abort", wakeAll);

  async function deliver(batch: Batch): Promise<void> {
    const began = patience.now();
    for (;;) {
      const headers = {
        Authorization: `Bearer ${options.key}`,
        "Content-Type": "application/json",
        "Producer-Id": producer.id,
        "Producer-Epoch": String(producer.epoch),
        "Producer-Seq": String(batch.seq),
      };
      const what = `Batch ${batch.seq} of ${producer.id}`;
      const { response, body } = await persist(what, options.url, { method: "POST", headers, body: batch.body }, { ...patience, signal });
      if (response.status === 200 || response.status === 204) {
        return settle({ seq: batch.seq, records: batch.records, duplicate: response.status === 204, latencyMs: patience.now() - began });
      }
      const expected = Number(response.headers.get("Producer-Expected-Seq") ?? Number.NaN);
      if (response.status !== 409 || Number.isNaN(expected)) throw new Refused(what, response, body);
      if (expected < producer.next) throw new LostProgress(producer, expected);
      if (oldest >= batch.seq) throw new Refused(what, response, body); // nothing of ours is missing, so no retry can help
      await turn(); // it overtook one that is still under way
      signal.throwIfAborted();
    }
  }

  async function lane(): Promise<void> {
    for (;;) {
      const seq = nextToSend++;
      const batch = batchAt(seq);
      if (batch === null) return;
      const wait = dueAt(seq) + late - (patience.now() - began);
      if (wait > 0) await patience.sleep(wait, signal);
      else if (wait < -1000) late -= wait;
      signal.throwIfAborted();
      await deliver(batch);
    }
  }

  const lanes = Array.from({ length: inFlight }, () =>
    lane().catch((error) => {
      stop.abort(error);
    }),
  );
  await Promise.all(lanes);
  signal.removeEventListener("abort", wakeAll);
  signal.throwIfAborted();
}

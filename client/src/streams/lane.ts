import { errorOf, SkerryError } from "../../../core/wire/errors.ts";
import type { Http } from "../http.ts";

/** A record that waits or is under way, and who wants to know what becomes of it. */
export type Entry = { text: string; bytes: number; done: () => void; refused: (error: SkerryError) => void };

export type LaneOptions = {
  path: string;
  producer: { id: string; epoch: number };
  linger: number;
  batchRecords: number;
  batchBytes: number;
  signal: AbortSignal | undefined;
};

export type LaneEvents = {
  /** A batch left. */
  sent(): void;
  /** Records of so many bytes neither wait nor are under way any more. */
  settled(bytes: number): void;
  /** The sequence cannot go on. */
  stopped(error: SkerryError): void;
};

/**
 * The sequence of one partition: one batch under way at a time, because a partition refuses numbers that come out of
 * order, and what arrives meanwhile makes the next batch. So the busier it is, the larger are the batches.
 */
export class Lane {
  readonly #options: LaneOptions;
  readonly #http: Http;
  readonly #events: LaneEvents;
  #queue: Entry[] = [];
  #queueBytes = 0;
  #seq = 0;
  #flying = false;
  #cancelLinger: (() => void) | null = null;
  /** Entries ever taken, and those that are settled: all up to this number are. */
  #taken = 0;
  #settled = 0;
  #flushes: { upTo: number; resolve: () => void }[] = [];

  constructor(options: LaneOptions, http: Http, events: LaneEvents) {
    this.#options = options;
    this.#http = http;
    this.#events = events;
  }

  add(entry: Entry): void {
    this.#taken++;
    this.#queue.push(entry);
    this.#queueBytes += entry.bytes;
    if (this.#flying) return;
    const { batchBytes, batchRecords, linger } = this.#options;
    if (this.#queueBytes >= batchBytes || this.#queue.length >= batchRecords) this.#launch();
    else this.#cancelLinger ??= this.#http.runtime.timer(linger, () => this.#launch());
  }

  /** Sends what waits; resolves when everything taken so far is settled. */
  flush(): Promise<void> {
    if (this.#settled === this.#taken) return Promise.resolve();
    return new Promise((resolve) => {
      this.#flushes.push({ upTo: this.#taken, resolve });
      if (!this.#flying) this.#launch();
    });
  }

  /** Refuses what waits. What is under way settles by itself. */
  stop(error: SkerryError): void {
    this.#cancelLinger?.();
    const waiting = this.#queue;
    this.#queue = [];
    this.#queueBytes = 0;
    for (const entry of waiting) entry.refused(stopped(error, false));
    this.#settle(waiting);
  }

  #launch(): void {
    this.#cancelLinger?.();
    this.#cancelLinger = null;
    if (this.#queue.length === 0) return;
    this.#flying = true;
    const batch = this.#cut();
    this.#events.sent();
    void this.#deliver(batch).finally(() => {
      this.#flying = false;
      this.#settle(batch);
      // What waits has waited a whole request: no more lingering.
      this.#launch();
    });
  }

  /** Takes the next batch off the queue: what fits, but at least one. */
  #cut(): Entry[] {
    const { batchBytes, batchRecords } = this.#options;
    let [count, bytes] = [0, 0];
    for (const entry of this.#queue) {
      if (count > 0 && (count === batchRecords || bytes + entry.bytes > batchBytes)) break;
      count++;
      bytes += entry.bytes;
    }
    this.#queueBytes -= bytes;
    return this.#queue.splice(0, count);
  }

  /** Gets a batch across, in pieces where the server refuses it whole. */
  async #deliver(batch: readonly Entry[]): Promise<void> {
    const pieces: Entry[][] = [[...batch]];
    for (let piece = pieces.shift(); piece !== undefined; piece = pieces.shift()) {
      const outcome = await this.#send(piece);
      if (outcome === null) {
        this.#seq++;
        for (const entry of piece) entry.done();
        continue;
      }
      const { error, final, inDoubt } = outcome;
      if (final) {
        for (const entry of piece) entry.refused(stopped(error, inDoubt));
        for (const entry of pieces.flat()) entry.refused(stopped(error, false));
        this.#events.stopped(error);
        return;
      }
      // Nothing of the piece was appended, and its number is free again.
      const index = error.extra?.index;
      if (piece.length === 1) piece[0]?.refused(named(error));
      else if (typeof index === "number" && piece[index] !== undefined) {
        piece.splice(index, 1)[0]?.refused(named(error));
        pieces.unshift(piece);
      } else if (error.code === "too_large") pieces.unshift(piece.splice(0, piece.length >> 1), piece);
      else for (const entry of piece) entry.refused(error);
    }
  }

  /** Null once it is durable. `final`: the sequence cannot go on, because it is not known what was taken, or it is not ours. */
  async #send(piece: readonly Entry[]): Promise<{ error: SkerryError; final: boolean; inDoubt: boolean } | null> {
    const { path, producer, signal } = this.#options;
    const seq = this.#seq;
    let inDoubt = false;
    try {
      const { duplicate, highest } = await this.#http.request(
        "POST",
        path,
        {
          raw: { type: "application/json", data: `[${piece.map(({ text }) => text).join(",")}]` },
          headers: { "producer-id": producer.id, "producer-epoch": String(producer.epoch), "producer-seq": String(seq) },
          attempts: Number.POSITIVE_INFINITY,
          signal,
          onDoubt: () => {
            inDoubt = true;
          },
        },
        ({ status, headers }) => ({ duplicate: status === 204, highest: Number(headers.get("producer-seq") ?? seq) }),
      );
      // A number of ours that was taken before we sent it was somebody else's: these records were not appended.
      if (!duplicate || (highest <= seq && (inDoubt || seq > 0))) return null;
      const detail = `Epoch ${producer.epoch} of producer "${producer.id}" is used by another run: begin a new one. The records were not appended.`;
      return { error: new SkerryError("conflict", detail), final: true, inDoubt: false };
    } catch (thrown) {
      const error = thrown instanceof SkerryError ? thrown : givenUp(thrown);
      const fenced = error.code === "stale_epoch" || error.code === "sequence_gap";
      return { error, final: inDoubt || fenced, inDoubt };
    }
  }

  #settle(entries: readonly Entry[]): void {
    this.#settled += entries.length;
    this.#events.settled(entries.reduce((sum, { bytes }) => sum + bytes, 0));
    const reached = this.#flushes.filter(({ upTo }) => upTo <= this.#settled);
    this.#flushes = this.#flushes.filter(({ upTo }) => upTo > this.#settled);
    for (const { resolve } of reached) resolve();
  }
}

/** What a record is told whose producer has stopped. */
function stopped(error: SkerryError, mayBeAppended: boolean): SkerryError {
  return new SkerryError(error.code, error.message, { extra: { ...error.extra, mayBeAppended }, cause: error });
}

/** The server counts records from the start of the batch, of which a caller knows nothing. */
function named(error: SkerryError): SkerryError {
  const { index: _, ...extra } = error.extra ?? {};
  return new SkerryError(error.code, error.message.replace(/^Record \d+/, "The record"), { extra, cause: error });
}

function givenUp(cause: unknown): SkerryError {
  const { code, message } = errorOf(cause);
  return code === "internal"
    ? new SkerryError("unavailable", `The producer was stopped: ${cause instanceof Error ? cause.message : String(cause)}.`, { cause })
    : new SkerryError(code, message, { cause });
}

import type { Journal, JournalEntry } from "../journal/journal.ts";
import { SkerryError } from "../wire/errors.ts";
import { decodeBatch, type RecordBatch, sliceBatch } from "./batch.ts";
import type { SubBatch } from "./records.ts";

/** An idempotent producer's claim on one append (Durable Streams 5.2.1). `gapless: false` lets a task skip numbers. */
export type Producer = { id: string; epoch: number; seq: number; gapless: boolean };

/** Whole stored batches from about `from` on; `next` continues, `head` is the end of the log. */
export type LogRead = { from: number; batches: { from: number; count: number; batch: string }[]; next: number; head: number };

/** Where a partition keeps what it knows of producers, in the same transaction as the journal. */
export interface ProducerStorage {
  get(id: string): { epoch: number; seq: number } | null;
  put(id: string, epoch: number, seq: number): void;
}

export type AppendOutcome = {
  /** False if the producer had sent this before: nothing was appended. */
  appended: boolean;
  /** Offset of the first record of this append, and of the end of the log after it. */
  from: number;
  next: number;
  /** Highest accepted sequence number of the producer, echoed to the client. */
  seq: number | null;
};

/**
 * One partition of a topic: an ordered log with dense offsets, one journal position a record. Pure but for its
 * storage port; the shell runs {@link append} and {@link Journal.commit} without an await in between.
 */
export class PartitionLog {
  readonly #journal: Journal;
  readonly #producers: ProducerStorage;

  constructor(journal: Journal, producers: ProducerStorage) {
    this.#journal = journal;
    this.#producers = producers;
  }

  get head(): number {
    return this.#journal.head;
  }

  get base(): number {
    return this.#journal.base;
  }

  /** Deduplicates, assigns offsets and commits, all in one transaction. Throws `stale_epoch`, `sequence_gap`, `producer_headers`. */
  append(batch: SubBatch, producer: Producer | null): AppendOutcome {
    if (producer !== null && this.#isDuplicate(producer)) {
      return { appended: false, from: this.head, next: this.head, seq: this.#producers.get(producer.id)?.seq ?? producer.seq };
    }
    const from = this.#journal.head;
    this.#journal.transaction(() => {
      if (batch.count > 0) {
        this.#journal.stage(utf8.encode(batch.batch), batch.count);
        this.#journal.commit();
      }
      // An empty share is remembered too: it is what keeps the next sequence number from looking like a gap.
      if (producer !== null) this.#producers.put(producer.id, producer.epoch, producer.seq);
    });
    return { appended: true, from, next: this.#journal.head, seq: producer?.seq ?? null };
  }

  #isDuplicate(producer: Producer): boolean {
    const known = this.#producers.get(producer.id);
    if (known !== null && producer.epoch < known.epoch) {
      throw new SkerryError(
        "stale_epoch",
        `Producer "${nameOf(producer)}" is at epoch ${known.epoch}; a newer instance has taken over from epoch ${producer.epoch}.`,
        {
          headers: { "Producer-Epoch": String(known.epoch) },
        },
      );
    }
    if (known === null || producer.epoch > known.epoch) {
      if (producer.gapless && producer.seq !== 0) {
        if (known !== null)
          throw new SkerryError("producer_headers", `A new epoch of a producer begins with Producer-Seq 0, not ${producer.seq}.`);
        throw gap(producer, 0);
      }
      return false;
    }
    if (producer.seq <= known.seq) return true;
    if (producer.gapless && producer.seq > known.seq + 1) throw gap(producer, known.seq + 1);
    return false;
  }

  /** Records from `offset` on, whole stored batches until about `maxBytes`. Throws `offset_trimmed`, `bad_offset`. */
  read(offset: number, maxBytes: number): LogRead {
    if (offset > this.head) throw new SkerryError("bad_offset", `Offset ${offset} is beyond the end of the partition (${this.head}).`);
    const entries = offset === this.head ? [] : this.#journal.read(offset, { maxBytes });
    const batches = entries.map((entry: JournalEntry) => ({ from: entry.position, count: entry.count, batch: text.decode(entry.bytes) }));
    const last = batches.at(-1);
    return { from: offset, batches, next: last === undefined ? offset : last.from + last.count, head: this.head };
  }
}

/** Decodes the batches of a read and cuts what lies before `offset` (a read returns whole stored batches). */
export function recordsFrom(
  offset: number,
  batches: { from: number; count: number; batch: string }[],
): { from: number; records: RecordBatch }[] {
  return batches.map(({ from, count, batch }) => {
    const skip = Math.max(0, offset - from);
    return { from: from + skip, records: sliceBatch(decodeBatch(batch), skip, count) };
  });
}

/** As its owner knows it: clients and tasks are kept apart by the first segment. */
function nameOf({ id }: Producer): string {
  return id.slice(id.indexOf("/") + 1);
}

function gap(producer: Producer, expected: number): SkerryError {
  return new SkerryError("sequence_gap", `Producer "${nameOf(producer)}" sent sequence number ${producer.seq}, expected ${expected}.`, {
    headers: { "Producer-Expected-Seq": String(expected), "Producer-Received-Seq": String(producer.seq) },
    extra: { expected, received: producer.seq },
  });
}

const utf8 = new TextEncoder();
const text = new TextDecoder();

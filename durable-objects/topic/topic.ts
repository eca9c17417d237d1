import { DurableObject } from "cloudflare:workers";
import { Journal } from "../../core/journal/journal.ts";
import { type AppendOutcome, type LogRead, PartitionLog, type Producer } from "../../core/streams/log.ts";
import type { SubBatch } from "../../core/streams/records.ts";
import { MAX_INLINE_BYTES, type Ring } from "../../core/streams/ring.ts";
import { type Answer, answer } from "../../core/wire/answer.ts";
import { errorOf, SkerryError } from "../../core/wire/errors.ts";
import { consumersOf } from "../../topologies/index.ts";
import { Alarms } from "../shared/alarms.ts";
import { sqliteJournalStorage } from "../shared/journal-sqlite.ts";
import { identify, taskName } from "../streams.ts";
import { ARCHIVE, Archive } from "./archive.ts";
import { SqliteProducers } from "./producers.ts";

/** `base`: the first offset held in the object; earlier ones are read from the archive. */
export type TopicStats = { base: number; head: number; rows: number };

/** While a task trails the log, the partition rings again: soon after the first doorbell, then less and less often. */
const RING_FIRST = 3_000;
const RING_MAX = 60_000;
const MAX_READ_BYTES = 4_000_000;
/** Doorbells that wait for a slow queue, with their records: 2 MB. Further appends ring none: a gap is pulled, or the alarm rings. */
const MAX_QUEUED = 32;
/** Records that one doorbell without records may announce. */
const MAX_BARE = 20_000;

type Open = { log: PartitionLog; journal: Journal; producers: SqliteProducers; archive: Archive };

/**
 * One partition of a topic: an ordered log. Appends are synchronous from the check of the producer to the commit, and
 * the reply waits for the commit (output gate), so an acknowledgement means durable.
 */
export class Topic extends DurableObject<Env> {
  readonly #alarms: Alarms;
  readonly #storage: ReturnType<typeof sqliteJournalStorage>;
  #open: Open | null = null;
  #rings: Ring[] = [];
  #ringing = false;
  #patience = RING_FIRST;
  #erasing: Promise<void> | null = null;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#alarms = new Alarms(ctx.storage);
    this.#storage = sqliteJournalStorage(ctx.storage);
  }

  /** @returns the offsets given, once they are durable */
  append(batch: SubBatch, producer: Producer | null, traceparent: string | null): Answer<AppendOutcome> {
    const { log, journal, producers } = this.#opened();
    if (this.ctx.storage.kv.get(SEALED)) throw deleted();
    const before = this.#rowsWritten(producers);
    let outcome: AppendOutcome;
    try {
      outcome = log.append(batch, producer);
    } catch (thrown) {
      producers.forget();
      throw thrown;
    }
    if (outcome.appended && batch.count > 0) this.#ring(batch, outcome, traceparent);
    if (journal.costSinceCheckpoint().bytes > ARCHIVE.above && this.#alarms.at("offload") === null)
      this.#alarms.schedule("offload", Date.now());
    return this.#answer(outcome, this.#rowsWritten(producers) - before);
  }

  async read(offset: number, maxBytes: number): Promise<Answer<LogRead>> {
    const { log, archive } = this.#opened();
    const limit = Math.min(maxBytes, MAX_READ_BYTES);
    return this.#answer(await archive.read(log.head, offset, limit, () => log.read(offset, limit)));
  }

  /** Moves old records to R2, oldest first, until about `keep` bytes remain here. */
  async offload(limits = ARCHIVE): Promise<Answer<{ segments: number }>> {
    return this.#offload(limits);
  }

  async #offload(limits = ARCHIVE): Promise<Answer<{ segments: number }>> {
    const { journal, archive, producers } = this.#opened();
    const before = this.#rowsWritten(producers);
    const segments = await archive.offload(journal, limits);
    return this.#answer({ segments }, this.#rowsWritten(producers) - before);
  }

  stats(): Answer<TopicStats> {
    const { log, producers } = this.#opened();
    return this.#answer({ base: log.base, head: log.head, rows: this.#rowsWritten(producers) });
  }

  /**
   * Deletes the partition for good; what still holds its old metadata is told so. Takes no more records, lets the tasks
   * checkpoint what they took (their replay would look for it here), and goes. Harmless when repeated.
   */
  async erase(): Promise<Answer<null>> {
    if (!this.#isErased()) {
      this.#erasing ??= this.#erase().finally(() => {
        this.#erasing = null;
      });
      await this.#erasing;
    }
    return this.#answer(null);
  }

  async #erase(): Promise<void> {
    const { log, journal, archive } = this.#opened();
    this.ctx.storage.kv.put(SEALED, true);
    this.#rings = [];
    if (log.head > 0) await this.#retire();
    await archive.erase(journal);
    await this.ctx.storage.deleteAll();
    this.#alarms.forget();
    this.#open = null;
    this.ctx.storage.kv.put(ERASED, true);
  }

  /** A task out of reach does not stop the deletion: what it had not kept of this log it will count as lost. */
  async #retire(): Promise<void> {
    const { topic, generation, tasks } = this.#consumers();
    const told = await Promise.allSettled(tasks.map((task) => task.retire(topic, generation)));
    for (const each of told)
      if (each.status === "rejected") this.#warn("a task could not keep what it took before the deletion", each.reason);
  }

  override async alarm(): Promise<void> {
    if (this.#isErased()) return;
    await this.#alarms.fire(
      Date.now(),
      async (name) => {
        if (name === "ring") await this.#ringAgain();
        if (name === "offload") await this.#offload();
      },
      (name, error) => this.#warn(`the alarm "${name}" failed`, error),
    );
  }

  #answer<T>(value: T, rows = 0): Answer<T> {
    const at = this.#open?.log.head ?? 0;
    return answer(value, { object: identify(this.ctx).name, at }, "durable", rows);
  }

  #rowsWritten(producers: SqliteProducers): number {
    return this.#storage.rowsWritten() + producers.rowsWritten;
  }

  #opened(): Open {
    if (this.#open !== null) return this.#open;
    if (this.#isErased()) throw deleted();
    const producers = new SqliteProducers(this.ctx.storage.sql);
    const journal = Journal.open(this.#storage);
    this.#open = {
      log: new PartitionLog(journal, producers),
      journal,
      producers,
      archive: new Archive(this.env.ARCHIVE, identify(this.ctx).name),
    };
    return this.#open;
  }

  #ring(batch: SubBatch, { from, next }: AppendOutcome, traceparent: string | null): void {
    const me = identify(this.ctx);
    const [, topic, generation, partition] = me.parts as [string, string, string, string];
    if (consumersOf(topic).length === 0) return;
    const last = this.#rings.at(-1);
    const room = this.#rings.length < MAX_QUEUED;
    const inline = room && batch.batch.length <= MAX_INLINE_BYTES && utf8Fits(batch.batch) ? batch.batch : null;
    // Bells without records say nothing that the last of them does not say; but one is answered in one piece.
    if (inline === null && last !== undefined && last.batch === null && next - last.from <= MAX_BARE) last.to = next;
    else if (room) {
      const ring: Ring = {
        v: 1,
        ...me.scope,
        topic,
        generation: Number(generation.slice(1)),
        partition: Number(partition),
        from,
        to: next,
        batch: inline,
        traceparent,
      };
      this.#rings.push(ring);
    }
    this.#patience = RING_FIRST;
    if (this.#alarms.at("ring") === null) this.#alarms.schedule("ring", Date.now() + RING_FIRST);
    if (!this.#ringing) this.ctx.waitUntil(this.#sendRings());
  }

  /** The queue may refuse: then the alarm rings, and the records are read from the log. */
  async #sendRings(): Promise<void> {
    this.#ringing = true;
    try {
      while (this.#rings.length > 0) {
        // Four full messages stay under the queue's 256 KB a batch.
        const some = this.#rings.splice(0, 4);
        await this.env.RING.sendBatch(some.map((body) => ({ body, contentType: "json" as const })));
      }
    } catch (error) {
      this.#rings = [];
      console.warn(JSON.stringify({ level: "warn", message: "doorbell refused; the alarm will ring", error: String(error) }));
    } finally {
      this.#ringing = false;
    }
  }

  /** Tells the tasks that trail, directly: a lost, dead or last doorbell must not strand a tail. */
  async #ringAgain(): Promise<void> {
    const { log } = this.#opened();
    const { topic, generation, tasks } = this.#consumers();
    const told = await Promise.allSettled(tasks.map((task) => task.catchUp(topic, generation, log.head)));
    // Erased meanwhile: there is nobody left to ring for.
    if (this.#open === null) return;
    // Each topology for itself: one that is stuck must not keep the others from their records.
    for (const each of told) if (each.status === "rejected") this.#warn("a task could not catch up", each.reason);
    if (told.every((each) => each.status === "fulfilled" && each.value.value.offset >= log.head)) return;
    this.#patience = Math.min(RING_MAX, this.#patience * 2);
    this.#alarms.schedule("ring", Date.now() + this.#patience);
  }

  /** The tasks that read this partition, and how they know it. */
  #consumers() {
    const me = identify(this.ctx);
    const [, topic, generation, partition] = me.parts as [string, string, string, string];
    const tasks = consumersOf(topic)
      .filter((topology) => Number(partition) < topology.partitions)
      .map((topology) => this.env.TASK.getByName(taskName(me.scope, topology, Number(partition))));
    return { topic, generation: Number(generation.slice(1)), tasks };
  }

  #isErased(): boolean {
    return this.#open === null && this.ctx.storage.kv.get(ERASED) === true;
  }

  #warn(message: string, error: unknown): void {
    const { code, message: detail, cause } = errorOf(error);
    console.warn(JSON.stringify({ level: "warn", message, partition: identify(this.ctx).name, code, detail, cause: String(cause ?? "") }));
  }
}

function deleted(): SkerryError {
  return new SkerryError("stale_metadata", "This topic was deleted; look it up again.", { retryAfter: 1 });
}

/** Key-value marks: takes no more records, about to go; gone, only the mark is left. */
const SEALED = "sealed";
const ERASED = "erased";

function utf8Fits(text: string): boolean {
  return text.length * 3 <= MAX_INLINE_BYTES || new TextEncoder().encode(text).length <= MAX_INLINE_BYTES;
}

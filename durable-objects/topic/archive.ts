import type { Journal } from "../../core/journal/journal.ts";
import { decodeSegment, planOffload, type Segment } from "../../core/journal/offload.ts";
import type { LogRead } from "../../core/streams/log.ts";
import { errorOf, SkerryError } from "../../core/wire/errors.ts";

/** Bytes of records an object keeps in SQLite (it may hold 10 GB; R2 costs a fifteenth), and the size of a segment. */
export const ARCHIVE = { above: 256 * 1024 * 1024, keep: 128 * 1024 * 1024, segment: 8 * 1024 * 1024 };

/**
 * The older part of a partition, in R2 under the object's name. A segment is stored, then forgotten locally: a crash
 * in between stores the same bytes under the same key again.
 */
export class Archive {
  readonly #bucket: R2Bucket;
  readonly #name: string;
  #last: { key: string; entries: ReturnType<typeof decodeSegment> } | null = null;

  constructor(bucket: R2Bucket, name: string) {
    this.#bucket = bucket;
    this.#name = name;
  }

  /** Moves the oldest segments away until about `keep` bytes remain. Returns how many went. */
  async offload(journal: Journal, limits: { keep: number; segment: number }): Promise<number> {
    let moved = 0;
    while (journal.costSinceCheckpoint().bytes > limits.keep) {
      const plan = planOffload(journal, { minBytes: limits.segment, before: journal.head });
      if (plan === null) break;
      const key = `${this.#name}/${plan.key}`;
      await this.#bucket.put(key, plan.bytes);
      journal.markOffloaded(plan, key);
      moved++;
    }
    return moved;
  }

  /** `read`, going on in the archive where the offset is no longer in the journal. */
  async read(head: number, offset: number, maxBytes: number, read: () => LogRead): Promise<LogRead> {
    try {
      return read();
    } catch (thrown) {
      const error = errorOf(thrown);
      if (error.code !== "offset_archived") throw thrown;
      const entries = await this.#fetch(error.extra?.segment as Segment);
      const batches: LogRead["batches"] = [];
      let bytes = 0;
      for (const entry of entries) {
        if (entry.position + entry.count <= offset) continue;
        batches.push({ from: entry.position, count: entry.count, batch: text.decode(entry.bytes) });
        bytes += entry.bytes.length;
        if (bytes >= maxBytes) break;
      }
      const last = batches.at(-1);
      return { from: offset, batches, next: last === undefined ? offset : last.from + last.count, head };
    }
  }

  /** Deletes what the archive holds of a partition; call before the index goes. */
  async erase(journal: Journal): Promise<void> {
    const keys = journal.segments().map(({ key }) => key);
    for (let at = 0; at < keys.length; at += 1000) await this.#bucket.delete(keys.slice(at, at + 1000));
  }

  async #fetch(segment: Segment) {
    if (this.#last?.key === segment.key) return this.#last.entries;
    const stored = await this.#bucket.get(segment.key);
    if (stored === null) throw new SkerryError("corrupt", `The archive lacks the segment ${segment.key}.`);
    const entries = decodeSegment(new Uint8Array(await stored.arrayBuffer()), segment);
    this.#last = { key: segment.key, entries };
    return entries;
  }
}

const text = new TextDecoder();

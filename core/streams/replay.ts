import { errorOf, SkerryError } from "../wire/errors.ts";
import { joinBatches, type RecordBatch, sliceBatch } from "./batch.ts";
import { type LogRead, recordsFrom } from "./log.ts";
import type { MappedRange } from "./stateless.ts";
import type { TaskEntry } from "./task.ts";

/** Reads the log of a source partition; of the task's own partition number. Rejects with `stale_metadata` once the log was erased. */
export type ReadLog = (topic: string, generation: number, offset: number, maxBytes: number) => Promise<LogRead>;

const READ_BYTES = 512 * 1024;

/** Whether a log said that it was erased: nothing will ever be read from it again. */
export function isErased(thrown: unknown): boolean {
  return errorOf(thrown).code === "stale_metadata";
}

/** Reads ahead in large pieces while a replay asks for one small range after the other. */
export class ReplaySource {
  readonly #readLog: ReadLog;
  /** By topic and generation: a topic made anew has other records at the same offsets. Null: erased. */
  readonly #ahead = new Map<string, { from: number; records: RecordBatch } | null>();

  constructor(readLog: ReadLog) {
    this.#readLog = readLog;
  }

  /** The records `[from, to)`, or null where the log was erased. Throws `corrupt` where it lacks some of them. */
  async range(topic: string, generation: number, from: number, to: number): Promise<RecordBatch | null> {
    const log = `${generation}/${topic}`;
    let ahead = this.#ahead.get(log);
    while (ahead !== null && (ahead === undefined || from < ahead.from || to > ahead.from + ahead.records.t.length)) {
      const end = ahead === undefined ? from : ahead.from + ahead.records.t.length;
      const start = ahead === undefined || from < ahead.from || from > end ? from : end;
      const more = await this.#read(topic, generation, start);
      if (more === null) ahead = null;
      else {
        if (more.t.length === 0)
          throw new SkerryError("corrupt", `The log of "${topic}" lacks offsets ${start} to ${to} that this task has applied.`);
        const kept = ahead === undefined || start === from ? [] : [sliceBatch(ahead.records, from - ahead.from, ahead.records.t.length)];
        ahead = { from, records: joinBatches([...kept, more]) };
      }
      this.#ahead.set(log, ahead);
    }
    return ahead === null ? null : sliceBatch(ahead.records, from - ahead.from, to - ahead.from);
  }

  async #read(topic: string, generation: number, start: number): Promise<RecordBatch | null> {
    try {
      const { batches } = await this.#readLog(topic, generation, start, READ_BYTES);
      return joinBatches(recordsFrom(start, batches).map(({ records }) => records));
    } catch (thrown) {
      if (isErased(thrown)) return null;
      throw thrown;
    }
  }
}

/** A range whose log was erased before the task was told, in the place of its records: they are missing, and counted so. */
export function goneRange(entry: Extract<TaskEntry, { k: "range" }>, partition: number): MappedRange {
  const { topic, from, to } = entry;
  const error = `${to - from} records are lost: the topic was deleted while the task was out of reach`;
  return {
    topic,
    partition,
    from,
    to,
    lanes: [],
    poison: Array.from({ length: to - from }, (_, at) => ({ offset: from + at, node: -1, error })),
  };
}

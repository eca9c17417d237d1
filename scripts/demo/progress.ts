import { createHash, randomUUID } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { Arrival } from "./data.ts";
import type { Batch, ProducerState } from "./sender.ts";

/**
 * What a run of the demo sends and how far it is. The plan never changes in a run, because a sequence number must mean
 * the same batch for as long as the server remembers it.
 */
export type Run = {
  format: 1;
  /** Names the data set, see `nameOf`. */
  dataset: string;
  /** Records a batch. */
  batch: number;
  /** One a lane: lane i of n sends what belongs to the partitions p with p % n = i, so that each partition's order stays. */
  producers: ProducerState[];
};

/** A new run, as producers that no server has met. */
export function newRun(dataset: string, batch: number, lanes: number): Run {
  const id = `demo-${randomUUID().slice(0, 8)}`;
  return { format: 1, dataset, batch, producers: Array.from({ length: lanes }, (_, lane) => ({ id: `${id}-${lane}`, epoch: 0, next: 0 })) };
}

/** The run kept in a file; null where there is none. */
export function readRun(file: string): Run | null {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    return null;
  }
  const run = JSON.parse(text) as Run;
  if (run.format !== 1) throw new Error(`${file} is not a progress file of this version. Begin again with --restart.`);
  return run;
}

/** Replaces the file in one step, so that a crash leaves the old or the new one. An old one costs a duplicate, not a record. */
export function writeRun(file: string, run: Run): void {
  mkdirSync(dirname(file), { recursive: true });
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, JSON.stringify(run, null, 2));
  renameSync(draft, file);
}

/** A name for the progress against one server. */
export function progressName(url: string): string {
  return createHash("sha256").update(new URL(url).origin).digest("hex").slice(0, 12);
}

/** The records of each lane, in the order in which they are sent. */
export function lanesOf(arrivals: readonly Arrival[], lanes: number, partitionOf: (key: string) => number): Arrival[][] {
  if (lanes === 1) return [[...arrivals]];
  const split: Arrival[][] = Array.from({ length: lanes }, () => []);
  for (const arrival of arrivals) split[partitionOf(arrival.flight.origin) % lanes]!.push(arrival);
  return split;
}

/** Cuts a lane into batches: the n-th is always the same records. `limit` is rounded up to whole batches, for that reason. */
export function batchesOf(lane: readonly Arrival[], size: number, limit = Number.POSITIVE_INFINITY): (seq: number) => Batch | null {
  const end = Math.min(lane.length, Math.ceil(limit / size) * size);
  return (seq) => {
    const records = lane.slice(seq * size, Math.min((seq + 1) * size, end));
    if (records.length === 0) return null;
    return { seq, records: records.length, body: JSON.stringify(records.map(({ flight }) => flight)) };
  };
}

/** How fast to send: a number of records a second, `max`, or `realtime*K`, K times as fast as it happened. */
export type Speed = { kind: "max" } | { kind: "rate"; perSecond: number } | { kind: "realtime"; factor: number };

export function parseSpeed(text: string): Speed {
  if (text === "max") return { kind: "max" };
  const realtime = /^realtime(?:\*(\d+(?:\.\d+)?))?$/.exec(text);
  if (realtime !== null && Number(realtime[1] ?? 1) > 0) return { kind: "realtime", factor: Number(realtime[1] ?? 1) };
  const perSecond = Number(text);
  if (perSecond > 0 && Number.isFinite(perSecond)) return { kind: "rate", perSecond };
  throw new RangeError(`--speed takes records a second, "max" or "realtime*60", not "${text}".`);
}

/** When the n-th batch of a lane is due, ms after the first that this run sends. */
export function scheduleOf(speed: Speed, lane: readonly Arrival[], size: number, from: number, lanes: number): (seq: number) => number {
  switch (speed.kind) {
    case "max":
      return () => 0;
    case "rate":
      return (seq) => (((seq - from) * size) / (speed.perSecond / lanes)) * 1000;
    case "realtime": {
      const last = (seq: number) => lane[Math.min(lane.length, (seq + 1) * size) - 1]?.arrival ?? 0;
      return (seq) => (last(seq) - last(from)) / speed.factor;
    }
  }
}

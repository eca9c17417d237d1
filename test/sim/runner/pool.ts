import { Worker } from "node:worker_threads";
import type { Mutation } from "./mutation.ts";

export type WorkerOptions = { scenario: string; mutations: readonly Mutation[] };
export type Batch = { seeds: readonly number[] };
/** `message` has the seed, how to replay it and the end of the trace; `reason` is its first part; `thrown`: where, by the stack. */
export type Failure = { seed: number; message: string; reason: string; thrown: string };
export type BatchResult = { seeds: number; events: number; virtualMs: number; failures: Failure[] };

export type PoolOptions = {
  scenario: string;
  /** Run before all others. */
  pinned?: readonly number[];
  from: number;
  count: number;
  /** Threads. */
  jobs: number;
  /** Begin nothing new after so many failures. */
  mostFailures: number;
  mutations?: readonly Mutation[];
  /** Seeds to be left out. */
  skips?: (seed: number) => boolean;
  /** Told after each batch. `next`: all seeds below it are done. */
  onProgress?: (total: BatchResult & { next: number }) => void;
  /** Told of each failure as it is found, so not in the order of seeds. */
  onFailure?: (failure: Failure) => void;
  signal?: AbortSignal;
};

/** Seeds at a time. Small enough that threads end together, large enough that messages cost nothing. */
const BATCH = 16;

/**
 * Runs seeds on threads. Batches are handed out in the order of seeds and finished once begun, so that with every failure all
 * seeds below it have been run: the first one is the first there is. `next`: where to go on.
 */
export async function runPool(options: PoolOptions): Promise<BatchResult & { next: number }> {
  const { from, count, jobs, mostFailures, pinned = [], mutations = [], signal } = options;
  const total = { seeds: 0, events: 0, virtualMs: 0, failures: [] as Failure[], next: from };
  const end = from + count;
  let handedOut = from;
  let pinnedLeft = pinned.length > 0;
  const underWay = new Set<number>();

  const take = (): Batch | null => {
    if (total.failures.length >= mostFailures || signal?.aborted) return null;
    if (pinnedLeft) {
      pinnedLeft = false;
      return { seeds: pinned };
    }
    const seeds: number[] = [];
    for (; handedOut < end && seeds.length < BATCH; handedOut++) if (!options.skips?.(handedOut)) seeds.push(handedOut);
    if (seeds[0] === undefined) return null;
    underWay.add(seeds[0]);
    return { seeds };
  };

  const run = async () => {
    const workerData: WorkerOptions = { scenario: options.scenario, mutations };
    const worker = new Worker(new URL("./worker.ts", import.meta.url), { workerData });
    try {
      await answerOf<null>(worker);
      for (let batch = take(); batch !== null; batch = take()) {
        worker.postMessage(batch);
        const result = await answerOf<BatchResult>(worker);
        underWay.delete(batch.seeds[0] as number);
        total.seeds += result.seeds;
        total.events += result.events;
        total.virtualMs += result.virtualMs;
        total.failures.push(...result.failures);
        for (const failure of result.failures) options.onFailure?.(failure);
        total.next = Math.min(handedOut, ...underWay);
        options.onProgress?.(total);
      }
    } finally {
      await worker.terminate();
    }
  };
  await Promise.all(Array.from({ length: jobs }, run));
  total.failures.sort((a, b) => a.seed - b.seed);
  return total;
}

function answerOf<T>(worker: Worker): Promise<T> {
  return new Promise((resolve, reject) => {
    const settle = (done: () => void) => {
      worker.off("message", onMessage);
      worker.off("error", onError);
      worker.off("exit", onExit);
      done();
    };
    const onMessage = (message: T) => settle(() => resolve(message));
    const onError = (error: unknown) => settle(() => reject(error));
    const onExit = () => settle(() => reject(new Error("A thread of the simulation ended by itself.")));
    worker.on("message", onMessage);
    worker.on("error", onError);
    worker.on("exit", onExit);
  });
}

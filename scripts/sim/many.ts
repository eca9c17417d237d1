import { type BatchResult, type PoolOptions, runPool } from "../../test/sim/runner/pool.ts";

/** Between two lines of progress: on a terminal, where each takes the place of the last, and elsewhere. Milliseconds. */
const LIVE_EVERY = 500;
const LOGGED_EVERY = 60_000;

/** Runs seeds, says how far it is, and what failed with the command that replays it. An interrupt ends it after what is under way. True if all passed. */
export async function runMany(options: PoolOptions): Promise<boolean> {
  const { scenario, count, from } = options;
  const began = performance.now();
  const live = process.stderr.isTTY === true;
  let said = began;
  const stop = new AbortController();
  const interrupt = () => stop.abort();
  process.once("SIGINT", interrupt);
  process.once("SIGTERM", interrupt);
  const total = await runPool({
    ...options,
    signal: stop.signal,
    onFailure: ({ message, thrown }) => console.error(`${live ? "\r\x1b[K" : ""}\n${message}\nthrown\n${thrown}\n`),
    onProgress(now) {
      if (performance.now() - said < (live ? LIVE_EVERY : LOGGED_EVERY)) return;
      said = performance.now();
      const line = progress(scenario, now, from, count, (said - began) / 1000);
      process.stderr.write(live ? `\r\x1b[K${line}` : `${line}\n`);
    },
  });
  process.off("SIGINT", interrupt);
  process.off("SIGTERM", interrupt);
  if (live) process.stderr.write("\r\x1b[K");
  const seconds = (performance.now() - began) / 1000;
  const hours = (total.virtualMs / 3_600_000).toFixed(1);
  const failed = total.failures.length;
  const what =
    failed === 0
      ? `${total.seeds} seeds pass`
      : `${failed} of ${total.seeds} seeds fail (${total.failures.map(({ seed }) => seed).join(", ")})`;
  console.log(
    `${scenario}: ${what}, ${total.events} events, ${hours} hours of virtual time in ${seconds.toFixed(1)} s, ${rate(total.seeds, seconds)}`,
  );
  const left = from + count - total.next;
  if (left > 0) console.log(`go on: npm run sim -- --scenario ${scenario} --seeds ${left} --from ${total.next}`);
  return failed === 0;
}

function progress(scenario: string, total: BatchResult & { next: number }, from: number, count: number, seconds: number): string {
  const done = total.next - from;
  const minutes = Math.ceil(((count - done) * seconds) / Math.max(1, done) / 60);
  const failed = total.failures.length === 0 ? "" : `, ${total.failures.length} failed`;
  return `${scenario}: ${done} of ${count} seeds (to ${total.next - 1})${failed}, ${rate(total.seeds, seconds)}, about ${minutes} min left`;
}

function rate(seeds: number, seconds: number): string {
  return `${(seeds / Math.max(seconds, 0.001)).toFixed(1)} seeds/s`;
}

import { join } from "node:path";
import { unstable_readConfig } from "wrangler";
import { type BuiltWorker, bundleSize, WORKERS, type WorkerKey } from "./build-workers.ts";
import { ROOT } from "./paths.ts";

/** What a deployment needs on the account, read from the wrangler files. */
export type Needs = { queues: string[]; buckets: string[]; dates: Record<WorkerKey, string> };

/** What is known about the sources before an account is asked. */
export type Facts = {
  dates: Record<WorkerKey, string>;
  /** Compressed size of each script, in bytes. */
  gzip: Record<WorkerKey, number>;
  /** What the check of the committed Wasm complained of; null when it is what its sources build. */
  wasm: string | null;
  /** Why the Worker would refuse the variables that wrangler.toml declares; null when it would not. */
  variables: string | null;
  /** Paths with changes that are not committed; null where there is no git. */
  uncommitted: string[] | null;
  /** A dry run: what is deployed later may be committed by then. */
  rehearsal: boolean;
  /** Today, as YYYY-MM-DD. */
  today: string;
};

/** `stop` forbids the deployment, `note` only tells. */
export type Finding = { level: "stop" | "note"; text: string };

type Consumer = { queue: string; dead_letter_queue?: string };

/** The size Skerry holds itself to: below every limit that Cloudflare has published for an upload. */
const MAX_GZIP = 3 * 1024 * 1024;
const OLD_AFTER_DAYS = 365;

export function needs(): Needs {
  const configs = {
    models: unstable_readConfig({ config: join(ROOT, WORKERS.models.config) }),
    main: unstable_readConfig({ config: join(ROOT, WORKERS.main.config) }),
  };
  const all = Object.values(configs);
  const queues = all.flatMap(({ queues: { producers = [], consumers = [] } }) => [
    ...producers.map(({ queue }: { queue: string }) => queue),
    ...consumers.flatMap(({ queue, dead_letter_queue }: Consumer) => [
      queue,
      ...(dead_letter_queue === undefined ? [] : [dead_letter_queue]),
    ]),
  ]);
  const buckets = all.flatMap(({ r2_buckets }) =>
    r2_buckets.flatMap(({ bucket_name }: { bucket_name?: string }) => (bucket_name === undefined ? [] : [bucket_name])),
  );
  return {
    queues: [...new Set(queues)],
    buckets: [...new Set(buckets)],
    dates: { models: configs.models.compatibility_date ?? "", main: configs.main.compatibility_date ?? "" },
  };
}

export const sizes = (built: Record<WorkerKey, BuiltWorker>): Record<WorkerKey, number> => ({
  models: bundleSize(built.models).gzip,
  main: bundleSize(built.main).gzip,
});

/** Judges the sources: everything that can be known to go wrong before anything is sent. */
export function findings({ dates, gzip, wasm, variables, uncommitted, rehearsal, today }: Facts): Finding[] {
  const found: Finding[] = [];
  const stop = (text: string) => found.push({ level: "stop", text });
  const note = (text: string) => found.push({ level: "note", text });
  for (const key of ["models", "main"] as const) {
    const { config, script } = WORKERS[key];
    if (gzip[key] > MAX_GZIP) stop(`${script} weighs ${mib(gzip[key])} compressed, more than the ${mib(MAX_GZIP)} it may.`);
    if (!/^\d{4}-\d{2}-\d{2}$/.test(dates[key])) stop(`${config} has no compatibility_date of the form YYYY-MM-DD.`);
    else if (dates[key] > today)
      stop(`The compatibility_date in ${config}, ${dates[key]}, lies in the future: Cloudflare would reject it.`);
    else if (daysBetween(dates[key], today) > OLD_AFTER_DAYS)
      note(`The compatibility_date in ${config}, ${dates[key]}, is more than a year old.`);
  }
  if (dates.models !== dates.main)
    stop(`The two scripts have different compatibility dates (${dates.models} and ${dates.main}): tests ran them with one.`);
  if (wasm !== null) stop(`The committed Wasm is not what its sources build. Run npm run build:wasm and commit what it writes.\n${wasm}`);
  if (variables !== null) stop(`With the [vars] of wrangler.toml nothing would be served. ${variables}`);
  if (uncommitted === null) note("There is no git here, so nobody can say later what was deployed.");
  else {
    const binaries = uncommitted.filter((path) => path.startsWith("wasm/"));
    if (binaries.length > 0)
      (rehearsal ? note : stop)(
        `wasm/ has changes that are not committed (${binaries.join(", ")}): what is deployed could not be rebuilt.`,
      );
    else if (uncommitted.length > 0) note(`${uncommitted.length} files have changes that are not committed; they are deployed too.`);
  }
  return found;
}

const mib = (bytes: number): string => `${(bytes / 1024 / 1024).toFixed(2)} MiB`;
const daysBetween = (from: string, to: string): number => (Date.parse(to) - Date.parse(from)) / 86_400_000;

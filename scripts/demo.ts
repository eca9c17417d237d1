// `npm run demo`: sends three days of flights to a running Skerry, and prints what its table makes of them.
import { existsSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import { SingleBar } from "cli-progress";
import { partitionOf } from "../core/streams/partition.ts";
import { Api, FLIGHTS, type Server, type TableRow } from "./demo/api.ts";
import { DEFAULTS, loadFlights } from "./demo/data.ts";
import { Refused } from "./demo/http.ts";
import {
  batchesOf,
  lanesOf,
  newRun,
  parseSpeed,
  progressName,
  type Run,
  readRun,
  type Speed,
  scheduleOf,
  writeRun,
} from "./demo/progress.ts";
import { LostProgress, send } from "./demo/sender.ts";
import { waitForServer } from "./demo/server.ts";
import { DEFAULT_STATE, ROOT } from "./lib/paths.ts";
import { command, Refusal } from "./lib/refusal.ts";

const HELP = `npm run demo -- [options]

  --url URL         the server (http://localhost:8787)
  --speed S         records a second (2000), "max", or "realtime*60": sixty times as fast as it happened
  --limit N         stop after N records, rounded up to whole batches
  --batch N         records a request (a quarter of a second's, at most 1000)
  --producers N     1 to ${FLIGHTS.partitions} producers side by side, each with partitions of its own (1)
  --days N          days of flights (${DEFAULTS.days}), from --start ${DEFAULTS.start}
  --seed N          of the disorder (${DEFAULTS.seed})
  --restart         forget how far an earlier run came, and send everything again as new records
  --progress FILE   where that is kept (.skerry/demo/…)
  --state DIR       where the server keeps its state, and so its admin key (.skerry/state)

The admin key is read from SKERRY_ADMIN_KEY, else from the state directory. A run that was stopped, or whose server was,
goes on where it stood when the same command is given again: nothing is lost or sent twice.`;

/** Ctrl-C. */
class Stopped extends Error {}

await command(async () => {
  const options = readArguments();
  const stop = new AbortController();
  process.on("SIGINT", () => stop.abort(new Stopped()));
  process.on("SIGTERM", () => stop.abort(new Stopped()));
  // The server first: on its first start it mints the key that is read here.
  await waitForServer(options.url, { signal: stop.signal }).catch((error) => {
    throw explain(error, 0, 0);
  });
  const key = adminKey(options.state);
  const server: Server = { url: options.url, key: key.value };
  const { name, arrivals } = await loadFlights(options.data).catch((error) => {
    throw error instanceof RangeError ? new Refusal(error.message) : error;
  });
  const run = plan(options, name);
  const bar = progressBar();
  const api = new Api(server, { signal: stop.signal, onRetry: (reason) => bar.update({ note: `waiting (${reason})` }) });

  const lanes = lanesOf(arrivals, run.producers.length, (key) => partitionOf(key, FLIGHTS.partitions));
  const lengths = lanes.map((lane) => Math.min(lane.length, Math.ceil(options.limit / lanes.length / run.batch) * run.batch));
  const total = lengths.reduce((sum, length) => sum + length, 0);
  const sent = () => run.producers.reduce((sum, producer, lane) => sum + Math.min(lengths[lane]!, producer.next * run.batch), 0);
  const before = sent();
  const began = performance.now();
  try {
    await api.createFlights();
    bar.start(total, before, { note: before > 0 ? "going on" : "" });
    await Promise.all(
      lanes.map((lane, index) =>
        send({
          url: `${server.url}/v1/stream/flights`,
          key: server.key,
          producer: run.producers[index]!,
          batchAt: batchesOf(lane, run.batch, lengths[index]!),
          dueAt: scheduleOf(options.speed, lane, run.batch, Math.max(0, run.producers[index]!.next - 1), lanes.length),
          signal: stop.signal,
          retry: { onRetry: (reason) => bar.update({ note: `waiting (${reason})` }) },
          onAcknowledged: () => {
            writeRun(options.progress, run);
            bar.update(sent(), { note: "" });
          },
        }).catch((error) => {
          stop.abort(error);
          throw error;
        }),
      ),
    );
    const seconds = (performance.now() - began) / 1000;
    bar.stop();
    const fresh = total - before;
    console.log(`${fresh} records acknowledged in ${seconds.toFixed(1)} s (${Math.round(fresh / seconds)} a second), ${before} before.`);
    await summary(api, key.shell);
  } catch (error) {
    bar.stop();
    throw explain(error, sent(), total);
  }
});

/** What this run sends: that of the progress file, or a new plan where there is none. */
function plan(options: Options, dataset: string): Run {
  const known = options.restart ? null : readRun(options.progress);
  if (known === null) {
    const quarter = options.speed.kind === "rate" ? Math.ceil(options.speed.perSecond / 4) : 1000;
    return newRun(dataset, options.batch ?? Math.max(1, Math.min(1000, quarter)), options.producers ?? 1);
  }
  const differs: string[] = [];
  if (known.dataset !== dataset) differs.push(`the records of ${known.dataset}, not ${dataset}`);
  if (options.batch !== null && known.batch !== options.batch) differs.push(`batches of ${known.batch}`);
  if (options.producers !== null && known.producers.length !== options.producers) differs.push(`${known.producers.length} producers`);
  if (differs.length > 0) {
    throw new Refusal(
      `The run to go on with sends ${differs.join(" and ")} (${options.progress}). Leave these options as they were, or begin again with --restart.`,
    );
  }
  return known;
}

/** Waits until the table has everything and prints what it says. */
async function summary(api: Api, key: string): Promise<void> {
  const waited = performance.now();
  const { applied } = await api.untilApplied("flight-desk");
  const { rows, partitions } = await api.rows("delays", { limit: 1000 });
  const counted = rows.reduce((sum, row) => sum + row.value.count, 0);
  const late = partitions.reduce((sum, task) => sum + task.late, 0);
  const airports = new Set(rows.map((row) => row.key)).size;
  console.log(`All ${applied} records of the topic applied ${((performance.now() - waited) / 1000).toFixed(1)} s later.`);
  console.log(
    `Table "delays": ${rows.length} windows of ${airports} airports hold ${counted} flights; ${late} came too late and were counted apart.`,
  );
  console.log("\nThe most delayed airports (100 flights or more):\n");
  console.log("  airport  flights  mean delay  max   over 15 min");
  for (const { key, count, mean, max, delayed } of worst(rows)) {
    console.log(
      `  ${key.padEnd(7)}  ${String(count).padStart(7)}  ${mean.toFixed(1).padStart(6)} min  ${String(max).padStart(4)}  ${(100 * delayed).toFixed(0).padStart(9)} %`,
    );
  }
  console.log(`\nSee it at ${api.server.url}/, or ask:\n`);
  console.log(`  curl -H "Authorization: Bearer ${key}" "${api.server.url}/v1/tables/delays?key=ORD"`);
}

function worst(rows: readonly TableRow[]) {
  const airports = new Map<string, { key: string; count: number; sum: number; max: number; over: number }>();
  for (const { key, value } of rows) {
    const total = airports.get(key) ?? { key, count: 0, sum: 0, max: value.max, over: 0 };
    total.count += value.count;
    total.sum += value.mean * value.count;
    total.max = Math.max(total.max, value.max);
    total.over += value.delayed * value.count;
    airports.set(key, total);
  }
  return [...airports.values()]
    .filter(({ count }) => count >= 100)
    .map(({ key, count, sum, max, over }) => ({ key, count, mean: sum / count, max, delayed: over / count }))
    .sort((a, b) => b.mean - a.mean)
    .slice(0, 10);
}

function explain(error: unknown, sent: number, total: number): unknown {
  if (error instanceof Stopped && total === 0) return new Refusal("Stopped, before anything was sent.");
  if (error instanceof Stopped)
    return new Refusal(`Stopped: ${sent} of ${total} records are acknowledged. The same command goes on from there.`);
  if (error instanceof LostProgress) {
    return new Refusal(
      `${error.message}\nIt runs on other state than before, or it lost data. To send everything again as new records: --restart.`,
    );
  }
  if (error instanceof Refused && error.status === 401) {
    return new Refusal(
      `${error.message}\nIs this the right key? It is read from SKERRY_ADMIN_KEY, else from the state directory (--state DIR).`,
    );
  }
  if (error instanceof Refused) return new Refusal(error.message);
  if (error instanceof Error && error.message.includes("no success in")) {
    return new Refusal(
      `${error.message}\n${sent} of ${total} records are acknowledged. Is the server running (npm start)? The same command goes on from there.`,
    );
  }
  return error;
}

/** The admin key, and how a shell gets at it without its being printed. */
function adminKey(state: string): { value: string; shell: string } {
  const given = process.env.SKERRY_ADMIN_KEY;
  if (given) return { value: given, shell: "$SKERRY_ADMIN_KEY" };
  const file = join(state, "admin-key");
  if (!existsSync(file))
    throw new Refusal(`No admin key: set SKERRY_ADMIN_KEY, or start the server once (npm start), which mints one into ${file}.`);
  // npm runs this in the repository's root, wherever it was called from.
  const path = relative(process.env.INIT_CWD ?? process.cwd(), file);
  return { value: readFileSync(file, "utf8").trim(), shell: `$(cat '${path.replaceAll("'", "'\\''")}')` };
}

/** A bar on a terminal, and a plain line every two seconds elsewhere. */
function progressBar(): SingleBar {
  return new SingleBar({
    format: "flights {bar} {percentage}%  {value}/{total}  {duration_formatted}, {eta_formatted} to go  {note}",
    barsize: 30,
    barCompleteChar: "█",
    barIncompleteChar: "░",
    noTTYOutput: true,
    gracefulExit: false,
    hideCursor: null,
  });
}

type Options = {
  url: string;
  speed: Speed;
  limit: number;
  batch: number | null;
  producers: number | null;
  data: { start: string; days: number; seed: number };
  restart: boolean;
  progress: string;
  state: string;
};

function readArguments(): Options {
  try {
    const { values } = parseArgs({
      options: {
        url: { type: "string", default: "http://localhost:8787" },
        speed: { type: "string", default: "2000" },
        limit: { type: "string" },
        batch: { type: "string" },
        producers: { type: "string" },
        days: { type: "string", default: String(DEFAULTS.days) },
        start: { type: "string", default: DEFAULTS.start },
        seed: { type: "string", default: String(DEFAULTS.seed) },
        restart: { type: "boolean", default: false },
        progress: { type: "string" },
        state: { type: "string", default: DEFAULT_STATE },
        help: { type: "boolean", default: false },
      },
    });
    if (values.help) {
      console.log(HELP);
      process.exit(0);
    }
    if (!URL.canParse(values.url)) throw new Refusal(`--url takes an address such as http://localhost:8787, not "${values.url}".`);
    const url = new URL(values.url).origin;
    const data = { start: values.start, days: integer("days", values.days, 1, 181), seed: integer("seed", values.seed, 0, 2 ** 32 - 1) };
    return {
      url,
      speed: parseSpeed(values.speed),
      limit: values.limit === undefined ? Number.POSITIVE_INFINITY : integer("limit", values.limit, 1, 1e9),
      batch: values.batch === undefined ? null : integer("batch", values.batch, 1, 10_000),
      producers: values.producers === undefined ? null : integer("producers", values.producers, 1, FLIGHTS.partitions),
      data,
      restart: values.restart,
      progress: values.progress ?? join(ROOT, ".skerry/demo", `${progressName(url)}.json`),
      state: values.state,
    };
  } catch (error) {
    if (error instanceof TypeError || error instanceof RangeError) throw new Refusal(`${error.message}\n\n${HELP}`);
    throw error;
  }
}

function integer(name: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < least || value > most)
    throw new Refusal(`--${name} takes a whole number from ${least} to ${most}, not "${text}".`);
  return value;
}

// `npm run bench -- thread`: the thread end to end at full speed, and Kafka Streams on the same records in the same run.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { partitionOf } from "../core/streams/partition.ts";
import { Api, FLIGHTS } from "../scripts/demo/api.ts";
import { type Arrival, DEFAULTS, loadFlights } from "../scripts/demo/data.ts";
import { type DelayRow, differences, expectedTable } from "../scripts/demo/oracle.ts";
import { compareTable, homeOf, quantile, sendAll } from "../scripts/demo/thread.ts";
import { buildWorkers } from "../scripts/lib/build-workers.ts";
import { ROOT } from "../scripts/lib/paths.ts";
import { startServer } from "../test/e2e/harness.ts";

const { values } = parseArgs({
  options: {
    days: { type: "string", default: String(DEFAULTS.days) },
    rounds: { type: "string", default: "3" },
    batch: { type: "string", default: "1000" },
    producers: { type: "string", default: "1" },
    "in-flight": { type: "string", default: "2" },
  },
});
/** What Kafka Streams answered, to be checked like our own table. */
let kafkaTable: DelayRow[] | null = null;
const rounds = Number(values.rounds);
const { name, arrivals } = await loadFlights({ days: Number(values.days) });
const median = (numbers: number[]) =>
  quantile(
    [...numbers].sort((a, b) => a - b),
    0.5,
  );
const rate = (perSecond: number) => `${Math.round(perSecond).toLocaleString("en")} records/s`;

console.log(
  `${arrivals.length} records of ${name}; ${availableParallelism()} cores of ${cpus()[0]?.model ?? "unknown make"}, sender and server share them`,
);
const ours = await skerry();
const kafka = kafkaStreams();
const duckdb = await duckDb();

console.log("\nmedian of the rounds\n");
console.log(`  Skerry, HTTP to durable log to durable table   ${rate(ours)}`);
if (kafka !== null) {
  console.log(`  Kafka Streams, TopologyTestDriver, in memory   ${rate(kafka)}   (Skerry is at ${(ours / kafka).toFixed(2)} of it)`);
} else {
  console.log("  Kafka Streams: not run, because it needs java and mvn, and mvn must reach its repository (see above)");
}
console.log(`  DuckDB, one batch query, in memory             ${rate(duckdb)}   (Skerry is at ${(ours / duckdb).toFixed(2)} of it)`);
console.log(`
What this compares: Skerry's figure is the whole path on a fresh server each round: over HTTP, checked, committed to the
log before it is acknowledged, rung through the queue, scored by a model, and counted by a task that journals what it applied.
The test driver has no broker, no network and no disk; it runs the aggregate alone, on one thread, with its usual commit after
every record. DuckDB reads arrays that are in memory already, and answers once, at the end.`);

/** Median records a second from the first append to the last record in the table. */
async function skerry(): Promise<number> {
  await buildWorkers();
  const rates: number[] = [];
  for (let round = 1; round <= rounds; round++) {
    const server = await startServer();
    try {
      const api = new Api({ url: server.url, key: server.adminKey });
      const began = performance.now();
      const sent = await sendAll(api.server, arrivals, {
        batch: Number(values.batch),
        producers: Number(values.producers),
        inFlight: Number(values["in-flight"]),
      });
      await api.untilApplied("flight-desk");
      const seconds = (performance.now() - began) / 1000;
      rates.push(sent.records / seconds);
      const { differences } = await compareTable(api.server, arrivals);
      if (differences.length > 0) throw new Error(`The table is wrong, so its speed means nothing: ${differences[0]}`);
      await new Promise((resolve) => setTimeout(resolve, 7000)); // tasks tell the account what they cost every five seconds
      const { total, dollars } = await api.usage();
      const [p50, p99] = [quantile(sent.latencies, 0.5), quantile(sent.latencies, 0.99)];
      console.log(
        `Skerry, round ${round}: ${rate(sent.records / seconds)} end to end, ${rate(sent.records / sent.seconds)} acknowledged; ` +
          `append p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms; ${total.rows} rows written, ` +
          `$${((1e6 * dollars.total) / sent.records).toFixed(4)} per million records`,
      );
    } finally {
      await server.close();
    }
  }
  return median(rates);
}

/** Median records a second of Kafka Streams' own test driver; null where Java or Maven is missing. */
function kafkaStreams(): number | null {
  const missing = ["java", "mvn"].filter((tool) => spawnSync(tool, ["-version"]).status !== 0);
  if (missing.length > 0) {
    console.log(`Kafka Streams: ${missing.join(" and ")} not found. On Debian: apt-get install default-jdk-headless maven`);
    return null;
  }
  const folder = join(ROOT, ".cache/bench/kafka");
  mkdirSync(folder, { recursive: true });
  const classpath = join(folder, "classpath");
  const goals = ["compile", "dependency:build-classpath", `-Dmdep.outputFile=${classpath}`];
  const maven = spawnSync("mvn", ["-q", "-B", "-f", join(ROOT, "bench/kafka/pom.xml"), ...goals], { encoding: "utf8" });
  if (maven.status !== 0 || !existsSync(classpath)) {
    console.log(`Kafka Streams: Maven could not build it.\n${maven.stdout.split("\n").slice(0, 5).join("\n")}`);
    return null;
  }
  const [input, output] = [join(folder, "flights.tsv"), join(folder, "table.ndjson")];
  writeFileSync(
    input,
    arrivals.map(({ flight }) => `${homeOf(flight)}\t${flight.origin}\t${flight.date}\t${JSON.stringify(flight)}\n`).join(""),
  );
  const classes = `${join(folder, "classes")}:${readFileSync(classpath, "utf8").trim()}`;
  // The first round warms the JVM and is not counted.
  const java = spawnSync("java", ["-cp", classes, "skerry.bench.FlightThread", input, output, String(rounds + 1)], { encoding: "utf8" });
  if (java.status !== 0) throw new Error(`Kafka Streams failed:\n${java.stderr}`);
  const figures = java.stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { records: number; seconds: number });
  const rates = figures.slice(1).map(({ records, seconds }) => records / seconds);
  kafkaTable = readFileSync(output, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as DelayRow);
  for (const [index, each] of rates.entries()) console.log(`Kafka Streams, round ${index + 1}: ${rate(each)}`);
  return median(rates);
}

/** Median records a second of one DuckDB query over everything, loading included; checks Kafka's table with its answer. */
async function duckDb(): Promise<number> {
  const flights = arrivals.map(({ flight }: Arrival) => flight);
  const rates: number[] = [];
  for (let round = 1; round <= rounds; round++) {
    const began = performance.now();
    const expected = await expectedTable(flights, { partitions: FLIGHTS.partitions, partitionOf });
    rates.push((1000 * flights.length) / (performance.now() - began));
    if (kafkaTable !== null && differences(expected.rows, kafkaTable).length > 0) throw new Error("Kafka Streams and DuckDB disagree.");
  }
  return median(rates);
}

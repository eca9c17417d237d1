// `npm run verify -- duckdb`: three days of flights through the whole thread, and every key and window of the table
// compared with DuckDB's answer on the same records.
import { parseArgs } from "node:util";
import { startServer } from "../../test/e2e/harness.ts";
import { Api } from "../demo/api.ts";
import { DEFAULTS, loadFlights } from "../demo/data.ts";
import { auditTopic, compareTable, quantile, sendAll } from "../demo/thread.ts";
import { expectedUnusual, unusualIds } from "../demo/unusual.ts";
import { buildWorkers } from "../lib/build-workers.ts";

const { values } = parseArgs({
  options: {
    days: { type: "string", default: String(DEFAULTS.days) },
    batch: { type: "string", default: "1000" },
    producers: { type: "string", default: "1" },
  },
});

const { name, arrivals } = await loadFlights({ days: Number(values.days) });
await buildWorkers();
const server = await startServer();
try {
  const api = new Api({ url: server.url, key: server.adminKey });
  console.log(`${arrivals.length} records of ${name}, batches of ${values.batch}`);
  const began = performance.now();
  const sent = await sendAll(api.server, arrivals, { batch: Number(values.batch), producers: Number(values.producers), inFlight: 2 });
  await api.untilApplied("flight-desk");
  const seconds = (performance.now() - began) / 1000;
  const { expected, rows, differences } = await compareTable(api.server, arrivals);
  const audit = await auditTopic(api.server, arrivals);
  const late = expected.partitions.reduce((sum, partition) => sum + partition.late, 0);
  const expectedIds = expectedUnusual(arrivals);
  const ids = await unusualIds(api, expectedIds.length);
  const same = JSON.stringify(ids) === JSON.stringify(expectedIds);
  await new Promise((resolve) => setTimeout(resolve, 7000)); // tasks tell the account what they cost every five seconds
  const usage = await api.usage();

  console.log(
    `append      ${Math.round(sent.records / sent.seconds)} records/s, p50 ${quantile(sent.latencies, 0.5).toFixed(1)} ms, p99 ${quantile(sent.latencies, 0.99).toFixed(1)} ms a batch`,
  );
  console.log(`end to end  ${Math.round(sent.records / seconds)} records/s, from the first append to the last record in the table`);
  console.log(
    `cost        ${usage.total.rows} rows written, ${((1e6 * usage.dollars.total) / sent.records).toFixed(4)} dollars per million records (list price, by /v1/usage)`,
  );
  console.log(
    `topic       ${audit.records} records, ${audit.lost} lost, ${audit.extra} extra, ${audit.inOrder ? "each partition in order" : "OUT OF ORDER"}`,
  );
  console.log(
    `table       ${rows.length} windows, DuckDB has ${expected.rows.length}; ${late} late records on both sides; ${differences.length} differences`,
  );
  for (const difference of differences.slice(0, 20)) console.log(`  ${difference}`);
  console.log(`unusual     ${ids.length} flights, ${same ? "each of them once" : `NOT the ${expectedIds.length} that belong there`}`);
  if (!same || differences.length > 0 || audit.lost > 0 || audit.extra > 0 || !audit.inOrder) process.exitCode = 1;
} finally {
  await server.close();
}

// `npm run verify -- kill`: the process group is killed ten times while the demo runs; then every acknowledged record is
// counted in the topic, and the table compared with DuckDB's.
import { parseArgs } from "node:util";
import { startServer } from "../../test/e2e/harness.ts";
import { killRun } from "../demo/kill.ts";
import { buildWorkers } from "../lib/build-workers.ts";

const { values } = parseArgs({
  options: {
    kills: { type: "string", default: "10" },
    limit: { type: "string", default: "49000" },
    speed: { type: "string", default: "4000" },
    seed: { type: "string", default: "1" },
    /** The doorbell queue misbehaves as well: every message twice, out of order, and a third of them lost. */
    faults: { type: "boolean", default: false },
  },
});
const [kills, limit, speed, seed] = [values.kills, values.limit, values.speed, values.seed].map(Number) as [number, number, number, number];

await buildWorkers();
const server = await startServer(values.faults ? { queueFaults: { duplicate: true, shuffle: seed, dropRate: 0.3 } } : {});
try {
  const { sent, rounds, audit, differences, unusual } = await killRun({ server, kills, limit, speed, seed, say: console.log });
  const missing = rounds.reduce((sum, round) => sum + round.missing, 0);
  console.log(`${kills} kills, ${rounds.filter(({ senderKilled }) => senderKilled).length} of the sender too (seed ${seed})`);
  console.log(
    `topic       ${audit.records} records of ${sent.length} acknowledged: ${audit.lost} lost, ${audit.extra} extra, ${audit.inOrder ? "each partition in order" : "OUT OF ORDER"}`,
  );
  console.log(`table       ${differences.length} differences from DuckDB`);
  for (const difference of differences.slice(0, 20)) console.log(`  ${difference}`);
  const same = JSON.stringify(unusual.found) === JSON.stringify(unusual.expected);
  console.log(
    `unusual     ${unusual.found.length} flights, ${same ? "each of them once" : `NOT the ${unusual.expected.length} that belong there`}`,
  );
  if (!same) process.exitCode = 1;
  if (missing + audit.lost + audit.extra + differences.length > 0 || !audit.inOrder) process.exitCode = 1;
} finally {
  await server.close();
}

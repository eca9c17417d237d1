// `npm run verify -- groups`: histories of a group of five on the real runtime, under faults and SIGKILL, checked for linearizability.
import { parseArgs } from "node:util";
import { provoke } from "../../test/e2e/groups/linearizable.ts";
import { startServer } from "../../test/e2e/harness.ts";
import { build } from "../lib/build.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    seed: { type: "string", default: "1" },
    seconds: { type: "string", default: "30" },
    clients: { type: "string", default: "8" },
  },
});
await build();
for (let round = 0; round < Number(values.rounds); round++) {
  const seed = Number(values.seed) + round;
  const replicas = ([5, 3, 5, 1] as const)[round % 4]!;
  const server = await startServer({ env: { SKERRY_FAULTS: "1", SKERRY_LOG: "warn" } });
  try {
    const { tally, faults, operations } = await provoke(server, {
      ...{ seed, replicas, clients: Number(values.clients), keys: 5 },
      ...{ forMs: 1_000 * Number(values.seconds), faultEveryMs: 1_200, kills: 3 },
    });
    console.log(
      `seed ${seed}, ${replicas} replicas: ${operations} operations, ${tally.answered} answered, ${tally.unknown} unknown, ${faults} faults: linearizable`,
    );
  } catch (error) {
    console.error(`seed ${seed}, ${replicas} replicas:`);
    throw error;
  } finally {
    await server.close();
  }
}

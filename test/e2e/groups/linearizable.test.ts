import { expect, it } from "vitest";
import { startServer } from "../harness.ts";
import { provoke } from "./linearizable.ts";

it("five replicas are one object to their clients, through cut links, hangs, lost and slow calls, and SIGKILL", async () => {
  const server = await startServer({ env: { SKERRY_FAULTS: "1" } });
  const plan = { seed: 7, replicas: 5, clients: 6, keys: 4, forMs: 15_000, faultEveryMs: 900, kills: 2 } as const;
  const { tally, faults, operations } = await provoke(server, plan);
  console.log(
    `${operations} operations, ${tally.answered} answered, ${tally.unknown} with an unknown outcome, ${faults} faults: linearizable`,
  );
  // Enough happened for the verdict to mean something.
  expect(tally.writes).toBeGreaterThan(20);
  expect(faults).toBeGreaterThan(1);
});

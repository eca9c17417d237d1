import { expect, it } from "vitest";
import { killRun } from "../../scripts/demo/kill.ts";
import { startServer } from "./harness.ts";

it("loses no acknowledged record and doubles none when the process group is killed three times in mid-demo", async () => {
  const server = await startServer();
  const { rounds, audit, differences, sent, unusual } = await killRun({ server, kills: 3, limit: 12_000, speed: 4000, seed: 1 });
  expect(rounds.map(({ missing }) => missing)).toEqual([0, 0, 0]);
  expect(rounds.every(({ acknowledged }) => acknowledged > 0)).toBe(true);
  // In mid-demo; the last kill may come after the last record where this process had to wait for the machine.
  expect(rounds.filter(({ acknowledged }) => acknowledged < sent.length).length).toBeGreaterThanOrEqual(2);
  expect(rounds.some(({ senderKilled }) => senderKilled)).toBe(true);
  expect(audit).toEqual({ lost: 0, extra: 0, inOrder: true, records: sent.length });
  expect(differences).toEqual([]);
  expect(unusual.found).toEqual(unusual.expected);
});

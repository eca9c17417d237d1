import { describe, expect, it } from "vitest";
import { Api } from "../../scripts/demo/api.ts";
import { type BoardLine, expectedBoard } from "../../scripts/demo/board.ts";
import { loadFlights } from "../../scripts/demo/data.ts";
import { auditTopic, compareTable, homeOf, sendAll } from "../../scripts/demo/thread.ts";
import { expectedUnusual, unusualIds } from "../../scripts/demo/unusual.ts";
import { type QueueFaults, startServer } from "./harness.ts";

/** Most of a day: every partition, late records in each, and more than a thousand windows. */
const RECORDS = 12_000;
const GRACE = 7_200_000;
/** The board is two topologies, a topic and a room away, each with its second of conflation. */
const PATIENCE = { timeout: 90_000, interval: 200 };
const arrivals = (await loadFlights()).arrivals.slice(0, RECORDS);

/** The thread through a server of its own: create, send, wait until the table holds all of it. */
async function thread(queueFaults?: QueueFaults): Promise<Api> {
  const server = await startServer(queueFaults ? { queueFaults } : {});
  const api = new Api({ url: server.url, key: server.adminKey });
  const sent = await sendAll(api.server, arrivals, { batch: 300, inFlight: 2 });
  expect(sent.records).toBe(RECORDS);
  await api.untilApplied("flight-desk");
  return api;
}

/** The board that the room `flight-desk` shows, in its order. */
async function board(api: Api): Promise<BoardLine[]> {
  const lines = ((await api.doc("flight-desk"))?.board ?? {}) as Record<string, BoardLine>;
  return Object.keys(lines)
    .sort()
    .map((rank) => lines[rank]!);
}

describe("one thread of real data", () => {
  const unusual = expectedUnusual(arrivals);

  it("ends in DuckDB's table, key by key and window by window; idleness closes the last windows and changes nothing else", async () => {
    const api = await thread();
    const { expected, rows, differences } = await compareTable(api.server, arrivals);
    expect(differences).toEqual([]);
    expect(rows.length).toBeGreaterThan(1000);
    expect(expected.partitions.every(({ late }) => late > 0)).toBe(true);
    const closed = (row: (typeof rows)[number]) => row.window.end + GRACE <= expected.partitions[homeOf({ origin: row.key })]!.streamTime!;
    expect(rows.filter((row) => row.final !== closed(row))).toEqual([]);
    expect(rows.some((row) => row.final) && rows.some((row) => !row.final)).toBe(true);

    expect(unusual.length).toBeGreaterThan(50);
    expect(await unusualIds(api, unusual.length)).toEqual(unusual);
    await expect.poll(() => board(api), PATIENCE).toEqual(expectedBoard(expected.rows));

    await api.untilFinal("delays");
    expect((await compareTable(api.server, arrivals)).differences).toEqual([]);
  });

  const faults: [string, QueueFaults][] = [
    ["each message is delivered twice and in any order", { duplicate: true, shuffle: 7 }],
    ["a third of the messages is lost", { dropRate: 0.35 }],
    ["every message is lost", { dropRate: 1 }],
  ];
  it.each(faults)("ends in the same table, the same unusual flights and the same board when %s", async (_, queueFaults) => {
    const api = await thread(queueFaults);
    const { expected, differences } = await compareTable(api.server, arrivals);
    expect(differences).toEqual([]);
    expect(await auditTopic(api.server, arrivals)).toEqual({ lost: 0, extra: 0, inOrder: true, records: RECORDS });
    expect(await unusualIds(api, unusual.length)).toEqual(unusual);
    await expect.poll(() => board(api), PATIENCE).toEqual(expectedBoard(expected.rows));
  });
});

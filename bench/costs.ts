// `npm run bench -- costs`: what a few steady workloads write, by the platform's own count (--seconds 40). Its peer: the formulas of docs/costs.md.
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { WebSocket } from "ws";
import { WebsocketProvider } from "y-websocket";
import * as Y from "yjs";
import { Api, FLIGHTS } from "../scripts/demo/api.ts";
import { loadFlights } from "../scripts/demo/data.ts";
import { roomRows, streamRows } from "../scripts/guide/costs.ts";
import { buildWorkers } from "../scripts/lib/build-workers.ts";
import { type Server, startServer } from "../test/e2e/harness.ts";

const { values } = parseArgs({ options: { seconds: { type: "string", default: "40" } } });
const seconds = Number(values.seconds);
/** Where each partition ended after the last append. */
let ends: string[] = [];
const { arrivals } = await loadFlights();
await buildWorkers();

console.log(`rows written in ${seconds} s, measured, and by the formula of docs/costs.md\n`);
for (const records of [1, 10, 100, 1000]) {
  const measured = await stream(records);
  // Every share makes an output: the task tells `delays-changes` once a second.
  const shares = measured.shares / seconds;
  const predicted = seconds * streamRows({ appends: 1, partitions: FLIGHTS.partitions, shares, outputs: shares, derived: 1 });
  row(`flight desk, one append of ${records} flights a second`, measured.rows, predicted);
  console.log(
    `    ${measured.shares} shares, ${measured.requests} calls counted, ${(measured.rows / (records * seconds)).toFixed(3)} rows a record`,
  );
}
for (const typists of [1, 2, 10]) {
  const { rows, edits } = await room(typists, 5);
  row(`a room, ${typists} typing five keys a second each (${edits} edits)`, rows, seconds * roomRows({ typists, keysPerSecond: 5 }));
}

function row(what: string, measured: number, predicted: number): void {
  console.log(
    `  ${what.padEnd(62)} ${String(measured).padStart(6)}  ${predicted.toFixed(0).padStart(6)}  (${(measured / predicted).toFixed(2)})`,
  );
}

/** Appends steadily to the flight desk; the shares are what its four partitions got of them. */
async function stream(records: number): Promise<{ rows: number; requests: number; shares: number }> {
  const server = await startServer();
  ends = [];
  try {
    const api = new Api({ url: server.url, key: server.adminKey });
    await api.createFlights();
    const started = performance.now();
    let shares = 0;
    for (let seq = 0; seq < seconds; seq++) {
      await sleep(Math.max(0, started + 1000 * seq - performance.now()));
      const flights = arrivals.slice(seq * records, (seq + 1) * records).map(({ flight }) => flight);
      shares += await append(server, flights, seq);
    }
    await api.untilApplied("flight-desk");
    await sleep(12_000); // the last outputs, checkpoints and bills
    const { total } = await api.usage();
    return { rows: total.rows, requests: total.requests, shares };
  } finally {
    await server.close();
  }
}

/** Sends one batch and tells how many partitions had a share in it, by the ends that moved. */
async function append(server: Server, flights: unknown[], seq: number): Promise<number> {
  const response = await fetch(`${server.url}/v1/stream/flights`, {
    method: "POST",
    headers: {
      Authorization: `Bearer ${server.adminKey}`,
      "Content-Type": "application/json",
      "Producer-Id": "costs",
      "Producer-Epoch": "0",
      "Producer-Seq": String(seq),
    },
    body: JSON.stringify(flights),
  });
  if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
  const next = (response.headers.get("Stream-Next-Offset") ?? "").split("_");
  const moved = next.filter((end, partition) => Number(end) !== Number(ends[partition] ?? 0)).length;
  ends = next;
  return moved;
}

/** People who type into one room, each at a place of their own; what the room says it wrote. */
async function room(typists: number, keysPerSecond: number): Promise<{ rows: number; edits: number }> {
  const server = await startServer();
  const people = Array.from({ length: typists }, () => {
    const doc = new Y.Doc();
    const provider = new WebsocketProvider(`${server.wsUrl}/v1/rooms`, "costs", doc, {
      params: { token: server.adminKey },
      WebSocketPolyfill: WebSocket as never,
      disableBc: true,
    });
    return { doc, provider, synced: new Promise((resolve) => provider.once("sync", resolve)) };
  });
  try {
    await Promise.all(people.map(({ synced }) => synced));
    const begun = performance.now();
    let edits = 0;
    const typing = people.map(async ({ doc }, person) => {
      const text = doc.getText(`page-${person}`);
      for (let key = 0; key < seconds * keysPerSecond; key++) {
        const due = begun + ((key + person / typists) * 1000) / keysPerSecond;
        await sleep(Math.max(0, due - performance.now()));
        text.insert(text.length, "abcdefghij "[key % 11] as string);
        edits++;
      }
    });
    await Promise.all(typing);
    await sleep(4_000); // a snapshot, where one is due
    const response = await fetch(`${server.url}/v1/rooms/costs`, { headers: { Authorization: `Bearer ${server.adminKey}` } });
    const { rowsWritten } = (await response.json()) as { rowsWritten: number };
    return { rows: rowsWritten, edits };
  } finally {
    for (const { doc, provider } of people) {
      provider.destroy();
      doc.destroy();
    }
    await server.close();
  }
}

import { expect, it } from "vitest";
import * as Y from "yjs";
import { createClient } from "../../client/src/index.ts";
import { connectRoom } from "../../client/src/rooms/index.ts";
import { type Server, startServer } from "./harness.ts";

const AIRPORTS = ["ATL", "DFW", "ORD", "OSL", "SFO", "LHR", "NRT"];
type Flight = { id: string; n: number; origin: string; destination: string; date: number; delay: number; distance: number };
type Delays = { count: number; max: number };

/** How many edits the server must have confirmed as durable before it is killed. */
const CONFIRMED = 50;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const clientOf = (server: Server) => createClient({ url: server.url, token: server.adminKey });

it("through three kills: the producer loses and doubles nothing, and the table that is followed ends equal to the one that is asked", async () => {
  let server = await startServer();
  const client = clientOf(server);
  const topic = client.streams.topic<Flight>("flights");
  await topic.create({ partitions: 4, key: "/origin", timestamp: "/date" });

  const rows = new Map<string, Delays>();
  const stop = new AbortController();
  let resets = 0;
  const following = (async () => {
    for await (const event of await client.streams.table<Delays>("delays").subscribe({ signal: stop.signal })) {
      if (event.kind === "reset") resets++;
      else for (const { key, window, value } of event.rows) rows.set(`${key} ${window.start}`, value);
    }
  })().catch((error: unknown) => {
    if (!stop.signal.aborted) throw error;
  });

  const start = Date.UTC(2001, 0, 1);
  const producer = topic.producer({ linger: 2, batchRecords: 40, maxBuffered: 20_000 });
  let sent = 0;
  let over = false;
  const sending = (async () => {
    while (!over) {
      const origin = AIRPORTS[sent % AIRPORTS.length]!;
      await producer.send({
        id: `f${sent}`,
        n: sent,
        origin,
        destination: "CDG",
        date: start + sent * 500,
        delay: sent % 60,
        distance: 900,
      });
      sent++;
      if (sent % 20 === 0) await pause(2);
    }
    await producer.close();
  })();
  for (let kill = 0; kill < 3; kill++) {
    const before = sent;
    await expect.poll(() => sent - before, { timeout: 60_000 }).toBeGreaterThan(400);
    server = await server.restart();
  }
  over = true;
  await sending;

  const logs = await Promise.all(
    [0, 1, 2, 3].map(async (partition) => {
      const records: Flight[] = [];
      for await (const record of topic.records({ partition })) records.push(record);
      return records;
    }),
  );
  const all = logs.flat();
  expect(all.map(({ n }) => n).sort((a, b) => a - b)).toEqual(Array.from({ length: sent }, (_, n) => n));
  for (const log of logs) {
    for (const origin of AIRPORTS) {
      const own = log.filter((flight) => flight.origin === origin).map(({ n }) => n);
      expect(own).toEqual([...own].sort((a, b) => a - b));
    }
  }

  // The client has appended all of it, so what it asks for holds all of it.
  const asked = new Map<string, Delays>();
  for await (const { key, window, value } of client.streams.table<Delays>("delays").rows()) asked.set(`${key} ${window.start}`, value);
  expect([...asked.values()].reduce((sum, { count }) => sum + count, 0)).toBe(sent);
  await expect.poll(() => new Map(rows), { timeout: 60_000 }).toEqual(asked);
  expect(resets).toBeGreaterThan(0);
  stop.abort(new Error("over"));
  await following;
  console.log(`three kills: ${sent} records sent, ${all.length} in the log, ${asked.size} windows equal`);
});

it("through five kills: a room loses nothing that whenDurable confirmed, and nothing at all where the client lives on", async () => {
  let server = await startServer();
  const client = clientOf(server);
  const total = { written: 0, confirmed: 0 };
  const confirmedEver: string[] = [];
  // This one lives through all kills.
  const survivor = connectRoom(client, "notes");
  const mine: string[] = [];
  await survivor.whenSynced();
  for (let round = 0; round < 5; round++) {
    // This one dies with the server: what it wrote is there only if the server has kept it.
    const mortal = connectRoom(client, "notes");
    await mortal.whenSynced();
    const confirmed: string[] = [];
    // Enough to find a loss, whatever the machine's speed; and killed not right after a commit, but anywhere.
    const end = Date.now() + 60_000;
    for (let n = 0, more = 7 * round; (confirmed.length < CONFIRMED && Date.now() < end) || more-- > 0; n++) {
      const key = `${round}-${n}`;
      mortal.doc.getMap("mortal").set(key, n);
      void mortal.whenDurable().then(
        () => confirmed.push(key),
        () => {},
      );
      survivor.doc.getMap("survivor").set(key, n);
      mine.push(key);
      total.written++;
      await pause(2);
    }
    const killed = server.kill();
    mortal.close();
    confirmedEver.push(...confirmed);
    total.confirmed += confirmed.length;
    await killed;
    if (round === 2) for (let n = 0; n < 20; n++) survivor.doc.getMap("survivor").set(`offline-${n}`, mine.push(`offline-${n}`));
    server = await server.restart();
    const doc = new Y.Doc();
    Y.applyUpdate(doc, await client.rooms.readUpdate("notes"));
    expect(confirmedEver.filter((key) => !doc.getMap("mortal").has(key))).toEqual([]);
    await survivor.whenDurable();
    expect(survivor.status).toMatchObject({ state: "live", undurable: 0, error: null });
  }
  await server.kill();
  server = await server.restart();
  survivor.close();
  const { survivor: kept } = await client.rooms.read<{ survivor: Record<string, number> }>("notes");
  expect(mine.filter((key) => !(key in kept))).toEqual([]);
  expect(total.confirmed).toBeGreaterThanOrEqual(5 * CONFIRMED);
  console.log(
    `five kills: ${total.written} edits, ${total.confirmed} confirmed as durable of which 0 lost; ${mine.length} of the survivor, 0 lost`,
  );
});

// Records in, a table out, live: `npm run example -- hello-stream` while `npm start` runs.
//
// The table `delays` is the flight desk's (topologies/flight-desk.ts): flights by airport and hour. To stay out of the
// way of the demo, each run is a project of its own, with its own topics, tables and tokens.
import { createClient, SkerryError } from "@skerry/client";

const url = process.env.SKERRY_URL ?? "http://localhost:8787";
const token = process.env.SKERRY_ADMIN_KEY;
if (token === undefined) {
  console.error("Set SKERRY_ADMIN_KEY to the admin key of the server.");
  process.exit(1);
}

// What your backend does: the admin key makes a token that may do what this program needs, for an hour.
const admin = createClient({ url, token, project: `hello-${Date.now().toString(36)}` });
const grants = [{ capability: "streams", name: "*", rights: ["admin"] }];
const minted = await admin.tokens.create({ grants, expiresIn: 3600, subject: "hello-stream" });

// What your program does.
const client = createClient({ url, token: minted.token });
const flights = client.streams.topic("flights");
await flights.create({ partitions: 4, key: "/origin", timestamp: "/date" });

// Follow the table, from before the first flight: its rows as they stand, then each change.
const following = follow();

// A thousand flights out of five airports within an hour. The producer batches and partitions them, and repeats what fails.
const started = Date.now();
const producer = flights.producer();
for (let n = 0; n < 1000; n++) {
  const origin = ["ATL", "DFW", "ORD", "OSL", "SFO"][n % 5];
  await producer.send({ id: `hello-${n}`, origin, destination: "LHR", date: started - (n % 60) * 1000, delay: n % 45, distance: 700 });
}
await producer.close();
console.log(`1000 flights are durable after ${Date.now() - started} ms.`);

// The client remembers what it has appended, so this answer holds all of it.
for await (const { key, window, value } of client.streams.table("delays").rows()) {
  console.log(`  ${key} ${new Date(window.start).toISOString().slice(0, 16)}  ${value.count} flights, ${value.mean.toFixed(1)} min late`);
}

// What is wrong has a code.
await flights.append([{ id: "no origin", date: started }]).catch((error) => {
  if (error instanceof SkerryError) console.log(`Refused: ${error.code}. ${error.message}`);
});

await following;

async function follow() {
  const counts = new Map();
  for await (const event of await client.streams.table("delays").subscribe()) {
    if (event.kind === "reset") continue;
    for (const row of event.rows) counts.set(`${row.key} ${row.window.start}`, row.value.count);
    const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
    if (event.rows.length > 0) console.log(`Live: ${total} flights in ${counts.size} windows.`);
    if (total >= 1000) return;
  }
}

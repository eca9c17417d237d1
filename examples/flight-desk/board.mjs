// The flight desk's board in a terminal, by the stock y-websocket client. Run it while `npm run demo` runs:
//
//   SKERRY_ADMIN_KEY=… node examples/flight-desk/board.mjs [--url http://localhost:8787] [--note "runway 2 closed"] [--once]
import { parseArgs } from "node:util";
import { WebSocket } from "ws";
import { WebsocketProvider } from "y-websocket";
import * as Y from "yjs";

const { values: options } = parseArgs({
  options: {
    url: { type: "string", default: "http://localhost:8787" },
    note: { type: "string" },
    once: { type: "boolean", default: false },
  },
});

// A page would get its token from your own backend, which alone knows the admin key.
const response = await fetch(`${options.url}/v1/tokens`, {
  method: "POST",
  headers: { Authorization: `Bearer ${process.env.SKERRY_ADMIN_KEY}`, "Content-Type": "application/json" },
  body: JSON.stringify({ grants: [{ capability: "rooms", name: "flight-desk", rights: ["read", "write"] }], expiresIn: 3600 }),
});
const minted = await response.json();
if (!response.ok) {
  console.error(`${minted.detail} Set SKERRY_ADMIN_KEY to the key that npm start prints.`);
  process.exit(1);
}

const doc = new Y.Doc();
const provider = new WebsocketProvider(`${options.url.replace("http", "ws")}/v1/rooms`, "flight-desk", doc, {
  params: { token: minted.token },
  WebSocketPolyfill: WebSocket,
});
const board = doc.getMap("board");
const notes = doc.getText("notes");

provider.once("sync", () => {
  if (options.note !== undefined) notes.insert(notes.length, `${options.note}\n`);
  show();
  if (!options.once) doc.on("update", show);
  // Long enough for the note to be on its way; a page simply stays connected.
  else setTimeout(leave, 500);
});

function leave() {
  provider.destroy();
  doc.destroy(); // ends the awareness's timer too
}

function show() {
  const ranks = [...board.keys()].sort();
  const hour = ranks.length > 0 ? new Date(board.get(ranks[0]).hour).toISOString().slice(0, 13) : null;
  console.log(hour === null ? "\nThe board is empty: npm run demo fills it." : `\nThe most delayed airports, ${hour}:00`);
  for (const rank of ranks) {
    const { airport, count, mean } = board.get(rank);
    console.log(`  ${rank}  ${airport}  ${mean.toFixed(1).padStart(6)} min  ${String(count).padStart(4)} flights`);
  }
  if (notes.length > 0) console.log(`Notes:\n${notes.toString().replace(/^(?=.)/gm, "  ")}`);
}

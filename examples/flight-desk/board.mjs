// The flight desk's board in a terminal. Run it while `npm run demo` runs:
//
//   npm run example -- flight-desk [--url http://localhost:8787] [--note "runway 2 closed"] [--once]
import { parseArgs } from "node:util";
import { createClient, SkerryError } from "@skerry/client";
import { connectRoom } from "@skerry/client/rooms";

const { values: options } = parseArgs({
  options: {
    url: { type: "string", default: process.env.SKERRY_URL ?? "http://localhost:8787" },
    note: { type: "string" },
    once: { type: "boolean", default: false },
  },
});

const client = createClient({ url: options.url, token: mint });
const room = connectRoom(client, "flight-desk");
const board = room.doc.getMap("board");
const notes = room.doc.getText("notes");

try {
  await room.whenSynced();
  if (options.note !== undefined) {
    notes.insert(notes.length, `${options.note}\n`);
    await room.whenDurable();
  }
  show();
  if (options.once) room.close();
  else room.doc.on("update", show);
} catch (error) {
  if (!(error instanceof SkerryError)) throw error;
  console.error(`${error.message} Set SKERRY_ADMIN_KEY to the key that npm start prints.`);
  process.exit(1);
}

/** A token for this room. A page would get one from your own backend, which alone knows the admin key. */
async function mint() {
  const backend = createClient({ url: options.url, token: process.env.SKERRY_ADMIN_KEY ?? "none" });
  const grants = [{ capability: "rooms", name: "flight-desk", rights: ["read", "write"] }];
  return (await backend.tokens.create({ grants, expiresIn: 3600 })).token;
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

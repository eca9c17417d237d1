// Two people in one room: `npm run example -- hello-room` while `npm start` runs. Ada uses the SDK, Bob the stock
// y-websocket client: they see each other's edits and presence. The key may be a token with `read` and `write` as well.
import { createClient } from "@skerry/client";
import { connectRoom } from "@skerry/client/rooms";
import { WebSocket } from "ws";
import { WebsocketProvider } from "y-websocket";
import * as Y from "yjs";

const url = process.env.SKERRY_URL ?? "http://localhost:8787";
const token = process.env.SKERRY_ADMIN_KEY;
if (token === undefined) {
  console.error("Set SKERRY_ADMIN_KEY to the admin key of the server, or to a token.");
  process.exit(1);
}

const client = createClient({ url, token });
const ada = connectRoom(client, "hello");
ada.awareness.setLocalState({ user: { name: "Ada" } });

const doc = new Y.Doc();
// In a browser, leave WebSocketPolyfill out.
const options = { params: { token }, WebSocketPolyfill: WebSocket, disableBc: true };
const bob = new WebsocketProvider(`${url.replace("http", "ws")}/v1/rooms`, "hello", doc, options);
bob.awareness.setLocalStateField("user", { name: "Bob" });

const sees = () => [...bob.awareness.getStates().values()].map(({ user }) => user?.name);
await Promise.all([
  ada.whenSynced(),
  new Promise((resolve) => bob.once("sync", resolve)),
  when(bob.awareness, "change", () => sees().includes("Ada")),
]);
console.log(`Bob sees: ${sees().join(", ")}`);

const line = `hello at ${new Date().toLocaleTimeString()}. `;
const read = when(doc, "update", () => doc.getText("note").toString().startsWith(line));
ada.doc.getText("note").insert(0, line);
await read;
console.log(`Bob reads: ${doc.getText("note")}`);

// Bob has read it, and a crash in this moment might still lose it. Only Ada's client can tell when that is over.
await ada.whenDurable();
console.log("It is on disk.");
console.log(`REST reads: ${JSON.stringify(await client.rooms.read("hello"))}`);

ada.close();
bob.destroy();
doc.destroy();

/** Resolves when `is` holds, now or after one of the events. */
function when(emitter, event, is) {
  return new Promise((resolve) => {
    const look = () => {
      if (!is()) return;
      emitter.off(event, look);
      resolve();
    };
    emitter.on(event, look);
    look();
  });
}

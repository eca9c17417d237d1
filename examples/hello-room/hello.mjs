// Two stock y-websocket clients in one room: `node examples/hello-room/hello.mjs` while `npm start` runs.
// The key is what `npm start` printed; a token with the rights read and write on the room does as well.
import { WebSocket } from "ws";
import { WebsocketProvider } from "y-websocket";
import * as Y from "yjs";

const server = process.env.SKERRY_URL ?? "http://localhost:8787";
const token = process.env.SKERRY_ADMIN_KEY;
if (token === undefined) {
  console.error("Set SKERRY_ADMIN_KEY to the admin key that `npm start` printed, or to a token.");
  process.exit(1);
}

/** A document that follows the room `hello`. In a browser, leave WebSocketPolyfill out. */
function join(name) {
  const doc = new Y.Doc();
  const provider = new WebsocketProvider(`${server.replace("http", "ws")}/v1/rooms`, "hello", doc, {
    params: { token },
    WebSocketPolyfill: WebSocket,
    disableBc: true,
  });
  provider.awareness.setLocalStateField("user", { name });
  provider.on("closed", ({ code, reason }) => console.error(`${name} was closed: ${code} ${reason}`));
  return { doc, provider, synced: new Promise((resolve) => provider.once("sync", resolve)) };
}

const [ada, bob] = [join("Ada"), join("Bob")];
await Promise.all([ada.synced, bob.synced]);

bob.doc.getText("note").observe(() => console.log(`Bob reads: ${bob.doc.getText("note")}`));
bob.provider.awareness.on("change", () => {
  const people = [...bob.provider.awareness.getStates().values()].map(({ user }) => user?.name);
  console.log(`Bob sees: ${people.join(", ")}`);
});
ada.doc.getText("note").insert(0, `hello at ${new Date().toLocaleTimeString()}. `);

setTimeout(async () => {
  const headers = { authorization: `Bearer ${token}` };
  const read = await fetch(`${server}/v1/rooms/hello/doc`, { headers });
  console.log(`REST reads: ${await read.text()}`);
  for (const { doc, provider } of [ada, bob]) {
    provider.destroy();
    doc.destroy();
  }
}, 500);

// `npm run bench -- rooms`: what it costs a room to relay, merge, store and reopen a long editing session (--edits 60000).
// Peers in the same run: a relay that keeps a Y.Doc, as the server of y-websocket does, and Yjs' own flat merge.
// The session is typed character by character, and generated; --trace FILE replays a recorded one in its place, in the
// format of josephg/editing-traces.
import { existsSync } from "node:fs";
import { parseArgs } from "node:util";
import * as decoding from "lib0/decoding";
import * as encoding from "lib0/encoding";
import * as syncProtocol from "y-protocols/sync";
import * as Y from "yjs";
import { updateFrame } from "../core/crdt/protocol.ts";
import { MemoryRoom } from "../core/crdt/room.fixture.ts";
import { mergeTree } from "../core/crdt/update.ts";
import { generated, recorded } from "./rooms/session.mjs";

const { values: options } = parseArgs({ options: { edits: { type: "string", default: "60000" }, trace: { type: "string" } } });
const edits = Number(options.edits);
if (!Number.isInteger(edits) || edits < 1_000) throw new Error("--edits is a whole number from 1000.");
if (options.trace !== undefined && !existsSync(options.trace)) {
  console.error(`There is no trace at ${options.trace}. Without --trace the session is generated.`);
  process.exit(1);
}
const session = (options.trace === undefined ? generated(edits) : recorded(options.trace)).slice(0, edits);

const updates = [];
const author = new Y.Doc();
author.on("update", (update) => updates.push(update));
const text = author.getText("note");
for (const patches of session) {
  author.transact(() => {
    for (const [at, deleted, inserted] of patches) {
      if (deleted > 0) text.delete(at, deleted);
      if (inserted !== "") text.insert(at, inserted);
    }
  });
}
const bytes = updates.reduce((sum, update) => sum + update.length, 0);
const origin = options.trace === undefined ? "a generated session (seed 1)" : `the session recorded in ${options.trace}`;
console.log(`${updates.length} edits of ${origin}, ${kilo(bytes)} as they were sent\n`);

const merged = timed(() => mergeTree(updates));
const few = updates.slice(0, 8_000);
const [flat, tree] = [timed(() => Y.mergeUpdates(few)), timed(() => mergeTree(few))];
const viaDoc = timed(() => {
  const doc = new Y.Doc();
  Y.applyUpdate(doc, merged.value);
  return Y.encodeStateAsUpdate(doc);
});
console.log("merging");
row(`in a tree, ${updates.length} edits`, `${ms(merged)}, to ${kilo(merged.value.length)}`);
row(`in a tree, ${few.length} edits`, `${ms(tree)}, ${(flat.ms / tree.ms).toFixed(1)}x as fast as`);
row(`flat, ${few.length} edits`, ms(flat));
row(
  "the merge through a Y.Doc",
  `${ms(viaDoc)}, to ${kilo(viaDoc.value.length)}: ${(merged.value.length / viaDoc.value.length).toFixed(1)}x smaller`,
);

console.log("\nrelaying each edit (validated, journalled, a commit every 3 edits, snapshots by cost)");
const frames = updates.map(updateFrame);
for (const connections of [2, 100]) {
  const ours = timed(() => relay(frames, connections));
  const peer = timed(() => docRelay(frames, connections));
  row(`the room, ${connections} connections`, `${perSecond(ours)} edits/s, ${(peer.ms / ours.ms).toFixed(2)}x as fast as`);
  row(`a Y.Doc that relays, ${connections} connections, nothing stored`, `${perSecond(peer)} edits/s`);
}

const room = relay(frames, 2);
const opened = timed(() => {
  room.crash();
  return room.machine.read("update");
});
const check = new Y.Doc();
Y.applyUpdate(check, opened.value);
if (check.getText("note").toString() !== text.toString()) throw new Error("The room came back with another text.");
console.log("\nstoring");
row(
  "written per byte journalled",
  `${((room.written + room.snapshotTotal) / room.written).toFixed(2)} (${room.snapshots} snapshots, the last of ${kilo(room.snapshotBytes)})`,
);
row("opening it cold, journal included", ms(opened));

/** The machine with its journal in memory, and receivers that take their frames at once. */
function relay(frames, connections) {
  const room = new MemoryRoom({}, false);
  for (let id = 1; id <= connections; id++) room.connect(id);
  const proof = new Uint8Array([0, 1, 2, 0, 0]);
  frames.forEach((frame, i) => {
    room.frame(1, frame);
    if (i % 3 === 2) room.advance(50);
    if (room.wantsCompaction({ ratio: 3, minBytes: 65_536, rowBytes: 8 })) room.compact();
    if (i % 512 === 511) {
      for (const [id, inbox] of room.outbox) {
        // A receiver answers what it was asked, as a stock client does, and so proves that it reads.
        if (inbox.splice(0).some((sent) => sent[1] === 0)) room.frame(id, proof);
      }
    }
  });
  // What waits for a third edit is committed too.
  room.advance(50);
  if (room.closed.length > 0) throw new Error(`The room closed ${JSON.stringify(room.closed[0])}.`);
  return room;
}

/** What y-websocket's server does with an edit: apply it to a Doc, and send what the Doc emits to everybody else. */
function docRelay(frames, connections) {
  const doc = new Y.Doc();
  const inboxes = Array.from({ length: connections }, () => []);
  doc.on("update", (update, origin) => {
    const encoder = encoding.createEncoder();
    encoding.writeVarUint(encoder, 0);
    syncProtocol.writeUpdate(encoder, update);
    const frame = encoding.toUint8Array(encoder);
    for (const inbox of inboxes) if (inbox !== origin) inbox.push(frame);
  });
  frames.forEach((frame, i) => {
    const decoder = decoding.createDecoder(frame);
    decoding.readVarUint(decoder);
    syncProtocol.readSyncMessage(decoder, encoding.createEncoder(), doc, inboxes[0]);
    if (i % 512 === 511) for (const inbox of inboxes) inbox.length = 0;
  });
  return doc;
}

function timed(run) {
  const began = performance.now();
  const value = run();
  return { value, ms: performance.now() - began };
}

function row(what, figure) {
  console.log(`  ${what.padEnd(58)} ${figure}`);
}

function ms({ ms }) {
  return `${ms.toFixed(0)} ms`;
}

function perSecond({ ms }) {
  return Math.round((frames.length / ms) * 1_000);
}

function kilo(bytes) {
  return `${(bytes / 1_000).toFixed(0)} kB`;
}

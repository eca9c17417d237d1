import { readFileSync, writeFileSync } from "node:fs";
import { expect, it } from "vitest";
import { decodeCommand, decodeCommands, encodeCommand, encodeCommands } from "../../core/consensus/kv/codec.ts";
import { KvStore } from "../../core/consensus/kv/store.ts";
import { commands } from "./kv.fixture.ts";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const store = new KvStore();
for (const command of commands) store.apply(command);
const now = {
  commands: commands.map((command) => hex(encodeCommand(command))),
  batch: hex(encodeCommands(commands.slice(0, 3))),
  snapshot: hex(store.snapshot()),
  digest: store.digest(),
  revision: store.revision,
  bytes: store.bytes,
};
const file = new URL("./kv-v1.golden.json", import.meta.url);
// Only for a new version's first file: a format that was ever stored does not change.
if (process.env.WRITE_GOLDEN === "kv-v1") writeFileSync(file, `${JSON.stringify(now, null, 2)}\n`);
const golden = JSON.parse(readFileSync(file, "utf8")) as typeof now;

it("[KC3] commands of version 1 are written and read as they always were", () => {
  expect(now.commands).toEqual(golden.commands);
  expect(now.batch).toBe(golden.batch);
  expect(golden.commands.map((each) => decodeCommand(Buffer.from(each, "hex")))).toEqual(commands);
  expect(decodeCommands(Buffer.from(golden.batch, "hex"))).toEqual(commands.slice(0, 3));
});

it("[KV8, KV9] the log of version 1 makes the state that it always made, byte for byte", () => {
  expect(now).toEqual(golden);
});

it("[KV8] a snapshot of version 1 restores to that state", () => {
  const restored = KvStore.restore(Buffer.from(golden.snapshot, "hex"));
  expect(restored.digest()).toBe(golden.digest);
  expect(restored.revision).toBe(golden.revision);
  expect(restored.bytes).toBe(golden.bytes);
  const retried = commands.at(-2)!;
  const again = { ...retried, session: { ...retried.session!, ack: 0 } };
  expect(restored.apply(again)).toEqual({ ...store.apply(again), duplicate: true });
});

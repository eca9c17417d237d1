import { decodeCommands, encodeCommands } from "../kv/codec.ts";
import { KvStore } from "../kv/store.ts";
import { type Format, versionOf } from "./format.ts";

function prefixed(bytes: Uint8Array): Uint8Array {
  const longer = new Uint8Array(bytes.length + 1);
  longer[0] = 2;
  longer.set(bytes, 1);
  return longer;
}

/** What a later version of this code might read and write: version 2 has the bytes of version 1 behind its own number. */
export const LATER: Format = {
  version: 2,
  decode: (data) => decodeCommands(versionOf(data) === 2 ? data.subarray(1) : data),
  encode: (commands, version) => (version === 2 ? prefixed(encodeCommands(commands)) : encodeCommands(commands)),
  restore: (state, options) => KvStore.restore(versionOf(state) === 2 ? state.subarray(1) : state, options),
  snapshot: (store, version) => (version === 2 ? prefixed(store.snapshot()) : store.snapshot()),
};

import { decodeCommands, encodeCommands } from "../kv/codec.ts";
import { type KvOptions, KvStore } from "../kv/store.ts";
import type { Command } from "../kv/types.ts";

/**
 * How commands in entries, and states in checkpoints and snapshots, are written: what may differ between versions of this code. The
 * first byte of either is its version. While a deployment rolls out, replicas of different versions work together (SPEC, formats).
 */
export type Format = {
  /** The highest version that this code can apply. It reads and writes all from 1 on. */
  readonly version: number;
  /** The commands of an entry. Throws `newer_format` for one of a later version, `corrupt`. */
  decode(data: Uint8Array): Command[];
  encode(commands: Command[], version: number): Uint8Array;
  /** Throws as {@link decode}. */
  restore(state: Uint8Array, options: Partial<KvOptions>): KvStore;
  snapshot(store: KvStore, version: number): Uint8Array;
};

/** What this code reads and writes. */
export const FORMAT: Format = {
  version: 1,
  decode: decodeCommands,
  encode: (commands) => encodeCommands(commands),
  restore: (state, options) => KvStore.restore(state, options),
  snapshot: (store) => store.snapshot(),
};

/** The version of an entry's commands or of a state; 0 where there is nothing. */
export function versionOf(bytes: Uint8Array): number {
  return bytes[0] ?? 0;
}

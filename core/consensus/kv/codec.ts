import type { Command } from "./types.ts";

/** A command as the log holds it: a version byte, then the fields in order. */
export function encodeCommand(_command: Command): Uint8Array<ArrayBuffer> {
  throw new Error("to come");
}

/** What {@link encodeCommand} wrote. Throws `corrupt` or `newer_format`, nothing else. */
export function decodeCommand(_bytes: Uint8Array): Command {
  throw new Error("to come");
}

import * as decoding from "lib0/decoding";
import * as encoding from "lib0/encoding";
import { SkerryError } from "../wire/errors.ts";

/** The version of what rooms put in their journal, entries and checkpoints both. */
export const ROOM_FORMAT = 1;

/** One entry of a room's journal. A `sink` entry also says how far its source has been applied. */
export type RoomRecord = { kind: "update"; update: Uint8Array } | { kind: "sink"; source: string; seq: number; update: Uint8Array };

/** A checkpoint: the whole document as one update, and for each sink source the last sequence number applied. */
export type RoomSnapshot = { update: Uint8Array; sources: Map<string, number> };

const UPDATE = 0;
const SINK = 1;

export function encodeRecord(record: RoomRecord): Uint8Array {
  const encoder = encoding.createEncoder();
  switch (record.kind) {
    case "update":
      encoding.writeVarUint(encoder, UPDATE);
      break;
    case "sink":
      encoding.writeVarUint(encoder, SINK);
      encoding.writeVarString(encoder, record.source);
      encoding.writeVarUint(encoder, record.seq);
      break;
  }
  encoding.writeUint8Array(encoder, record.update);
  return encoding.toUint8Array(encoder);
}

/** Throws `corrupt`. */
export function decodeRecord(bytes: Uint8Array): RoomRecord {
  return guarded("A journal entry of the room", () => {
    const decoder = decoding.createDecoder(bytes);
    const kind = decoding.readVarUint(decoder);
    if (kind === UPDATE) return { kind: "update", update: decoding.readTailAsUint8Array(decoder) };
    if (kind !== SINK) throw new Error(`kind ${kind}`);
    const source = decoding.readVarString(decoder);
    const seq = decoding.readVarUint(decoder);
    return { kind: "sink", source, seq, update: decoding.readTailAsUint8Array(decoder) };
  });
}

export function encodeSnapshot({ update, sources }: RoomSnapshot): Uint8Array {
  const encoder = encoding.createEncoder();
  encoding.writeVarUint(encoder, sources.size);
  for (const [source, seq] of sources) {
    encoding.writeVarString(encoder, source);
    encoding.writeVarUint(encoder, seq);
  }
  encoding.writeUint8Array(encoder, update);
  return encoding.toUint8Array(encoder);
}

/** Throws `corrupt`. */
export function decodeSnapshot(bytes: Uint8Array): RoomSnapshot {
  return guarded("The room's snapshot", () => {
    const decoder = decoding.createDecoder(bytes);
    const sources = new Map<string, number>();
    for (let count = decoding.readVarUint(decoder); count > 0; count--) {
      sources.set(decoding.readVarString(decoder), decoding.readVarUint(decoder));
    }
    return { update: decoding.readTailAsUint8Array(decoder), sources };
  });
}

function guarded<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw new SkerryError("corrupt", `${what} cannot be read.`, { cause });
  }
}

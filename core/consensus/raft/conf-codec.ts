/**
 * A configuration change as the data of an entry: version 1, transition, number of changes, per change its kind and the node
 * (LEB128), then the context. No bytes at all are the change that leaves a joint configuration, so that no limit of size
 * refuses it.
 */
import { NO_BYTES } from "./messages.ts";
import { type ConfChange, type ConfChangeSingle, RaftError } from "./types.ts";

const VERSION = 1;
const TRANSITIONS = ["auto", "implicit", "explicit"] as const;
const KINDS = ["addVoter", "addLearner", "remove", "update"] as const;

export const LEAVE_JOINT: ConfChange = { transition: "auto", changes: [], context: NO_BYTES };

export function encodeConfChange(cc: ConfChange): Uint8Array {
  if (cc.transition === "auto" && cc.changes.length === 0 && cc.context.length === 0) return NO_BYTES;
  const bytes: number[] = [VERSION, TRANSITIONS.indexOf(cc.transition)];
  writeNumber(bytes, cc.changes.length);
  for (const { kind, node } of cc.changes) {
    bytes.push(KINDS.indexOf(kind));
    writeNumber(bytes, node);
  }
  const data = new Uint8Array(bytes.length + cc.context.length);
  data.set(bytes);
  data.set(cc.context, bytes.length);
  return data;
}

/** Throws `badConfChange`. */
export function decodeConfChange(data: Uint8Array): ConfChange {
  if (data.length === 0) return LEAVE_JOINT;
  if (data[0] !== VERSION) throw new RaftError("badConfChange", `a configuration change of version ${data[0]}`);
  const transition = TRANSITIONS[data[1] ?? -1];
  if (transition === undefined) throw new RaftError("badConfChange", "an unknown transition");
  const at = { offset: 2 };
  const count = readNumber(data, at);
  const changes: ConfChangeSingle[] = [];
  for (let i = 0; i < count; i++) {
    const kind = KINDS[data[at.offset++] ?? -1];
    if (kind === undefined) throw new RaftError("badConfChange", "an unknown kind of change");
    changes.push({ kind, node: readNumber(data, at) });
  }
  return { transition, changes, context: data.slice(at.offset) };
}

function writeNumber(bytes: number[], value: number): void {
  let left = value;
  while (left >= 0x80) {
    bytes.push((left % 0x80) + 0x80);
    left = Math.floor(left / 0x80);
  }
  bytes.push(left);
}

function readNumber(data: Uint8Array, at: { offset: number }): number {
  let value = 0;
  let factor = 1;
  while (at.offset < data.length) {
    const byte = data[at.offset++]!;
    value += (byte % 0x80) * factor;
    if (!Number.isSafeInteger(value)) break;
    if (byte < 0x80) return value;
    factor *= 0x80;
  }
  throw new RaftError("badConfChange", "a number that does not end");
}

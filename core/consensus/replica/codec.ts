import { Reader } from "../../journal/bytes.ts";
import { corrupt } from "../../journal/errors.ts";
import { NO_BYTES, NO_ENTRIES } from "../raft/messages.ts";
import type { ConfState, Entry, Message, MessageType } from "../raft/types.ts";
import type { ByteWriter } from "./bytes.ts";

/** Their places are their numbers on the wire: append only. */
const TYPES: readonly MessageType[] = [
  "append",
  "appendResponse",
  "heartbeat",
  "heartbeatResponse",
  "vote",
  "voteResponse",
  "preVote",
  "preVoteResponse",
  "snapshot",
  "readIndex",
  "readIndexResponse",
  "propose",
  "transferLeader",
  "timeoutNow",
  "forgetLeader",
];
const KINDS = ["data", "conf"] as const;
const REJECT = 1;
const SNAPSHOT = 2;

/**
 * A Raft message but for `from` and `to`, which its envelope says, and for the bytes of a snapshot, which travel in chunks.
 * The terms of entries are written as differences to the one before: they never go down.
 */
export function writeMessage(writer: ByteWriter, m: Message): void {
  writer.u8(TYPES.indexOf(m.type));
  writer.u8((m.reject ? REJECT : 0) | (m.snapshot === null ? 0 : SNAPSHOT));
  writer.varint(m.term);
  writer.varint(m.logTerm);
  writer.varint(m.index);
  writer.varint(m.commit);
  writer.varint(m.rejectHint);
  writer.block(m.context);
  writer.varint(m.entries.length);
  let term = m.logTerm;
  for (const entry of m.entries) {
    writer.varint(entry.term - term);
    writer.u8(KINDS.indexOf(entry.kind));
    writer.block(entry.data);
    term = entry.term;
  }
  if (m.snapshot !== null) {
    writer.varint(m.snapshot.index);
    writer.varint(m.snapshot.term);
    writeConf(writer, m.snapshot.conf);
  }
}

/**
 * What {@link writeMessage} wrote; its entries are views of `bytes`. Null for a type of a later version: a message may be lost,
 * so one that is not understood is. Throws `corrupt`.
 */
export function decodeMessage(bytes: Uint8Array, from: number, to: number): Message | null {
  const reader = new Reader(bytes, "A Raft message");
  const type = TYPES[reader.raw(1)[0]!];
  if (type === undefined) return null;
  const flags = reader.raw(1)[0]!;
  const [term, logTerm, index, commit, rejectHint] = [reader.varint(), reader.varint(), reader.varint(), reader.varint(), reader.varint()];
  const context = readBlock(reader);
  const count = reader.varint();
  const entries: Entry[] = count === 0 ? NO_ENTRIES : [];
  let before = logTerm;
  for (let i = 0; i < count; i++) {
    before += reader.varint();
    const kind = KINDS[reader.raw(1)[0]!];
    // An entry cannot be left out: the log that has it is of a later version of this code.
    if (kind === undefined) throw corrupt("A Raft message has an entry of an unknown kind.");
    entries.push({ term: before, index: index + 1 + i, kind, data: readBlock(reader) });
  }
  const snapshot =
    (flags & SNAPSHOT) === 0 ? null : { index: reader.varint(), term: reader.varint(), conf: readConf(reader), data: NO_BYTES };
  return { type, from, to, term, logTerm, index, entries, commit, reject: (flags & REJECT) !== 0, rejectHint, snapshot, context };
}

export function writeConf(writer: ByteWriter, conf: ConfState): void {
  for (const ids of [conf.voters, conf.learners, conf.votersOutgoing, conf.learnersNext]) {
    writer.varint(ids.length);
    for (const id of ids) writer.varint(id);
  }
  writer.u8(conf.autoLeave ? 1 : 0);
}

export function readConf(reader: Reader): ConfState {
  const ids = () => Array.from({ length: checkCount(reader) }, () => reader.varint());
  return { voters: ids(), learners: ids(), votersOutgoing: ids(), learnersNext: ids(), autoLeave: reader.raw(1)[0] === 1 };
}

export function readBlock(reader: Reader): Uint8Array {
  return reader.raw(reader.varint());
}

/** A number of things of at least a byte each: damaged bytes must not make anything huge. */
function checkCount(reader: Reader): number {
  const count = reader.varint();
  if (count > reader.bytes.length - reader.at) throw corrupt("A configuration ends early.");
  return count;
}

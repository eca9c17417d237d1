/** How messages are made, and which ones need what. */
import { type Entry, type Message, type MessageType, type NodeId, RaftError } from "./types.ts";

export const NO_BYTES = new Uint8Array(0);
/** Shared by all messages that carry none; never written to. */
export const NO_ENTRIES: Entry[] = [];

/** The context of a vote request by which leadership is transferred: it goes past the lease of `checkQuorum`. Any context does. */
export const TRANSFER_MARK = Uint8Array.of(1);

/** A message in which all that is not named is empty. One literal, so that all messages have one hidden class. */
export function message(type: MessageType, from: NodeId, to: NodeId, term: number): Message {
  return {
    type,
    from,
    to,
    term,
    logTerm: 0,
    index: 0,
    entries: NO_ENTRIES,
    commit: 0,
    reject: false,
    rejectHint: 0,
    snapshot: null,
    context: NO_BYTES,
  };
}

/** Answers: they mean nothing from a node that is not in the configuration. */
export function isResponse(type: MessageType): boolean {
  switch (type) {
    case "appendResponse":
    case "heartbeatResponse":
    case "voteResponse":
    case "preVoteResponse":
    case "readIndexResponse":
      return true;
    default:
      return false;
  }
}

/** Requests that are passed on to whoever leads: they have no term, and `from` stays the node that asked first. */
export function isForwarded(type: MessageType): boolean {
  return type === "propose" || type === "readIndex";
}

/** Throws `badMessage` where the parts of a message contradict each other: such a message must not touch the log. */
export function checkMessage(m: Message, id: NodeId): void {
  if (m.to !== id) throw new RaftError("badMessage", `a message to ${m.to} reached ${id}`);
  if (m.from <= 0) throw new RaftError("badMessage", `a ${m.type} message from nobody`);
  if (isForwarded(m.type) ? m.term !== 0 : m.term <= 0) throw new RaftError("badMessage", `a ${m.type} message of term ${m.term}`);
  if (m.type === "append") checkEntries(m);
  else if (m.type === "snapshot" && m.snapshot === null) throw new RaftError("badMessage", "a snapshot message without a snapshot");
  else if (m.type === "propose" && m.entries.length === 0) throw new RaftError("badMessage", "a proposal without entries");
}

function checkEntries(m: Message): void {
  let term = m.logTerm;
  let index = m.index;
  const entries = m.entries;
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i]!;
    index++;
    if (entry.index !== index || entry.term < term) {
      throw new RaftError("badMessage", `entry ${entry.term}/${entry.index} does not follow ${term}/${index - 1}`);
    }
    term = entry.term;
  }
  if (term > m.term) throw new RaftError("badMessage", `entries of term ${term} in a message of term ${m.term}`);
}

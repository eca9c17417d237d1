/**
 * The vocabulary of the Raft core: ids, entries, messages and what a node asks of its host. Names follow the Raft
 * dissertation (Ongaro 2014) and the fields that etcd's raft made common, so that its transcripts can be replayed.
 *
 * Everything here is plain data. Terms and indices are integers below 2^53; index 0 is before the first entry.
 */
export type NodeId = number;
export const NO_NODE: NodeId = 0;

/** `data`: a command of the state machine; `conf`: an encoded {@link ConfChange}; an empty `data` entry is the leader's first of its term. */
export type EntryKind = "data" | "conf";
export type Entry = { term: number; index: number; kind: EntryKind; data: Uint8Array };

/** What must be durable before any message of the same {@link Ready} leaves. */
export type HardState = { term: number; vote: NodeId; commit: number };
export type Role = "follower" | "precandidate" | "candidate" | "leader";
export type SoftState = { leader: NodeId; role: Role };

/** A configuration: two majorities during a joint change (`votersOutgoing` not empty), one otherwise. All lists ascending. */
export type ConfState = {
  voters: NodeId[];
  learners: NodeId[];
  votersOutgoing: NodeId[];
  /** Voters of the outgoing majority that become learners when the joint configuration is left. */
  learnersNext: NodeId[];
  autoLeave: boolean;
};

export type ConfChangeSingle = { kind: "addVoter" | "addLearner" | "remove" | "update"; node: NodeId };
/**
 * `auto`: joint only where more than one voter changes; `implicit`: joint, left by itself; `explicit`: joint until an
 * empty change is proposed. No changes: leave the joint configuration. `context` is the application's own.
 */
export type ConfChange = { transition: "auto" | "implicit" | "explicit"; changes: ConfChangeSingle[]; context: Uint8Array };

/** `data` is the application's state at `index`, or a handle to it that only the host understands. */
export type Snapshot = { index: number; term: number; conf: ConfState; data: Uint8Array };

export type MessageType =
  | "append"
  | "appendResponse"
  | "heartbeat"
  | "heartbeatResponse"
  | "vote"
  | "voteResponse"
  | "preVote"
  | "preVoteResponse"
  | "snapshot"
  | "readIndex"
  | "readIndexResponse"
  | "propose"
  | "transferLeader"
  | "timeoutNow"
  | "forgetLeader";

/** One flat shape for all messages, as on the wire; what a type does not use is 0, empty or null. */
export type Message = {
  type: MessageType;
  from: NodeId;
  to: NodeId;
  term: number;
  /** Term of the entry at `index`. */
  logTerm: number;
  index: number;
  entries: Entry[];
  commit: number;
  reject: boolean;
  /** With `reject`: where the leader may try next. */
  rejectHint: number;
  snapshot: Snapshot | null;
  /** Opaque: the id of a read, or the mark of a campaign that transfers leadership. */
  context: Uint8Array;
};

/** A linearizable read with id `context` may be served once `index` is applied. */
export type ReadState = { index: number; context: Uint8Array };

/** What the host has to do, in this order: persist, send, apply, then call `advance`. */
export type Ready = {
  softState: SoftState | null;
  hardState: HardState | null;
  /** To be appended; where the log has other entries from `entries[0].index` on, these replace them. */
  entries: Entry[];
  /** To be made the state and the log's start before `entries`. */
  snapshot: Snapshot | null;
  /** To be sent once `hardState`, `entries` and `snapshot` are durable. */
  messages: Message[];
  /** Committed, durable, in order, each exactly once: to be applied. */
  committed: Entry[];
  reads: ReadState[];
};

/** What the node reads back: the host's durable log. Synchronous. */
export interface RaftStorage {
  initialState(): { hardState: HardState; conf: ConfState };
  /** Index of the last entry, or of the snapshot where there is none. */
  lastIndex(): number;
  /** Index of the first entry available; earlier ones are compacted into the snapshot at `firstIndex() - 1`. */
  firstIndex(): number;
  /** Entries from `low` to below `high`, at least one if there is one and else within `maxBytes`. Throws {@link RaftError} `compacted` or `unavailable`. */
  entries(low: number, high: number, maxBytes: number): Entry[];
  /** The term of an entry from `firstIndex() - 1` to `lastIndex()`. Throws as {@link entries}. */
  term(index: number): number;
  /** The most recent snapshot. Throws `snapshotUnavailable` while one is being made. */
  snapshot(): Snapshot;
}

export const RAFT_ERRORS = [
  "compacted",
  "unavailable",
  "snapshotOutOfDate",
  "snapshotUnavailable",
  "proposalDropped",
  "badMessage",
  "badConfChange",
  /** The log lacks what this node acknowledged, or a committed entry would be replaced: this replica must stop. */
  "corrupt",
] as const;
export type RaftErrorCode = (typeof RAFT_ERRORS)[number];
export class RaftError extends Error {
  readonly code: RaftErrorCode;
  constructor(code: RaftErrorCode, detail: string) {
    super(detail);
    this.name = "RaftError";
    this.code = code;
  }
}

/** Entries, messages, states and configurations in the notation of etcd-io/raft's transcripts. */
import { decodeConfChange } from "../../../core/consensus/raft/conf-codec.ts";
import type { RaftEvent } from "../../../core/consensus/raft/events.ts";
import type { ProgressState } from "../../../core/consensus/raft/status.ts";
import type {
  ConfChangeSingle,
  ConfState,
  Entry,
  HardState,
  Message,
  MessageType,
  NodeId,
  Ready,
  Role,
  Snapshot,
  SoftState,
} from "../../../core/consensus/raft/types.ts";

const MESSAGE_NAMES: Record<MessageType, string> = {
  append: "MsgApp",
  appendResponse: "MsgAppResp",
  heartbeat: "MsgHeartbeat",
  heartbeatResponse: "MsgHeartbeatResp",
  vote: "MsgVote",
  voteResponse: "MsgVoteResp",
  preVote: "MsgPreVote",
  preVoteResponse: "MsgPreVoteResp",
  snapshot: "MsgSnap",
  readIndex: "MsgReadIndex",
  readIndexResponse: "MsgReadIndexResp",
  propose: "MsgProp",
  transferLeader: "MsgTransferLeader",
  timeoutNow: "MsgTimeoutNow",
  forgetLeader: "MsgForgetLeader",
};
const ROLE_NAMES: Record<Role, string> = {
  follower: "StateFollower",
  precandidate: "StatePreCandidate",
  candidate: "StateCandidate",
  leader: "StateLeader",
};
const PROGRESS_NAMES: Record<ProgressState, string> = { probe: "StateProbe", replicate: "StateReplicate", snapshot: "StateSnapshot" };
const CHANGE_LETTERS: Record<ConfChangeSingle["kind"], string> = { addVoter: "v", addLearner: "l", remove: "r", update: "u" };

export const messageName = (type: MessageType): string => MESSAGE_NAMES[type];
export const roleName = (role: Role): string => ROLE_NAMES[role];
export const progressName = (state: ProgressState): string => PROGRESS_NAMES[state];

/** `v1 l2 r3 u4`: add voter, add learner, remove, update. */
export function parseChanges(text: string): ConfChangeSingle[] {
  const kinds = { v: "addVoter", l: "addLearner", r: "remove", u: "update" } as const;
  return text
    .split(/\s+/)
    .filter((word) => word !== "")
    .map((word) => ({ kind: kinds[word[0] as keyof typeof kinds], node: Number(word.slice(1)) }));
}

/** Changes of the first and of the second version have one meaning: both read as `EntryConfChangeV2` here. */
export function describeEntry(entry: Entry): string {
  const at = `${entry.term}/${entry.index}`;
  if (entry.kind === "data") return `${at} EntryNormal ${JSON.stringify(new TextDecoder().decode(entry.data))}`;
  const changes = decodeConfChange(entry.data).changes.map(({ kind, node }) => `${CHANGE_LETTERS[kind]}${node}`);
  return `${at} EntryConfChangeV2${changes.length > 0 ? ` ${changes.join(" ")}` : ""}`;
}

export function describeConf(conf: ConfState): string {
  const list = (ids: readonly NodeId[]): string => `(${ids.join(" ")})`;
  let text = `voters=${list(conf.voters)}`;
  if (conf.votersOutgoing.length > 0) text += `&&${list(conf.votersOutgoing)}`;
  if (conf.learners.length > 0) text += ` learners=${list(conf.learners)}`;
  if (conf.learnersNext.length > 0) text += ` learners_next=${list(conf.learnersNext)}`;
  return conf.autoLeave ? `${text} autoleave` : text;
}

export function describeSnapshot({ index, term, conf }: Snapshot): string {
  const list = (ids: readonly NodeId[]): string => `[${ids.join(" ")}]`;
  const parts = `Voters:${list(conf.voters)} VotersOutgoing:${list(conf.votersOutgoing)} Learners:${list(conf.learners)}`;
  return `Index:${index} Term:${term} ConfState:${parts} LearnersNext:${list(conf.learnersNext)} AutoLeave:${conf.autoLeave}`;
}

export function describeHardState({ term, vote, commit }: HardState): string {
  return `Term:${term}${vote === 0 ? "" : ` Vote:${vote}`} Commit:${commit}`;
}

export function describeSoftState({ leader, role }: SoftState): string {
  return `Lead:${leader} State:${ROLE_NAMES[role]}`;
}

export function describeEntries(entries: readonly Entry[], indent = ""): string {
  if (entries.length === 0) return "";
  if (entries.length === 1) return ` Entries:[${describeEntry(entries[0]!)}]`;
  return ` Entries:[${entries.map((entry) => `\n${indent}  ${describeEntry(entry)}`).join("")}\n${indent}]`;
}

export function describeMessage(m: Message, indent = ""): string {
  let text = `${indent}${m.from}->${m.to} ${MESSAGE_NAMES[m.type]} Term:${m.term} Log:${m.logTerm}/${m.index}`;
  if (m.reject) text += ` Rejected (Hint: ${m.rejectHint})`;
  if (m.commit !== 0) text += ` Commit:${m.commit}`;
  text += describeEntries(m.entries, indent);
  if (m.snapshot !== null) text += `\n${indent}  Snapshot: ${describeSnapshot(m.snapshot)}`;
  return text;
}

/** `messages` are described already: those to storage threads are not the core's. */
export function describeReady(ready: Omit<Ready, "messages" | "reads">, messages: readonly string[], mustSync: boolean): string {
  const lines: string[] = [];
  if (ready.softState !== null) lines.push(describeSoftState(ready.softState));
  if (ready.hardState !== null) lines.push(`HardState ${describeHardState(ready.hardState)}`);
  if (ready.entries.length > 0) lines.push("Entries:", ...ready.entries.map(describeEntry));
  if (ready.snapshot !== null) lines.push(`Snapshot ${describeSnapshot(ready.snapshot)}`);
  if (ready.committed.length > 0) lines.push("CommittedEntries:", ...ready.committed.map(describeEntry));
  if (messages.length > 0) lines.push("Messages:", ...messages);
  return lines.length === 0 ? "<empty Ready>" : [`Ready MustSync=${mustSync}:`, ...lines, ""].join("\n");
}

type ProgressView = {
  state: ProgressState;
  match: number;
  next: number;
  learner: boolean;
  paused: boolean;
  pendingSnapshot: number;
  recentActive: boolean;
  inflight: number;
  full: boolean;
};

export function describeProgress(progress: ProgressView): string {
  let text = `${PROGRESS_NAMES[progress.state]} match=${progress.match} next=${progress.next}`;
  if (progress.learner) text += " learner";
  if (progress.paused) text += " paused";
  if (progress.pendingSnapshot > 0) text += ` pendingSnap=${progress.pendingSnapshot}`;
  if (!progress.recentActive) text += " inactive";
  if (progress.inflight > 0) text += ` inflight=${progress.inflight}${progress.full ? "[full]" : ""}`;
  return text;
}

export type Level = 0 | 1 | 2 | 3;
export const LEVELS = ["DEBUG", "INFO", "WARN", "ERROR", "FATAL", "NONE"];

/** What an event says, as {@link ./facts.ts} reads it off a transcript's log line, and from which level on it is written. */
export function describeEvent(node: NodeId, event: RaftEvent): { level: Level; facts: string[] } {
  const at = (level: Level, ...facts: string[]): { level: Level; facts: string[] } => ({ level, facts });
  switch (event.type) {
    case "role":
      return at(1, `role ${node} ${event.role} ${event.term}`);
    case "conf":
      return at(1, `conf ${node} ${describeConf(event.conf)}`);
    case "campaign":
      return at(1, `campaign ${node} ${event.term}`);
    case "campaignRefused":
      return at(event.reason === "leader" ? 0 : 2, `campaign refused ${node} ${event.reason}`);
    case "vote": {
      const { outcome, candidate, candidateTerm, candidateIndex, lastTerm, lastIndex, vote, term } = event;
      const kind = event.pre ? "MsgPreVote" : "MsgVote";
      return at(
        1,
        `vote ${node} ${outcome} ${kind} ${candidate} ${candidateTerm}/${candidateIndex} own ${lastTerm}/${lastIndex} ${vote} ${term}`,
      );
    }
    case "poll": {
      const kind = event.pre ? "MsgPreVoteResp" : "MsgVoteResp";
      const word = event.granted ? "granted" : "rejected";
      return at(1, `poll ${node} ${kind} ${word} ${event.from} ${event.term}`, `tally ${node} ${event.yes} ${kind} ${event.no}`);
    }
    case "termRaised":
      return at(1, `term ${node} ${event.before} ${MESSAGE_NAMES[event.message]} ${event.from} ${event.term}`);
    case "stale":
      return at(1, `stale ${node} ${event.term} ${MESSAGE_NAMES[event.message]} ${event.from} ${event.messageTerm}`);
    case "unknownPeer":
      // There it is an error that the host sees, whatever is logged.
      return at(3, "unknown peer");
    case "appendRejected":
      return at(0, `append rejected ${node} ${event.from} ${event.index} ${event.logTerm} own ${event.ownTerm}`);
    case "progress":
      return at(0, `progress ${node} ${event.cause} ${event.peer} ${PROGRESS_NAMES[event.state]} ${event.match} ${event.next}`);
    case "conflict":
      return at(1, `conflict ${event.index} ${event.ownTerm} ${event.term}`);
    case "restore": {
      const outcome = event.outcome === "forwarded" ? "ignored" : event.outcome;
      return at(1, `restore ${node} ${outcome} ${event.index} ${event.term} ${event.commit}`);
    }
    case "confRefused":
      return at(1, `change refused ${node} ${event.reason}`);
    case "autoLeave":
      return at(event.proposed ? 1 : 0, `auto leave ${event.proposed}`);
    case "proposalDropped":
      // There a leader that was removed drops silently; the error stands beside it.
      if (event.reason === "removed") return at(0);
      return at(event.reason === "transfer" ? 0 : 1, `proposal dropped ${node} ${event.reason} ${event.term}`);
    case "transfer":
      return at(event.step === "refused" ? 0 : 1, `transfer ${node} ${event.step} ${event.peer}`);
    case "forgotLeader":
      return at(1, `forgot ${node} ${event.leader} ${event.term}`);
    case "quorumLost":
      return at(2, `quorum lost ${node}`);
    case "resumed":
      return at(1, `resumed ${node} ${event.term}`);
  }
}

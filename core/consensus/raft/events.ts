/** What a node tells its logger: decisions that neither its messages nor its state show. */
import type { ProgressState } from "./progress.ts";
import type { ConfState, MessageType, NodeId, Role } from "./types.ts";

export type RaftEvent =
  | { type: "role"; role: Role; term: number }
  | { type: "conf"; conf: ConfState }
  | { type: "campaign"; term: number }
  | { type: "campaignRefused"; term: number; reason: "leader" | "unpromotable" | "confChange" }
  /** `vote`: whom this node had voted for before; `leased`: ignored, because a leader was heard within `electionTicks`. */
  | {
      type: "vote";
      pre: boolean;
      outcome: "cast" | "rejected" | "leased";
      candidate: NodeId;
      candidateTerm: number;
      candidateIndex: number;
      lastTerm: number;
      lastIndex: number;
      vote: NodeId;
      term: number;
    }
  | { type: "poll"; pre: boolean; from: NodeId; granted: boolean; term: number; yes: number; no: number }
  | { type: "termRaised"; message: MessageType; from: NodeId; before: number; term: number }
  | { type: "stale"; message: MessageType; from: NodeId; messageTerm: number; term: number }
  | { type: "unknownPeer"; message: MessageType; from: NodeId }
  | { type: "appendRejected"; from: NodeId; index: number; logTerm: number; ownTerm: number }
  | {
      type: "progress";
      cause: "rejected" | "snapshotSent" | "snapshotArrived" | "snapshotFailed" | "recovered" | "unreachable";
      peer: NodeId;
      state: ProgressState;
      match: number;
      next: number;
    }
  | { type: "conflict"; index: number; ownTerm: number; term: number }
  | { type: "restore"; outcome: "restored" | "ignored" | "forwarded"; index: number; term: number; commit: number }
  | { type: "confRefused"; reason: "pending" | "joint" | "notJoint" | "invalid"; detail: string }
  | { type: "autoLeave"; proposed: boolean }
  | { type: "proposalDropped"; reason: "noLeader" | "noForwarding" | "transfer" | "removed" | "size"; term: number }
  | { type: "transfer"; step: "started" | "repeated" | "timeoutNow" | "aborted" | "refused" | "taken"; peer: NodeId; term: number }
  | { type: "forgotLeader"; leader: NodeId; term: number }
  | { type: "quorumLost"; term: number }
  | { type: "resumed"; term: number };

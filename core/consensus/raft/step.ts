/** Messages: what their term means comes first, then what the role makes of them. */
import { handleVote, handleVoteResponse, ignoresCampaign, rejectVote, startCampaign } from "./election.ts";
import { stepLeader, tickLeader } from "./leader.ts";
import { message } from "./messages.ts";
import type { Raft } from "./raft.ts";
import { handleAppend, handleHeartbeat, handleSnapshot } from "./replication.ts";
import { type Message, NO_NODE, RaftError } from "./types.ts";

/** The message is whole (`checkMessage`) and its sender known where it has to be. Throws as `RaftNode.step`. */
export function step(r: Raft, m: Message): void {
  // 0: a proposal or a read that is passed on.
  if (m.term !== 0) {
    if (m.term > r.term) {
      if (!stepHigherTerm(r, m)) return;
    } else if (m.term < r.term) {
      stepLowerTerm(r, m);
      return;
    }
  }
  if (m.type === "vote" || m.type === "preVote") handleVote(r, m);
  else if (r.role === "leader") stepLeader(r, m);
  else if (r.role === "follower") stepFollower(r, m);
  else stepCandidate(r, m);
}

/** False if the message is not looked at any further. */
function stepHigherTerm(r: Raft, m: Message): boolean {
  if ((m.type === "vote" || m.type === "preVote") && ignoresCampaign(r, m)) return false;
  // A pre-vote is about a term that nobody has begun; a granted one comes back with that term.
  if (m.type === "preVote" || (m.type === "preVoteResponse" && !m.reject)) return true;
  r.trace?.({ type: "termRaised", message: m.type, from: m.from, before: r.term, term: m.term });
  const fromLeader = m.type === "append" || m.type === "heartbeat" || m.type === "snapshot";
  r.becomeFollower(m.term, fromLeader ? m.from : NO_NODE);
  return true;
}

function stepLowerTerm(r: Raft, m: Message): void {
  if ((r.config.checkQuorum || r.config.preVote) && (m.type === "heartbeat" || m.type === "append")) {
    // The sender leads an older term, and as votes are refused while it is heard, nothing but this answer would raise its term.
    r.afterAppend.push(message("appendResponse", r.id, m.from, r.term));
  } else if (m.type === "preVote") {
    // Without an answer, a node with a higher term and a shorter log, and one the other way round, would wait for each other.
    rejectVote(r, m);
  } else {
    r.trace?.({ type: "stale", message: m.type, from: m.from, messageTerm: m.term, term: r.term });
  }
}

function stepFollower(r: Raft, m: Message): void {
  switch (m.type) {
    case "append":
      r.electionElapsed = 0;
      r.leader = m.from;
      handleAppend(r, m);
      return;
    case "heartbeat":
      r.electionElapsed = 0;
      r.leader = m.from;
      handleHeartbeat(r, m);
      return;
    case "snapshot":
      r.electionElapsed = 0;
      r.leader = m.from;
      handleSnapshot(r, m);
      return;
    case "propose":
      if (r.leader === NO_NODE) dropProposal(r, "noLeader");
      if (r.config.disableProposalForwarding) dropProposal(r, "noForwarding");
      forward(r, m, 0);
      return;
    case "readIndex":
      if (r.leader !== NO_NODE) forward(r, m, 0);
      return;
    case "transferLeader":
      if (r.leader !== NO_NODE) forward(r, m, r.term);
      return;
    case "readIndexResponse":
      r.readStates.push({ index: m.index, context: m.context });
      return;
    case "timeoutNow":
      r.trace?.({ type: "transfer", step: "taken", peer: m.from, term: r.term });
      // No pre-vote: the leader itself wants this.
      startCampaign(r, "transfer");
      return;
    default:
  }
}

function stepCandidate(r: Raft, m: Message): void {
  switch (m.type) {
    case "append":
    case "heartbeat":
    case "snapshot":
      // Somebody else won this term.
      r.becomeFollower(m.term, m.from);
      stepFollower(r, m);
      return;
    case "propose":
      dropProposal(r, "noLeader");
      return;
    case "voteResponse":
    case "preVoteResponse":
      handleVoteResponse(r, m);
      return;
    default:
  }
}

function dropProposal(r: Raft, reason: "noLeader" | "noForwarding"): never {
  r.trace?.({ type: "proposalDropped", reason, term: r.term });
  throw new RaftError("proposalDropped", reason === "noLeader" ? "no leader is known" : "proposals go to the leader");
}

/** Passes a request on to the leader; `from` stays the node that asked first. */
function forward(r: Raft, m: Message, term: number): void {
  r.messages.push({ ...m, to: r.leader, term });
}

export function tick(r: Raft): void {
  if (r.role === "leader") {
    tickLeader(r);
    return;
  }
  r.electionElapsed++;
  if (!r.promotable() || r.electionElapsed < r.randomizedElectionTimeout) return;
  r.electionElapsed = 0;
  startCampaign(r, r.config.preVote ? "preElection" : "election");
}

/** Standing for election and voting (sections 5.2 and 5.4.1 of the paper; pre-vote: 9.6 of the dissertation). */
import { message, TRANSFER_MARK } from "./messages.ts";
import type { Raft } from "./raft.ts";
import { broadcastAppend } from "./replication.ts";
import { type Entry, type Message, NO_NODE, type NodeId } from "./types.ts";

/** `transfer`: the leader asked for it, so that the others are asked for their vote at once. */
export type CampaignKind = "election" | "preElection" | "transfer";

/** Stands for election, unless this node leads or may not lead. */
export function startCampaign(r: Raft, kind: CampaignKind): void {
  const reason = r.role === "leader" ? "leader" : !r.promotable() ? "unpromotable" : hasUnappliedConfChange(r) ? "confChange" : null;
  if (reason !== null) {
    r.trace?.({ type: "campaignRefused", term: r.term, reason });
    return;
  }
  r.trace?.({ type: "campaign", term: r.term });
  campaign(r, kind);
}

/** A node that has not applied a committed change does not know who may vote. */
export function hasUnappliedConfChange(r: Raft): boolean {
  let low = r.log.applied + 1;
  while (low <= r.log.committed) {
    const page: Entry[] | null = r.log.slice(low, r.log.committed + 1, r.config.maxCommittedSizePerReady);
    if (page === null || page.length === 0) return false;
    if (page.some((entry) => entry.kind === "conf")) return true;
    low += page.length;
  }
  return false;
}

function campaign(r: Raft, kind: CampaignKind): void {
  const pre = kind === "preElection";
  if (pre) r.becomePreCandidate();
  else r.becomeCandidate();
  // A pre-vote is for the term that would be next.
  const term = pre ? r.term + 1 : r.term;
  const lastIndex = r.log.lastIndex();
  const lastTerm = r.log.lastTerm();
  for (const id of r.tracker.voters) {
    if (id === r.id) {
      // Its own vote counts once it is durable.
      r.afterAppend.push(message(pre ? "preVoteResponse" : "voteResponse", r.id, r.id, term));
      continue;
    }
    const m = message(pre ? "preVote" : "vote", r.id, id, term);
    m.index = lastIndex;
    m.logTerm = lastTerm;
    if (kind === "transfer") m.context = TRANSFER_MARK;
    r.messages.push(m);
  }
}

/** A leader was heard within the election timeout: whoever asks for votes now would only disturb. */
function inLease(r: Raft): boolean {
  return r.config.checkQuorum && r.leader !== NO_NODE && r.electionElapsed < r.config.electionTicks;
}

/** True if a request for a vote of a higher term is not even looked at. */
export function ignoresCampaign(r: Raft, m: Message): boolean {
  if (m.context.length > 0 || !inLease(r)) return false;
  traceVote(r, m, "leased");
  return true;
}

/** Also a learner votes: whoever asks may know already that it became a voter. */
export function handleVote(r: Raft, m: Message): void {
  const pre = m.type === "preVote";
  const free = r.vote === m.from || (r.vote === NO_NODE && r.leader === NO_NODE) || (pre && m.term > r.term);
  if (free && r.log.isUpToDate(m.index, m.logTerm)) {
    traceVote(r, m, "cast");
    // The term asked for, not the own one: after a pre-vote they differ, and an answer of an older term would be ignored.
    r.afterAppend.push(message(pre ? "preVoteResponse" : "voteResponse", r.id, m.from, m.term));
    if (!pre) {
      r.electionElapsed = 0;
      r.vote = m.from;
    }
    return;
  }
  rejectVote(r, m);
}

export function rejectVote(r: Raft, m: Message): void {
  traceVote(r, m, "rejected");
  const answer = message(m.type === "preVote" ? "preVoteResponse" : "voteResponse", r.id, m.from, r.term);
  answer.reject = true;
  r.afterAppend.push(answer);
}

function traceVote(r: Raft, m: Message, outcome: "cast" | "rejected" | "leased"): void {
  r.trace?.({
    type: "vote",
    pre: m.type === "preVote",
    outcome,
    candidate: m.from,
    candidateTerm: m.logTerm,
    candidateIndex: m.index,
    lastTerm: r.log.lastTerm(),
    lastIndex: r.log.lastIndex(),
    vote: r.vote,
    term: r.term,
  });
}

/** A candidate's or precandidate's answers; those to the other kind of campaign are old. */
export function handleVoteResponse(r: Raft, m: Message): void {
  const pre = r.role === "precandidate";
  if ((m.type === "preVoteResponse") !== pre) return;
  const { yes, no, result } = count(r, m.from, !m.reject);
  r.trace?.({ type: "poll", pre, from: m.from, granted: !m.reject, term: r.term, yes, no });
  if (result === "won") {
    if (pre) {
      campaign(r, "election");
    } else {
      r.becomeLeader();
      broadcastAppend(r);
    }
  } else if (result === "lost") {
    r.becomeFollower(r.term, NO_NODE);
  }
}

function count(r: Raft, from: NodeId, granted: boolean): ReturnType<Raft["tracker"]["tally"]> {
  r.tracker.recordVote(from, granted);
  return r.tracker.tally();
}

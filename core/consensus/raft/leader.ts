/** What a leader does with messages, ticks and reports. */
import { changeMembership, leavesJoint } from "./conf-change.ts";
import { decodeConfChange } from "./conf-codec.ts";
import { message, NO_BYTES } from "./messages.ts";
import type { Progress } from "./progress.ts";
import type { Raft } from "./raft.ts";
import type { ReadRequest } from "./reads.ts";
import { broadcastAppend, broadcastHeartbeat, sendAppend, traceProgress } from "./replication.ts";
import { type ConfChange, type Entry, type Message, NO_NODE, type NodeId, RaftError } from "./types.ts";

export function stepLeader(r: Raft, m: Message): void {
  switch (m.type) {
    case "propose":
      proposeEntries(r, m.entries);
      return;
    case "readIndex":
      requestRead(r, m.from, m.context);
      return;
    default:
  }
  const progress = r.tracker.get(m.from);
  if (progress === undefined) {
    r.trace?.({ type: "unknownPeer", message: m.type, from: m.from });
    return;
  }
  switch (m.type) {
    case "appendResponse":
      heardFrom(progress);
      if (m.reject) handleRejection(r, progress, m);
      else handleAcknowledgement(r, progress, m.index);
      return;
    case "heartbeatResponse":
      heardFrom(progress);
      handleHeartbeatResponse(r, progress, m);
      return;
    case "transferLeader":
      startTransfer(r, progress);
      return;
    default:
  }
}

function heardFrom(progress: Progress): void {
  progress.recentActive = true;
  progress.unreachable = false;
}

export function tickLeader(r: Raft): void {
  r.heartbeatElapsed++;
  r.electionElapsed++;
  if (r.electionElapsed >= r.config.electionTicks) {
    r.electionElapsed = 0;
    if (r.config.checkQuorum) checkQuorum(r);
    // A transfer that takes longer than an election is given up.
    if (r.role === "leader" && r.leadTransferee !== NO_NODE) abortTransfer(r);
  }
  if (r.role !== "leader" || r.heartbeatElapsed < r.config.heartbeatTicks) return;
  r.heartbeatElapsed = 0;
  broadcastHeartbeat(r);
}

function checkQuorum(r: Raft): void {
  if (!r.tracker.quorumActive()) {
    r.trace?.({ type: "quorumLost", term: r.term });
    r.becomeFollower(r.term, NO_NODE);
  }
  for (const progress of r.tracker.all) if (progress.id !== r.id) progress.recentActive = false;
}

/** Appends and sends. Throws `proposalDropped`; `badConfChange` for a change that cannot be read. */
export function proposeEntries(r: Raft, proposed: readonly Entry[]): void {
  const reason = r.tracker.get(r.id) === undefined ? "removed" : r.leadTransferee !== NO_NODE ? "transfer" : null;
  if (reason !== null) {
    r.trace?.({ type: "proposalDropped", reason, term: r.term });
    throw new RaftError("proposalDropped", reason === "removed" ? "this leader was removed" : "leadership is being transferred");
  }
  const entries: Entry[] = [];
  let pending = r.pendingConfIndex;
  for (let i = 0; i < proposed.length; i++) {
    const { kind, data } = proposed[i]!;
    if (kind === "conf" && refusesChange(r, decodeConfChange(data), pending)) {
      entries.push({ term: 0, index: 0, kind: "data", data: NO_BYTES });
      continue;
    }
    if (kind === "conf") pending = r.log.lastIndex() + i + 1;
    entries.push({ term: 0, index: 0, kind, data });
  }
  if (!r.appendEntries(entries)) throw new RaftError("proposalDropped", "too much is not committed yet");
  r.pendingConfIndex = pending;
  broadcastAppend(r);
}

/** A change is refused while another may be on its way, and where it does not fit the configuration that is in force. */
function refusesChange(r: Raft, cc: ConfChange, pending: number): boolean {
  if (r.config.disableConfChangeValidation) return false;
  const joint = r.tracker.conf.votersOutgoing.length > 0;
  const leaves = leavesJoint(cc);
  let reason: "pending" | "joint" | "notJoint" | "invalid" | null = null;
  let detail = "";
  if (pending > r.log.applied) {
    reason = "pending";
    detail = `a change may be at ${pending}, applied is ${r.log.applied}`;
  } else if (joint && !leaves) {
    reason = "joint";
  } else if (!joint && leaves) {
    reason = "notJoint";
  } else {
    detail = whyInvalid(r, cc);
    if (detail !== "") reason = "invalid";
  }
  if (reason === null) return false;
  r.trace?.({ type: "confRefused", reason, detail });
  return true;
}

/** With no change on its way, the configuration now is the one that the change would meet. */
function whyInvalid(r: Raft, cc: ConfChange): string {
  try {
    changeMembership(r.tracker.membership(), cc, r.tracker.options(r.log.lastIndex()));
    return "";
  } catch (error) {
    if (error instanceof RaftError && error.code === "badConfChange") return error.message;
    throw error;
  }
}

function handleRejection(r: Raft, progress: Progress, m: Message): void {
  // The follower's log ends at the hint, or has that term there: where the own log's term is higher, they cannot agree.
  const hint = m.logTerm > 0 ? r.log.findConflictByTerm(m.rejectHint, m.logTerm) : m.rejectHint;
  if (!progress.reject(m.index, hint)) return;
  traceProgress(r, progress, "rejected");
  if (progress.state === "replicate") progress.becomeProbe();
  sendAppend(r, progress, true);
}

function handleAcknowledgement(r: Raft, progress: Progress, index: number): void {
  const moved = progress.acknowledge(index);
  // A probe that was answered at `match` shows as much as one that was answered beyond it.
  if (!moved && !(progress.match === index && progress.state === "probe")) return;
  if (progress.state === "probe") {
    progress.becomeReplicate();
  } else if (progress.state === "replicate") {
    progress.inflights.freeTo(index);
  } else if (progress.match + 1 >= r.log.firstIndex()) {
    // Whatever snapshot it applied: the log goes on from there.
    traceProgress(r, progress, "recovered");
    progress.becomeProbe();
    progress.becomeReplicate();
  }
  const self = progress.id === r.id;
  if (!advanceCommit(r) && !self && progress.canBumpCommit(r.log.committed)) sendAppend(r, progress, true);
  if (self) return;
  while (sendAppend(r, progress, false));
  if (progress.id === r.leadTransferee && progress.match === r.log.lastIndex()) sendTimeoutNow(r, progress.id);
}

/** Commits what a quorum has, and tells everybody. False if there is nothing new. */
export function advanceCommit(r: Raft): boolean {
  if (!r.maybeCommit()) return false;
  beginWaitingReads(r);
  broadcastAppend(r);
  return true;
}

function handleHeartbeatResponse(r: Raft, progress: Progress, m: Message): void {
  progress.flowPaused = false;
  // An empty append where the window is full or a probe is out: what was lost shows by its answer.
  if (progress.match < r.log.lastIndex() || progress.state === "probe") sendAppend(r, progress, true);
  if (m.context.length > 0 && r.reads.acknowledge(m.from, m.context)) confirmReads(r);
}

/** Begins a round, or waits until all that this leader began with is committed: until then the commit index may be an old one. */
export function requestRead(r: Raft, from: NodeId, context: Uint8Array): void {
  const request: ReadRequest = { from, context, index: 0, fenced: !r.config.readsNeedFence };
  if (!r.knowsCommit()) {
    r.reads.waiting.push(request);
    // A leader that resumed may have nothing to send: it has to ask how far the others are.
    for (const progress of r.tracker.all) if (progress.id !== r.id && progress.state === "probe") sendAppend(r, progress, true);
    return;
  }
  r.reads.begin(request, r.log.committed, r.id);
  confirmReads(r);
}

/** The commit index moved: it may be the first one of this leader. */
function beginWaitingReads(r: Raft): void {
  if (r.reads.waiting.length === 0 || !r.knowsCommit()) return;
  const waiting = r.reads.waiting;
  r.reads.waiting = [];
  for (const request of waiting) r.reads.begin(request, r.log.committed, r.id);
  confirmReads(r);
}

/** Answers what a quorum has acknowledged. */
export function confirmReads(r: Raft): void {
  for (const { from, context, index } of r.reads.confirm(r.tracker.acknowledged(r.reads.acknowledged))) {
    if (from === r.id) {
      r.readStates.push({ index, context });
      continue;
    }
    const m = message("readIndexResponse", r.id, from, r.term);
    m.index = index;
    m.context = context;
    r.messages.push(m);
  }
}

function startTransfer(r: Raft, progress: Progress): void {
  const peer = progress.id;
  const step = progress.learner ? "refused" : r.leadTransferee === peer ? "repeated" : peer === r.id ? "refused" : "started";
  // To itself means: not to the other one any more.
  if (!progress.learner && step !== "repeated" && r.leadTransferee !== NO_NODE) abortTransfer(r);
  r.trace?.({ type: "transfer", step, peer, term: r.term });
  if (step !== "started") return;
  // It has one election timeout's time.
  r.electionElapsed = 0;
  r.leadTransferee = peer;
  if (progress.match === r.log.lastIndex()) sendTimeoutNow(r, peer);
  else sendAppend(r, progress, true);
}

function sendTimeoutNow(r: Raft, to: NodeId): void {
  r.messages.push(message("timeoutNow", r.id, to, r.term));
  r.trace?.({ type: "transfer", step: "timeoutNow", peer: to, term: r.term });
}

export function abortTransfer(r: Raft): void {
  r.trace?.({ type: "transfer", step: "aborted", peer: r.leadTransferee, term: r.term });
  r.leadTransferee = NO_NODE;
}

/** A message to a node was lost, and an append is the likeliest. */
export function reportUnreachable(r: Raft, id: NodeId): void {
  const progress = r.role === "leader" ? r.tracker.get(id) : undefined;
  if (progress === undefined) return;
  progress.unreachable = true;
  if (progress.state === "replicate") progress.becomeProbe();
  traceProgress(r, progress, "unreachable");
}

export function reportSnapshot(r: Raft, id: NodeId, ok: boolean): void {
  const progress = r.role === "leader" ? r.tracker.get(id) : undefined;
  if (progress === undefined || progress.state !== "snapshot") return;
  if (!ok) progress.pendingSnapshot = 0;
  progress.becomeProbe();
  // Arrived: the follower answers when it is applied. Failed: the next try waits for a heartbeat.
  progress.flowPaused = true;
  traceProgress(r, progress, ok ? "snapshotArrived" : "snapshotFailed");
}

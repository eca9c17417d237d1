/** What a leader sends: appends, snapshots and heartbeats; and how a follower takes them. */
import { restoreMembership } from "./conf-change.ts";
import type { RaftEvent } from "./events.ts";
import { NO_TERM } from "./log.ts";
import { message, NO_ENTRIES } from "./messages.ts";
import type { Progress } from "./progress.ts";
import type { Raft } from "./raft.ts";
import { payloadSize } from "./sizes.ts";
import { type ConfState, type Entry, type Message, type NodeId, RaftError, type Snapshot } from "./types.ts";

/**
 * Sends entries from `next` on, within `maxSizePerMessage`, with the commit index; without entries only if `evenEmpty`. True
 * if a message leaves.
 */
export function sendAppend(r: Raft, progress: Progress, evenEmpty: boolean): boolean {
  if (progress.isPaused()) return false;
  const previous = progress.next - 1;
  const previousTerm = r.log.term(previous);
  if (previousTerm === NO_TERM) return sendSnapshot(r, progress);
  let entries: Entry[] | null = NO_ENTRIES;
  // With a full window only an empty append goes out: should all that fills it be lost, its answer shows that.
  if (progress.state !== "replicate" || !progress.inflights.full()) {
    entries = r.log.slice(progress.next, r.log.lastIndex() + 1, r.config.maxSizePerMessage);
  }
  if (entries === null) return sendSnapshot(r, progress);
  if (entries.length === 0 && !evenEmpty) return false;
  const m = message("append", r.id, progress.id, r.term);
  m.index = previous;
  m.logTerm = previousTerm;
  m.entries = entries;
  m.commit = r.log.committed;
  r.messages.push(m);
  progress.sentEntries(entries.length, payloadSize(entries));
  progress.sentCommit = r.log.committed;
  return true;
}

/** Not to a node that is not heard of: it is large. True if a message leaves. */
function sendSnapshot(r: Raft, progress: Progress): boolean {
  if (!progress.recentActive) return false;
  let snapshot: Snapshot;
  try {
    snapshot = r.log.snapshot();
  } catch (error) {
    if (error instanceof RaftError && error.code === "snapshotUnavailable") return false;
    throw error;
  }
  // A node ignores a snapshot in whose configuration it is not: the host has to make one after the change that added it.
  if (!holds(snapshot.conf, progress.id)) return false;
  progress.becomeSnapshot(snapshot.index);
  const m = message("snapshot", r.id, progress.id, r.term);
  m.snapshot = snapshot;
  r.messages.push(m);
  traceProgress(r, progress, "snapshotSent");
  return true;
}

function holds(conf: ConfState, id: NodeId): boolean {
  return conf.voters.includes(id) || conf.learners.includes(id) || conf.votersOutgoing.includes(id);
}

export function broadcastAppend(r: Raft): void {
  const all = r.tracker.all;
  for (let i = 0; i < all.length; i++) {
    if (all[i]!.id !== r.id) sendAppend(r, all[i]!, true);
  }
}

/** Carries the mark of the newest read round, if one waits. */
export function broadcastHeartbeat(r: Raft): void {
  const mark = r.reads.mark();
  r.reads.unsent = false;
  for (const progress of r.tracker.all) {
    if (progress.id === r.id) continue;
    const m = message("heartbeat", r.id, progress.id, r.term);
    // The follower may hold other entries after `match`: it must not take them for committed.
    m.commit = Math.min(progress.match, r.log.committed);
    m.context = mark;
    r.messages.push(m);
    progress.sentCommit = m.commit;
  }
}

type ProgressCause = Extract<RaftEvent, { type: "progress" }>["cause"];

export function traceProgress(r: Raft, progress: Progress, cause: ProgressCause): void {
  if (r.trace === null) return;
  r.trace({ type: "progress", cause, peer: progress.id, state: progress.state, match: progress.match, next: progress.next });
}

/** Acknowledges or refuses, once what it appends is durable. */
function acknowledge(r: Raft, to: number, index: number): Message {
  const m = message("appendResponse", r.id, to, r.term);
  m.index = index;
  r.afterAppend.push(m);
  return m;
}

/** The consistency check of section 5.3 of the paper; a refusal carries where the logs may agree. */
export function handleAppend(r: Raft, m: Message): void {
  const log = r.log;
  if (m.index < log.committed) {
    acknowledge(r, m.from, log.committed);
    return;
  }
  if (log.matches(m.index, m.logTerm)) {
    const conflict = log.findConflict(m.entries);
    if (conflict < m.entries.length) {
      const entry = m.entries[conflict]!;
      if (r.trace !== null && entry.index <= log.lastIndex()) {
        r.trace({ type: "conflict", index: entry.index, ownTerm: Math.max(0, log.term(entry.index)), term: entry.term });
      }
      log.append(m.entries, conflict);
    }
    const last = m.index + m.entries.length;
    log.commitTo(Math.min(m.commit, last));
    acknowledge(r, m.from, last);
    return;
  }
  r.trace?.({ type: "appendRejected", from: m.from, index: m.index, logTerm: m.logTerm, ownTerm: Math.max(0, log.term(m.index)) });
  // Where this log's term is above the leader's at `m.index`, they cannot agree: such an end is skipped at once.
  const hint = log.findConflictByTerm(Math.min(m.index, log.lastIndex()), m.logTerm);
  const answer = acknowledge(r, m.from, m.index);
  answer.reject = true;
  answer.rejectHint = hint;
  answer.logTerm = Math.max(0, log.term(hint));
}

export function handleHeartbeat(r: Raft, m: Message): void {
  r.log.commitTo(m.commit);
  const answer = message("heartbeatResponse", r.id, m.from, r.term);
  answer.context = m.context;
  r.messages.push(answer);
}

export function handleSnapshot(r: Raft, m: Message): void {
  const snapshot = m.snapshot!;
  const outcome = restore(r, snapshot);
  r.trace?.({ type: "restore", outcome, index: snapshot.index, term: snapshot.term, commit: r.log.committed });
  acknowledge(r, m.from, outcome === "restored" ? r.log.lastIndex() : r.log.committed);
}

function restore(r: Raft, snapshot: Snapshot): "restored" | "ignored" | "forwarded" {
  if (snapshot.index <= r.log.committed) return "ignored";
  const conf = snapshot.conf;
  // Much relies on a node being in its own configuration.
  if (!holds(conf, r.id)) return "ignored";
  if (r.log.matches(snapshot.index, snapshot.term)) {
    // It has all of this in its log, and learns only that it is committed.
    r.log.commitTo(snapshot.index);
    return "forwarded";
  }
  const membership = restoreMembership(conf, r.tracker.options(snapshot.index));
  r.log.restore(snapshot);
  r.tracker.use(membership);
  r.trace?.({ type: "conf", conf: membership.conf });
  return "restored";
}

/** What a host may look at. Nothing in here is needed for safety. */
import type { ProgressState } from "./progress.ts";
import type { Raft } from "./raft.ts";
import { type ConfState, NO_NODE, type NodeId, type Role } from "./types.ts";

export type { ProgressState } from "./progress.ts";

export type PeerStatus = {
  id: NodeId;
  match: number;
  next: number;
  state: ProgressState;
  learner: boolean;
  /** Index of the snapshot that is under way, or 0. */
  pendingSnapshot: number;
  /** It answered since the last check of the quorum. */
  recentActive: boolean;
  /** `reportUnreachable` was the last word about it. */
  unreachable: boolean;
  /** No append is sent to it until it answers. */
  paused: boolean;
  /** Append messages under way. */
  inflight: number;
};

export type RaftStatus = {
  id: NodeId;
  role: Role;
  term: number;
  vote: NodeId;
  leader: NodeId;
  /** The voter that leadership is being transferred to, or 0. */
  leadTransferee: NodeId;
  commit: number;
  /** The last index that `advance` reported as applied. */
  applied: number;
  firstIndex: number;
  lastIndex: number;
  conf: ConfState;
  /** On a leader: every voter and learner but itself, ascending. Empty elsewhere. */
  peers: PeerStatus[];
  /** On a leader: every voter and learner that is not unreachable has `match == lastIndex`. False elsewhere. */
  replicated: boolean;
  /** Entries after `commit`. */
  uncommitted: number;
  /** On a leader: reads that wait, either for a commit of this term or for a quorum. */
  pendingReads: number;
  /**
   * On a leader with `readsNeedFence`: the context of the newest read in which its own vote does not count yet. A durable
   * write that begins now is the fence of this read and of all older ones.
   */
  fence: Uint8Array | null;
  /** As {@link isSettled}. */
  settled: boolean;
};

/** Every node that is not unreachable has the whole log. */
function isReplicated(r: Raft): boolean {
  if (r.role !== "leader") return false;
  const last = r.log.lastIndex();
  return r.tracker.all.every((progress) => progress.id === r.id || progress.unreachable || progress.match === last);
}

/**
 * Ticks have nothing to do: no election is being held; on a leader nothing is uncommitted, unreplicated or untold to a node that is
 * not unreachable, nothing is being transferred and no read waits. A follower is settled: the request that meets a silent
 * leader starts the campaign.
 */
export function isSettled(r: Raft): boolean {
  if (r.role === "follower") return true;
  if (r.role !== "leader" || r.leadTransferee !== NO_NODE || r.reads.count > 0) return false;
  const commit = r.log.committed;
  if (commit < r.log.lastIndex() || !isReplicated(r)) return false;
  return r.tracker.all.every((progress) => progress.id === r.id || progress.unreachable || progress.sentCommit >= commit);
}

export function statusOf(r: Raft): RaftStatus {
  const leads = r.role === "leader";
  const peers: PeerStatus[] = [];
  if (leads) {
    for (const progress of r.tracker.all) {
      if (progress.id === r.id) continue;
      const { id, match, next, state, learner, pendingSnapshot, recentActive, unreachable } = progress;
      const flow = { paused: progress.isPaused(), inflight: progress.inflights.count };
      peers.push({ id, match, next, state, learner, pendingSnapshot, recentActive, unreachable, ...flow });
    }
  }
  return {
    id: r.id,
    role: r.role,
    term: r.term,
    vote: r.vote,
    leader: r.leader,
    leadTransferee: r.leadTransferee,
    commit: r.log.committed,
    applied: r.log.applied,
    firstIndex: r.log.firstIndex(),
    lastIndex: r.log.lastIndex(),
    conf: r.tracker.conf,
    peers,
    replicated: isReplicated(r),
    uncommitted: r.log.lastIndex() - r.log.committed,
    pendingReads: leads ? r.reads.count : 0,
    fence: leads ? r.reads.unfenced() : null,
    settled: isSettled(r),
  };
}

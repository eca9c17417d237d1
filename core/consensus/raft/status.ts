/** What a host may look at. Nothing in here is needed for safety. */
import type { ConfState, NodeId, Role } from "./types.ts";

/** How a leader replicates to one follower: find its last entry, stream, or wait for a snapshot to arrive. */
export type ProgressState = "probe" | "replicate" | "snapshot";

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
  /** The last index that `advance` told to be applied. */
  applied: number;
  firstIndex: number;
  lastIndex: number;
  conf: ConfState;
  /** On a leader: every voter and learner but itself, ascending. Empty elsewhere. */
  peers: PeerStatus[];
  /** On a leader: every voter and learner that is not unreachable has `match == lastIndex`. */
  replicated: boolean;
  /** Entries after `commit`. */
  uncommitted: number;
  /** On a leader: reads that wait, either for a commit of this term or for a quorum. */
  pendingReads: number;
  /**
   * On a leader with `readsNeedFence`: the context of the newest read whose round has begun and in which its own vote does
   * not count yet. A durable write that begins now is the fence of this read and of all older ones.
   */
  fence: Uint8Array | null;
  /**
   * The host need not tick: no election is being held, nothing is uncommitted, unreplicated, untold or being transferred,
   * no read waits. A follower is always settled: the request that meets a silent leader starts the campaign.
   */
  settled: boolean;
};

import type { Header, LeaseGrantResponse, Operation, OperationResult, RangeRequest, RangeResponse, Session } from "../kv/types.ts";
import type { PeerStatus } from "../raft/status.ts";
import type { ConfChangeSingle, ConfState, NodeId, Role } from "../raft/types.ts";

/**
 * What a read may trail. `linearizable`: nothing; `bounded`: it shows all that was committed `ms` ago; `session`: it shows
 * at least `Ask.after`; `stale`: whatever the replica has.
 */
export type ReadLevel = { level: "linearizable" } | { level: "bounded"; ms: number } | { level: "session" } | { level: "stale" };

/** What the Worker asks a replica. Everything but reads of a weaker level is answered by the leader alone. */
export type Ask =
  | { ask: "range"; request: RangeRequest; read: ReadLevel; after: number }
  /** `demand`: refuse the write unless a majority cannot be lost with one failure domain. */
  | { ask: "write"; operation: Operation; session: Session | null; demand?: "quorum" }
  | { ask: "leaseKeepAlive"; id: bigint }
  | { ask: "leaseTimeToLive"; id: bigint; keys: boolean }
  | { ask: "leases" }
  | { ask: "status" }
  | { ask: "transfer"; to: NodeId }
  /** More than one change of a voter goes through a joint configuration, and is left by itself. */
  | { ask: "reconfigure"; changes: ConfChangeSingle[] };

/** What the asker knows. `silent`: the leader that did not answer in time, 0 for none. */
export type Hint = { silent: NodeId };
export const NO_HINT: Hint = { silent: 0 };

/** Whoever held a lease in term `term` is gone: it is to end in `within` milliseconds unless it is heard again. */
export type Release = { id: bigint; within: number; term: number };

/** Seconds; `ttl` -1 where there is no such lease (as etcd says it). */
export type LeaseTimeToLive = { header: Header; id: bigint; ttl: number; grantedTtl: number; keys: string[] };
export type Status = {
  header: Header;
  id: NodeId;
  leader: NodeId;
  role: Role;
  term: number;
  index: number;
  applied: number;
  committed: number;
  bytes: number;
  conf: ConfState;
  incarnation: number;
};

/** For people to look at. `level` and `placement` are those of a write; `waiting` counts requests, `rows` what was written since the wake. */
export type ReplicaStatus = Status & {
  vote: NodeId;
  firstIndex: number;
  settled: boolean;
  level: "single" | "quorum";
  placement: Placement;
  place: string;
  regressed: boolean;
  halted: string | null;
  leases: number;
  /** Since the wake: requests, calls of peers that were served, calls made, alarms, and elections won. */
  counters: { asks: number; served: number; calls: number; alarms: number; elections: number };
  waiting: number;
  rows: number;
  /** What the leader knows of the others. */
  peers: (PeerStatus & { place: string; incarnation: number; down: boolean })[];
};

export type Told =
  | { told: "range"; response: RangeResponse }
  | { told: "write"; result: OperationResult }
  | { told: "leaseKeepAlive"; response: LeaseGrantResponse }
  | { told: "leaseTimeToLive"; response: LeaseTimeToLive }
  | { told: "leases"; response: { header: Header; ids: bigint[] } }
  | { told: "status"; response: Status }
  | { told: "transfer" }
  | { told: "reconfigure"; conf: ConfState };

/**
 * `measured`: where the replicas are was found out; a level `quorum` then says that no failure domain holds a majority.
 * `simulated`: all are in one place, and only act as if they were not.
 */
export type Placement = "measured" | "simulated";

/**
 * A replica's answer. `notLeader`: ask `leader` (0: nobody knows yet; retry). `refused`: an error of etcd's, the request
 * changed nothing. `unavailable`: no quorum in time; a write may or may not happen still, so retry it with its session.
 */
export type Reply =
  | {
      reply: "ok";
      value: Told;
      term: number;
      revision: number;
      index: number;
      placement: Placement;
      achieved: "single" | "quorum" | "linearizable" | "bounded" | "session" | "stale";
    }
  | { reply: "notLeader"; leader: NodeId; term: number }
  | { reply: "refused"; grpc: number; message: string }
  | { reply: "unavailable"; message: string; retryAfterMs: number };

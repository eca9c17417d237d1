import type { Header, LeaseGrantResponse, Operation, OperationResult, RangeRequest, RangeResponse, Session } from "../kv/types.ts";
import type { ConfState, NodeId, Role } from "../raft/types.ts";

/**
 * What a read may trail. `linearizable`: nothing; `bounded`: it shows all that was committed `ms` ago; `session`: it shows
 * at least `Ask.after`; `stale`: whatever the replica has.
 */
export type ReadLevel = { level: "linearizable" } | { level: "bounded"; ms: number } | { level: "session" } | { level: "stale" };

/** What the Worker asks a replica. Everything but reads of a weaker level is answered by the leader alone. */
export type Ask =
  | { ask: "range"; request: RangeRequest; read: ReadLevel; after: number }
  | { ask: "write"; operation: Operation; session: Session | null }
  | { ask: "leaseKeepAlive"; id: bigint }
  | { ask: "leaseTimeToLive"; id: bigint; keys: boolean }
  | { ask: "leases" }
  | { ask: "status" }
  | { ask: "transfer"; to: NodeId };

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

export type Told =
  | { told: "range"; response: RangeResponse }
  | { told: "write"; result: OperationResult }
  | { told: "leaseKeepAlive"; response: LeaseGrantResponse }
  | { told: "leaseTimeToLive"; response: LeaseTimeToLive }
  | { told: "leases"; response: { header: Header; ids: bigint[] } }
  | { told: "status"; response: Status }
  | { told: "transfer" };

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
      achieved: "single" | "quorum" | "linearizable" | "bounded" | "session" | "stale";
    }
  | { reply: "notLeader"; leader: NodeId; term: number }
  | { reply: "refused"; grpc: number; message: string }
  | { reply: "unavailable"; message: string; retryAfterMs: number };

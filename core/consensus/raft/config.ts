/** What a node is told when it is made. */
import type { RaftEvent } from "./events.ts";
import { type NodeId, RaftError, type RaftStorage } from "./types.ts";

/** No limit of size or count. */
export const NO_LIMIT = Number.MAX_SAFE_INTEGER;

export type RaftConfig = {
  /** This node: an integer above 0. */
  id: NodeId;
  storage: RaftStorage;
  /** The last index that the host has applied (its checkpoint); 0 at a first start. Committed entries after it are handed out. */
  applied: number;
  /** Ticks without a word from a leader until an election, randomised to [n, 2n). Above `heartbeatTicks`. */
  electionTicks: number;
  /** Ticks between heartbeats of a leader. */
  heartbeatTicks: number;
  /** Bytes of entries (`entrySize`) in one append message; one entry always fits. */
  maxSizePerMessage: number;
  /** Bytes of committed entries (`entrySize`) that are handed out and not yet applied; one entry always fits. */
  maxCommittedSizePerReady: number;
  /** Bytes of data in the leader's log that is not yet applied; beyond it proposals are dropped. One proposal always fits. */
  maxUncommittedSize: number;
  /** Append messages under way to one follower. */
  maxInflightMessages: number;
  /** Bytes of data under way to one follower; at least `maxSizePerMessage`. */
  maxInflightBytes: number;
  /**
   * A leader that hears from no quorum for `electionTicks` steps down; a node that heard from a leader within `electionTicks`
   * refuses to vote. Both count ticks: a host that does not tick while idle must leave it off.
   */
  checkQuorum: boolean;
  /** Ask for votes before raising the term. */
  preVote: boolean;
  /** An integer from 0 to below `below`. */
  random: (below: number) => number;
  /** This node's own vote counts in a read round only after `acknowledgeRead`. */
  readsNeedFence: boolean;
  /** A follower drops proposals instead of forwarding them. */
  disableProposalForwarding: boolean;
  /** Configuration changes are not checked when proposed; the host has to refuse bad ones when it applies them. */
  disableConfChangeValidation: boolean;
  /** A leader that is removed or made a learner steps down when it applies the change. */
  stepDownOnRemoval: boolean;
  /** Told what the node decides and why; it must not call the node. */
  logger?: (event: RaftEvent) => void;
};

/** Throws `badMessage` on a configuration that cannot work. */
export function validateConfig(config: RaftConfig): void {
  const refuse = (detail: string): never => {
    throw new RaftError("badMessage", detail);
  };
  if (!Number.isSafeInteger(config.id) || config.id <= 0) refuse("a node id is an integer above 0");
  if (!(config.heartbeatTicks > 0)) refuse("heartbeatTicks must be above 0");
  if (!(config.electionTicks > config.heartbeatTicks)) refuse("electionTicks must be above heartbeatTicks");
  if (!(config.maxInflightMessages > 0)) refuse("maxInflightMessages must be above 0");
  if (!(config.maxInflightBytes >= config.maxSizePerMessage)) refuse("maxInflightBytes must be at least maxSizePerMessage");
}

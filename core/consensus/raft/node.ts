/**
 * A node of a Raft group: the face of the core. It is deterministic and does nothing by itself: the host calls, then takes
 * {@link Ready} while there is one, does what it says and calls `advance`.
 */
import type { RaftConfig } from "./config.ts";
import type { RaftStatus } from "./status.ts";
import type { ConfChange, ConfState, Message, NodeId, Ready } from "./types.ts";

export type { RaftConfig } from "./config.ts";
export type { RaftStatus } from "./status.ts";

export class RaftNode {
  readonly config: RaftConfig;
  constructor(config: RaftConfig) {
    this.config = config;
  }
  /** One unit of the host's time passed. */
  tick(): void {
    throw new Error("not written yet");
  }
  /** Takes a message from a peer. Throws `proposalDropped` (a forwarded proposal that cannot be taken) or `badMessage`. */
  step(_m: Message): void {
    throw new Error("not written yet");
  }
  /** Starts an election, unless this node is the leader or may not become one. */
  campaign(): void {
    throw new Error("not written yet");
  }
  /** Throws `proposalDropped`: no leader, a transfer is under way, or the limit of uncommitted bytes is reached. */
  propose(_data: Uint8Array): void {
    throw new Error("not written yet");
  }
  /** All or none become consecutive entries. Throws as {@link propose}. */
  proposeMany(_datas: Uint8Array[]): void {
    throw new Error("not written yet");
  }
  /** Throws as {@link propose}. A change that is not valid now becomes an empty entry. */
  proposeConfChange(_cc: ConfChange): void {
    throw new Error("not written yet");
  }
  /** To be called for each committed entry of kind `conf` that the host does not reject. Throws `badConfChange`. */
  applyConfChange(_cc: ConfChange): ConfState {
    throw new Error("not written yet");
  }
  /** Asks for a {@link ReadState}; none comes where there is no leader, or where leadership changes meanwhile: ask again. */
  readIndex(_context: Uint8Array): void {
    throw new Error("not written yet");
  }
  /** With `readsNeedFence`: a write that began after the read with this context is durable: its round, and older ones, count this node. */
  acknowledgeRead(_context: Uint8Array): void {
    throw new Error("not written yet");
  }
  transferLeader(_to: NodeId): void {
    throw new Error("not written yet");
  }
  /** A follower forgets its leader, so that it votes at once. */
  forgetLeader(): void {
    throw new Error("not written yet");
  }
  hasReady(): boolean {
    throw new Error("not written yet");
  }
  ready(): Ready {
    throw new Error("not written yet");
  }
  /** The last {@link Ready} is persisted, sent and applied. */
  advance(): void {
    throw new Error("not written yet");
  }
  status(): RaftStatus {
    throw new Error("not written yet");
  }
  /** A message to this node was lost. */
  reportUnreachable(_id: NodeId): void {
    throw new Error("not written yet");
  }
  /** The snapshot to this node arrived, or did not. */
  reportSnapshot(_id: NodeId, _ok: boolean): void {
    throw new Error("not written yet");
  }
  /** Right after construction, where the durable state says that this node leads the current term: go on without an election. */
  resume(): void {
    throw new Error("not written yet");
  }
}

/** The configuration in force, what a leader knows of its nodes, and the votes of an election. */
import { EMPTY_CONF, type Membership, type ProgressOptions } from "./conf-change.ts";
import type { Progress } from "./progress.ts";
import { type Acknowledged, jointIndex, jointVote, type VoteResult } from "./quorum.ts";
import type { ConfState, NodeId } from "./types.ts";

export class Tracker {
  readonly #maxInflightMessages: number;
  readonly #maxInflightBytes: number;
  conf: ConfState = EMPTY_CONF;
  progress = new Map<NodeId, Progress>();
  /** The values of `progress`, ascending by id: what is sent goes out in this order. */
  all: Progress[] = [];
  /** All voters of both majorities, ascending. */
  voters: NodeId[] = [];
  readonly votes = new Map<NodeId, boolean>();
  readonly #matchOf: Acknowledged = (id) => this.progress.get(id)?.match;

  constructor(maxInflightMessages: number, maxInflightBytes: number) {
    this.#maxInflightMessages = maxInflightMessages;
    this.#maxInflightBytes = maxInflightBytes;
  }

  options(lastIndex: number): ProgressOptions {
    return { lastIndex, maxInflightMessages: this.#maxInflightMessages, maxInflightBytes: this.#maxInflightBytes };
  }

  membership(): Membership {
    return { conf: this.conf, progress: this.progress };
  }

  use({ conf, progress }: Membership): void {
    this.conf = conf;
    this.progress = progress;
    this.all = [...progress.values()];
    for (const each of this.all) each.learner = conf.learners.includes(each.id);
    this.voters = [...new Set([...conf.voters, ...conf.votersOutgoing])].sort((a, b) => a - b);
  }

  get(id: NodeId): Progress | undefined {
    return this.progress.get(id);
  }

  /** The greatest index that both majorities have. */
  committed(): number {
    return jointIndex(this.conf.voters, this.conf.votersOutgoing, this.#matchOf);
  }

  /** The greatest number that both majorities have acknowledged. */
  acknowledged(of: Acknowledged): number {
    return jointIndex(this.conf.voters, this.conf.votersOutgoing, of);
  }

  quorumActive(): boolean {
    const votes = new Map<NodeId, boolean>();
    for (const progress of this.all) if (!progress.learner) votes.set(progress.id, progress.recentActive);
    return jointVote(this.conf.voters, this.conf.votersOutgoing, votes) === "won";
  }

  /** The first word of a voter counts. */
  recordVote(id: NodeId, granted: boolean): void {
    if (!this.votes.has(id)) this.votes.set(id, granted);
  }

  /** Counts for the logger, and the outcome so far. */
  tally(): { yes: number; no: number; result: VoteResult } {
    let yes = 0;
    let no = 0;
    for (const [id, granted] of this.votes) {
      const progress = this.progress.get(id);
      if (progress === undefined || progress.learner) continue;
      if (granted) yes++;
      else no++;
    }
    return { yes, no, result: jointVote(this.conf.voters, this.conf.votersOutgoing, this.votes) };
  }
}

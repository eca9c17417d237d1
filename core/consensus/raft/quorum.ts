/**
 * Majorities, and joint ones: during a joint configuration a decision needs both (section 6 of the paper, 4.3 of the
 * dissertation). An empty majority decides nothing by itself, so that a joint decision with it is the other half's.
 */
import type { NodeId } from "./types.ts";

export type VoteResult = "won" | "lost" | "pending";

/** What a voter has acknowledged; undefined counts as nothing. */
export type Acknowledged = (id: NodeId) => number | undefined;

/** Reused between calls: a node asks at every acknowledgement, and it is used before anything else can be called. */
let scratch: number[] = [];

/** The greatest index that a majority of `ids` has acknowledged; Infinity without voters. */
export function majorityIndex(ids: readonly NodeId[], acknowledged: Acknowledged): number {
  const n = ids.length;
  if (n === 0) return Number.POSITIVE_INFINITY;
  if (scratch.length < n) scratch = new Array<number>(n).fill(0);
  // Insertion sort, ascending: voters are few, and nothing is allocated.
  for (let i = 0; i < n; i++) {
    const value = acknowledged(ids[i]!) ?? 0;
    let at = i;
    while (at > 0 && scratch[at - 1]! > value) {
      scratch[at] = scratch[at - 1]!;
      at--;
    }
    scratch[at] = value;
  }
  return scratch[n - ((n >> 1) + 1)]!;
}

export function jointIndex(incoming: readonly NodeId[], outgoing: readonly NodeId[], acknowledged: Acknowledged): number {
  const index = majorityIndex(incoming, acknowledged);
  return outgoing.length === 0 ? index : Math.min(index, majorityIndex(outgoing, acknowledged));
}

/** Won without voters; lost once the voters who have not refused cannot be a majority any more. */
export function majorityVote(ids: readonly NodeId[], votes: ReadonlyMap<NodeId, boolean>): VoteResult {
  let yes = 0;
  let missing = 0;
  for (const id of ids) {
    const vote = votes.get(id);
    if (vote === undefined) missing++;
    else if (vote) yes++;
  }
  const quorum = ids.length === 0 ? 0 : (ids.length >> 1) + 1;
  if (yes >= quorum) return "won";
  return yes + missing >= quorum ? "pending" : "lost";
}

export function jointVote(incoming: readonly NodeId[], outgoing: readonly NodeId[], votes: ReadonlyMap<NodeId, boolean>): VoteResult {
  const one = majorityVote(incoming, votes);
  const other = majorityVote(outgoing, votes);
  if (one === other) return one;
  return one === "lost" || other === "lost" ? "lost" : "pending";
}

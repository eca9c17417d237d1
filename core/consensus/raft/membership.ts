/** The configuration in force changes: because a change was applied, or because entries were and a joint one can be left. */
import { changeMembership } from "./conf-change.ts";
import { abortTransfer, advanceCommit, confirmReads, proposeEntries } from "./leader.ts";
import { NO_BYTES } from "./messages.ts";
import type { Raft } from "./raft.ts";
import { sendAppend } from "./replication.ts";
import { type ConfChange, type ConfState, NO_NODE, RaftError } from "./types.ts";

/** Throws `badConfChange`, and then nothing has changed. */
export function applyConfChange(r: Raft, cc: ConfChange): ConfState {
  const membership = changeMembership(r.tracker.membership(), cc, r.tracker.options(r.log.lastIndex()));
  r.tracker.use(membership);
  r.trace?.({ type: "conf", conf: membership.conf });
  followConf(r);
  return membership.conf;
}

function followConf(r: Raft): void {
  if (r.role !== "leader") return;
  const own = r.tracker.get(r.id);
  if (own === undefined || own.learner) {
    // Without stepping down it leads on until it is replaced, counting no vote of its own.
    if (r.config.stepDownOnRemoval) r.becomeFollower(r.term, NO_NODE);
    return;
  }
  if (r.tracker.conf.voters.length === 0) return;
  // A smaller quorum may have more, of entries and of acknowledged reads.
  confirmReads(r);
  if (!advanceCommit(r)) {
    // Nodes that are new need not wait for a heartbeat.
    for (const progress of r.tracker.all) if (progress.id !== r.id) sendAppend(r, progress, false);
  }
  if (r.leadTransferee !== NO_NODE && !r.tracker.voters.includes(r.leadTransferee)) abortTransfer(r);
}

/** Entries up to `index` are applied; `size` is what `acceptApplying` was told. */
export function appliedTo(r: Raft, index: number, size: number): void {
  r.log.appliedTo(Math.max(index, r.log.applied), size);
  if (!r.tracker.conf.autoLeave || r.role !== "leader" || r.log.applied < r.pendingConfIndex) return;
  try {
    proposeEntries(r, [{ term: 0, index: 0, kind: "conf", data: NO_BYTES }]);
    r.trace?.({ type: "autoLeave", proposed: true });
  } catch (error) {
    if (!(error instanceof RaftError) || error.code !== "proposalDropped") throw error;
    // While leadership is transferred: the new leader leaves it, or this one at the next entry that is applied.
    r.trace?.({ type: "autoLeave", proposed: false });
  }
}

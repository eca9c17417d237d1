/**
 * Changes of the configuration: one voter at a time, or through a joint configuration in which both the old and the new
 * majority decide (section 6 of the paper, 4.3 of the dissertation). A change yields a new {@link Membership} or throws; the old
 * one is not touched. Nodes that stay keep their {@link Progress}, which is told whether it is a learner's when the membership
 * is put in force.
 */
import { Progress } from "./progress.ts";
import { type ConfChange, type ConfChangeSingle, type ConfState, NO_NODE, type NodeId, RaftError } from "./types.ts";

/** A configuration, and what a leader knows of each node in it, ascending by id. */
export type Membership = { conf: ConfState; progress: Map<NodeId, Progress> };
export type ProgressOptions = { lastIndex: number; maxInflightMessages: number; maxInflightBytes: number };

export const EMPTY_CONF: ConfState = { voters: [], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };
const ascending = (a: number, b: number): number => a - b;

/** The configuration while it changes. A null progress is a node that is new. */
type Draft = {
  incoming: Set<NodeId>;
  outgoing: Set<NodeId>;
  learners: Set<NodeId>;
  learnersNext: Set<NodeId>;
  autoLeave: boolean;
  progress: Map<NodeId, Progress | null>;
};

function draftOf({ conf, progress }: Membership): Draft {
  return {
    incoming: new Set(conf.voters),
    outgoing: new Set(conf.votersOutgoing),
    learners: new Set(conf.learners),
    learnersNext: new Set(conf.learnersNext),
    autoLeave: conf.autoLeave,
    progress: new Map(progress),
  };
}

const refuse = (detail: string): never => {
  throw new RaftError("badConfChange", detail);
};

/** Whether a change goes through a joint configuration, and whether that is left by itself. */
export function entersJoint(cc: ConfChange): { joint: boolean; autoLeave: boolean } {
  if (cc.transition === "auto" && cc.changes.length <= 1) return { joint: false, autoLeave: false };
  return { joint: true, autoLeave: cc.transition !== "explicit" };
}

export function leavesJoint(cc: ConfChange): boolean {
  return cc.transition === "auto" && cc.changes.length === 0;
}

/** Applies a change of whichever kind it is. Throws `badConfChange`. */
export function changeMembership(now: Membership, cc: ConfChange, options: ProgressOptions): Membership {
  if (leavesJoint(cc)) return leaveJoint(now, options);
  const { joint, autoLeave } = entersJoint(cc);
  return joint ? enterJoint(now, cc.changes, autoLeave, options) : changeSimply(now, cc.changes, options);
}

/** At most one voter changes: the old and the new majority then overlap in any case. */
export function changeSimply(now: Membership, changes: readonly ConfChangeSingle[], options: ProgressOptions): Membership {
  if (now.conf.votersOutgoing.length > 0) refuse("a joint configuration must be left first");
  const draft = draftOf(now);
  applyAll(draft, changes);
  let changed = 0;
  for (const id of now.conf.voters) if (!draft.incoming.has(id)) changed++;
  for (const id of draft.incoming) if (!now.conf.voters.includes(id)) changed++;
  if (changed > 1) refuse("changes of more than one voter need a joint configuration");
  return finish(draft, options);
}

/** The voters of now become the outgoing majority; the changes make the incoming one. */
export function enterJoint(
  now: Membership,
  changes: readonly ConfChangeSingle[],
  autoLeave: boolean,
  options: ProgressOptions,
): Membership {
  if (now.conf.votersOutgoing.length > 0) refuse("the configuration is joint already");
  if (now.conf.voters.length === 0) refuse("a configuration without voters cannot become joint");
  const draft = draftOf(now);
  draft.outgoing = new Set(draft.incoming);
  applyAll(draft, changes);
  draft.autoLeave = autoLeave;
  return finish(draft, options);
}

/** The incoming majority decides alone from here on. */
export function leaveJoint(now: Membership, options: ProgressOptions): Membership {
  if (now.conf.votersOutgoing.length === 0) refuse("the configuration is not joint");
  const draft = draftOf(now);
  for (const id of draft.learnersNext) draft.learners.add(id);
  draft.learnersNext.clear();
  for (const id of draft.outgoing) {
    if (!draft.incoming.has(id) && !draft.learners.has(id)) draft.progress.delete(id);
  }
  draft.outgoing.clear();
  draft.autoLeave = false;
  return finish(draft, options);
}

function applyAll(draft: Draft, changes: readonly ConfChangeSingle[]): void {
  for (const { kind, node } of changes) {
    // A host may blank a change that it decided against.
    if (node === NO_NODE) continue;
    if (kind === "addVoter") addVoter(draft, node);
    else if (kind === "addLearner") addLearner(draft, node);
    else if (kind === "remove") remove(draft, node);
  }
  if (draft.incoming.size === 0) refuse("no voter would be left");
}

function addVoter(draft: Draft, id: NodeId): void {
  if (!draft.progress.has(id)) draft.progress.set(id, null);
  draft.learners.delete(id);
  draft.learnersNext.delete(id);
  draft.incoming.add(id);
}

function addLearner(draft: Draft, id: NodeId): void {
  if (draft.learners.has(id)) return;
  if (!draft.progress.has(id)) draft.progress.set(id, null);
  draft.incoming.delete(id);
  // A voter of the outgoing majority stays one until the joint configuration is left: nobody is voter and learner at once.
  if (draft.outgoing.has(id)) draft.learnersNext.add(id);
  else draft.learners.add(id);
}

function remove(draft: Draft, id: NodeId): void {
  draft.incoming.delete(id);
  draft.learners.delete(id);
  draft.learnersNext.delete(id);
  if (!draft.outgoing.has(id)) draft.progress.delete(id);
}

function finish(draft: Draft, options: ProgressOptions): Membership {
  const sorted = (ids: Set<NodeId>): NodeId[] => [...ids].sort(ascending);
  const conf: ConfState = {
    voters: sorted(draft.incoming),
    learners: sorted(draft.learners),
    votersOutgoing: sorted(draft.outgoing),
    learnersNext: sorted(draft.learnersNext),
    autoLeave: draft.autoLeave,
  };
  checkConf(conf);
  const progress = new Map<NodeId, Progress>();
  for (const id of [...draft.progress.keys()].sort(ascending)) {
    progress.set(id, draft.progress.get(id) ?? newProgress(id, options));
  }
  return { conf, progress };
}

/** A node that is new is probed at the last index, and counts as active until it had the time to answer. */
function newProgress(id: NodeId, options: ProgressOptions): Progress {
  const progress = new Progress(id, Math.max(options.lastIndex, 1), options.maxInflightMessages, options.maxInflightBytes);
  progress.recentActive = true;
  return progress;
}

/** Nobody is voter and learner at once; what only a joint configuration has is empty in another one. */
function checkConf(conf: ConfState): void {
  for (const id of conf.learners) {
    if (conf.voters.includes(id) || conf.votersOutgoing.includes(id)) refuse(`${id} would be voter and learner`);
  }
  for (const id of conf.learnersNext) {
    if (!conf.votersOutgoing.includes(id)) refuse(`${id} is to become a learner and is no outgoing voter`);
    if (conf.voters.includes(id)) refuse(`${id} is to become a learner and is an incoming voter`);
  }
  if (conf.votersOutgoing.length === 0 && conf.autoLeave) refuse("only a joint configuration can be left");
}

/** The membership that a stored configuration describes. Throws `badConfChange` if none can. */
export function restoreMembership(conf: ConfState, options: ProgressOptions): Membership {
  const ids = new Set([...conf.voters, ...conf.votersOutgoing, ...conf.learners, ...conf.learnersNext]);
  return finish(
    {
      incoming: new Set(conf.voters),
      outgoing: new Set(conf.votersOutgoing),
      learners: new Set(conf.learners),
      learnersNext: new Set(conf.learnersNext),
      autoLeave: conf.autoLeave,
      progress: new Map([...ids].map((id) => [id, null])),
    },
    options,
  );
}

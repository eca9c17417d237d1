import { KvError } from "../../core/consensus/kv/types.ts";
import type { ConfState } from "../../core/consensus/raft/types.ts";
import type { Ask, ReplicaStatus } from "../../core/consensus/replica/types.ts";
import { type GroupMeta, MAX_MEMBERS, type Region } from "../../core/wire/directory.ts";
import { SkerryError } from "../../core/wire/errors.ts";
import type { Scope } from "../../core/wire/names.ts";
import { askGroup, requireGroup } from "../../durable-objects/directory/groups.ts";
import { forgetGroup, learnGroup, refreshGroup } from "../../durable-objects/directory/lookup.ts";
import { directory } from "../../durable-objects/directory/port.ts";
import type { GroupAnswer } from "../../durable-objects/group/ask.ts";
import type { ActiveFaults } from "../../durable-objects/group/faults.ts";
import { hintsOf } from "../../durable-objects/group/hints.ts";
import { configure, erase, replicaStub } from "../../durable-objects/group/replicas.ts";

/** A learner must have the log before it becomes a voter; asked for so often, so long apart in ms. */
const CATCH_UP_TRIES = 40;
const CATCH_UP_MS = 250;

/** What a replica says of itself, and what is broken on purpose. */
export type Looked = ReplicaStatus & { faults: ActiveFaults | null };

/** Every replica's own word, null where one does not answer in time. It wakes no other replica than those asked. */
export async function groupStatus(env: Env, scope: Scope, name: string): Promise<{ meta: GroupMeta; replicas: (Looked | null)[] }> {
  const meta = await requireGroup(env, scope, name);
  const replicas = await Promise.all(
    meta.members.map(async (member) => {
      const patience = AbortSignal.timeout(1_000);
      const gone = new Promise<null>((resolve) => patience.addEventListener("abort", () => resolve(null)));
      const asked = replicaStub(env, scope, meta, member)
        .status()
        .then(({ value }) => value as Looked | null)
        .catch(() => null);
      return Promise.race([asked, gone]);
    }),
  );
  return { meta, replicas };
}

/** Deletes a group: first its name, then what its replicas hold. Returns whether there was one. */
export async function deleteGroup(env: Env, scope: Scope, name: string): Promise<boolean> {
  const meta = await refreshGroup(env, scope, name);
  const { value } = await directory(env, scope).deleteGroup(name);
  forgetGroup(scope, name);
  if (meta !== null) await erase(env, scope, meta);
  return value.deleted;
}

/**
 * Adds a replica: as a learner under a number that was never used, then, unless it is to stay one, as a voter once it has the
 * log. Throws `conflict` where the group has as many as it may, `unavailable` where it does not catch up in time (it stays a
 * learner: promote it later).
 */
export async function addMember(env: Env, scope: Scope, name: string, region: Region | null, learner = false): Promise<GroupMeta> {
  let meta = await requireFresh(env, scope, name);
  if (meta.members.length >= MAX_MEMBERS)
    throw new SkerryError("conflict", `A group has at most ${MAX_MEMBERS} members; remove one first.`);
  const id = meta.nextId;
  meta = await rewrite(env, scope, meta, { members: [...meta.members, { id, region, learner: true }], nextId: id + 1 });
  await configure(env, scope, meta, id);
  await reconfigure(env, scope, meta, [{ kind: "addLearner", node: id }]);
  return learner ? meta : promoteMember(env, scope, name, id);
}

/** Makes a learner a voter, once it has what the leader has; of a voter there is nothing to do. */
export async function promoteMember(env: Env, scope: Scope, name: string, id: number): Promise<GroupMeta> {
  const meta = await requireFresh(env, scope, name);
  if (meta.members.some((each) => each.id === id && !each.learner)) return meta;
  await caughtUp(env, scope, meta, id);
  await reconfigure(env, scope, meta, [{ kind: "addVoter", node: id }]);
  return rewrite(env, scope, meta, {
    members: meta.members.map((each) => (each.id === id ? { ...each, learner: false } : each)),
    nextId: meta.nextId,
  });
}

/** Removes a replica, and what it holds. Throws `conflict` for the last voter. */
export async function removeMember(env: Env, scope: Scope, name: string, id: number): Promise<GroupMeta> {
  let meta = await requireFresh(env, scope, name);
  const voters = meta.members.filter(({ learner }) => !learner);
  if (voters.length === 1 && voters[0]!.id === id)
    throw new SkerryError("conflict", "A group keeps its last voter; delete the group instead.");
  // A leader that leaves hands over first: otherwise the next request would have to find out.
  const { member: leader } = await asked(env, scope, meta, { ask: "leases" });
  const next = voters.find((voter) => voter.id !== id);
  if (leader === id && next !== undefined) await asked(env, scope, meta, { ask: "transfer", to: next.id });
  await reconfigure(env, scope, meta, [{ kind: "remove", node: id }]);
  meta = await rewrite(env, scope, meta, { members: meta.members.filter((each) => each.id !== id), nextId: meta.nextId });
  await erase(env, scope, meta, [id]);
  return meta;
}

/** Hands leadership to a voter. Throws `conflict` where the member is none. */
export async function transferLeader(env: Env, scope: Scope, name: string, to: number): Promise<void> {
  const meta = await requireGroup(env, scope, name);
  await asked(env, scope, meta, { ask: "transfer", to });
  hintsOf(scope, meta).leader = to;
}

/** The whole state of a group, as `restoreGroup` takes it. */
export async function snapshotGroup(env: Env, scope: Scope, name: string): Promise<{ revision: number; state: Uint8Array }> {
  const meta = await requireGroup(env, scope, name);
  // Finds the leader, and wakes it.
  const { member } = await asked(env, scope, meta, { ask: "leases" });
  const found = meta.members.find(({ id }) => id === member) ?? { id: member, region: null };
  const { value } = await replicaStub(env, scope, meta, found).snapshot();
  return value;
}

/** Asks the group; what it refuses of a change of its members or its leader does not fit what they are now. */
async function asked(env: Env, scope: Scope, meta: GroupMeta, ask: Ask): Promise<GroupAnswer> {
  try {
    return await askGroup(env, scope, meta, ask);
  } catch (thrown) {
    if (!(thrown instanceof KvError)) throw thrown;
    throw new SkerryError("conflict", `The group "${meta.name}" refused: ${thrown.message}.`, { cause: thrown });
  }
}

async function requireFresh(env: Env, scope: Scope, name: string): Promise<GroupMeta> {
  await refreshGroup(env, scope, name);
  return requireGroup(env, scope, name);
}

async function reconfigure(
  env: Env,
  scope: Scope,
  meta: GroupMeta,
  changes: Extract<Ask, { ask: "reconfigure" }>["changes"],
): Promise<ConfState> {
  const { value } = await asked(env, scope, meta, { ask: "reconfigure", changes });
  if (value.told !== "reconfigure") throw new SkerryError("internal", "A change of members was answered with something else.");
  return value.conf;
}

async function rewrite(env: Env, scope: Scope, meta: GroupMeta, change: Pick<GroupMeta, "members" | "nextId">): Promise<GroupMeta> {
  const { value } = await directory(env, scope).updateGroup(meta.name, meta.version, change);
  learnGroup(scope, value);
  return value;
}

async function caughtUp(env: Env, scope: Scope, meta: GroupMeta, id: number): Promise<void> {
  const member = meta.members.find((each) => each.id === id);
  if (member === undefined) throw new SkerryError("bad_request", `The group has no member ${id}.`);
  for (let tries = 0; tries < CATCH_UP_TRIES; tries++) {
    const { value } = await asked(env, scope, meta, { ask: "leases" });
    const goal = value.told === "leases" ? value.response.header.revision : 0;
    const { value: status } = await replicaStub(env, scope, meta, member).status();
    if (status !== null && status.header.revision >= goal && status.index > 0) return;
    await scheduler.wait(CATCH_UP_MS);
  }
  throw new SkerryError("unavailable", `Replica ${id} has not caught up yet; it stays a learner. Promote it later.`, { retryAfter: 5 });
}

import type { Ask, Hint, Reply } from "../../core/consensus/replica/types.ts";
import type { Answer } from "../../core/wire/answer.ts";
import { checkGroupConfig, type GroupConfig, type GroupMember, type GroupMeta } from "../../core/wire/directory.ts";
import { errorOf, SkerryError } from "../../core/wire/errors.ts";
import type { Scope } from "../../core/wire/names.ts";
import { directory, forgetGroup, groupMeta } from "../directory/lookup.ts";
import { asking } from "../shared/refusals.ts";
import type { Beginning, Group } from "./group.ts";
import { replicaName } from "./names.ts";

/** A replica's object. A region matters where the object is first made, and nowhere later. */
export function replicaStub(
  env: Env,
  scope: Scope,
  meta: Pick<GroupMeta, "name" | "generation">,
  member: Pick<GroupMember, "id" | "region">,
) {
  const name = replicaName(scope, meta.name, meta.generation, member.id);
  const stub = asking(env).GROUP.getByName(name, member.region === null ? {} : { locationHint: member.region });
  return stub as unknown as ReplicaStub;
}

/** The calls of a replica's object as plain functions: what comes over RPC is copied, not shared. */
export type ReplicaStub = Pick<Group, "configure" | "status" | "snapshot" | "erase" | "fault"> & {
  ask(ask: Ask, hint: Hint): Promise<Answer<Reply>>;
  fetch(request: Request): Promise<Response>;
};

/** The replicas that a group is founded with. */
export function foundingVoters(meta: Pick<GroupMeta, "replicas">): number[] {
  return Array.from({ length: meta.replicas }, (_, i) => i + 1);
}

/** How a member begins: the first ones found the group, whenever they hear of it; others join. */
export function beginningOf(meta: GroupMeta, id: number, state: Uint8Array = new Uint8Array()): Beginning {
  return id <= meta.replicas ? { kind: "found", voters: foundingVoters(meta), state } : { kind: "join" };
}

/** Tells a replica's object what it is. Harmless when repeated: an object that is a member stays what it is. */
export async function configure(env: Env, scope: Scope, meta: GroupMeta, id: number, state?: Uint8Array): Promise<number> {
  const member = meta.members.find((each) => each.id === id) ?? { id, region: meta.regions[id - 1] ?? null };
  const { rows } = await replicaStub(env, scope, meta, member).configure(beginningOf(meta, id, state));
  return rows ?? 0;
}

/**
 * Makes a group, and does nothing where there is one of the same configuration. `state`: a snapshot to begin with. Throws
 * `conflict`, and `unavailable` where a replica could not be told: ask again.
 */
export async function createGroup(
  env: Env,
  scope: Scope,
  name: string,
  config: GroupConfig = checkGroupConfig({}),
  state?: Uint8Array,
): Promise<{ group: GroupMeta; created: boolean; rows: number }> {
  const { value, rows = 0 } = await directory(env, scope, name).putGroup(name, config);
  const { group, created } = value;
  forgetGroup(scope, name);
  if (!created) return { group, created, rows };
  const told = await Promise.allSettled(foundingVoters(group).map((id) => configure(env, scope, group, id, state)));
  const failed = told.find((each) => each.status === "rejected");
  // A group of which a majority knows works; the others are told when they are met.
  const known = told.filter((each) => each.status === "fulfilled");
  if (failed !== undefined && (known.length * 2 <= told.length || state !== undefined)) throw errorOf(failed.reason);
  return { group, created, rows: known.reduce((sum, each) => sum + each.value, rows) };
}

/** A group's entry. Throws `group_not_found`. */
export async function requireGroup(env: Env, scope: Scope, name: string): Promise<GroupMeta> {
  const meta = await groupMeta(env, scope, name);
  if (meta !== null) return meta;
  throw new SkerryError("group_not_found", `There is no group "${name}". Create it with PUT /v1/groups/${encodeURIComponent(name)}.`);
}

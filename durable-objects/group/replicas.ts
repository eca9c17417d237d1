import type { Reply } from "../../core/consensus/replica/types.ts";
import type { Answer } from "../../core/wire/answer.ts";
import type { GroupMember, GroupMeta } from "../../core/wire/directory.ts";
import { errorOf } from "../../core/wire/errors.ts";
import type { Scope } from "../../core/wire/names.ts";
import { asking } from "../shared/refusals.ts";
import type { Asked, Beginning, Group } from "./group.ts";
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
  asks(requests: readonly Asked[]): Promise<Answer<(Reply | null)[]>>;
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

/** Has replicas forget all that they hold. Throws where one could not be told: ask again. */
export async function erase(env: Env, scope: Scope, meta: GroupMeta, ids: number[] = meta.members.map(({ id }) => id)): Promise<void> {
  const erased = await Promise.allSettled(ids.map((id) => replicaStub(env, scope, meta, { id, region: null }).erase()));
  const failed = erased.find((each) => each.status === "rejected");
  if (failed !== undefined) throw errorOf(failed.reason);
}

/**
 * Tells all replicas that a group is founded with what they are. A group of which a majority knows works; the others are told when
 * they are met. Throws where no majority could be told, or with `state` not everybody: ask again. Resolves to the rows it cost.
 */
export async function found(env: Env, scope: Scope, meta: GroupMeta, state?: Uint8Array): Promise<number> {
  const told = await Promise.allSettled(foundingVoters(meta).map((id) => configure(env, scope, meta, id, state)));
  const failed = told.find((each) => each.status === "rejected");
  const known = told.filter((each) => each.status === "fulfilled");
  if (failed !== undefined && (known.length * 2 <= told.length || state !== undefined)) throw errorOf(failed.reason);
  return known.reduce((sum, each) => sum + each.value, 0);
}

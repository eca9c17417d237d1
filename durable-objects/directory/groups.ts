import type { Ask } from "../../core/consensus/replica/types.ts";
import { checkGroupConfig, type GroupConfig, type GroupMeta } from "../../core/wire/directory.ts";
import { SkerryError } from "../../core/wire/errors.ts";
import type { Scope } from "../../core/wire/names.ts";
import { askReplicas, type GroupAnswer, type Send } from "../group/ask.ts";
import { found } from "../group/replicas.ts";
import { groupMeta, learnGroup, refreshGroup } from "./lookup.ts";
import { directory } from "./port.ts";

/** Asks a group that was looked up: {@link askReplicas}, and the directory again where its replicas are not who they were. */
export function askGroup(env: Env, scope: Scope, meta: GroupMeta, ask: Ask, send?: Send): Promise<GroupAnswer> {
  return askReplicas(env, scope, meta, ask, () => refreshGroup(env, scope, meta.name), undefined, send);
}

/**
 * Makes a group, and does nothing where there is one of the same configuration. `state`: a snapshot to begin with. Throws
 * `bad_name`, `conflict`, and `unavailable` where a replica could not be told: ask again.
 */
export async function createGroup(
  env: Env,
  scope: Scope,
  name: string,
  config: GroupConfig = checkGroupConfig({}),
  state?: Uint8Array,
): Promise<{ group: GroupMeta; created: boolean; rows: number }> {
  const { value, rows = 0 } = await directory(env, scope).putGroup(name, config);
  const { group, created } = value;
  learnGroup(scope, group);
  return { group, created, rows: created ? rows + (await found(env, scope, group, state)) : rows };
}

/** A group's entry. Throws `group_not_found`. */
export async function requireGroup(env: Env, scope: Scope, name: string): Promise<GroupMeta> {
  const meta = await groupMeta(env, scope, name);
  if (meta !== null) return meta;
  throw new SkerryError("group_not_found", `There is no group "${name}". Create it with PUT /v1/groups/${encodeURIComponent(name)}.`);
}

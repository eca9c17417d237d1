import type { Ask } from "../../core/consensus/replica/types.ts";
import { checkGroupConfig, type GroupConfig, type GroupMeta } from "../../core/wire/directory.ts";
import { errorOf, SkerryError } from "../../core/wire/errors.ts";
import type { Scope } from "../../core/wire/names.ts";
import { askReplicas, type GroupAnswer, type Send } from "../group/ask.ts";
import { erase, found } from "../group/replicas.ts";
import { groupMeta, learnGroup, refreshGroup } from "./lookup.ts";
import { directory } from "./port.ts";

/** Asks a group that was looked up: {@link askReplicas}, and the directory again where its replicas are not who they were. */
export function askGroup(env: Env, scope: Scope, meta: GroupMeta, ask: Ask, send?: Send): Promise<GroupAnswer> {
  return askReplicas(env, scope, meta, ask, () => refreshGroup(env, scope, meta.name), undefined, send);
}

/**
 * Makes a group, and does nothing where there is one of the same configuration. Throws `bad_name`, `conflict`, and `unavailable`
 * where a replica could not be told: ask again.
 */
export async function createGroup(
  env: Env,
  scope: Scope,
  name: string,
  config: GroupConfig = checkGroupConfig({}),
): Promise<{ group: GroupMeta; created: boolean; rows: number }> {
  const { value, rows = 0 } = await directory(env, scope).putGroup(name, config);
  const { group, created, left } = value;
  learnGroup(scope, group);
  if (left !== null) await erase(env, scope, left);
  return { group, created, rows: created ? rows + (await found(env, scope, group)) : rows };
}

/**
 * Makes a group that begins with a snapshot: each of its replicas has it before anybody can find the group, or there is no group.
 * What is left of an attempt that was cut off is erased by the next one, or by who makes a group of that name. Throws `conflict` where
 * there is one, also one that was made meanwhile, and `unavailable` where a replica could not be told: ask again.
 */
export async function restoreGroup(
  env: Env,
  scope: Scope,
  name: string,
  config: GroupConfig,
  state: Uint8Array,
): Promise<{ group: GroupMeta; rows: number }> {
  const entries = directory(env, scope);
  const { value: prepared, rows = 0 } = await entries.prepareGroup(name, config);
  const { group, left } = prepared;
  const undo = async (thrown: unknown): Promise<never> => {
    await erase(env, scope, group).catch(() => {});
    throw thrown;
  };
  if (left !== null) await erase(env, scope, left);
  const cost = await found(env, scope, group, state).catch(undo);
  const opened = await entries.openGroup(name, group.version).catch((thrown) => {
    // Of any other failure nobody knows whether it is open.
    if (errorOf(thrown).code === "conflict") return undo(thrown);
    throw thrown;
  });
  learnGroup(scope, opened.value);
  return { group: opened.value, rows: rows + cost + (opened.rows ?? 0) };
}

/** A group's entry. Throws `group_not_found`. */
export async function requireGroup(env: Env, scope: Scope, name: string): Promise<GroupMeta> {
  const meta = await groupMeta(env, scope, name);
  if (meta !== null) return meta;
  throw new SkerryError("group_not_found", `There is no group "${name}". Create it with PUT /v1/groups/${encodeURIComponent(name)}.`);
}

import { type AskGroup, GroupEntries } from "../../core/consensus/directory/entries.ts";
import { systemGroup } from "../../core/wire/directory.ts";
import type { Scope } from "../../core/wire/names.ts";
import { askReplicas } from "../group/ask.ts";
import { found } from "../group/replicas.ts";

/** One replica that hangs must not keep the others from being asked once the group is founded; milliseconds. */
const FOUNDING_MS = 1_000;

/**
 * The entries that a project's system group holds. Whoever meets a replica that knows nothing yet founds the group: all are told the
 * same, an object that is a member stays what it is, and so however many do so, whenever, it is one group.
 *
 * @param patience how long one question may take, in milliseconds.
 */
export function systemEntries(env: Env, scope: Scope, patience?: number): GroupEntries {
  const meta = systemGroup();
  const refresh = async () => {
    // Whoever is not told now is told when it is met.
    await Promise.race([found(env, scope, meta).catch(() => {}), scheduler.wait(FOUNDING_MS)]);
    return meta;
  };
  const ask: AskGroup = async (what) => {
    const { rows = 0, ...told } = await askReplicas(env, scope, meta, what, refresh, patience);
    return { ...told, rows };
  };
  return new GroupEntries(ask, () => ({ client: crypto.randomUUID(), seq: 1, ack: 0 }));
}

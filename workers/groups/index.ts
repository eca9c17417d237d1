import type { Ask } from "../../core/consensus/replica/types.ts";
import type { GroupMeta } from "../../core/wire/directory.ts";
import { askGroup, createGroup, requireGroup } from "../../durable-objects/directory/groups.ts";
import { groupMeta } from "../../durable-objects/directory/lookup.ts";
import type { GroupAnswer } from "../../durable-objects/group/ask.ts";
import { sendTogether } from "./batches.ts";
import type { Caller, Create, GroupDoor, GroupSummary, WatchListener, WatchStream } from "./door.ts";
import { openWatch } from "./watch.ts";

/** How routes reach the groups of a deployment. */
export function groupDoor(env: Env): GroupDoor {
  const found = async (caller: Caller, group: string, create: Create = "no"): Promise<GroupMeta> => {
    if (create === "no") return requireGroup(env, caller.scope, group);
    return (await groupMeta(env, caller.scope, group)) ?? (await createGroup(env, caller.scope, group)).group;
  };
  return {
    async find(caller: Caller, group: string): Promise<GroupSummary | null> {
      const meta = await groupMeta(env, caller.scope, group);
      return meta === null ? null : summaryOf(meta);
    },
    async ask(caller: Caller, group: string, ask: Ask, create?: Create): Promise<GroupAnswer> {
      return askGroup(env, caller.scope, await found(caller, group, create), ask, sendTogether);
    },
    async watch(caller: Caller, group: string, listener: WatchListener, create?: Create): Promise<WatchStream> {
      return openWatch(env, caller, await found(caller, group, create), listener);
    },
  };
}

/** A replica is called by where it was wished to be, and its number. */
export function summaryOf({ name, generation, members }: GroupMeta): GroupSummary {
  return { name, generation, members: members.map(({ id, region, learner }) => ({ id, name: `${region ?? "any"}-${id}`, learner })) };
}

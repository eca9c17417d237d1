import type { GroupStatus, Region, ReplicaState } from "@skerry/client/groups";

export const pathOf = (group: string): string => `/v1/groups/${encodeURIComponent(group)}`;

/** Cloudflare's location hints, in words. */
export const REGIONS: Record<Region, string> = {
  wnam: "western North America",
  enam: "eastern North America",
  sam: "South America",
  weur: "western Europe",
  eeur: "eastern Europe",
  apac: "Asia-Pacific",
  oc: "Oceania",
  afr: "Africa",
  me: "Middle East",
};

/** "quorum (simulated)": what a write achieves now. */
export function levelOf({ level, placement }: Pick<GroupStatus, "level" | "placement">): string {
  if (level === null) return "none: nobody leads";
  return placement === "simulated" && level === "quorum" ? "quorum (simulated)" : level;
}

export type Standing = "leader" | "follower" | "learner" | "stands" | "hung" | "silent" | "broken";

/** What a replica is, as people would say it. */
export function standingOf(member: { learner: boolean; state: ReplicaState | null }): Standing {
  const { state, learner } = member;
  if (state === null) return "silent";
  if (state.faults?.hang) return "hung";
  if (state.halted !== null || state.regressed) return "broken";
  if (state.role === "leader") return "leader";
  if (state.role !== "follower") return "stands";
  return learner ? "learner" : "follower";
}

export const STANDINGS: Record<Standing, string> = {
  leader: "leader",
  follower: "follower",
  learner: "learner",
  stands: "stands for election",
  hung: "hung on purpose",
  silent: "does not answer",
  broken: "out of order",
};

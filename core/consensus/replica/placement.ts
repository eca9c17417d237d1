import type { ConfState, NodeId } from "../raft/types.ts";

/**
 * Whether losing one failure domain leaves a majority of every half of the configuration. A replica whose domain is not known may
 * be in any: it counts as being in each.
 */
export function survivesDomain(conf: ConfState, place: (id: NodeId) => string): boolean {
  return [conf.voters, conf.votersOutgoing].every((voters) => voters.length === 0 || noMajority(voters.map(place)));
}

function noMajority(places: string[]): boolean {
  const majority = Math.floor(places.length / 2) + 1;
  const unknown = places.filter((place) => place === "").length;
  // With a domain lost, the rest must still be a majority.
  const worst = Math.max(
    0,
    ...[...new Set(places)].filter((place) => place !== "").map((domain) => places.filter((p) => p === domain).length),
  );
  return places.length - (worst + unknown) >= majority;
}

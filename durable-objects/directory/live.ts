import type { Topology } from "../../core/streams/topology.ts";
import type { Answer } from "../../core/wire/answer.ts";
import { checkTopicConfig, type GoingLive, type LiveTopology, type TopicMeta } from "../../core/wire/directory.ts";
import type { Scope } from "../../core/wire/names.ts";
import { topicsOf } from "../../topologies/index.ts";
import { learnLive, learnTopic, liveTopology } from "./lookup.ts";
import { directory } from "./port.ts";

/**
 * Makes this deployment's version of a topology live in a project: one transaction creates the topics that lack and moves the live
 * version. Throws `conflict`, and then nothing was done.
 */
export async function goLive(
  env: Env,
  scope: Scope,
  topology: Topology,
  how: Pick<GoingLive, "adopt" | "instead">,
): Promise<Answer<{ topology: LiveTopology; created: TopicMeta[] }>> {
  const topics = topicsOf(topology).map(({ topic, partitions, key, timestamp }) => ({
    name: topic,
    config: checkTopicConfig({ partitions, key, timestamp }),
  }));
  const answer = await directory(env, scope).goLive(topology.name, { live: topology.version, topics, ...how });
  for (const topic of answer.value.created) learnTopic(scope, topic);
  learnLive(scope, answer.value.topology);
  return answer;
}

/**
 * Sees to it that a topology is live before its tasks take anything: whoever comes first makes it so, with the topics that are there
 * as they are. Throws `conflict` where a later version is live already: code that was rolled back waits until somebody makes it live.
 */
export async function ensureLive(env: Env, scope: Scope, topology: Topology): Promise<void> {
  const now = await liveTopology(env, scope, topology.name);
  if (now?.live !== topology.version) await goLive(env, scope, topology, { adopt: true });
}

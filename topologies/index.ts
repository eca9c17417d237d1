import type { AggregateNode, SinkTopic, Topology } from "../core/streams/topology.ts";
import { SkerryError } from "../core/wire/errors.ts";
import { flightBoard, flightDesk } from "./flight-desk.ts";

/**
 * The topologies of this deployment: import yours and add it here. They are code, so they travel with the Worker
 * (the platform forbids making functions at run time).
 */
export const TOPOLOGIES: readonly Topology[] = [flightDesk, flightBoard];

const byName = new Map(TOPOLOGIES.map((topology) => [topology.name, topology]));
const byTable = new Map<string, { topology: Topology; node: AggregateNode }>();
for (const topology of TOPOLOGIES) {
  for (const node of topology.nodes) {
    if (node.kind !== "aggregate") continue;
    if (byTable.has(node.table)) throw new Error(`Two topologies have a table "${node.table}".`);
    byTable.set(node.table, { topology, node });
  }
}
/** Every topic that some topology shapes: several may, if they agree. */
const shapes = new Map<string, SinkTopic>();
for (const shape of TOPOLOGIES.flatMap(shapesOf)) {
  const known = shapes.get(shape.topic);
  if (known !== undefined && JSON.stringify(known) !== JSON.stringify(shape))
    throw new Error(`Two topologies want the topic "${shape.topic}" in different shapes.`);
  shapes.set(shape.topic, shape);
}
if (byName.size !== TOPOLOGIES.length) throw new Error("Two topologies have the same name.");

export function topologyNamed(name: string): Topology {
  const found = byName.get(name);
  if (found === undefined)
    throw new SkerryError("topology_not_found", `This deployment has no topology "${name}"; it has ${[...byName.keys()].join(", ")}.`);
  return found;
}

export function tableNamed(name: string): { topology: Topology; node: AggregateNode } {
  const found = byTable.get(name);
  if (found === undefined)
    throw new SkerryError("table_not_found", `There is no table "${name}"; there are ${[...byTable.keys()].join(", ")}.`);
  return found;
}

/** The topics that a topology reads and writes, each once, and how each is created where it lacks. */
export function topicsOf(topology: Topology): SinkTopic[] {
  const names = new Set([...topology.sources, ...shapesOf(topology).map(({ topic }) => topic)]);
  return [...names].map((topic) => shapes.get(topic) ?? { topic, partitions: topology.partitions, key: null, timestamp: null });
}

function shapesOf({ shapes, nodes }: Topology): SinkTopic[] {
  const sinks = nodes.flatMap((node) => (node.kind === "sink" ? [node.sink] : node.changes.map(({ sink }) => sink)));
  return [...Object.values(shapes), ...sinks.flatMap((sink) => (sink.kind === "topic" ? [sink.to] : []))];
}

/** The topologies that read a topic. */
export function consumersOf(topic: string): Topology[] {
  return TOPOLOGIES.filter((topology) => topology.sources.includes(topic));
}

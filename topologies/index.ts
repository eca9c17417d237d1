import type { AggregateNode, Topology } from "../core/streams/topology.ts";
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

/** The topologies that read a topic. */
export function consumersOf(topic: string): Topology[] {
  return TOPOLOGIES.filter((topology) => topology.sources.includes(topic));
}

import type { Topology } from "../core/streams/topology.ts";
import { SkerryError } from "../core/wire/errors.ts";
import { objectName, parseObjectName, type Scope } from "../core/wire/names.ts";

/** Name of a partition's object. The generation keeps a topic made anew from seeing the old one's records. */
export function partitionName(scope: Scope, topic: string, generation: number, partition: number): string {
  return objectName(scope, "streams", "topic", topic, `g${generation}`, partition);
}

/** Name of a task's object. The version keeps a topology that computes differently from inheriting old state. */
export function taskName(scope: Scope, topology: Topology, partition: number): string {
  return objectName(scope, "streams", "task", topology.name, `v${topology.version}`, partition);
}

export type Identity = ReturnType<typeof parseObjectName> & { name: string };

/** Who an object is: objects are only ever addressed by name, and the platform tells them. */
export function identify(ctx: DurableObjectState): Identity {
  const { name } = ctx.id;
  if (name === undefined) throw new SkerryError("internal", "The object was addressed by id; it is only known by name.");
  return { ...parseObjectName(name), name };
}

import { objectName, type Scope } from "../../core/wire/names.ts";
import { identify } from "../streams.ts";

/** Name of a replica's object. The generation keeps a group made anew, or restored, from meeting replicas of the old one. */
export function replicaName(scope: Scope, group: string, generation: number, member: number): string {
  return objectName(scope, "groups", "group", group, `g${generation}`, member);
}

/** What stands for a group in a context, whichever replica answered. */
export function groupObject(scope: Scope, group: string): string {
  return objectName(scope, "groups", "group", group);
}

/** Which replica of which group an object is; `object` is {@link groupObject}. */
export type Membership = { name: string; scope: Scope; group: string; generation: number; member: number; object: string };

export function membershipOf(ctx: DurableObjectState): Membership {
  const { name, scope, parts } = identify(ctx);
  const [, group, generation, member] = parts as [string, string, string, string];
  return { name, scope, group, generation: Number(generation.slice(1)), member: Number(member), object: groupObject(scope, group) };
}

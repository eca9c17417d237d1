import { objectName, type Scope } from "../../core/wire/names.ts";

/** Name of a replica's object. The generation keeps a group made anew, or restored, from meeting replicas of the old one. */
export function replicaName(scope: Scope, group: string, generation: number, member: number): string {
  return objectName(scope, "groups", "group", group, `g${generation}`, member);
}

/** What stands for a group in a context, whichever replica answered. */
export function groupObject(scope: Scope, group: string): string {
  return objectName(scope, "groups", "group", group);
}

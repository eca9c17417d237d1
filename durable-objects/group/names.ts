import { objectName, type Scope } from "../../core/wire/names.ts";
import { identify } from "../streams.ts";

/** Name of a replica's object. The generation keeps a group made anew, or restored, from meeting replicas of the old one. */
export function replicaName(scope: Scope, group: string, generation: number, member: number): string {
  return named(`r/${scope.project}/${scope.jurisdiction}/${generation}/${member}/${group}`, () =>
    objectName(scope, "groups", "group", group, `g${generation}`, member),
  );
}

/** What stands for a group in a context, whichever replica answered. */
export function groupObject(scope: Scope, group: string): string {
  return named(`g/${scope.project}/${scope.jurisdiction}/${group}`, () => objectName(scope, "groups", "group", group));
}

const MAX_NAMES = 8_192;
const names = new Map<string, string>();

/** Names are made for every request, several times. Project and jurisdiction have no slash, so that no two keys are one. */
function named(key: string, make: () => string): string {
  let name = names.get(key);
  if (name === undefined) {
    if (names.size >= MAX_NAMES) names.delete(names.keys().next().value!);
    name = make();
    names.set(key, name);
  }
  return name;
}

/** Which replica of which group an object is; `object` is {@link groupObject}. */
export type Membership = { name: string; scope: Scope; group: string; generation: number; member: number; object: string };

export function membershipOf(ctx: DurableObjectState): Membership {
  const { name, scope, parts } = identify(ctx);
  const [, group, generation, member] = parts as [string, string, string, string];
  return { name, scope, group, generation: Number(generation.slice(1)), member: Number(member), object: groupObject(scope, group) };
}

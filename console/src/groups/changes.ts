import type { GroupStatus } from "@skerry/client/groups";
import { standingOf } from "./words.ts";

type Member = GroupStatus["status"][number];

/** What happened between two looks at a group, a sentence each. */
export function whatHappened(before: GroupStatus, after: GroupStatus): string[] {
  const said: string[] = [];
  if (after.generation !== before.generation) return ["The group was made anew."];
  const was = new Map(before.status.map((member) => [member.id, member]));
  const is = new Set(after.status.map(({ id }) => id));
  for (const member of after.status) {
    const known = was.get(member.id);
    if (known === undefined) said.push(`Replica ${member.id} was added${member.learner ? " as a learner" : ""}.`);
    else said.push(...ofMember(known, member));
  }
  for (const { id } of before.status) if (!is.has(id)) said.push(`Replica ${id} was removed.`);
  said.push(...ofLinks(cutsOf(before), cutsOf(after)));
  if (after.leader !== before.leader || (after.leader !== null && after.term !== before.term))
    said.push(after.leader === null ? "Nobody leads." : `Replica ${after.leader} leads in term ${after.term}.`);
  return said;
}

function ofMember(before: Member, after: Member): string[] {
  const { id } = after;
  const said: string[] = [];
  const [was, is] = [standingOf(before), standingOf(after)];
  if (before.learner && !after.learner) said.push(`Replica ${id} votes now.`);
  if (was !== is) {
    if (is === "silent") said.push(`Replica ${id} does not answer.`);
    else if (is === "hung") said.push(`Replica ${id} hangs.`);
    else if (is === "broken") said.push(`Replica ${id} is out of order.`);
    else if (is === "stands") said.push(`Replica ${id} stands for election in term ${after.state!.term}.`);
    else if (was === "silent" || was === "hung") said.push(`Replica ${id} answers again.`);
  }
  if (before.state !== null && after.state !== null && after.state.incarnation > before.state.incarnation)
    said.push(`Replica ${id} woke: incarnation ${after.state.incarnation}.`);
  const [slow, slower] = [before.state?.faults?.delay ?? 0, after.state?.faults?.delay ?? 0];
  if (after.state !== null && slow !== slower)
    said.push(slower === 0 ? `Replica ${id} is as fast as it was.` : `Replica ${id} calls the others ${slower} ms late.`);
  return said;
}

function ofLinks(before: ReadonlySet<string>, after: ReadonlySet<string>): string[] {
  return [
    ...[...after].filter((link) => !before.has(link)).map((link) => `The link ${link} is cut.`),
    ...[...before].filter((link) => !after.has(link)).map((link) => `The link ${link} is whole again.`),
  ];
}

export const linkOf = (a: number, b: number): string => `${Math.min(a, b)}–${Math.max(a, b)}`;

/** The links that are cut on purpose, whichever end was told. */
export function cutsOf({ status }: Pick<GroupStatus, "status">): Set<string> {
  return new Set(status.flatMap(({ id, state }) => (state?.faults?.cut ?? []).map((other) => linkOf(id, other))));
}

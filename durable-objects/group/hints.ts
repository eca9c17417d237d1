import type { GroupMeta } from "../../core/wire/directory.ts";
import type { Scope } from "../../core/wire/names.ts";

/**
 * What this isolate knows of a group from its own calls: who led last, who let a connection wait for nothing (0: nobody), and how
 * long each replica takes to answer.
 */
export type GroupHints = { leader: number; silent: number; latency: Map<number, number> };

const MAX_GROUPS = 1_024;
const hints = new Map<string, GroupHints>();

/** Milliseconds without a word after which a leader is doubted; longer where it usually takes longer. */
const SILENCE_MS = 400;
const MAX_SILENCE_MS = 2_000;

export function hintsOf(scope: Scope, meta: Pick<GroupMeta, "name" | "generation">): GroupHints {
  const key = `${scope.project}/${scope.jurisdiction}/${meta.name}/${meta.generation}`;
  let known = hints.get(key);
  if (known === undefined) {
    if (hints.size >= MAX_GROUPS) hints.delete(hints.keys().next().value!);
    known = { leader: 0, silent: 0, latency: new Map() };
    hints.set(key, known);
  }
  return known;
}

/** A replica answered after so many ms. */
export function noteLatency(known: GroupHints, member: number, ms: number): void {
  if (known.silent === member) known.silent = 0;
  const before = known.latency.get(member);
  known.latency.set(member, before === undefined ? ms : before + (ms - before) / 8);
}

export function silenceOf(known: GroupHints, member: number): number {
  return Math.min(MAX_SILENCE_MS, SILENCE_MS + 4 * (known.latency.get(member) ?? 0));
}

/** The replica to ask first: the leader for what it alone answers, else whoever answers fastest, and one not tried yet before that. */
export function firstOf(known: GroupHints, meta: GroupMeta, leaderOnly: boolean): number {
  const ids = meta.members.filter(({ learner }) => !learner).map(({ id }) => id);
  if (leaderOnly) return ids.includes(known.leader) ? known.leader : ids[0]!;
  const heard = ids.length > 1 ? ids.filter((id) => id !== known.silent) : ids;
  return heard.reduce((best, id) => ((known.latency.get(id) ?? -1) < (known.latency.get(best) ?? -1) ? id : best));
}

/** The next replica in the round after one. */
export function nextOf(meta: GroupMeta, member: number): number {
  const ids = meta.members.filter(({ learner }) => !learner).map(({ id }) => id);
  return ids[(ids.indexOf(member) + 1) % ids.length]!;
}

import { SkerryError } from "../../../core/wire/errors.ts";
import type { GroupCallOptions } from "./options.ts";
import type { Entry, Span } from "./values.ts";
import type { Change, GroupWatch, WatchOptions } from "./watch.ts";

/** `snapshot`: all there is, in place of what was told before. `change`: what a revision changed. */
export type Follow = { kind: "snapshot"; revision: number; entries: Entry[] } | ({ kind: "change" } & Change);

/** What is followed: the part of a group that this needs. */
export interface Followable {
  range(span: Span, options: GroupCallOptions): Promise<{ entries: Entry[]; revision: number }>;
  watch(span: Span, options: WatchOptions): GroupWatch;
}

export async function* follow(
  group: Followable,
  span: Span,
  { signal, timeout, previous = false }: GroupCallOptions & { previous?: boolean },
): AsyncGenerator<Follow, void, undefined> {
  for (;;) {
    const call = { signal, ...(timeout !== undefined && { timeout }) };
    const { entries, revision } = await group.range(span, call);
    yield { kind: "snapshot", revision, entries };
    try {
      for await (const change of group.watch(span, { from: revision, previous, signal })) yield { kind: "change", ...change };
      return;
    } catch (error) {
      if (!(error instanceof SkerryError) || error.code !== "revision_compacted") throw error;
    }
  }
}

import { useEffect, useState } from "react";
import { ERRORS, errorOf, type SkerryError } from "../../../core/wire/errors.ts";
import type { Follow } from "../groups/follow.ts";
import type { Group } from "../groups/group.ts";
import type { Entry } from "../groups/values.ts";
import { backoff, pause } from "../runtime.ts";

/** Keys as they stand. A new object with each change. */
export type LiveKeys = {
  /** In the order of the keys. */
  readonly entries: readonly Entry[];
  /** The revision that they show; 0 before the first answer. */
  readonly revision: number;
  /** Whether this is what the group holds: false until the first answer. */
  readonly complete: boolean;
  /** Why there is nothing more to come, or why it takes long; null while all is well. */
  readonly error: SkerryError | null;
};

/** One key as it stands; `entry` null: there is none. */
export type LiveKey = Omit<LiveKeys, "entries"> & { readonly entry: Entry | null };

const EMPTY: LiveKeys = { entries: [], revision: 0, complete: false, error: null };

/**
 * Follows the keys that begin with `prefix` while the component is mounted, through reconnections and from leader to leader.
 * @example
 * function Fleet({ group }: { group: Group }) {
 *   const { entries } = useWatch(group, "fleets/couriers/members/");
 *   return <ul>{entries.map((entry) => <li key={entry.key}>{entry.text}</li>)}</ul>;
 * }
 */
export function useWatch(group: Group, prefix: string): LiveKeys {
  return useFollow(group, prefix, true);
}

/**
 * Follows one key while the component is mounted.
 * @example
 * const { entry, complete } = useGroupKey(group, "config/threshold");
 */
export function useGroupKey(group: Group, key: string): LiveKey {
  const { entries, ...rest } = useFollow(group, key, false);
  return { ...rest, entry: entries[0] ?? null };
}

function useFollow(group: Group, key: string, prefix: boolean): LiveKeys {
  const [live, setLive] = useState<LiveKeys>(EMPTY);
  useEffect(() => {
    const end = new AbortController();
    setLive(EMPTY);
    void follow(group, prefix ? { prefix: key } : key, end.signal, setLive);
    return () => end.abort();
  }, [group, key, prefix]);
  return live;
}

async function follow(
  group: Group,
  span: string | { prefix: string },
  signal: AbortSignal,
  show: (change: (before: LiveKeys) => LiveKeys) => void,
): Promise<void> {
  for (let attempt = 0; !signal.aborted; attempt++) {
    try {
      const present = new Map<string, Entry>();
      for await (const told of group.follow(span, { signal })) {
        apply(present, told);
        const entries = [...present.values()].sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
        show(() => ({ entries, revision: told.revision, complete: true, error: null }));
        attempt = 0;
      }
      return;
    } catch (thrown) {
      if (signal.aborted) return;
      const error = errorOf(thrown);
      show((before) => ({ ...before, error }));
      if (!ERRORS[error.code].retryable) return;
      await pause(group.runtime, backoff(group.runtime, attempt, 1000, 30_000), signal).catch(() => {});
    }
  }
}

function apply(present: Map<string, Entry>, told: Follow): void {
  if (told.kind === "snapshot") {
    present.clear();
    for (const entry of told.entries) present.set(entry.key, entry);
    return;
  }
  for (const { type, key, entry } of told.events) {
    if (type === "put") present.set(key, entry);
    else present.delete(key);
  }
}

import { ERRORS, SkerryError } from "@skerry/client";
import { type Group, openGroup, type Span } from "@skerry/client/groups";
import { useEffect, useState } from "preact/hooks";
import type { Api } from "../platform/api.ts";
import { change, type KeyPage, nextKey, prefixEnd } from "./key-page.ts";

/** Keys that are shown at once. */
export const PAGE = 50;
const RETRY = 1_500;

export type Keys = { page: KeyPage | null; problem: string | null };

/**
 * A page of the keys with a prefix, read from the leader and then kept up by a watch. `epoch` is what makes it be read anew: with
 * another leader the replica that told this page what happens may be the one that is silent.
 */
export function useKeys(api: Api, group: Group, prefix: string, after: Uint8Array | null, epoch: string): Keys {
  const about = `${prefix}\n${after === null ? "" : [...after]}`;
  const [known, setKnown] = useState<{ about: string; page: KeyPage } | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  useEffect(() => {
    const end = new AbortController();
    const { signal } = end;
    const first = new TextEncoder().encode(prefix);
    const to = prefixEnd(first);
    const from = after === null ? first : nextKey(after);
    const span = (start: Uint8Array): Span => ({ from: start, ...(to !== null && { to }) });
    // A socket of its own, so that another one is opened. One that nobody listens to closes by itself, later.
    const watcher = openGroup(api.client, group.name);
    let told = false;
    const run = async () => {
      while (!signal.aborted) {
        try {
          const { entries, more, revision } = await group.range(span(from), { limit: PAGE, signal });
          const { count } = await group.range(span(first), { countOnly: true, revision, signal });
          let page: KeyPage = { from, entries, count, more, revision, readAt: revision };
          setKnown({ about, page });
          setProblem(null);
          const watch = watcher.watch(span(first), { from: revision, signal });
          void watch.ready().then(
            () => {
              told = true;
            },
            () => {},
          );
          for await (const { revision: at, events } of watch) {
            page = change(page, at, events, PAGE);
            setKnown({ about, page });
          }
        } catch (thrown) {
          if (signal.aborted) return;
          if (!(thrown instanceof SkerryError)) throw thrown;
          api.refused(thrown);
          // What was forgotten meanwhile is read anew at once.
          if (thrown.code === "revision_compacted") continue;
          setProblem(thrown.message);
          if (!ERRORS[thrown.code].retryable) return;
        }
        await new Promise((resolve) => setTimeout(resolve, RETRY));
      }
    };
    void run();
    return () => {
      end.abort();
      // A browser complains of a socket that is closed before it is open.
      if (told) watcher.close();
    };
  }, [group, about, epoch]);
  return { page: known?.about === about ? known.page : null, problem };
}

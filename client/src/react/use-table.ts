import { useEffect, useState } from "react";
import { ERRORS, errorOf, type SkerryError } from "../../../core/wire/errors.ts";
import type { Client } from "../client.ts";
import { httpOf } from "../internals.ts";
import { backoff, pause } from "../runtime.ts";
import type { AnyValue, TableRow } from "../streams/table.ts";
import { TableRows } from "./table-rows.ts";

export type UseTableOptions = {
  /** Milliseconds for which changes are gathered into one render; 100 unless given. */
  conflate?: number;
};

/** A table as it stands. A new object with each change. */
export type LiveTable<V = AnyValue> = {
  /** In the order (window start, key). */
  readonly rows: readonly TableRow<V>[];
  /** Whether these are all rows: false until the first snapshot is whole. */
  readonly complete: boolean;
  /** Records that came too late to count. */
  readonly late: number;
  /** The latest event time seen, Unix milliseconds. */
  readonly streamTime: number;
  /** Why there is nothing more to come, or why it takes long; null while all is well. */
  readonly error: SkerryError | null;
};

const EMPTY: LiveTable<never> = { rows: [], complete: false, late: 0, streamTime: 0, error: null };

/**
 * Follows a table while the component is mounted, through reconnections.
 * @example
 * function Delays({ client }: { client: Client }) {
 *   const { rows, complete } = useTable(client, "delays");
 *   return complete ? <ul>{rows.map((row) => <li key={row.key + row.window.start}>{row.key}</li>)}</ul> : <p>…</p>;
 * }
 */
export function useTable<V = AnyValue>(client: Client, table: string, { conflate = 100 }: UseTableOptions = {}): LiveTable<V> {
  const [live, setLive] = useState<LiveTable<V>>(EMPTY);
  useEffect(() => {
    const end = new AbortController();
    setLive(EMPTY);
    void follow<V>(client, table, conflate, end.signal, setLive);
    return () => end.abort();
  }, [client, table, conflate]);
  return live;
}

async function follow<V>(
  client: Client,
  table: string,
  conflate: number,
  signal: AbortSignal,
  show: (change: (before: LiveTable<V>) => LiveTable<V>) => void,
): Promise<void> {
  const { runtime } = httpOf(client);
  for (let attempt = 0; !signal.aborted; attempt++) {
    let cancel: (() => void) | null = null;
    try {
      const subscription = await client.streams.table<V>(table).subscribe({ signal });
      const rows = new TableRows<V>(subscription.positions().length);
      let wasComplete = false;
      const draw = () => {
        cancel?.();
        cancel = null;
        wasComplete = rows.complete;
        // What is shown stays until all of its successor is there.
        if (!wasComplete) return;
        const { late, streamTime } = rows;
        show(() => ({ rows: rows.sorted(), complete: true, late, streamTime, error: null }));
      };
      for await (const event of subscription) {
        rows.take(event);
        if (rows.complete && !wasComplete) draw();
        else cancel ??= runtime.timer(conflate, draw);
      }
      return;
    } catch (thrown) {
      if (signal.aborted) return;
      const error = errorOf(thrown);
      show((before) => ({ ...before, error }));
      if (!ERRORS[error.code].retryable) return;
      await pause(runtime, backoff(runtime, attempt, 1000, 30_000), signal).catch(() => {});
    } finally {
      (cancel as (() => void) | null)?.();
    }
  }
}

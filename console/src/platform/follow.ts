import { ERRORS, SkerryError, type TableEvent } from "@skerry/client";
import type { Api } from "./api.ts";
import type { Connection } from "./connections.ts";

export type TableFollower = {
  /** The table is there and has so many partitions. Comes before any event, and again only if the table had to be read anew. */
  onOpen(partitions: number): void;
  onEvent(event: TableEvent): void;
  onState(connection: Connection): void;
};

export type Following = {
  /** The server is known to answer again: does not wait for the next attempt. */
  nudge(): void;
  close(): void;
};

/** How long until a table that could not be read at all is tried again, in milliseconds. */
const RETRY = 3_000;

/** Follows a table through reconnections, by the SDK, and tells how the connection stands. */
export function followTable(api: Api, table: string, follower: TableFollower): Following {
  const end = new AbortController();
  let round = new AbortController();
  let waiting = false;
  const state = (connection: Connection) => {
    waiting = connection.state === "waiting";
    if (!end.signal.aborted) follower.onState(connection);
  };
  const forget = api.watch(`/v1/tables/${encodeURIComponent(table)}/live`, state);

  const run = async () => {
    let from: (string | null)[] | undefined;
    while (!end.signal.aborted) {
      round = new AbortController();
      const signal = AbortSignal.any([end.signal, round.signal]);
      try {
        const subscription = await api.client.streams.table(table).subscribe(from === undefined ? { signal } : { signal, from });
        if (from === undefined) follower.onOpen(subscription.positions().length);
        from = subscription.positions();
        for await (const event of subscription) {
          follower.onEvent(event);
          from = subscription.positions();
        }
        // The table's subscriptions ended, as they do when it is deleted: it is looked for again from the start.
        from = undefined;
      } catch (thrown) {
        if (end.signal.aborted) return;
        if (round.signal.aborted) continue;
        if (!(thrown instanceof SkerryError)) throw thrown;
        api.refused(thrown);
        if (!ERRORS[thrown.code].retryable) return state({ state: "refused", detail: thrown.message });
        state({ state: "waiting", detail: `${thrown.message} Trying again.` });
      }
      await new Promise((resolve) => setTimeout(resolve, RETRY));
    }
  };

  state({ state: "connecting" });
  void run();
  return {
    nudge: () => {
      if (waiting) round.abort();
    },
    close: () => {
      forget();
      end.abort();
    },
  };
}

import type { GroupStatus } from "@skerry/client/groups";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Api } from "../platform/api.ts";
import { type Connection, report } from "../platform/connections.ts";
import { type Poll, poll } from "../platform/poll.ts";
import { whatHappened } from "./changes.ts";
import { pathOf } from "./words.ts";

/** Milliseconds between two looks: after something was done here, while something changes, and else. */
export const PACE = { close: 400, busy: 2_000, calm: 15_000 };
const CLOSE_FOR = 8_000;
const BUSY_FOR = 20_000;
const KEPT = 40;

export type Happened = { id: number; at: number; text: string };

export type Look = {
  status: GroupStatus | null;
  /** Unix milliseconds of the last answer. */
  at: number;
  problem: string | null;
  /** What was seen to happen, the newest first. */
  happened: readonly Happened[];
  /** Looks at once, and closely for a while. */
  now(): void;
  /** Looks at once. */
  again(): void;
};

/**
 * Looks at a group's replicas while the page is seen: each says what it knows, which wakes it if it slept, and no other. So it is done
 * seldom while nothing changes.
 */
export function useLook(api: Api, name: string, paused: boolean): Look {
  const [seen, setSeen] = useState<{ status: GroupStatus; at: number } | null>(null);
  const [happened, setHappened] = useState<readonly Happened[]>([]);
  const [connection, setConnection] = useState<Connection>({ state: "connecting" });
  const asking = useRef<Poll | null>(null);
  const last = useRef<GroupStatus | null>(null);
  const movedAt = useRef(Date.now());
  const closeUntil = useRef(0);
  const count = useRef(0);

  useEffect(() => {
    if (paused) return report("Group", null);
    const wakeSoon = () => asking.current?.wake();
    // A socket of this page broke: the server may be gone, and it is said sooner so.
    const forget = api.watch(`${pathOf(name)}/socket`, ({ state }) => state === "waiting" && wakeSoon());
    asking.current = poll(
      async (signal) => {
        const status = await api.get<GroupStatus>(pathOf(name), signal);
        const before = last.current;
        last.current = status;
        const said = before === null ? [] : whatHappened(before, status);
        if (before === null || said.length > 0 || status.revision !== before.revision) movedAt.current = Date.now();
        const at = Date.now();
        if (said.length > 0) {
          const fresh = said.map((text) => ({ id: ++count.current, at, text })).reverse();
          setHappened((known) => [...fresh, ...known].slice(0, KEPT));
        }
        setSeen({ status, at });
      },
      () => {
        const now = Date.now();
        return now < closeUntil.current ? PACE.close : now - movedAt.current < BUSY_FOR ? PACE.busy : PACE.calm;
      },
      (state) => {
        report("Group", state);
        setConnection(state);
      },
    );
    return () => {
      forget();
      asking.current?.stop();
      asking.current = null;
      report("Group", null);
    };
  }, [api, name, paused]);

  return {
    status: seen?.status ?? null,
    at: seen?.at ?? 0,
    problem: !paused && "detail" in connection ? connection.detail : null,
    happened,
    now: () => {
      closeUntil.current = Date.now() + CLOSE_FOR;
      asking.current?.wake();
    },
    again: () => asking.current?.wake(),
  };
}

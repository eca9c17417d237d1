import { useCallback, useEffect, useMemo, useState, useSyncExternalStore } from "react";
import type { CallOptions } from "../http.ts";
import type { RoomStatus } from "../rooms/status.ts";

// Told by their shape, so that whoever uses tables alone needs no Yjs.

/** The presence of y-protocols. */
export interface PresenceLike {
  readonly clientID: number;
  getLocalState(): Record<string, unknown> | null;
  setLocalState(state: Record<string, unknown> | null): void;
  // biome-ignore lint/suspicious/noExplicitAny: the states of y-protocols are untyped
  getStates(): Map<number, any>;
  on(event: "change", listener: () => void): void;
  off(event: "change", listener: () => void): void;
}

/** A room of `connectRoom`. */
export interface RoomLike {
  readonly status: RoomStatus;
  readonly awareness: PresenceLike | null;
  on(event: "status", listener: () => void): () => void;
  whenDurable(options?: CallOptions): Promise<void>;
  close(): void;
}

/** A shared type of Yjs, such as `Y.Text` or `Y.Map`. */
export interface SharedLike {
  observeDeep(listener: () => void): void;
  unobserveDeep(listener: () => void): void;
}

/** How long a component that is gone waits for its last edits to be durable, in milliseconds. */
const LAST_EDITS = 10_000;
const BEFORE: RoomStatus = { state: "connecting", readOnly: false, unsent: 0, undurable: 0, error: null, retryAt: null };

/**
 * Joins a room while the component is mounted; `room` is null in the first render. What was edited last is waited for
 * before the room is left. Call it where the room belongs in the tree, and hand `room` down.
 * @param deps the room is left and joined anew when one of them changes
 * @example
 * function Note({ client }: { client: Client }) {
 *   const { room, status } = useRoom(() => connectRoom(client, "notes"), [client]);
 *   const text = useShared(room?.doc.getText("note") ?? null, (note) => note.toString());
 *   return <p title={status.undurable > 0 ? "saving" : "saved"}>{text}</p>;
 * }
 */
export function useRoom<R extends RoomLike>(connect: () => R, deps: readonly unknown[]): { room: R | null; status: RoomStatus } {
  const [room, setRoom] = useState<R | null>(null);
  useEffect(() => {
    const joined = connect();
    setRoom(joined);
    return () => {
      setRoom(null);
      leave(joined);
    };
    // biome-ignore lint/correctness/useExhaustiveDependencies: the caller names them
  }, deps);
  const subscribe = useCallback((changed: () => void) => room?.on("status", changed) ?? (() => {}), [room]);
  const status = useSyncExternalStore(
    subscribe,
    () => room?.status ?? BEFORE,
    () => BEFORE,
  );
  return { room, status };
}

function leave(room: RoomLike): void {
  if (room.status.undurable === 0 || room.status.state === "closed") room.close();
  else {
    const close = () => room.close();
    void room.whenDurable({ signal: AbortSignal.timeout(LAST_EDITS) }).then(close, close);
  }
}

/** Somebody else who is present. */
export type Peer<S> = { client: number; state: S };

/**
 * Who else is present, and what sets one's own state (at most 32 KiB; null: not present).
 * @example
 * const [people, setMe] = useAwareness<{ name: string }>(room);
 * useEffect(() => setMe({ name: "Ada" }), [setMe]);
 */
export function useAwareness<S extends Record<string, unknown>>(
  room: { readonly awareness: PresenceLike | null } | null,
): [peers: readonly Peer<S>[], setState: (state: S | null) => void] {
  const awareness = room?.awareness ?? null;
  const store = useMemo(() => presenceStore<S>(awareness), [awareness]);
  const peers = useSyncExternalStore(store.subscribe, store.read, store.read);
  return [peers, store.set];
}

function presenceStore<S extends Record<string, unknown>>(awareness: PresenceLike | null) {
  const list = (): Peer<S>[] => {
    const states = [...(awareness?.getStates() ?? [])].filter(([client]) => client !== awareness?.clientID);
    return states.map(([client, state]) => ({ client, state: state as S }));
  };
  let peers = list();
  return {
    read: () => peers,
    set: (state: S | null) => awareness?.setLocalState(state),
    subscribe: (changed: () => void) => {
      const refresh = () => {
        peers = list();
        changed();
      };
      refresh();
      awareness?.on("change", refresh);
      return () => awareness?.off("change", refresh);
    },
  };
}

/**
 * What `read` makes of a shared type, again after each change of it or of what is in it. Null where there is none yet.
 * @example const todos = useShared(room?.doc.getArray("todos") ?? null, (list) => list.toJSON());
 */
export function useShared<T extends SharedLike, R>(type: T | null, read: (type: T) => R): R | null {
  const store = useMemo(() => changeCount(type), [type]);
  useSyncExternalStore(store.subscribe, store.read, store.read);
  return type === null ? null : read(type);
}

function changeCount(type: SharedLike | null) {
  let count = 0;
  return {
    read: () => count,
    subscribe: (changed: () => void) => {
      const note = () => {
        count++;
        changed();
      };
      // Something may have changed since the render that this belongs to.
      note();
      type?.observeDeep(note);
      return () => type?.unobserveDeep(note);
    },
  };
}

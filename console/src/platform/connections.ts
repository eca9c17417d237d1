import { computed, signal } from "@preact/signals";

/** How one connection of the page to the server stands. `detail` is a sentence to show. */
export type Connection =
  | { state: "connecting" }
  | { state: "live" }
  /** It broke, and is tried again by itself. */
  | { state: "waiting"; detail: string }
  /** The server refused it; trying again would not help. */
  | { state: "refused"; detail: string };

/** The connections of the open page by name, in the order in which they were made. */
export const connections = signal<ReadonlyMap<string, Connection>>(new Map());

const WORST: Connection["state"][] = ["refused", "waiting", "connecting", "live"];

/** How the page stands as a whole: as its worst connection does. */
export const overall = computed<Connection["state"] | null>(() => {
  const states = new Set([...connections.value.values()].map(({ state }) => state));
  return WORST.find((state) => states.has(state)) ?? null;
});

/** Registers a connection; `null` removes it. */
export function report(name: string, connection: Connection | null): void {
  const known = connections.value.get(name);
  if (connection !== null && known?.state === connection.state && detailOf(known) === detailOf(connection)) return;
  const next = new Map(connections.value);
  if (connection === null) next.delete(name);
  else next.set(name, connection);
  connections.value = next;
}

export function detailOf(connection: Connection): string | null {
  return "detail" in connection ? connection.detail : null;
}

import type { PresenceState } from "./protocol.ts";

/** A connection speaks for its own client, and a few more where one socket carries several documents' users. */
const MAX_CLIENTS_PER_CONNECTION = 32;

/**
 * Who is present, by client id. The connection that introduced a client id owns it, and only its owner (or another
 * connection of the same subject with newer state: the same user after a reconnect, or a sibling tab) may change it. So
 * closing one connection removes exactly its own clients, and a peer that timed others out locally, as every stock
 * client does after sleep, cannot remove them for everybody.
 */
export class Presence {
  readonly #clients = new Map<number, PresenceState & { owner: number }>();
  readonly #owned = new Map<number, Set<number>>();

  /**
   * Takes what `connection` says; returns what changed, for the others, and whose holdings changed by it. `sameSubject`
   * tells whether it may take over from an owner.
   */
  apply(
    connection: number,
    states: readonly PresenceState[],
    sameSubject: (owner: number) => boolean,
  ): { changed: PresenceState[]; owners: Set<number> } {
    const changed: PresenceState[] = [];
    const owners = new Set<number>([connection]);
    for (const state of states) {
      if (!this.#accepts(connection, state, sameSubject)) continue;
      owners.add(this.#clients.get(state.client)?.owner ?? connection);
      this.#forget(state.client);
      if (state.json !== "null") this.#put(connection, state);
      changed.push(state);
    }
    return { changed, owners };
  }

  /** Forgets what `connection` owns; returns the removals, for the others. */
  leave(connection: number): PresenceState[] {
    const gone = this.of(connection);
    for (const { client } of gone) this.#forget(client);
    return gone.map(({ client, clock }) => ({ client, clock, json: "null" }));
  }

  /** What `connection` owns, to keep through hibernation. */
  of(connection: number): PresenceState[] {
    return [...(this.#owned.get(connection) ?? [])].map((client) => plain(this.#clients.get(client)!));
  }

  /** Puts back what {@link of} gave, after hibernation; clients that have moved on to another connection stay there. */
  restore(connection: number, states: readonly PresenceState[]): void {
    for (const state of states) if (!this.#clients.has(state.client)) this.#put(connection, state);
  }

  all(): PresenceState[] {
    return [...this.#clients.values()].map(plain);
  }

  #accepts(connection: number, state: PresenceState, sameSubject: (owner: number) => boolean): boolean {
    const known = this.#clients.get(state.client);
    if (known === undefined) return state.json !== "null" && (this.#owned.get(connection)?.size ?? 0) < MAX_CLIENTS_PER_CONNECTION;
    if (known.owner !== connection && !sameSubject(known.owner)) return false;
    // A client that leaves repeats its clock; from others that is no news of it but their own timeout.
    return state.clock > known.clock || (state.clock === known.clock && state.json === "null" && known.owner === connection);
  }

  #put(connection: number, state: PresenceState): void {
    this.#clients.set(state.client, { ...state, owner: connection });
    const owned = this.#owned.get(connection);
    if (owned === undefined) this.#owned.set(connection, new Set([state.client]));
    else owned.add(state.client);
  }

  #forget(client: number): void {
    const known = this.#clients.get(client);
    if (known === undefined) return;
    this.#clients.delete(client);
    const owned = this.#owned.get(known.owner);
    owned?.delete(client);
    if (owned?.size === 0) this.#owned.delete(known.owner);
  }
}

function plain({ client, clock, json }: PresenceState): PresenceState {
  return { client, clock, json };
}

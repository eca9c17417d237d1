import type { Release } from "../replica/types.ts";

/** Leases that one socket may hold: what its attachment remembers must stay small. */
export const MAX_HELD = 64;
/** Seconds that a holder may ask to be waited for. */
export const MAX_HOLD_SECONDS = 600;

/**
 * What a socket holds, as its attachment keeps it: by lease (digits) the seconds to wait for its holder once the socket is closed.
 * `term`: of the leader that heard the holder; `since`: when the socket was opened, Unix milliseconds.
 */
export type Held = { term: number; since: number; leases: Record<string, number> };

/**
 * Leases that sockets hold: when one closes, its leases end soon after (SPEC.md, rules GH). A lease is held by one socket: of those on
 * which its holder was heard in the latest term, the one that was opened last.
 */
export class Holds<Socket> {
  readonly #held = new Map<Socket, Held>();
  readonly #holders = new Map<string, Socket>();

  /** What is to be remembered of a socket; null: nothing. */
  of(socket: Socket): Held | null {
    return this.#held.get(socket) ?? null;
  }

  /** The socket as it was remembered. */
  restore(socket: Socket, { term, since, leases }: Held): void {
    for (const [lease, seconds] of Object.entries(leases)) this.hold(socket, lease, seconds, term, since);
  }

  /** The holder of a lease was heard on this socket. False where it does not hold it now: a later one does, or it has as many as it may. */
  hold(socket: Socket, lease: string, seconds: number, term: number, since: number): boolean {
    const own = this.#held.get(socket);
    if (own !== undefined && own.term > term) return false;
    // What was held in an earlier term is not held any more: its holder has not been heard since.
    if (own !== undefined && own.term < term) this.#drop(socket, own);
    const holder = this.#holders.get(lease);
    const other = holder === undefined ? undefined : this.#held.get(holder);
    if (holder !== socket && other !== undefined && (other.term > term || (other.term === term && other.since > since))) return false;
    const held = this.#held.get(socket) ?? { term, since, leases: {} };
    if (held.leases[lease] === undefined && Object.keys(held.leases).length >= MAX_HELD) return false;
    this.letGo(lease);
    held.leases[lease] = seconds;
    this.#held.set(socket, held);
    this.#holders.set(lease, socket);
    return true;
  }

  /** The lease has ended. */
  letGo(lease: string): void {
    const socket = this.#holders.get(lease);
    const held = socket === undefined ? undefined : this.#held.get(socket);
    if (socket === undefined || held === undefined) return;
    delete held.leases[lease];
    this.#holders.delete(lease);
    if (Object.keys(held.leases).length === 0) this.#held.delete(socket);
  }

  /** The socket is closed: what ends with it. */
  closed(socket: Socket): Release[] {
    const held = this.#held.get(socket);
    if (held === undefined) return [];
    this.#drop(socket, held);
    return releasesOf(held);
  }

  #drop(socket: Socket, { leases }: Held): void {
    this.#held.delete(socket);
    for (const lease of Object.keys(leases)) if (this.#holders.get(lease) === socket) this.#holders.delete(lease);
  }
}

function releasesOf({ term, leases }: Held): Release[] {
  return Object.entries(leases).map(([lease, seconds]) => ({ id: BigInt(lease), within: Math.round(seconds * 1000), term }));
}

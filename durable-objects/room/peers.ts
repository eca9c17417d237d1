import type { ConnectionInfo, SavedConnection } from "../../core/crdt/connection.ts";
import type { RoomMachine } from "../../core/crdt/room.ts";
import type { ErrorCode } from "../../core/wire/errors.ts";
import * as sockets from "../shared/sockets.ts";

/** An open connection: what the machine knows by `id`, and the socket behind it. */
export type Peer = { id: number; socket: WebSocket; actor: sockets.SocketActor; extended: boolean };
type PeerState = { id: number; extended: boolean; saved: SavedConnection };

/** Of an attachment, what presence may take; the rest is for the actor. */
const PRESENCE_BUDGET = 12_000;

/** The open sockets of a room by connection id, and their attachments, from which they come back after hibernation. */
export class Peers {
  readonly #ctx: DurableObjectState;
  readonly #byId = new Map<number, Peer>();
  /** Ids only need to differ among the connections of one room; they live on in attachments. */
  #nextId = 1;

  constructor(ctx: DurableObjectState) {
    this.#ctx = ctx;
  }

  /** Answers an upgrade. The peer counts only once it is {@link add}ed: the caller may close it instead. */
  accept(actor: sockets.SocketActor, extended: boolean, headers: Record<string, string>): { peer: Peer; response: Response } {
    const id = this.#nextId++;
    const state: PeerState = { id, extended, saved: { received: 0, presence: [] } };
    const { socket, response } = sockets.acceptSocket(this.#ctx, actor, state, { headers });
    return { peer: { id, socket, actor, extended }, response };
  }

  add(peer: Peer): void {
    this.#byId.set(peer.id, peer);
  }

  get(id: number): Peer | undefined {
    return this.#byId.get(id);
  }

  /** Null for a socket that is not, or no longer, among the peers. */
  of(socket: WebSocket): Peer | null {
    const id = sockets.readAttachment<PeerState>(socket)?.state.id;
    return id === undefined ? null : (this.#byId.get(id) ?? null);
  }

  /** Brings a socket back after hibernation. Null for one that was hung up: it has no attachment any more. */
  restore(socket: WebSocket): { peer: Peer; saved: SavedConnection } | null {
    const attachment = sockets.readAttachment<PeerState>(socket);
    if (attachment === null) return null;
    const { actor, state } = attachment;
    const peer: Peer = { id: state.id, socket, actor, extended: state.extended };
    this.#nextId = Math.max(this.#nextId, state.id + 1);
    this.add(peer);
    return { peer, saved: state.saved };
  }

  send(id: number, frame: Uint8Array): void {
    try {
      this.#byId.get(id)?.socket.send(frame);
    } catch {
      // The peer is gone; its close event follows.
    }
  }

  save(id: number, machine: RoomMachine): void {
    const peer = this.#byId.get(id);
    if (peer === undefined) return;
    const state: PeerState = { id, extended: peer.extended, saved: machine.saved(id, PRESENCE_BUDGET) };
    sockets.writeAttachment(peer.socket, { actor: peer.actor, state });
  }

  hangUp(id: number, code: ErrorCode, detail: string): void {
    const peer = this.#byId.get(id);
    if (peer === undefined) return;
    this.#byId.delete(id);
    peer.socket.serializeAttachment(null);
    sockets.closeSocket(peer.socket, code, detail);
  }

  delete(id: number): void {
    this.#byId.delete(id);
  }

  clear(): void {
    this.#byId.clear();
  }
}

/** What the machine needs to know of a peer. */
export function infoOf({ actor, extended }: Peer): ConnectionInfo {
  return { mayWrite: actor.rights.includes("write"), extended, subject: actor.subject };
}

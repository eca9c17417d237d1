import type { KvStore } from "../../core/consensus/kv/store.ts";
import type { Change } from "../../core/consensus/replica/machine.ts";
import type { Ask, Hint, Reply } from "../../core/consensus/replica/types.ts";
import { writeAnswer } from "../../core/consensus/socket/answers.ts";
import { callError } from "../../core/consensus/socket/call-errors.ts";
import { errorOfReply } from "../../core/consensus/socket/errors.ts";
import { readAsk, readHint, rightFor } from "../../core/consensus/socket/requests.ts";
import { WatchTargets } from "../../core/consensus/socket/watches.ts";
import { CallDesk, CallLoad } from "../../core/wire/calls.ts";
import { errorOf, SkerryError } from "../../core/wire/errors.ts";
import type { CallFrame } from "../../core/wire/frames.ts";
import type { Actor, Right } from "../../core/wire/grant.ts";
import { type Effect, type Publication, Session, type Ask as Subscription } from "../../core/wire/session.ts";
import { perform } from "../../core/wire/session-drive.ts";
import { type Attachment, acceptSocket, readAttachment, type SocketActor, socketActor, writeAttachment } from "../shared/sockets.ts";

/** A request and who waits for its one reply. */
export type SocketRequest = { ask: Ask; hint: Hint; done: (reply: Reply) => void };

/** What the sockets of a replica need of it. */
export type SocketHost = {
  group: string;
  generation: number;
  member: number;
  store(): KvStore;
  /** Requests that came in one frame; each gets one reply, now or later, and then {@link GroupSockets.flush} is called. */
  ask(requests: readonly SocketRequest[]): void;
  /** Who a token is. It must still be good, and is registered with its holder. */
  introspect(token: string): Promise<Actor>;
  /** A socket's token ends at this time. */
  expires(at: number | null): void;
  /** Something waits for an event here, or nothing does any more. */
  watched(watching: boolean): void;
};

/** `saved`: what its attachment holds. `targets`: what it watches. */
type Peer = { socket: WebSocket; session: Session; desk: CallDesk; actor: SocketActor; saved: string; targets: ReadonlySet<string> };

/**
 * The sockets of a replica: calls are requests, subscriptions are watches (core/consensus/socket/SPEC.md). They survive the
 * eviction of the object; what is under way does not, and is the client's to repeat.
 */
export class GroupSockets {
  readonly #ctx: DurableObjectState;
  readonly #host: SocketHost;
  readonly #targets: WatchTargets;
  readonly #load = new CallLoad();
  readonly #peers = new Map<WebSocket, Peer>();
  readonly #dirty = new Set<Peer>();
  #restored = false;
  #watching = false;
  #compacted: number;

  constructor(ctx: DurableObjectState, host: SocketHost) {
    this.#ctx = ctx;
    this.#host = host;
    this.#targets = new WatchTargets(() => host.store(), host.generation);
    this.#compacted = host.store().compactRevision;
  }

  accept(actor: Actor, protocol: string | null): Response {
    const reduced = socketActor(actor, "groups", this.#host.group);
    const { session, effects } = Session.open(reduced.expiresAt, this.#host.member);
    const { socket, response } = acceptSocket(this.#ctx, reduced, session.save(), protocol === null ? {} : { protocol });
    this.#perform(this.#add(socket, session, reduced), effects);
    return response;
  }

  message(socket: WebSocket, data: string | ArrayBuffer): void {
    this.wake();
    const peer = this.#peers.get(socket);
    if (peer === undefined) return;
    const effects =
      typeof data === "string"
        ? peer.session.onFrame(data, Date.now(), "calls")
        : peer.session.close(new SkerryError("bad_frame", "Frames are JSON text; this one was binary."));
    this.#perform(peer, effects, typeof data === "string" ? data.length : 0);
    this.flush();
  }

  closed(socket: WebSocket): void {
    const peer = this.#peers.get(socket);
    if (peer === undefined) return;
    peer.desk.close();
    this.#peers.delete(socket);
    this.#dirty.delete(peer);
    this.#settle();
  }

  /** Brings back the sessions of sockets that were open before an eviction, and what their subscribers missed meanwhile. */
  wake(): void {
    if (this.#restored) return;
    this.#restored = true;
    for (const socket of this.#ctx.getWebSockets()) {
      const attachment: Attachment<string> | null = this.#peers.has(socket) ? null : readAttachment<string>(socket);
      if (attachment === null || socket.readyState !== WebSocket.OPEN) continue;
      const peer = this.#add(socket, Session.restore(attachment.state), attachment.actor);
      peer.targets = peer.session.targets();
      for (const target of peer.targets) this.#targets.open(target);
    }
    this.#readAgain();
    this.#settle();
  }

  /** Revisions were applied, in order. */
  changed(changes: Change[]): void {
    this.wake();
    if (this.#targets.size > 0) for (const { revision, events } of changes) this.#publish(this.#targets.apply(revision, events));
  }

  /** Tells silent watchers how far nothing happened, where history went: they could not go on from where they are. */
  compacted(): void {
    const { compactRevision } = this.#host.store();
    if (compactRevision === this.#compacted) return;
    this.#compacted = compactRevision;
    if (this.#targets.size > 0) this.#publish(this.#targets.compacted(compactRevision));
  }

  /** The state was replaced by another replica's: subscribers read from its history what they missed. */
  replaced(): void {
    this.wake();
    this.#compacted = this.#host.store().compactRevision;
    this.#readAgain();
  }

  /** Sends the answers of calls. */
  flush(): void {
    for (const peer of this.#dirty) for (const frame of peer.desk.drain()) send(peer.socket, frame);
    this.#dirty.clear();
  }

  #add(socket: WebSocket, session: Session, actor: SocketActor): Peer {
    const peer: Peer = { socket, session, desk: new CallDesk(this.#load), actor, saved: "", targets: new Set() };
    this.#peers.set(socket, peer);
    return peer;
  }

  #readAgain(): void {
    for (const peer of this.#peers.values())
      this.#perform(
        peer,
        peer.session.wake(() => null, Date.now()),
      );
  }

  #publish(changes: Publication[]): void {
    for (const change of changes) {
      for (const peer of this.#peers.values()) {
        const effects = peer.session.publish(change, Date.now());
        if (effects.length > 0) this.#perform(peer, effects);
      }
    }
  }

  /** Which targets are watched, and whether any is. */
  #settle(): void {
    const names = new Set<string>();
    for (const { targets } of this.#peers.values()) for (const target of targets) names.add(target);
    this.#targets.keep(names);
    if (names.size > 0 === this.#watching) return;
    this.#watching = names.size > 0;
    this.#host.watched(this.#watching);
  }

  #perform(peer: Peer, effects: Effect[], characters = 0): void {
    const { session, socket } = peer;
    const shell = {
      save: (state: string) => {
        // Calls leave it as it is.
        if (session.closed || state === peer.saved) return;
        peer.saved = state;
        writeAttachment(socket, { actor: peer.actor, state });
      },
      send: (text: string) => send(socket, text),
      close: (code: number, reason: string) => {
        this.closed(socket);
        try {
          socket.close(code, reason);
        } catch {
          // The peer is gone already.
        }
      },
      ask: (ask: Subscription) => {
        this.#require(peer, "read");
        return this.#targets.read(ask);
      },
      verify: (token: string) => void this.#verify(peer, token),
      acked: () => {},
      call: (frame: CallFrame) => this.#call(peer, frame, characters),
    };
    const before = peer.saved;
    perform(session, effects, shell, Date.now());
    if (peer.saved === before) return;
    const targets = session.targets();
    if (targets.size === peer.targets.size && [...targets].every((target) => peer.targets.has(target))) return;
    peer.targets = targets;
    if (this.#peers.has(socket)) this.#settle();
  }

  #call(peer: Peer, frame: CallFrame, characters: number): void {
    this.#dirty.add(peer);
    let calls: ReturnType<CallDesk["admit"]>;
    try {
      calls = peer.desk.admit(frame, characters);
    } catch (thrown) {
      this.#perform(peer, peer.session.close(errorOf(thrown)));
      return;
    }
    const requests: SocketRequest[] = [];
    for (const { id, payload } of calls) {
      const settle = (outcome: { value: unknown } | { error: SkerryError }) => {
        peer.desk.settle("error" in outcome ? { id, error: callError(outcome.error) } : { id, value: outcome.value });
        this.#dirty.add(peer);
      };
      try {
        const ask = readAsk(payload);
        this.#require(peer, rightFor(ask));
        const done = (reply: Reply) => settle(reply.reply === "ok" ? { value: writeAnswer(reply) } : { error: errorOfReply(reply) });
        requests.push({ ask, hint: readHint(payload), done });
      } catch (thrown) {
        settle({ error: errorOf(thrown) });
      }
    }
    if (requests.length === 0) return;
    try {
      this.#host.ask(requests);
    } catch (thrown) {
      const error = errorOf(thrown);
      for (const { id } of calls) peer.desk.settle({ id, error: callError(error) });
    }
  }

  #require(peer: Peer, right: Right): void {
    if (!peer.actor.rights.includes(right))
      throw new SkerryError("forbidden", `The token does not grant "${right}" on "${this.#host.group}".`);
  }

  /** A token in place of the one that ends: the project judges it, and takes note that this object holds a socket of it. */
  async #verify(peer: Peer, token: string): Promise<void> {
    let effects: Effect[];
    try {
      const actor = socketActor(await this.#host.introspect(token), "groups", this.#host.group);
      if (actor.tokenId !== peer.actor.tokenId)
        throw new SkerryError("forbidden", "Send the successor of this socket's own token (POST /v1/tokens/refresh), or connect anew.");
      peer.actor = actor;
      peer.saved = "";
      effects = peer.session.tokenAccepted(actor.expiresAt);
      // Rights that went take with them what they covered.
      if (!actor.rights.includes("read")) {
        const error = new SkerryError("forbidden", `The new token does not grant "read" on "${this.#host.group}".`);
        for (const target of peer.targets) effects.push(...peer.session.fail(target, error));
      }
    } catch (thrown) {
      effects = peer.session.tokenRefused(errorOf(thrown));
    }
    this.#perform(peer, effects);
  }
}

function send(socket: WebSocket, text: string): void {
  try {
    socket.send(text);
  } catch {
    // The peer is gone; its close event follows.
  }
}

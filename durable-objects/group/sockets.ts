import type { KvStore } from "../../core/consensus/kv/store.ts";
import type { Change } from "../../core/consensus/replica/machine.ts";
import type { Ask, Hint, Release, Reply } from "../../core/consensus/replica/types.ts";
import { type Answered, writeAnswer } from "../../core/consensus/socket/answers.ts";
import { callError } from "../../core/consensus/socket/call-errors.ts";
import { errorOfReply } from "../../core/consensus/socket/errors.ts";
import { type Held, Holds } from "../../core/consensus/socket/holds.ts";
import { readAsk, readContext, readHint, readHold, rightFor } from "../../core/consensus/socket/requests.ts";
import { WatchTargets } from "../../core/consensus/socket/watches.ts";
import { CallDesk, CallLoad } from "../../core/wire/calls.ts";
import { decodeContext } from "../../core/wire/context.ts";
import { errorOf, SkerryError } from "../../core/wire/errors.ts";
import type { CallFrame } from "../../core/wire/frames.ts";
import type { Actor, Right } from "../../core/wire/grant.ts";
import type { Scope } from "../../core/wire/names.ts";
import { type Effect, type Publication, Session, type Ask as Subscription } from "../../core/wire/session.ts";
import { perform } from "../../core/wire/session-drive.ts";
import { type Attachment, acceptSocket, readAttachment, type SocketActor, socketActor, writeAttachment } from "../shared/sockets.ts";

/** A request and who waits for its one reply. */
export type SocketRequest = { ask: Ask; hint: Hint; done: (reply: Reply) => void };

/** What the sockets of a replica need of it. */
export type SocketHost = {
  scope: Scope;
  group: string;
  /** What stands for the group in a context. */
  object: string;
  generation: number;
  member: number;
  store(): KvStore;
  /** Requests that came in one frame; each gets one reply, now or later, and then {@link GroupSockets.flush} is called. */
  ask(requests: readonly SocketRequest[]): void;
  /** Who a token is. It must still be good, and is registered with its holder. */
  introspect(token: string): Promise<Actor>;
  /** A socket's token ends at this time. */
  expires(at: number | null): void;
  /** The sockets that held leases are closed. */
  release(releases: readonly Release[]): void;
  /** Something waits for an event here, or nothing does any more. `restored`: it did before the object slept. */
  watched(watching: boolean, restored: boolean): void;
};

/** What an attachment keeps: the session, and what the socket holds where it holds leases. */
type Kept = string | { session: string; held: Held };
/** `saved`, `held`: what its attachment has. `targets`: what it watches. `since`: when it was opened, Unix milliseconds. */
type Peer = {
  socket: WebSocket;
  session: Session;
  desk: CallDesk;
  actor: SocketActor;
  saved: string;
  held: string;
  since: number;
  targets: ReadonlySet<string>;
};

/** What the socket holds as its attachment has it; null: nothing. */
export function heldBy(socket: WebSocket): Held | null {
  const state = readAttachment<Kept>(socket)?.state;
  return typeof state === "object" ? state.held : null;
}

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
  readonly #holds = new Holds<WebSocket>();
  #restored = false;
  #watching: "no" | "restored" | "yes" = "no";
  #compacted: number;

  constructor(ctx: DurableObjectState, host: SocketHost) {
    this.#ctx = ctx;
    this.#host = host;
    this.#targets = new WatchTargets(() => host.store(), host.generation);
    this.#compacted = host.store().compactRevision;
  }

  accept(actor: Actor, protocol: string | null): Response {
    const reduced = socketActor(actor, "groups", this.#host.group);
    const { session, effects } = Session.open(reduced.expiresAt, { member: this.#host.member, object: this.#host.object });
    const { socket, response } = acceptSocket(this.#ctx, reduced, session.save(), protocol === null ? {} : { protocol });
    this.#perform(this.#add(socket, session, reduced, Date.now()), effects);
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
    if (peer === undefined) {
      // It was closed while the object slept.
      const held = heldBy(socket);
      if (held === null) return;
      this.wake();
      this.#holds.restore(socket, held);
    }
    const releases = this.#holds.closed(socket);
    if (releases.length > 0) this.#host.release(releases);
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
      const attachment: Attachment<Kept> | null = this.#peers.has(socket) ? null : readAttachment<Kept>(socket);
      if (attachment === null || socket.readyState !== WebSocket.OPEN) continue;
      const { actor, state } = attachment;
      const { session, held } = typeof state === "string" ? { session: state, held: null } : state;
      const peer = this.#add(socket, Session.restore(session), actor, held?.since ?? Date.now());
      if (held !== null) {
        this.#holds.restore(socket, held);
        peer.held = JSON.stringify(held);
      }
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

  #add(socket: WebSocket, session: Session, actor: SocketActor, since: number): Peer {
    const peer: Peer = { socket, session, desk: new CallDesk(this.#load), actor, saved: "", held: "null", since, targets: new Set() };
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

  /** Which targets are watched, and whether any is. `asked`: somebody has just subscribed. */
  #settle(asked = false): void {
    const names = new Set<string>();
    for (const { targets } of this.#peers.values()) for (const target of targets) names.add(target);
    this.#targets.keep(names);
    const watching = names.size === 0 ? "no" : asked || this.#watching === "yes" ? "yes" : "restored";
    if (watching === this.#watching) return;
    this.#watching = watching;
    this.#host.watched(watching !== "no", watching === "restored");
  }

  #perform(peer: Peer, effects: Effect[], characters = 0): void {
    const { session, socket } = peer;
    const shell = {
      save: (state: string) => {
        // Calls leave it as it is.
        if (session.closed || state === peer.saved) return;
        peer.saved = state;
        this.#keep(peer, state);
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
    if (this.#peers.has(socket)) this.#settle(targets.size > 0);
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
        const ask = this.#seeing(readAsk(payload), readContext(payload));
        this.#require(peer, rightFor(ask));
        const hold = readHold(payload);
        const done = (reply: Reply) =>
          settle(reply.reply === "ok" ? { value: this.#answered(peer, ask, reply, hold) } : { error: errorOfReply(reply) });
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

  /** A session read as the caller's context demands it. Throws `bad_context`. */
  #seeing(ask: Ask, context: string | null): Ask {
    if (context === null || ask.ask !== "range") return ask;
    const { scope, object } = this.#host;
    return { ...ask, after: Math.max(ask.after, decodeContext(context, scope).get(object) ?? 0) };
  }

  /** The value of a result; takes note of what the socket holds by it (SPEC.md, rules GH). */
  #answered(peer: Peer, ask: Ask, reply: Answered, hold: number | null): Record<string, unknown> {
    const answer = writeAnswer(reply);
    const { value, term } = reply;
    if (ask.ask === "write" && ask.operation.op === "leaseRevoke") this.#holds.letGo(String(ask.operation.request.id));
    if (hold === null || value.told !== "leaseKeepAlive") return answer;
    const { id, ttl } = value.response;
    const lease = String(id);
    if (ttl === 0) this.#holds.letGo(lease);
    // Its socket went while it was asked.
    else if (!this.#peers.has(peer.socket)) this.#host.release([{ id, within: hold * 1000, term }]);
    else {
      const held = this.#holds.hold(peer.socket, lease, hold, term, peer.since);
      if (held && JSON.stringify(this.#holds.of(peer.socket)) !== peer.held) this.#keep(peer, peer.session.save());
      return { ...answer, held };
    }
    return { ...answer, held: false };
  }

  #keep(peer: Peer, session: string): void {
    const { socket, actor } = peer;
    const held = this.#holds.of(socket);
    peer.held = JSON.stringify(held);
    writeAttachment<Kept>(socket, { actor, state: held === null ? session : { session, held } });
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

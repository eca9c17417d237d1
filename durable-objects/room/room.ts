import { DurableObject } from "cloudflare:workers";
import type { Json } from "../../core/crdt/replica.ts";
import { type Effects, RoomMachine } from "../../core/crdt/room.ts";
import { type Answer, answer } from "../../core/wire/answer.ts";
import { errorOf, SkerryError } from "../../core/wire/errors.ts";
import { ACTOR_HEADER, type Actor, allows } from "../../core/wire/grant.ts";
import { objectName } from "../../core/wire/names.ts";
import { directory } from "../directory/port.ts";
import { Alarms } from "../shared/alarms.ts";
import * as sockets from "../shared/sockets.ts";
import { identify } from "../streams.ts";
import { infoOf, type Peer, Peers } from "./peers.ts";
import { RoomStorage } from "./storage.ts";

/** A write by a stream: entries of a shared map, once per (source, seq). */
export type MapWrite = { map: string; source: string; seq: number; set: Record<string, Json>; delete: string[] };
export type RoomStats = ReturnType<RoomStorage["stats"]> & { connections: number; pendingBytes: number; cachedBytes: number };

/** Below the platform's 32,768, so that the object itself refuses, with a reason. */
const MAX_CONNECTIONS = 30_000;
const COMPACT_AFTER = 2_000;
const LIST_AGAIN = 30_000;

/**
 * One room: hibernating sockets, SQLite and the alarm around {@link RoomMachine}, which decides everything. The order
 * is always persist, send, close, schedule; what is sent after a write waits for it to be durable (output gate).
 */
export class Room extends DurableObject<Env> {
  readonly #alarms: Alarms;
  #room: { storage: RoomStorage; machine: RoomMachine } | null = null;
  readonly #peers: Peers;
  #timer: { at: number; handle: ReturnType<typeof setTimeout> } | null = null;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#alarms = new Alarms(ctx.storage);
    this.#peers = new Peers(ctx);
  }

  /** The upgrade: `?ack=1` asks for extension frames, `?epoch=` names the history that the client holds. */
  override async fetch(request: Request): Promise<Response> {
    const actor = JSON.parse(request.headers.get(ACTOR_HEADER) ?? "null") as Actor | null;
    if (actor === null) throw new SkerryError("internal", "An upgrade reached the room without an actor.");
    const { machine, storage } = this.#open();
    const query = new URL(request.url).searchParams;
    const who = sockets.socketActor(actor, "rooms", this.#name);
    const { peer, response } = this.#peers.accept(who, query.get("ack") === "1", { "skerry-epoch": storage.epoch });
    // A refused upgrade tells a browser nothing, so what is wrong is said by closing.
    const epoch = query.get("epoch");
    if (epoch !== null && epoch !== storage.epoch)
      sockets.closeSocket(peer.socket, "diverged", "the room was made anew; reload without the local copy");
    else if (machine.connections >= MAX_CONNECTIONS) sockets.closeSocket(peer.socket, "overloaded", "the room has no free connection");
    else {
      this.#peers.add(peer);
      if (who.expiresAt !== null) this.#alarms.scheduleBy("expire", who.expiresAt);
      this.#do(machine.connect(peer.id, infoOf(peer), storage.epoch, Date.now()));
    }
    return response;
  }

  override webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): void {
    const room = this.#existing();
    const peer = this.#peers.of(socket);
    // Closed by us already; what was under way is void.
    if (room === null || peer === null) return;
    const now = Date.now();
    if (peer.actor.expiresAt !== null && peer.actor.expiresAt <= now) {
      this.#expire(now);
      return;
    }
    // The protocol has no text messages; an empty frame is refused like any other that cannot be read.
    const bytes = typeof message === "string" ? new Uint8Array() : new Uint8Array(message);
    try {
      this.#do(room.machine.frame(peer.id, bytes, now));
    } catch (thrown) {
      this.#report("frame", thrown);
      const { code, message } = errorOf(thrown);
      this.#peers.hangUp(peer.id, code, message);
      this.#left(peer.id);
    }
  }

  override webSocketClose(socket: WebSocket): void {
    // If this woke the object, the closed socket was not among the open ones that came back: bring it back to let it go,
    // or its presence would stay with the others for ever.
    const peer = this.#existing() === null ? null : (this.#peers.of(socket) ?? this.#restore(socket));
    if (peer !== null) this.#left(peer.id);
    sockets.answerClose(socket);
  }

  override webSocketError(socket: WebSocket): void {
    this.webSocketClose(socket);
  }

  override async alarm(): Promise<void> {
    const now = Date.now();
    const handle = async (name: string) => {
      if (name === "compact") this.#compact(now);
      else if (name === "expire") this.#expire(now);
      else if (name === "list") await this.#list();
    };
    await this.#alarms.fire(now, handle, (name, error) => this.#report(name, error));
  }

  /** The document: as JSON text, as an update (what `vector` lacks), or as a state vector. Throws `room_not_found`. */
  read(format: "json" | "update" | "state-vector", vector?: Uint8Array): Answer<string | Uint8Array> {
    const { machine } = this.#required();
    this.#do(machine.flush(Date.now()));
    return this.#answer(machine.read(format, vector));
  }

  /** Applies an update from outside of a socket; durable when it returns. Applying it again has no effect. */
  applyUpdate(update: Uint8Array): Answer<{ changed: boolean }> {
    return this.#write((machine, now) => machine.update(update, now));
  }

  /** The sink of streams. A `seq` at or below the last of its `source` is acknowledged without effect. */
  applyMap({ map, source, seq, set, delete: gone }: MapWrite): Answer<{ applied: boolean; changed: boolean }> {
    return this.#write((machine, now) => machine.patch({ map, set, delete: gone }, source, seq, now));
  }

  /** Closes the sockets of a revoked token. */
  async revoked(tokenId: string): Promise<void> {
    this.#existing();
    for (const socket of sockets.closeToken(this.ctx, tokenId)) this.webSocketClose(socket);
  }

  /** Throws `room_not_found`. */
  stats(): Answer<RoomStats> {
    const { storage, machine } = this.#required();
    const { pending, cached } = machine.memory;
    return this.#answer({ ...storage.stats(), connections: machine.connections, pendingBytes: pending, cachedBytes: cached });
  }

  /** Deletes everything, the alarm too. Whoever comes later begins a new epoch. */
  async erase(): Promise<Answer<{ erased: boolean }>> {
    const erased = this.#existing() !== null;
    for (const socket of this.ctx.getWebSockets()) sockets.closeSocket(socket, "room_not_found", "the room was deleted");
    this.#peers.clear();
    this.#room = null;
    this.#stopTimer();
    await this.ctx.storage.deleteAll();
    this.#alarms.forget();
    return answer({ erased }, null, "durable");
  }

  #write<T extends object>(event: (machine: RoomMachine, now: number) => { effects: Effects } & T): Answer<Omit<T, "effects">> {
    const { machine, storage } = this.#open();
    const before = storage.rowsWritten;
    const { effects, ...outcome } = event(machine, Date.now());
    this.#do(effects);
    return this.#answer(outcome, storage.rowsWritten - before);
  }

  #do(effects: Effects): void {
    const { machine, storage } = this.#required();
    if (effects.persist.length > 0) {
      this.#durably(() => storage.persist(effects.persist));
      if (storage.wantsCompaction && this.#alarms.at("compact") === null) this.#alarms.schedule("compact", Date.now() + COMPACT_AFTER);
    }
    for (const { to, frame } of effects.send) for (const id of to) this.#peers.send(id, frame);
    for (const { connection, code, detail } of effects.close) this.#peers.hangUp(connection, code, detail);
    for (const id of effects.save) this.#peers.save(id, machine);
    if (effects.wakeAt !== null) this.#wakeAt(effects.wakeAt);
    if (effects.verify !== null) this.ctx.waitUntil(this.#refresh(effects.verify.connection, effects.verify.token));
  }

  /** If storage fails, what is in memory is ahead of it: start anew from what is stored; clients send the rest again. */
  #durably(write: () => void): void {
    try {
      write();
    } catch (error) {
      this.#report("persist", error);
      this.ctx.abort("storage failed");
      throw error;
    }
  }

  #left(id: number): void {
    this.#peers.delete(id);
    const room = this.#existing();
    if (room !== null) this.#do(room.machine.disconnect(id, Date.now()));
  }

  /** A timer only while something waits to be written or relayed: it would keep the object from hibernating. */
  #wakeAt(at: number): void {
    if (this.#timer !== null && this.#timer.at <= at) return;
    this.#stopTimer();
    const wake = () => {
      this.#timer = null;
      const room = this.#existing();
      if (room !== null) this.#do(room.machine.wake(Date.now()));
    };
    this.#timer = { at, handle: setTimeout(wake, Math.max(0, at - Date.now())) };
  }

  #stopTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer.handle);
    this.#timer = null;
  }

  #compact(now: number): void {
    const room = this.#existing();
    if (room === null) return;
    const { effects, snapshot } = room.machine.compact(now);
    this.#durably(() => room.storage.compact(effects.persist, snapshot));
    this.#do({ ...effects, persist: [] });
  }

  #expire(now: number): void {
    this.#existing();
    for (const socket of sockets.closeExpired(this.ctx, now)) this.webSocketClose(socket);
    const next = sockets.earliestExpiry(this.ctx);
    if (next !== null) this.#alarms.schedule("expire", next);
  }

  /** A socket goes on with the successor of its token: same id, a later end. Its rights do not grow. */
  async #refresh(id: number, token: string): Promise<void> {
    const project = this.env.PROJECT.getByName(objectName(identify(this.ctx).scope, "platform", "project"));
    let outcome: (machine: RoomMachine, now: number) => Effects;
    try {
      const actor = ((await project.introspect(token)) as Answer<Actor>).value;
      const peer = this.#peers.get(id);
      if (peer === undefined) return;
      if (actor.tokenId !== peer.actor.tokenId)
        throw new SkerryError("token_invalid", "Refresh with a successor of the token that opened the connection.");
      if (!allows(actor.grants, "rooms", this.#name, "read")) throw new SkerryError("forbidden", "The new token does not grant this room.");
      peer.actor = { ...peer.actor, expiresAt: actor.expiresAt };
      if (actor.expiresAt !== null) this.#alarms.scheduleBy("expire", actor.expiresAt);
      const room = this.#required();
      this.#peers.save(id, room.machine);
      outcome = (machine, now) => machine.refreshed(id, actor.expiresAt, now);
    } catch (thrown) {
      const { code, message } = errorOf(thrown);
      outcome = (machine, now) => machine.refused(id, code, message, now);
    }
    const room = this.#existing();
    if (room !== null) this.#do(outcome(room.machine, Date.now()));
  }

  /** Tells the directory, once in the room's life. */
  async #list(): Promise<void> {
    const room = this.#existing();
    if (room === null || room.storage.listed) return;
    await directory(this.env, identify(this.ctx).scope).putRoom(this.#name);
    this.#existing()?.storage.markListed();
  }

  get #name(): string {
    return identify(this.ctx).parts[0] as string;
  }

  #answer<T>(value: T, rows = 0): Answer<T> {
    return answer(value, { object: identify(this.ctx).name, at: this.#room?.storage.head() ?? 0 }, "durable", rows);
  }

  #required() {
    const room = this.#existing();
    if (room === null) throw new SkerryError("room_not_found", `There is no room "${this.#name}". Connecting to it, or writing, makes it.`);
    return room;
  }

  /** The room, made if there is none. */
  #open() {
    return this.#existing() ?? this.#begin(RoomStorage.create(this.ctx.storage));
  }

  /** The room, woken if the object was asleep: its connections come back with their presence. Null if there is none. */
  #existing() {
    if (this.#room !== null) return this.#room;
    const storage = RoomStorage.open(this.ctx.storage);
    return storage === null ? null : this.#begin(storage);
  }

  #begin(storage: RoomStorage) {
    const room = { storage, machine: new RoomMachine(storage, storage.author) };
    this.#room = room;
    for (const socket of this.ctx.getWebSockets()) if (socket.readyState === WebSocket.OPEN) this.#restore(socket);
    if (!storage.listed) {
      const later = () => this.#alarms.schedule("list", Date.now() + LIST_AGAIN);
      this.ctx.waitUntil(this.#list().catch(later));
    }
    return room;
  }

  #restore(socket: WebSocket): Peer | null {
    const restored = this.#peers.restore(socket);
    if (restored === null) return null;
    const { peer, saved } = restored;
    this.#do(this.#required().machine.restore(peer.id, infoOf(peer), saved, Date.now()));
    return peer;
  }

  #report(what: string, thrown: unknown): void {
    const cause = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
    console.error(JSON.stringify({ level: "error", object: this.ctx.id.name, what, cause }));
  }
}

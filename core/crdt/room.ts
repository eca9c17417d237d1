import { type ErrorCode, SkerryError } from "../wire/errors.ts";
import { Connection, type ConnectionInfo, type SavedConnection } from "./connection.ts";
import { DocumentCache, type StoredRoom } from "./document.ts";
import { ROOM_OPTIONS, type RoomOptions } from "./options.ts";
import { Presence } from "./presence.ts";
import * as protocol from "./protocol.ts";
import { encodeRecord, encodeSnapshot } from "./records.ts";
import { checkPatch, type MapPatch, Replica } from "./replica.ts";
import { decodeVector, mergeTree, type Scan, scanUpdate, withoutKnown } from "./update.ts";

/** What a room reads of what is stored. Positions count journal entries. */
export type RoomStore = {
  load(): StoredRoom;
  /** The position after the last committed entry. */
  head(): number;
  /** Bytes of the checkpoint and of the entries after it. */
  bytes(): number;
};

/** What the shell must do, in this order: persist, then send, then close, then schedule. */
export type Effects = {
  /** Journal entries to commit in one transaction. */
  persist: Uint8Array[];
  send: { to: number[]; frame: Uint8Array }[];
  close: { connection: number; code: ErrorCode; detail: string }[];
  /** Connections whose {@link SavedConnection} changed. */
  save: Set<number>;
  /** When (unix milliseconds) to call {@link RoomMachine.wake}; null if nothing waits, so that the object can hibernate. */
  wakeAt: number | null;
  /** A connection sent a new token: judge it, and answer with {@link RoomMachine.refreshed} or {@link RoomMachine.refused}. */
  verify: { connection: number; token: string } | null;
};

/** Sources of server writes that one room remembers. */
const MAX_SOURCES = 1_000;
const READ_ONLY = "This connection may only read; its edits were not accepted.";

/**
 * One room: the y-websocket protocol, durable in batches. Pure: events in, effects out; SPEC.md beside this file has
 * its rules. An update is relayed at once as it came; no Y.Doc is kept for that. The shell carries out the effects of
 * one event before it brings the next.
 */
export class RoomMachine {
  readonly #options: RoomOptions;
  readonly #store: RoomStore;
  /** The client id of server writes in this epoch. */
  readonly #author: number;
  readonly #connections = new Map<number, Connection>();
  readonly #presence = new Presence();
  readonly #document: DocumentCache;
  /** Updates that wait for the next commit, and those of the present event's commit, which the store does not have yet. */
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  #committing: Uint8Array[] = [];
  #commitAt: number | null = null;
  /** Clients whose presence changed and was not relayed yet. */
  readonly #stirred = new Map<number, protocol.PresenceState>();
  #presenceAt: number | null = null;
  /** The Y.Doc for server writes, with the updates it has not seen. */
  #replica: { doc: Replica; behind: Uint8Array[]; bytes: number } | null = null;
  /** The time of the present event, unix milliseconds. */
  #now = 0;
  #effects: Effects = nothing();
  readonly #suspects = new Set<Connection>();

  constructor(store: RoomStore, author: number, options: Partial<RoomOptions> = {}) {
    this.#store = store;
    this.#author = author;
    this.#options = { ...ROOM_OPTIONS, ...options };
    this.#document = new DocumentCache(
      () => store.load(),
      () => [...this.#committing, ...this.#pending],
    );
  }

  get connections(): number {
    return this.#connections.size;
  }

  /** Bytes that wait for the next commit, and that the cache holds. */
  get memory(): { pending: number; cached: number; replica: boolean } {
    return { pending: this.#pendingBytes, cached: this.#document.bytes, replica: this.#replica !== null };
  }

  connect(id: number, info: ConnectionInfo, epoch: string, now: number): Effects {
    return this.#run(now, () => {
      const connection = new Connection(id, info, 0);
      this.#connections.set(id, connection);
      this.#effects.save.add(id);
      if (info.extended) this.#send([connection], protocol.hello(epoch, this.#store.head(), info.mayWrite, this.#options.commitDelay));
      const present = this.#presence.all();
      if (present.length > 0) this.#send([connection], protocol.awarenessFrame(present));
    });
  }

  /** Puts back a connection that hibernation kept. */
  restore(id: number, info: ConnectionInfo, saved: SavedConnection, now: number): Effects {
    return this.#run(now, () => {
      const connection = new Connection(id, info, saved.received);
      this.#connections.set(id, connection);
      if (saved.presence === null) this.#send([connection], protocol.queryAwareness());
      else this.#presence.restore(id, saved.presence);
    });
  }

  /** What to keep of a connection through hibernation; its presence only if that takes at most `budget` bytes as JSON. */
  saved(id: number, budget: number): SavedConnection {
    const presence = this.#presence.of(id);
    const fits = new TextEncoder().encode(JSON.stringify(presence)).length <= budget;
    return { received: this.#connections.get(id)?.received ?? 0, presence: fits ? presence : null };
  }

  disconnect(id: number, now: number): Effects {
    return this.#run(now, () => this.#drop(id));
  }

  frame(id: number, bytes: Uint8Array, now: number): Effects {
    return this.#run(now, () => {
      const connection = this.#connections.get(id);
      if (connection === undefined) return; // closed by us: what was under way is void
      try {
        if (bytes.length > this.#options.maxFrameBytes) {
          throw new SkerryError("too_large", `A frame holds at most ${this.#options.maxFrameBytes} bytes.`);
        }
        this.#handle(connection, protocol.decodeFrame(bytes));
      } catch (error) {
        // What is stored being unreadable is not the client's fault; neither is a mistake of ours.
        if (!(error instanceof SkerryError) || error.code === "corrupt") throw error;
        this.#close(connection, error.code, error.message);
      }
    });
  }

  /** Call at `wakeAt`: writes what waits, relays gathered presence. */
  wake(now: number): Effects {
    return this.#run(now, () => {
      if (this.#commitAt !== null && now >= this.#commitAt) this.#commit();
      if (this.#presenceAt !== null && now >= this.#presenceAt) this.#relayGathered();
    });
  }

  /** Writes what waits, now. */
  flush(now: number): Effects {
    return this.#run(now, () => this.#commit());
  }

  /** A connection's token was exchanged; it now ends at `expiresAt` (unix milliseconds; null: never). */
  refreshed(id: number, expiresAt: number | null, now: number): Effects {
    return this.#run(now, () => this.#reply(id, protocol.refreshed(expiresAt ?? 0)));
  }

  refused(id: number, code: ErrorCode, detail: string, now: number): Effects {
    return this.#run(now, () => this.#reply(id, protocol.refused(code, detail)));
  }

  /**
   * A document update from outside of a socket. Applying one again has no effect. Throws `bad_frame`, `too_large`,
   * `room_full`, `diverged`.
   */
  update(update: Uint8Array, now: number): { effects: Effects; changed: boolean } {
    let changed = false;
    const effects = this.#run(now, () => {
      if (update.length > this.#options.maxFrameBytes) {
        throw new SkerryError("too_large", `An update holds at most ${this.#options.maxFrameBytes} bytes.`);
      }
      const scan = scanUpdate(update);
      this.#checkAuthor(scan);
      const fresh = this.#news(update, scan);
      changed = fresh !== null;
      if (fresh !== null) this.#accept(fresh, scanUpdate(fresh), null);
      this.#commit();
    });
    return { effects, changed };
  }

  /**
   * Writes entries of a shared map for a stream: once per (source, seq), in order; an older seq is acknowledged without
   * effect. Throws `bad_request`, `room_full`, `too_large`.
   */
  patch(patch: MapPatch, source: string, seq: number, now: number): { effects: Effects; applied: boolean; changed: boolean } {
    let applied = false;
    let changed = false;
    const effects = this.#run(now, () => {
      checkPatch(patch, source, seq);
      const sources = this.#document.sources();
      if (seq <= (sources.get(source) ?? -1)) return;
      if (!sources.has(source) && sources.size >= MAX_SOURCES) {
        throw new SkerryError("room_full", `A room takes server writes of at most ${MAX_SOURCES} sources.`);
      }
      const update = this.#writable().patch(patch, this.#author);
      if (update !== null) {
        try {
          this.#accept(update, scanUpdate(update), null, encodeRecord({ kind: "sink", source, seq, update }));
        } catch (error) {
          this.#replica = null; // it has what the room refused
          throw error;
        }
      }
      // Where nothing differed the number is noted in memory only: applied again after a crash, it changes nothing either.
      sources.set(source, seq);
      applied = true;
      changed = update !== null;
    });
    return { effects, applied, changed };
  }

  /** The document as an update (what a client with `vector` lacks, if given), as a state vector, or as JSON text. */
  read(format: "update" | "state-vector" | "json", vector?: Uint8Array): Uint8Array | string {
    if (format === "state-vector") return this.#document.vector();
    if (format === "json") return this.#makeReplica().json();
    if (vector === undefined) return this.#document.merged();
    decodeVector(vector);
    return this.#document.diff(vector);
  }

  /**
   * A checkpoint of everything, to be stored at the position after `effects.persist`. A Y.Doc drops what was deleted or
   * overwritten, which merging never does; merging sometimes spells out less. The smaller one is kept.
   */
  compact(now: number): { effects: Effects; snapshot: Uint8Array } {
    const effects = this.flush(now);
    let smallest = this.#document.merged();
    if (smallest.length <= this.#options.maxReplicaBytes) {
      try {
        const encoded = new Replica(smallest).encode();
        if (encoded.length < smallest.length) smallest = encoded;
      } catch {
        // Well-formed, yet Yjs cannot apply it: the merge still has all of it.
      }
    }
    this.#document.replace(smallest);
    return { effects, snapshot: encodeSnapshot({ update: smallest, sources: this.#document.sources() }) };
  }

  #handle(connection: Connection, frame: protocol.ClientFrame): void {
    switch (frame.type) {
      case "sync-step-1":
        decodeVector(frame.vector);
        this.#send([connection], protocol.syncStep2(this.#document.diff(frame.vector)));
        if (connection.info.mayWrite && !connection.asked) {
          connection.ask();
          this.#send([connection], protocol.syncStep1(this.#document.vector()));
        }
        return;
      case "sync-step-2":
        connection.answer();
        this.#edit(connection, frame.update, true);
        return;
      case "update":
        this.#edit(connection, frame.update, false);
        return;
      case "awareness":
        this.#meet(connection, frame.states);
        return;
      case "query-awareness":
        this.#send([connection], protocol.awarenessFrame(this.#presence.all()));
        return;
      case "refresh":
        requireExtended(connection);
        this.#effects.verify = { connection: connection.id, token: frame.token };
        return;
      case "pong":
        requireExtended(connection);
        connection.answer(frame.nonce);
        return;
    }
  }

  #edit(connection: Connection, update: Uint8Array, isAnswer: boolean): void {
    const scan = scanUpdate(update);
    if (!connection.info.mayWrite) {
      // An answer to our sync step 1 is no attempt to write: we asked only to see whether it reads.
      if (isAnswer || scan.empty || connection.denied) return;
      connection.denied = true;
      this.#send([connection], protocol.permissionDenied(READ_ONLY));
      return;
    }
    this.#checkAuthor(scan);
    // What a client sends when asked is mostly known; what it sends by itself is news.
    const fresh = isAnswer || scan.empty ? this.#news(update, scan) : update;
    if (fresh !== null) this.#accept(fresh, fresh === update ? scan : scanUpdate(fresh), connection);
    connection.received++;
    if (connection.info.extended) this.#effects.save.add(connection.id);
    if (this.#pending.length === 0) this.#acknowledge();
    else this.#commitAt ??= this.#now + this.#options.commitDelay;
    if (this.#pendingBytes >= this.#options.maxPendingBytes) this.#commit();
  }

  /** What of an update the room does not have yet, or null. */
  #news(update: Uint8Array, scan: Scan): Uint8Array | null {
    return scan.empty ? null : withoutKnown(update, scan, this.#document.clocks(), this.#document.deletes());
  }

  /** Takes an update in: to be written (at once where it comes as a `record`), into the cache, and to everybody but its author. */
  #accept(update: Uint8Array, scan: Scan, from: Connection | null, record?: Uint8Array): void {
    this.#checkRoom(update);
    this.#document.append(update, scan);
    if (record === undefined) {
      this.#pending.push(update);
      this.#pendingBytes += update.length;
      this.#fallBehind(update);
    } else this.#commit(update, record);
    this.#send(this.#others(from), protocol.updateFrame(update));
  }

  /** Writes all that waits as one entry, and after it `record`, which holds `update`. */
  #commit(update?: Uint8Array, record?: Uint8Array): void {
    if (this.#pending.length > 0) {
      this.#effects.persist.push(encodeRecord({ kind: "update", update: mergeTree(this.#pending) }));
      this.#committing.push(...this.#pending);
    }
    if (update !== undefined && record !== undefined) {
      this.#effects.persist.push(record);
      this.#committing.push(update);
    }
    this.#pending = [];
    this.#pendingBytes = 0;
    this.#commitAt = null;
    this.#acknowledge();
    if (this.#document.bytes > this.#options.maxCachedBytes) this.#document.forget();
  }

  /** Tells those who asked for it how many of their frames are durable; call when nothing waits. */
  #acknowledge(): void {
    const position = this.#store.head() + this.#effects.persist.length;
    for (const connection of this.#connections.values()) {
      if (!connection.info.extended || connection.acknowledged === connection.received) continue;
      connection.acknowledged = connection.received;
      this.#send([connection], protocol.persisted(connection.received, position));
    }
  }

  /** Nobody but the server writes as the server: who has more of it than is stored has followed another history. */
  #checkAuthor(scan: Scan): void {
    const ranges = scan.structs.get(this.#author);
    if (ranges !== undefined && ranges.at(-1)![1] > (this.#document.clocks().get(this.#author) ?? 0)) {
      throw new SkerryError("diverged", "This copy holds server edits that the room does not have: reload without it.");
    }
  }

  #checkRoom(update: Uint8Array): void {
    const { maxRoomBytes } = this.#options;
    // What is stored may shrink when it is merged, so only the merge can tell that the room is full.
    if (this.#store.bytes() + this.#pendingBytes + update.length <= maxRoomBytes) return;
    if (this.#document.merged().length + update.length <= maxRoomBytes) return;
    throw new SkerryError("room_full", `The room holds at most ${maxRoomBytes} bytes; this edit does not fit.`);
  }

  #meet(connection: Connection, states: protocol.PresenceState[]): void {
    const sameSubject = (owner: number) => this.#connections.get(owner)?.info.subject === connection.info.subject;
    const { changed, owners } = this.#presence.apply(connection.id, states, sameSubject);
    if (changed.length === 0) return;
    for (const owner of owners) this.#effects.save.add(owner);
    this.#relay(changed, connection);
  }

  #relay(changed: protocol.PresenceState[], from: Connection | null): void {
    if (this.#connections.size <= this.#options.immediatePresence && this.#presenceAt === null) {
      this.#send(this.#others(from), protocol.awarenessFrame(changed));
      return;
    }
    // Many people at once: one frame for all of them, the latest state of each. Who hears of itself ignores it.
    for (const state of changed) this.#stirred.set(state.client, state);
    this.#presenceAt ??= this.#now + this.#options.presenceDelay;
  }

  #relayGathered(): void {
    this.#presenceAt = null;
    this.#send([...this.#connections.values()], protocol.awarenessFrame([...this.#stirred.values()]));
    this.#stirred.clear();
  }

  /** The Y.Doc for server writes, up to date. */
  #writable(): Replica {
    if (this.#replica === null) this.#replica = { doc: this.#makeReplica(), behind: [], bytes: 0 };
    else if (this.#replica.behind.length > 0) {
      this.#replica.doc.apply(mergeTree(this.#replica.behind));
      this.#replica.behind = [];
      this.#replica.bytes = 0;
    }
    return this.#replica.doc;
  }

  #makeReplica(): Replica {
    const merged = this.#document.merged();
    if (merged.length > this.#options.maxReplicaBytes) {
      throw new SkerryError(
        "too_large",
        `The document takes ${merged.length} bytes; only up to ${this.#options.maxReplicaBytes} can be opened on the server.`,
      );
    }
    return new Replica(merged);
  }

  #fallBehind(update: Uint8Array): void {
    if (this.#replica === null) return;
    this.#replica.behind.push(update);
    this.#replica.bytes += update.length;
    // Cheaper to make anew than to hold both, and a room that outgrew the limit must not keep it.
    if (this.#replica.bytes > this.#options.maxReplicaBytes / 4) this.#replica = null;
  }

  #close(connection: Connection, code: ErrorCode, detail: string): void {
    this.#effects.close.push({ connection: connection.id, code, detail });
    this.#drop(connection.id);
  }

  #drop(id: number): void {
    if (!this.#connections.delete(id)) return;
    // Who leaves may be the only one who could have sent its last edits again.
    if (this.#pending.length > 0) this.#commit();
    const gone = this.#presence.leave(id);
    if (gone.length > 0) this.#relay(gone, null);
  }

  #reply(id: number, frame: Uint8Array): void {
    const connection = this.#connections.get(id);
    if (connection !== undefined) this.#send([connection], frame);
  }

  #others(from: Connection | null): Connection[] {
    return [...this.#connections.values()].filter((connection) => connection !== from);
  }

  #send(to: Connection[], frame: Uint8Array): void {
    if (to.length === 0) return;
    this.#effects.send.push({ to: to.map(({ id }) => id), frame });
    for (const connection of to) {
      connection.unproven += frame.length;
      if (connection.wantsProbe || connection.unproven > this.#options.maxUnreadBytes) this.#suspects.add(connection);
    }
  }

  /** Asks those who were sent much whether they read, and closes those who did not answer in time. */
  #judgeReaders(): void {
    for (const connection of this.#suspects) {
      if (!this.#connections.has(connection.id)) continue;
      // To be sent the whole document, in joining, is no sign of a slow reader.
      if (connection.unproven > this.#options.maxUnreadBytes + this.#store.bytes()) {
        this.#close(connection, "slow_consumer", "The connection does not read what it is sent.");
      } else if (connection.wantsProbe) {
        const question = connection.probe();
        this.#send([connection], connection.info.extended ? protocol.ping(question) : protocol.syncStep1(this.#document.vector()));
      }
    }
    this.#suspects.clear();
  }

  #run(now: number, event: () => void): Effects {
    this.#now = now;
    this.#effects = nothing();
    this.#committing = [];
    event();
    this.#judgeReaders();
    const times = [this.#commitAt, this.#presenceAt].filter((time) => time !== null);
    this.#effects.wakeAt = times.length === 0 ? null : Math.min(...times);
    return this.#effects;
  }
}

function requireExtended(connection: Connection): void {
  if (!connection.info.extended) throw new SkerryError("bad_frame", "Extension frames are for connections opened with ?ack=1.");
}

function nothing(): Effects {
  return { persist: [], send: [], close: [], save: new Set(), wakeAt: null, verify: null };
}

import * as decoding from "lib0/decoding";
import * as encoding from "lib0/encoding";
import * as syncProtocol from "y-protocols/sync";
import * as Y from "yjs";
import { Journal, shouldCheckpoint } from "../journal/journal.ts";
import { MemoryJournalStorage } from "../journal/memory.ts";
import type { ErrorCode } from "../wire/errors.ts";
import type { ConnectionInfo, SavedConnection } from "./connection.ts";
import type { RoomOptions } from "./options.ts";
import { decodeRecord } from "./records.ts";
import { type Effects, RoomMachine } from "./room.ts";

export const AUTHOR = 2 ** 40 + 7;
export const WRITER: ConnectionInfo = { mayWrite: true, extended: false, subject: "ada" };

/** A room with its journal in memory: what the Durable Object does, in the order it does it, with crashes on demand. */
export class MemoryRoom {
  machine!: RoomMachine;
  now = 1_000_000;
  /** Frames sent to each open connection and not taken yet. */
  readonly outbox = new Map<number, Uint8Array[]>();
  readonly closed: { connection: number; code: ErrorCode; detail: string }[] = [];
  readonly infos = new Map<number, ConnectionInfo>();
  /** All that was ever persisted, in a document of its own: what no crash may lose. Empty without `shadowed`. */
  readonly shadow: Y.Doc;
  readonly #shadowed: boolean;
  wakeAt: number | null = null;
  written = 0;
  snapshotBytes = 0;
  snapshots = 0;
  snapshotTotal = 0;
  readonly #saved = new Map<number, SavedConnection>();
  readonly #storage = new MemoryJournalStorage();
  readonly #options: Partial<RoomOptions>;
  #journal!: Journal;

  constructor(options: Partial<RoomOptions> = {}, shadowed = true) {
    this.#options = options;
    this.#shadowed = shadowed;
    this.shadow = new Y.Doc();
    this.shadow.clientID = 1;
    this.#boot();
  }

  get journal(): Journal {
    return this.#journal;
  }

  #boot(): void {
    const journal = Journal.open(this.#storage);
    this.#journal = journal;
    const store = {
      load: () => {
        const checkpoint = journal.latestCheckpoint();
        const entries = [...journal.replay(checkpoint?.position ?? journal.base)].map(({ bytes }) => bytes);
        return { snapshot: checkpoint?.bytes ?? null, entries };
      },
      head: () => journal.head,
      bytes: () => this.snapshotBytes + journal.costSinceCheckpoint().bytes,
    };
    this.machine = new RoomMachine(store, AUTHOR, this.#options);
    this.wakeAt = null;
  }

  connect(id: number, info: ConnectionInfo = WRITER): Uint8Array[] {
    this.outbox.set(id, []);
    this.infos.set(id, info);
    this.do(this.machine.connect(id, info, "epoch-1", this.now));
    return this.outbox.get(id)!;
  }

  frame(id: number, bytes: Uint8Array): void {
    this.do(this.machine.frame(id, bytes, this.now));
  }

  disconnect(id: number): void {
    this.outbox.delete(id);
    this.#saved.delete(id);
    this.do(this.machine.disconnect(id, this.now));
  }

  /** Lets time pass, and the timer fire if it is due. */
  advance(ms: number): void {
    this.now += ms;
    if (this.wakeAt !== null && this.wakeAt <= this.now) {
      this.wakeAt = null;
      this.do(this.machine.wake(this.now));
    }
  }

  /** SIGKILL: memory and connections are gone, the journal stays. */
  crash(): void {
    this.outbox.clear();
    this.#saved.clear();
    this.#boot();
  }

  /** Hibernation: memory is gone, connections stay. Only possible while no timer runs. */
  hibernate(): boolean {
    if (this.wakeAt !== null) return false;
    this.#boot();
    for (const id of this.outbox.keys()) this.do(this.machine.restore(id, this.infos.get(id)!, this.#saved.get(id)!, this.now));
    return true;
  }

  compact(): void {
    const { effects, snapshot } = this.machine.compact(this.now);
    this.#journal.transaction(() => {
      this.#persist(effects.persist);
      this.#journal.checkpoint(this.#journal.head, snapshot);
      this.#journal.trim(this.#journal.head);
    });
    this.snapshotBytes = snapshot.length;
    this.snapshots++;
    this.snapshotTotal += snapshot.length;
    this.do({ ...effects, persist: [] });
  }

  /** Whether the policy of the Durable Object asks for a checkpoint. */
  wantsCompaction(policy: { ratio: number; minBytes: number; rowBytes: number }): boolean {
    const { bytes, rows } = this.#journal.costSinceCheckpoint();
    return shouldCheckpoint({ bytesSince: bytes, rowsSince: rows, checkpointBytes: this.snapshotBytes }, policy);
  }

  do(effects: Effects): void {
    this.#persist(effects.persist);
    for (const { to, frame } of effects.send) for (const id of to) this.outbox.get(id)?.push(frame);
    for (const closing of effects.close) {
      this.closed.push(closing);
      this.outbox.delete(closing.connection);
    }
    for (const id of effects.save) if (this.outbox.has(id)) this.#saved.set(id, JSON.parse(JSON.stringify(this.machine.saved(id, 12_000))));
    if (effects.wakeAt !== null) this.wakeAt = Math.min(this.wakeAt ?? Infinity, effects.wakeAt);
  }

  #persist(entries: Uint8Array[]): void {
    for (const entry of entries) {
      this.#journal.stage(entry);
      this.written += entry.length;
      if (this.#shadowed) Y.applyUpdate(this.shadow, decodeRecord(entry).update);
    }
    this.#journal.commit();
  }
}

/** A client as y-websocket makes them: sync step 1 when it connects, updates as they happen, answers to what it is asked. */
export class StockClient {
  readonly doc: Y.Doc;
  /** Frames that it has sent and the room has not got yet. */
  readonly outgoing: Uint8Array[] = [];
  id: number | null = null;
  synced = false;
  readonly denials: string[] = [];

  constructor(clientId: number) {
    this.doc = new Y.Doc();
    this.doc.clientID = clientId;
    this.doc.on("update", (update: Uint8Array, origin: unknown) => {
      if (origin === this || this.id === null) return;
      this.outgoing.push(frameOf((encoder) => syncProtocol.writeUpdate(encoder, update)));
    });
  }

  connected(id: number): void {
    this.id = id;
    this.synced = false;
    this.outgoing.length = 0;
    this.outgoing.push(frameOf((encoder) => syncProtocol.writeSyncStep1(encoder, this.doc)));
  }

  disconnected(): void {
    this.id = null;
    this.synced = false;
    this.outgoing.length = 0;
  }

  receive(frame: Uint8Array): void {
    const decoder = decoding.createDecoder(frame);
    const type = decoding.readVarUint(decoder);
    if (type === 2) {
      decoding.readVarUint(decoder);
      this.denials.push(decoding.readVarString(decoder));
      return;
    }
    if (type !== 0) return;
    const encoder = encoding.createEncoder();
    encoding.writeVarUint(encoder, 0);
    const kind = syncProtocol.readSyncMessage(decoder, encoder, this.doc, this, (error) => {
      throw error;
    });
    if (kind === 1) this.synced = true;
    if (encoding.length(encoder) > 1) this.outgoing.push(encoding.toUint8Array(encoder));
  }
}

function frameOf(write: (encoder: encoding.Encoder) => void): Uint8Array {
  const encoder = encoding.createEncoder();
  encoding.writeVarUint(encoder, 0);
  write(encoder);
  return encoding.toUint8Array(encoder);
}

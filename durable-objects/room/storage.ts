import type { StoredRoom } from "../../core/crdt/document.ts";
import { ROOM_FORMAT } from "../../core/crdt/records.ts";
import type { RoomStore } from "../../core/crdt/room.ts";
import { Journal, shouldCheckpoint } from "../../core/journal/journal.ts";
import { sqliteJournalStorage } from "../shared/journal-sqlite.ts";

/**
 * What a room is besides its document. `epoch` names this history of it: one that was erased and made again has
 * another, and another `author`, the client id of server writes.
 */
type Meta = { format: number; epoch: string; author: number; snapshotBytes: number; listed: boolean };

const META = "room";

/**
 * A snapshot is due when the journal has three times its size. Written bytes per edited byte are then at most
 * 1 + 1/3 + c, where c is what a byte of journal comes to in a snapshot: a tenth for typing, one for what cannot be
 * merged. Below 64 KiB a journal is read faster than a snapshot is made; a row weighs little, being read in microseconds.
 */
export const COMPACTION = { ratio: 3, minBytes: 65_536, rowBytes: 8 };

/** A room's storage: its journal, and one record of what it is. An object that was never written to stores nothing. */
export class RoomStorage implements RoomStore {
  readonly #storage: DurableObjectStorage;
  readonly #rows: ReturnType<typeof sqliteJournalStorage>;
  readonly #journal: Journal;
  #meta: Meta;
  #metaRows = 0;

  private constructor(storage: DurableObjectStorage, meta: Meta) {
    this.#storage = storage;
    this.#meta = meta;
    this.#rows = sqliteJournalStorage(storage);
    this.#journal = Journal.open(this.#rows, { payload: { version: ROOM_FORMAT } });
  }

  /** What is stored, or null where there is no room. */
  static open(storage: DurableObjectStorage): RoomStorage | null {
    const meta = storage.kv.get<Meta>(META);
    return meta === undefined ? null : new RoomStorage(storage, meta);
  }

  static create(storage: DurableObjectStorage): RoomStorage {
    const [high, low] = crypto.getRandomValues(new Uint32Array(2)) as unknown as [number, number];
    // 32 to 53 bits: above every id that a client draws for itself, and exact as a number.
    const author = 2 ** 32 + (high & 0xf_ffff) * 2 ** 32 + low;
    const made = new RoomStorage(storage, { format: ROOM_FORMAT, epoch: crypto.randomUUID(), author, snapshotBytes: 0, listed: false });
    made.#put({});
    return made;
  }

  get epoch(): string {
    return this.#meta.epoch;
  }

  get author(): number {
    return this.#meta.author;
  }

  /** Whether the directory knows the room. */
  get listed(): boolean {
    return this.#meta.listed;
  }

  /** Rows written since the object woke. */
  get rowsWritten(): number {
    return this.#rows.rowsWritten() + this.#metaRows;
  }

  head(): number {
    return this.#journal.head;
  }

  bytes(): number {
    return this.#meta.snapshotBytes + this.#journal.costSinceCheckpoint().bytes;
  }

  load(): StoredRoom {
    const checkpoint = this.#journal.latestCheckpoint();
    const entries = this.#journal.replay(checkpoint?.position ?? this.#journal.base);
    return { snapshot: checkpoint?.bytes ?? null, entries: bytesOf(entries) };
  }

  /** Durable when it returns, as far as anything sent afterwards can tell (output gate). */
  persist(entries: readonly Uint8Array[]): void {
    for (const entry of entries) this.#journal.stage(entry);
    this.#journal.commit();
  }

  get wantsCompaction(): boolean {
    const { bytes, rows } = this.#journal.costSinceCheckpoint();
    return shouldCheckpoint({ bytesSince: bytes, rowsSince: rows, checkpointBytes: this.#meta.snapshotBytes }, COMPACTION);
  }

  /** The entries, the snapshot of everything up to and with them, and the end of what it replaces: all or nothing. */
  compact(entries: readonly Uint8Array[], snapshot: Uint8Array): void {
    const before = this.#meta;
    try {
      this.#journal.transaction(() => {
        this.persist(entries);
        this.#journal.checkpoint(this.#journal.head, snapshot);
        this.#journal.trim(this.#journal.head);
        this.#put({ snapshotBytes: snapshot.byteLength });
      });
    } catch (error) {
      this.#meta = before;
      throw error;
    }
  }

  markListed(): void {
    this.#put({ listed: true });
  }

  stats() {
    const { bytes, rows } = this.#journal.costSinceCheckpoint();
    return {
      epoch: this.#meta.epoch,
      format: this.#meta.format,
      position: this.#journal.head,
      snapshotBytes: this.#meta.snapshotBytes,
      journalBytes: bytes,
      journalRows: rows,
      databaseBytes: this.#storage.sql.databaseSize,
      rowsWritten: this.rowsWritten,
    };
  }

  #put(change: Partial<Meta>): void {
    this.#meta = { ...this.#meta, ...change };
    this.#storage.kv.put(META, this.#meta);
    this.#metaRows++;
  }
}

function* bytesOf(entries: Iterable<{ bytes: Uint8Array }>): Generator<Uint8Array> {
  for (const { bytes } of entries) yield bytes;
}

import { crc32c } from "../../journal/crc32c.ts";
import { checkKey, checkOperation, cost } from "./check.ts";
import { type HistoryPage, readHistory } from "./history.ts";
import { type LeaseRecord, LeaseTable } from "./lease-table.ts";
import { Mvcc } from "./mvcc.ts";
import { answerRange } from "./range.ts";
import { refusal } from "./refusals.ts";
import { type Outcome, SessionTable } from "./sessions.ts";
import { requestBytes } from "./size.ts";
import { decodeState, encodeState, type State } from "./snapshot.ts";
import { Change } from "./txn.ts";
import {
  type ByteString,
  type Command,
  KvError,
  type Operation,
  type OperationResult,
  type RangeRequest,
  type RangeResponse,
  type TxnRequest,
  type TxnResponse,
  type WatchEvent,
} from "./types.ts";

export type { HistoryPage } from "./history.ts";
export type { LeaseRecord } from "./lease-table.ts";

/**
 * `quotaBytes`, `maxOps` and `maxRequestBytes` bind {@link KvStore.check} alone, so replicas may differ in them. `maxSessions`
 * is part of the replicated state: every replica of a group must start with the same one, and a snapshot carries it.
 */
export type KvOptions = { quotaBytes: number; maxOps: number; maxRequestBytes: number; maxSessions: number };

/** etcd's defaults, but for the quota: the state lives in an isolate of 128 MB. */
export const KV_DEFAULTS: KvOptions = { quotaBytes: 32 * 2 ** 20, maxOps: 128, maxRequestBytes: 1.5 * 2 ** 20, maxSessions: 1024 };

/**
 * What a command did. `revision` is the store's after it. `events`: what changed, in order, all of one revision; empty where
 * nothing did. `duplicate`: the session's command was applied before; this is the first answer again, without events.
 */
export type Applied = { events: WatchEvent[]; revision: number; duplicate: boolean } & Outcome;

const NO_EVENTS: WatchEvent[] = [];

/**
 * etcd's MVCC store as a deterministic state machine: the same commands give the same state and answers, whichever machine
 * applies them. Answers share their key-value objects with the store: never change one.
 */
export class KvStore {
  readonly options: KvOptions;
  readonly #mvcc: Mvcc;
  readonly #leases: LeaseTable;
  readonly #sessions: SessionTable;

  constructor(options: Partial<KvOptions> = {}, state?: State) {
    this.options = { ...KV_DEFAULTS, ...options };
    this.#mvcc = state?.mvcc ?? new Mvcc();
    this.#leases = state?.leases ?? new LeaseTable();
    this.#sessions = state?.sessions ?? new SessionTable(this.options.maxSessions);
  }

  /** The store as {@link snapshot} wrote it. Throws `corrupt` or `newer_format`. */
  static restore(bytes: Uint8Array, options: Partial<KvOptions> = {}): KvStore {
    return new KvStore(options, decodeState(bytes));
  }

  /** The whole state; equal states give equal bytes. */
  snapshot(): Uint8Array<ArrayBuffer> {
    const pieces = [...this.#encode()];
    const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
    let at = 0;
    for (const piece of pieces) {
      bytes.set(piece, at);
      at += piece.length;
    }
    return bytes;
  }

  /** {@link snapshot} in pieces of `size` bytes, the last one shorter. Apply nothing until all are taken. */
  *snapshotChunks(size: number): Generator<Uint8Array<ArrayBuffer>> {
    let chunk = new Uint8Array(size);
    let filled = 0;
    for (const piece of this.#encode()) {
      for (let at = 0; at < piece.length; ) {
        const part = piece.subarray(at, at + size - filled);
        chunk.set(part, filled);
        filled += part.length;
        at += part.length;
        if (filled < size) continue;
        yield chunk;
        chunk = new Uint8Array(size);
        filled = 0;
      }
    }
    if (filled > 0) yield chunk.slice(0, filled);
  }

  /** Revision of the last change; 1 at first. */
  get revision(): number {
    return this.#mvcc.revision;
  }

  /** The oldest revision that can be read; -1 before the first compaction, as etcd has it. */
  get compactRevision(): number {
    return this.#mvcc.compactRevision;
  }

  /** Keys that exist or whose deletion can still be read. */
  get keys(): number {
    return this.#mvcc.keys.size;
  }

  /** Estimate of what the state takes in memory, history included: what the quota is about. The same on every replica. */
  get bytes(): number {
    return this.#mvcc.bytes + this.#leases.bytes + this.#sessions.bytes;
  }

  /** Applies a committed command. Never throws for what a command asks: a refusal is in the answer, and changed nothing. */
  apply({ operation, at, session }: Command): Applied {
    if (session !== null) {
      const recalled = this.#sessions.recall(session);
      if (recalled !== null) return { events: NO_EVENTS, revision: this.revision, duplicate: recalled.duplicate, ...recalled.outcome };
    }
    const change = new Change(this.#mvcc, this.#leases);
    const outcome = this.#perform(operation, at, change);
    change.commit();
    if (session !== null) this.#sessions.remember(session, this.revision, outcome);
    const { events } = change;
    const revision = this.revision;
    return outcome.result === undefined
      ? { events, revision, duplicate: false, error: outcome.error }
      : { events, revision, duplicate: false, result: outcome.result };
  }

  /**
   * What a server refuses before it proposes. `pending`: bytes of proposals not applied yet (see {@link cost}), held against
   * the quota too. Throws KvError.
   */
  check(operation: Operation, pending = 0): void {
    const { quotaBytes, maxOps, maxRequestBytes } = this.options;
    const bytes = cost(operation);
    if (bytes > 0 && this.bytes + pending + bytes >= quotaBytes) throw refusal("noSpace");
    checkOperation(operation, maxOps);
    if (requestBytes(operation) > maxRequestBytes) throw refusal("requestTooLarge");
  }

  /** The checks of {@link check} for a read. Throws KvError. */
  checkRange(request: RangeRequest): void {
    checkKey(request);
  }

  /** Throws KvError: compacted or future revision. */
  range(request: RangeRequest): RangeResponse {
    return answerRange(this.#mvcc, request, this.revision);
  }

  /** Answers a transaction that only reads (see {@link isReadOnly}), which needs no log entry. {@link check} it before. Throws KvError. */
  readTxn(request: TxnRequest): TxnResponse {
    if (!isReadOnly(request)) throw new TypeError("A transaction that writes must be applied.");
    return new Change(this.#mvcc, this.#leases).txn(request);
  }

  /** All leases, by id. */
  leases(): LeaseRecord[] {
    return this.#leases.all();
  }

  lease(id: bigint): LeaseRecord | undefined {
    return this.#leases.get(id);
  }

  /** The keys attached to a lease, in order. */
  leaseKeys(id: bigint): ByteString[] {
    return this.#leases.keys(id);
  }

  /**
   * Events of the keys from `key` to `rangeEnd` (as in RangeRequest) from `revision` on: whole revisions, as many as fit
   * `maxEvents` and `maxBytes` of keys and values, at least one. A page may be empty and not yet at the end. Throws KvError
   * where `revision` is compacted.
   */
  eventsFrom(revision: number, key: ByteString, rangeEnd: ByteString, maxEvents = 1000, maxBytes = 2 ** 20): HistoryPage {
    return readHistory(this.#mvcc, revision, key, rangeEnd, maxEvents, maxBytes);
  }

  /**
   * The revision to compact to so that `revisions` remain readable; null until there are twice as many, so that it is
   * proposed seldom. For the leader to propose: the store never compacts by itself.
   */
  compactionFor(revisions: number): number | null {
    const readable = this.revision - Math.max(this.compactRevision, 1);
    return readable >= 2 * revisions ? this.revision - revisions : null;
  }

  /** A hash of the whole state, 16 hex digits: replicas that applied the same commands have the same. Takes time in the size of the state. */
  digest(): string {
    let [crc, fnv] = [0, 0x811c9dc5];
    for (const piece of this.#encode()) {
      crc = crc32c(piece, crc);
      for (const byte of piece) fnv = Math.imul(fnv ^ byte, 0x01000193);
    }
    return [crc, fnv].map((half) => (half >>> 0).toString(16).padStart(8, "0")).join("");
  }

  #encode(): Generator<Uint8Array<ArrayBuffer>> {
    return encodeState({ mvcc: this.#mvcc, leases: this.#leases, sessions: this.#sessions });
  }

  #perform(operation: Operation, at: number, change: Change): Outcome {
    try {
      checkOperation(operation, Number.POSITIVE_INFINITY);
      return { result: this.#answer(operation, at, change) };
    } catch (error) {
      if (error instanceof KvError) return { error };
      throw error;
    }
  }

  #answer(operation: Operation, at: number, change: Change): OperationResult {
    switch (operation.op) {
      case "put":
        change.checkPut(operation.request, "leaseFirst");
        return { op: "put", response: change.put(operation.request) };
      case "deleteRange":
        return { op: "deleteRange", response: change.deleteRange(operation.request) };
      case "txn":
        return { op: "txn", response: change.txn(operation.request) };
      case "compact":
        this.#mvcc.compact(operation.request.revision);
        return { op: "compact", response: { header: { revision: this.revision } } };
      case "leaseGrant": {
        const { id } = operation.request;
        const ttl = this.#leases.grant(id, operation.request.ttl, at);
        return { op: "leaseGrant", response: { header: { revision: this.revision }, id, ttl } };
      }
      case "leaseRevoke": {
        const { id } = operation.request;
        if (!this.#leases.has(id)) throw refusal("leaseNotFound");
        change.deleteKeys(this.#leases.keys(id));
        this.#leases.remove(id);
        return { op: "leaseRevoke", response: { header: { revision: change.revision } } };
      }
      case "leaseRenew":
        for (const id of operation.request.ids) this.#leases.renew(id, at);
        return { op: "leaseRenew", response: { header: { revision: this.revision } } };
    }
  }
}

/** What an operation may add to {@link KvStore.bytes}, for a server that sums up what it has proposed. */
export { cost } from "./check.ts";

/** Whether a transaction only reads on either branch, so that it needs no log entry. As in etcd, one with a nested transaction does not count. */
export function isReadOnly(request: TxnRequest): boolean {
  return request.success.every(({ op }) => op === "range") && request.failure.every(({ op }) => op === "range");
}

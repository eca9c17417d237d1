import type {
  ByteString,
  Command,
  KvError,
  Operation,
  OperationResult,
  RangeRequest,
  RangeResponse,
  TxnRequest,
  TxnResponse,
  WatchEvent,
} from "./types.ts";

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
export type Applied = { events: WatchEvent[]; revision: number; duplicate: boolean } & (
  | { result: OperationResult; error?: never }
  | { error: KvError; result?: never }
);

/** A lease as the log knows it: `renewedAt` is the `at` of its grant or of the last logged renewal, Unix milliseconds; `ttl` in seconds. */
export type LeaseRecord = { id: bigint; ttl: number; renewedAt: number };

/** A page of history. `next`: the first revision that the page does not cover; past {@link KvStore.revision} when it reached the present. */
export type HistoryPage = { events: WatchEvent[]; next: number };

/** etcd's MVCC store as a deterministic state machine. Answers share their key-value objects with the store: never change one. */
export class KvStore {
  constructor(_options: KvOptions = KV_DEFAULTS) {}

  /** The store as {@link snapshot} wrote it. Throws `corrupt` or `newer_format`. */
  static restore(_bytes: Uint8Array, _options: KvOptions = KV_DEFAULTS): KvStore {
    throw new Error("to come");
  }

  /** The whole state; equal states give equal bytes. */
  snapshot(): Uint8Array<ArrayBuffer> {
    throw new Error("to come");
  }

  /** Revision of the last change; 1 at first. */
  get revision(): number {
    throw new Error("to come");
  }

  /** The oldest revision that can be read; -1 before the first compaction, as etcd has it. */
  get compactRevision(): number {
    throw new Error("to come");
  }

  /** Estimate of what the state takes in memory, history included: what the quota is about. The same on every replica. */
  get bytes(): number {
    throw new Error("to come");
  }

  /** Applies a committed command. Never throws for what a command asks: a refusal is in the answer, and changed nothing. */
  apply(_command: Command): Applied {
    throw new Error("to come");
  }

  /** What a server refuses before it proposes. `pending`: bytes of proposals not applied yet, counted against the quota. Throws {@link KvError}. */
  check(_operation: Operation, _pending = 0): void {
    throw new Error("to come");
  }

  /** The checks of {@link check} for a read. Throws {@link KvError}. */
  checkRange(_request: RangeRequest): void {
    throw new Error("to come");
  }

  /** Throws {@link KvError}: compacted or future revision. */
  range(_request: RangeRequest): RangeResponse {
    throw new Error("to come");
  }

  /** Answers a transaction that only reads (see {@link isReadOnly}), which needs no log entry. Throws {@link KvError}. */
  readTxn(_request: TxnRequest): TxnResponse {
    throw new Error("to come");
  }

  /** All leases, by id. */
  leases(): LeaseRecord[] {
    throw new Error("to come");
  }

  lease(_id: bigint): LeaseRecord | undefined {
    throw new Error("to come");
  }

  /** The keys attached to a lease, in order. */
  leaseKeys(_id: bigint): ByteString[] {
    throw new Error("to come");
  }

  /**
   * Events of the keys from `key` to `rangeEnd` (as in {@link RangeRequest}) from `revision` on, whole revisions, at most
   * `maxEvents` unless one revision has more. Throws {@link KvError} where `revision` is compacted.
   */
  eventsFrom(_revision: number, _key: ByteString, _rangeEnd: ByteString, _maxEvents = 1000): HistoryPage {
    throw new Error("to come");
  }

  /** The revision to compact to so that `revisions` remain readable; null where there is nothing to gain. For the leader to propose. */
  compactionFor(_revisions: number): number | null {
    throw new Error("to come");
  }

  /** A hash of the whole state, 16 hex digits: replicas that applied the same commands have the same. Takes time in the size of the state. */
  digest(): string {
    throw new Error("to come");
  }
}

/** Whether a transaction only reads on either branch, so that it needs no log entry. As in etcd, one with a nested transaction does not count. */
export function isReadOnly(request: TxnRequest): boolean {
  return [...request.success, ...request.failure].every(({ op }) => op === "range");
}

import type { Grant } from "../../../core/wire/grant.ts";

/** A topology as `GET /v1/topologies` lists it. A sink is `topic:name` or `room:name`. */
export type Topology = {
  name: string;
  version: number;
  /** The version that is live in the project, since when (Unix ms); null before its first record. */
  live: { version: number; since: number } | null;
  partitions: number;
  sources: string[];
  tables: string[];
  sinks: string[];
  models: string[];
};

/** A record that a task could not process: where it stands, and why. */
export type Poison = { topic: string; offset: number; node: number; error: string };

/** One task of a topology, as `GET /v1/topologies/{topology}` gives it. Counts are of records. */
export type TaskStatus = {
  partition: number;
  records: number;
  applied: Record<string, number>;
  head: Record<string, number>;
  lag: number;
  late: Record<string, number>;
  poisoned: number;
  lastPoison: Poison[];
  outbox: number;
  /** Receivers that do not take what they are sent, and why. */
  waiting: { sink: string; to: string; code: string; detail: string }[];
};
/** A partition of a source that no task reads; `head` is how many records it has. */
export type Unread = { topic: string; partition: number; head: number };
export type TopologyStatus = Topology & { closeOnIdle: number | null; tasks: TaskStatus[]; unread: Unread[] };

export type TopicConfig = { partitions: number; key: string | null; timestamp: string | null };
export type Topic = TopicConfig & { name: string; contentType: string; maxFutureMs: number; generation: number; createdAt: number };
export type TopicStatus = Topic & { extents: { partition: number; base: number; head: number }[]; readBy: string[] };

export type RoomListed = { name: string; createdAt: number };
/** What `GET /v1/rooms/{room}` says; see the reference for the units. */
export type RoomStatus = {
  name: string;
  epoch: string;
  position: number;
  connections: number;
  snapshotBytes: number;
  journalBytes: number;
  journalRows: number;
  databaseBytes: number;
  rowsWritten: number;
  pendingBytes: number;
};

export type Amounts = { requests: number; rows: number; bytesIn: number; bytesOut: number };
export type UsageHour = Amounts & { start: number; capability: string };
export type Usage = {
  from: number;
  to: number;
  total: Amounts;
  byCapability: Record<string, Amounts>;
  dollars: { requests: number; rows: number; total: number };
  hours: UsageHour[];
};

export type TableListed = { name: string; topology: string; partitions: number; fields: string[] };
export type TableRow = { key: string; window: { start: number; end: number }; value: Record<string, unknown>; final: boolean };
export type TablePage = { rows: TableRow[]; cursor: string | null };

export type TokenInfo = {
  id: string;
  keyId: string;
  subject: string;
  grants: Grant[];
  createdAt: number;
  expiresAt: number;
  maxExpiresAt: number;
  revokedAt: number | null;
};
export type Minted = { token: string; id: string; expiresAt: number; refreshableUntil: number };
export type Key = { id: string; createdAt: number; retiredAt: number | null; verifiesUntil: number | null };

/** One page of a list, and where the next begins. */
export type Paged<Name extends string, T> = Record<Name, T[]> & { next: string | null };

export const sum = (counts: Record<string, number>): number => Object.values(counts).reduce((total, count) => total + count, 0);

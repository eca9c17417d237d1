import { type Answer, answer, type Level, type Position } from "./answer.ts";
import type { GroupMeta, LiveTopology, Recency, RoomMeta, TopicConfig, TopicMeta } from "./directory.ts";
import { SkerryError } from "./errors.ts";

export type EntryKind = "topic" | "room" | "group" | "topology";

/**
 * One name of a directory; `deletedAt` in Unix milliseconds marks one that is gone. Entries are never removed: a deleted one stays
 * with its generation, so that a name made again gets a higher one.
 */
export type EntryRecord = {
  kind: EntryKind;
  name: string;
  version: number;
  generation: number;
  createdAt: number;
  deletedAt: number | null;
  /** JSON of what the kind is made with. */
  config: string;
};

/** What a store's answer tells beside its value. */
export type Told = { position: Position; level: Level; rows: number; placement?: "measured" | "simulated" };

/** Where entries are kept. Two implementations: a table of an object, and the keys of a group. */
export interface EntryStore {
  get(kind: EntryKind, name: string, recency?: Recency): Promise<Told & { value: EntryRecord | null }>;
  /**
   * Writes entries, each of version `version`, if every stored one's is the one before (none: 0), and those of `standing` are of the
   * versions they were read in; false, and nothing done, if not.
   */
  put(entries: readonly EntryRecord[], standing?: readonly EntryRecord[]): Promise<Told & { value: boolean }>;
  /** Entries that exist, by name after `after` in byte order of UTF-8. */
  list(kind: EntryKind, after: string | null, limit: number): Promise<Told & { value: EntryRecord[] }>;
}

/** A name that everybody changes at once is given up after so many attempts. */
export const ATTEMPTS = 8;

export function of<T>(value: T, { position, level, rows, placement }: Told): Answer<T> {
  return { ...answer(value, position, level, rows), ...(placement !== undefined && { placement }) };
}

export function contended(kind: EntryKind, name: string): SkerryError {
  return new SkerryError("unavailable", `Others keep changing the ${kind} "${name}".`, { retryAfter: 1 });
}

export function roomOf({ name, version, generation, createdAt }: EntryRecord): RoomMeta {
  return { name, version, generation, createdAt };
}

export function groupOf(entry: EntryRecord): GroupMeta {
  return { ...(JSON.parse(entry.config) as Omit<GroupMeta, keyof RoomMeta>), ...roomOf(entry) };
}

/** A group that was prepared and is not there yet; null: it is none of these. */
export function preparedOf(entry: EntryRecord | null): GroupMeta | null {
  if (entry === null || entry.deletedAt === null) return null;
  const { prepared, ...config } = JSON.parse(entry.config) as { prepared?: true };
  return prepared === true ? groupOf({ ...entry, config: JSON.stringify(config) }) : null;
}

export function topicOf(entry: EntryRecord): TopicMeta {
  return { ...(JSON.parse(entry.config) as TopicConfig), ...roomOf(entry) };
}

export function liveOf(entry: EntryRecord): LiveTopology {
  return { ...(JSON.parse(entry.config) as Omit<LiveTopology, keyof RoomMeta>), ...roomOf(entry) };
}

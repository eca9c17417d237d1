import type { Answer } from "./answer.ts";
import { SkerryError } from "./errors.ts";
import { isPlatformGroup, SYSTEM_GROUP } from "./names.ts";

/**
 * What a topic is made with. Pointers are RFC 6901 JSON pointers into a record; `maxFutureMs` is how far beyond the
 * partition's clock an event time may lie, in milliseconds.
 */
export type TopicConfig = {
  /** 1 to {@link MAX_PARTITIONS}; fixed for the topic's life, since keys are placed by it. */
  partitions: number;
  contentType: string;
  /** Pointer to the member that is the record's key; null: records have no key. */
  key: string | null;
  /** Pointer to the event time (Unix milliseconds, or an RFC 3339 string); null: the time of the append. */
  timestamp: string | null;
  maxFutureMs: number;
};

/**
 * `version` grows with every change of the name's entry and is what stale callers are refused by; `generation` grows
 * when a deleted name is made again, and is part of the names of its partitions, so that old data never shows through.
 */
export type Entry = { name: string; version: number; generation: number; createdAt: number };
export type TopicMeta = TopicConfig & Entry;
export type RoomMeta = Entry;

/** Where a replica can be asked to live: the platform's location hints. */
export const REGIONS = ["wnam", "enam", "sam", "weur", "eeur", "apac", "oc", "afr", "me"] as const;
export type Region = (typeof REGIONS)[number];
/** What a group is made with: how many replicas, and where, one region each; none where the platform chooses (`regions: []`). */
export type GroupConfig = { replicas: (typeof GROUP_SIZES)[number]; regions: Region[] };
/** `learner`: it follows the log and counts in no majority. */
export type GroupMember = { id: number; region: Region | null; learner: boolean };
/**
 * A group as the directory knows it: enough to find its replicas. Who votes is decided by the group's own log; `members`
 * follows it, and a replica that is not in it any more says so itself. `nextId` is the id of the next replica: none is used twice.
 */
export type GroupMeta = GroupConfig & Entry & { members: GroupMember[]; nextId: number };

/**
 * A version of a topology that is live in a project: its topics are there. `version` is the entry's, `live` the topology's; `topics`
 * are those it reads and writes, `since` is when it went live, in Unix milliseconds.
 */
export type LiveTopology = Entry & { live: number; topics: string[]; since: number };

/** A topic that a topology reads or writes, as it is made where it lacks. */
export type WantedTopic = { name: string; config: TopicConfig };

/**
 * What is to go live: a version of a topology. `adopt`: leave topics that are there as their owners shaped them, and never go back to
 * an older version; otherwise they must be as wanted. `instead`: the version that is live now, as far as the caller knows (null:
 * none); where another is, nothing happens.
 */
export type GoingLive = { live: number; topics: WantedTopic[]; adopt: boolean; instead?: number | null };

/** One page of names in the order of UTF-8 bytes; `next` is the name to continue after, null at the end. */
export type Page<T> = { items: T[]; next: string | null };

/** What a look at a name may trail: nothing; what was so a second ago; anything, where nobody can say what is so now. */
export type Recency = "linearizable" | "bounded" | "stale";

/**
 * What exists in a project. The entries of topics, groups and topologies are keys of the project's system group, so that several can
 * change in one transaction; rooms, of which there can be millions and which nobody looks up, are rows of sharded tables.
 */
export interface DirectoryPort {
  /** The same configuration again is no change (`created: false`); another one is `conflict`. */
  putTopic(name: string, config: TopicConfig): Promise<Answer<{ topic: TopicMeta; created: boolean }>>;
  getTopic(name: string, recency?: Recency): Promise<Answer<TopicMeta | null>>;
  deleteTopic(name: string): Promise<Answer<{ deleted: boolean }>>;
  /** Names after `after`, at most `limit`. */
  listTopics(after: string | null, limit: number): Promise<Answer<TopicMeta[]>>;
  putRoom(name: string): Promise<Answer<{ room: RoomMeta; created: boolean }>>;
  getRoom(name: string): Promise<Answer<RoomMeta | null>>;
  deleteRoom(name: string): Promise<Answer<{ deleted: boolean }>>;
  listRooms(after: string | null, limit: number): Promise<Answer<RoomMeta[]>>;
  /** As {@link DirectoryPort.putTopic}. The first members are 1 to `replicas`. */
  putGroup(name: string, config: GroupConfig): Promise<Answer<{ group: GroupMeta; created: boolean; left: GroupMeta | null }>>;
  /**
   * Takes a generation for a group that is not there before it is opened, so that its replicas can be told with what state they begin.
   * `conflict` where there is a group of that name. `left`, also of {@link putGroup}: one that was prepared and never opened.
   */
  prepareGroup(name: string, config: GroupConfig): Promise<Answer<{ group: GroupMeta; left: GroupMeta | null }>>;
  /** Opens the group that was prepared in that version; `conflict` where it was made, prepared or deleted by others since. */
  openGroup(name: string, version: number): Promise<Answer<GroupMeta>>;
  getGroup(name: string, recency?: Recency): Promise<Answer<GroupMeta | null>>;
  deleteGroup(name: string): Promise<Answer<{ deleted: boolean }>>;
  listGroups(after: string | null, limit: number): Promise<Answer<GroupMeta[]>>;
  /**
   * Makes the topics that lack and moves the live version, in one transaction. `created`: what was made. Throws `conflict`, and then
   * nothing was done: a topic is there with another configuration, or another version is live.
   */
  goLive(name: string, wanted: GoingLive): Promise<Answer<{ topology: LiveTopology; created: TopicMeta[] }>>;
  getLive(name: string, recency?: Recency): Promise<Answer<LiveTopology | null>>;
  /** Writes down other members. Throws `stale_metadata` where the entry's version is not `version`, `group_not_found`. */
  updateGroup(name: string, version: number, change: Pick<GroupMeta, "members" | "nextId">): Promise<Answer<GroupMeta>>;
}

/** Shards of a project's rooms. Fixed for ever: a name's shard is part of where its entry lives. */
export const DIRECTORY_SHARDS = 16;
export const MAX_PARTITIONS = 64;
export const DEFAULT_MAX_FUTURE_MS = 300_000;
/** A year: beyond it a clock is broken, not early. */
export const MAX_FUTURE_MS = 31_536_000_000;
export const MAX_PAGE = 1000;
/** Even numbers tolerate no more failures than the odd one below. */
export const GROUP_SIZES = [1, 3, 5] as const;
/** Members of a group at any time, learners included: a change may go through more than the final number. */
export const MAX_MEMBERS = 9;
/** Regions for a group that names none: any one of them can be lost, and a majority is near the Atlantic. */
const DEFAULT_REGIONS: readonly Region[] = ["enam", "weur", "wnam", "eeur", "sam"];

const MAX_POINTER = 256;
// RFC 6901: empty (the whole document) or /-led tokens, in which ~ is followed by 0 or 1.
const POINTER = /^(?:\/(?:[^~/]|~[01])*)*$/;
// RFC 9110: type/subtype, with optional parameters.
const MEDIA_TYPE = /^[A-Za-z0-9!#$&^_.+-]{1,127}\/[A-Za-z0-9!#$&^_.+-]{1,127}(?:\s*;[\x20-\x7e]{0,128})?$/;

/** The shard that answers for a name: FNV-1a (32 bits, over UTF-8) modulo {@link DIRECTORY_SHARDS}. */
export function directoryShard(name: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(name)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash % DIRECTORY_SHARDS;
}

/** Checks a topic's configuration, filling what may be left out. Throws `bad_request`, naming the wrong member. */
export function checkTopicConfig(config: Partial<TopicConfig>): TopicConfig {
  const { partitions = 1, contentType = "application/json", key = null, timestamp = null, maxFutureMs = DEFAULT_MAX_FUTURE_MS } = config;
  if (!Number.isInteger(partitions) || partitions < 1 || partitions > MAX_PARTITIONS)
    throw new SkerryError("bad_request", `"partitions" is a whole number from 1 to ${MAX_PARTITIONS}.`);
  if (typeof contentType !== "string" || !MEDIA_TYPE.test(contentType))
    throw new SkerryError("bad_request", `"contentType" is a media type such as application/json.`);
  checkPointer("key", key);
  checkPointer("timestamp", timestamp);
  if (!Number.isInteger(maxFutureMs) || maxFutureMs < 0 || maxFutureMs > MAX_FUTURE_MS)
    throw new SkerryError("bad_request", `"maxFutureMs" is a whole number of milliseconds from 0 to ${MAX_FUTURE_MS}.`);
  return { partitions, contentType, key, timestamp, maxFutureMs };
}

export function sameTopicConfig(a: TopicConfig, b: TopicConfig): boolean {
  return (
    a.partitions === b.partitions &&
    a.contentType === b.contentType &&
    a.key === b.key &&
    a.timestamp === b.timestamp &&
    a.maxFutureMs === b.maxFutureMs
  );
}

/**
 * Checks a group's configuration, filling what may be left out: three replicas, in regions of our choice. Throws
 * `bad_request`, naming the wrong member.
 */
export function checkGroupConfig(config: { replicas?: unknown; regions?: unknown }): GroupConfig {
  const given = config.regions === undefined || (Array.isArray(config.regions) && config.regions.length === 0) ? null : config.regions;
  const replicas = config.replicas ?? (Array.isArray(given) ? given.length : 3);
  if (!isGroupSize(replicas)) throw new SkerryError("bad_request", `"replicas" is one of ${GROUP_SIZES.join(", ")}.`);
  // One replica lives where it is first asked for, unless told otherwise.
  if (given === null) return { replicas, regions: replicas === 1 ? [] : DEFAULT_REGIONS.slice(0, replicas) };
  if (!Array.isArray(given) || given.length !== replicas || !given.every(isRegion)) {
    throw new SkerryError("bad_request", `"regions" names a region for each of ${replicas} replicas, out of ${REGIONS.join(", ")}.`);
  }
  return { replicas, regions: [...given] };
}

export function isRegion(region: unknown): region is Region {
  return REGIONS.includes(region as Region);
}

function isGroupSize(replicas: unknown): replicas is GroupConfig["replicas"] {
  return GROUP_SIZES.includes(replicas as GroupConfig["replicas"]);
}

export function sameGroupConfig(a: GroupConfig, b: GroupConfig): boolean {
  return a.replicas === b.replicas && a.regions.length === b.regions.length && a.regions.every((region, i) => region === b.regions[i]);
}

/** The members of a group just made. */
export function firstMembers({ replicas, regions }: GroupConfig): Pick<GroupMeta, "members" | "nextId"> {
  const members = Array.from({ length: replicas }, (_, i) => ({ id: i + 1, region: regions[i] ?? null, learner: false }));
  return { members, nextId: replicas + 1 };
}

/**
 * The group that holds the directory, as the directory would know it: it cannot be looked up in itself, so this is fixed for ever.
 * Three replicas in the regions of our choice as of when this was written down.
 */
export function systemGroup(): GroupMeta {
  const config: GroupConfig = { replicas: 3, regions: ["enam", "weur", "wnam"] };
  return { name: SYSTEM_GROUP, version: 1, generation: 1, createdAt: 0, ...config, ...firstMembers(config) };
}

/** Throws `bad_name` where a name is the platform's own. */
export function checkGroupName(name: string): void {
  if (isPlatformGroup(name)) throw new SkerryError("bad_name", `Groups that begin with "_" are the platform's own.`);
}

/** Checks what is to be written as a group's members. Throws `bad_request`. */
export function checkMembers({ members, nextId }: Pick<GroupMeta, "members" | "nextId">): void {
  const ids = new Set(members.map(({ id }) => id));
  const whole = members.every(
    ({ id, region }) => Number.isSafeInteger(id) && id > 0 && id < nextId && (region === null || isRegion(region)),
  );
  if (members.length < 1 || members.length > MAX_MEMBERS || ids.size !== members.length || !whole || !Number.isSafeInteger(nextId))
    throw new SkerryError("bad_request", `A group has 1 to ${MAX_MEMBERS} members with ids of their own below its next one.`);
}

/** One page of the shards' lists; each is ordered and has up to `limit + 1` names after the page before. */
export function mergePage<T extends { name: string }>(lists: T[][], limit: number): Page<T> {
  const merged = lists.flat().sort((a, b) => compareUtf8(a.name, b.name));
  const items = merged.slice(0, limit);
  return { items, next: merged.length > limit ? (items.at(-1)?.name ?? null) : null };
}

/** The order of UTF-8 bytes, which is that of SQLite's text: surrogate pairs come after all of the basic plane. */
function compareUtf8(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const [x, y] = [a.charCodeAt(i), b.charCodeAt(i)];
    if (x !== y) return rank(x) - rank(y);
  }
  return a.length - b.length;
}

function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}

function checkPointer(member: string, pointer: unknown): void {
  if (pointer === null) return;
  if (typeof pointer !== "string" || pointer.length > MAX_POINTER || !POINTER.test(pointer))
    throw new SkerryError("bad_request", `"${member}" is null or a JSON pointer (RFC 6901) such as "/origin".`);
}

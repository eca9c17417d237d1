import type { Answer } from "../../core/wire/answer.ts";
import {
  type GroupMeta,
  type LiveTopology,
  mergePage,
  type Page,
  type Recency,
  type RoomMeta,
  systemGroup,
  type TopicMeta,
} from "../../core/wire/directory.ts";
import { type ErrorCode, errorOf, SkerryError } from "../../core/wire/errors.ts";
import { type Scope, SYSTEM_GROUP } from "../../core/wire/names.ts";
import { directory } from "./port.ts";

/**
 * How long this isolate goes by what it knows of a topic, in milliseconds: a topic never changes, and one that is gone says so itself,
 * wherever it is met. A question wakes three objects, so it is asked seldom.
 */
const TOPIC_TTL_MS = 300_000;
/** The same of a group, whose members change. What is read may be a second old, so that what this isolate goes by is at most five. */
const GROUP_TTL_MS = 4_000;
const MAX_CACHED = 4_096;
/** A system group that says nothing for so long, in milliseconds, is not waited for by who knows the name already. */
const PATIENCE_MS = 1_000;
/** How the system group says that it cannot say anything. */
const SILENT: ReadonlySet<ErrorCode> = new Set(["no_quorum", "unavailable", "overloaded"]);

/** `meta` null: deleted by this isolate, so that the next look may not trail. */
type Cache<T> = Map<string, { meta: T | null; readAt: number }>;
type Read<T> = (recency: Recency, patience?: number) => Promise<Answer<T | null>>;

const topics: Cache<TopicMeta> = new Map();
const groups: Cache<GroupMeta> = new Map();
const topologies: Cache<LiveTopology> = new Map();
/** Rows that looking names up has cost, by project, which nobody has been told of yet. */
const unbilled = new Map<string, number>();

/**
 * A topic's metadata, at most five minutes old; while the system group cannot say what is so now, as it was known last. That a topic
 * is missing is never cached. Throws `topic_not_found`, `no_quorum`. Whoever is answered `stale_metadata` looks with {@link refreshTopic}.
 */
export async function topicMeta(env: Env, scope: Scope, name: string): Promise<TopicMeta> {
  return requireTopic(name, await known(topics, TOPIC_TTL_MS, scope, name, topicReader(env, scope, name)));
}

/** Reads a topic's metadata anew: what a caller does once when an object answers `stale_metadata`. Throws `topic_not_found`, `no_quorum`. */
export async function refreshTopic(env: Env, scope: Scope, name: string): Promise<TopicMeta> {
  return requireTopic(name, await keep(topics, scope, name, () => topicReader(env, scope, name)("linearizable")));
}

/** Keeps what this isolate was just told of a topic that it made. */
export function learnTopic(scope: Scope, topic: TopicMeta): void {
  remember(topics, cacheKey(scope, topic.name), topic, Date.now());
}

/** Forgets a topic in this isolate, after this isolate deleted it. */
export function forgetTopic(scope: Scope, name: string): void {
  remember(topics, cacheKey(scope, name), null, 0);
}

/** A group's entry, at most five seconds old, otherwise as {@link topicMeta}; or null. */
export async function groupMeta(env: Env, scope: Scope, name: string): Promise<GroupMeta | null> {
  return name === SYSTEM_GROUP ? systemGroup() : known(groups, GROUP_TTL_MS, scope, name, groupReader(env, scope, name));
}

/** Reads a group's entry anew: where its replicas are not, or not any more, those that were known. */
export async function refreshGroup(env: Env, scope: Scope, name: string): Promise<GroupMeta | null> {
  return name === SYSTEM_GROUP ? systemGroup() : keep(groups, scope, name, () => groupReader(env, scope, name)("linearizable"));
}

/** Keeps what this isolate was just told of a group that it made or changed. */
export function learnGroup(scope: Scope, group: GroupMeta): void {
  remember(groups, cacheKey(scope, group.name), group, Date.now());
}

/** Forgets a group in this isolate, after this isolate deleted it. */
export function forgetGroup(scope: Scope, name: string): void {
  remember(groups, cacheKey(scope, name), null, 0);
}

/** The version of a topology that is live, as {@link topicMeta}, or null. */
export function liveTopology(env: Env, scope: Scope, name: string): Promise<LiveTopology | null> {
  return known(topologies, TOPIC_TTL_MS, scope, name, (recency, patience) => directory(env, scope, patience).getLive(name, recency));
}

/** Keeps what this isolate was just told of a topology that it made live. */
export function learnLive(scope: Scope, topology: LiveTopology): void {
  remember(topologies, cacheKey(scope, topology.name), topology, Date.now());
}

/** One page of a project's topics, by name, after `after`. */
export async function listTopics(env: Env, scope: Scope, after: string | null = null, limit = 100): Promise<Answer<Page<TopicMeta>>> {
  return paged(await directory(env, scope).listTopics(after, limit + 1), limit);
}

/** One page of a project's rooms, by name, after `after`. */
export async function listRooms(env: Env, scope: Scope, after: string | null = null, limit = 100): Promise<Answer<Page<RoomMeta>>> {
  return paged(await directory(env, scope).listRooms(after, limit + 1), limit);
}

/** One page of a project's groups, by name, after `after`; without the platform's own. */
export async function listGroups(env: Env, scope: Scope, after: string | null = null, limit = 100): Promise<Answer<Page<GroupMeta>>> {
  return paged(await directory(env, scope).listGroups(after, limit + 1), limit);
}

/** Rows that looking names up has cost in this isolate since the last call: a question that wakes a replica makes it write. */
export function takeRows(scope: Scope): number {
  const project = projectKey(scope);
  const rows = unbilled.get(project) ?? 0;
  unbilled.delete(project);
  return rows;
}

function topicReader(env: Env, scope: Scope, name: string): Read<TopicMeta> {
  return (recency, patience) => directory(env, scope, patience).getTopic(name, recency);
}

function groupReader(env: Env, scope: Scope, name: string): Read<GroupMeta> {
  return (recency, patience) => directory(env, scope, patience).getGroup(name, recency);
}

async function known<T>(cache: Cache<T>, ttl: number, scope: Scope, name: string, read: Read<T>): Promise<T | null> {
  const key = cacheKey(scope, name);
  const before = cache.get(key);
  const old = before?.meta ?? null;
  if (old !== null && Date.now() - before!.readAt < ttl) return old;
  try {
    const recency = before?.meta === null ? "linearizable" : "bounded";
    return await keep(cache, scope, name, () => read(recency, old === null ? undefined : PATIENCE_MS));
  } catch (thrown) {
    if (!SILENT.has(errorOf(thrown).code)) throw thrown;
    // What is known goes on: whoever is told of something that is gone says so itself. That a name is missing nobody can know now.
    const meta = old ?? (before === undefined ? (await read("stale").catch(() => null))?.value : null) ?? null;
    if (meta === null) throw thrown;
    remember(cache, key, meta, Date.now());
    return meta;
  }
}

async function keep<T>(cache: Cache<T>, scope: Scope, name: string, read: () => Promise<Answer<T | null>>): Promise<T | null> {
  const key = cacheKey(scope, name);
  const readAt = Date.now();
  const { value, rows = 0 } = await read();
  if (rows > 0) unbilled.set(projectKey(scope), (unbilled.get(projectKey(scope)) ?? 0) + rows);
  if (value === null) cache.delete(key);
  else remember(cache, key, value, readAt);
  return value;
}

function remember<T>(cache: Cache<T>, key: string, meta: T | null, readAt: number): void {
  cache.delete(key);
  if (cache.size >= MAX_CACHED) cache.delete(cache.keys().next().value as string);
  cache.set(key, { meta, readAt });
}

function requireTopic(name: string, topic: TopicMeta | null): TopicMeta {
  if (topic !== null) return topic;
  throw new SkerryError("topic_not_found", `There is no topic "${name}". Create it with PUT /v1/topics/${encodeURIComponent(name)}.`);
}

/** One more than the page tells whether anything follows. */
function paged<T extends { name: string }>(told: Answer<T[]>, limit: number): Answer<Page<T>> {
  return { ...told, value: mergePage([told.value], limit) };
}

function cacheKey(scope: Scope, name: string): string {
  return `${projectKey(scope)}/${name}`;
}

function projectKey({ project, jurisdiction }: Scope): string {
  return `${project}/${jurisdiction}`;
}

import type { Answer } from "../../core/wire/answer.ts";
import {
  DIRECTORY_SHARDS,
  type DirectoryPort,
  directoryShard,
  type GroupMeta,
  mergePage,
  type Page,
  type RoomMeta,
  type TopicMeta,
} from "../../core/wire/directory.ts";
import { SkerryError } from "../../core/wire/errors.ts";
import { objectName, type Scope } from "../../core/wire/names.ts";
import { asking } from "../shared/refusals.ts";

/** How old metadata of a topic or a group may be in this isolate, in milliseconds. What is stale is refused by its version. */
const TTL_MS = 5_000;
const MAX_CACHED = 4_096;

const topics = new Map<string, { meta: TopicMeta; readAt: number }>();
const groups = new Map<string, { meta: GroupMeta; readAt: number }>();

/** The directory shard that answers for a name. */
export function directory(env: Env, scope: Scope, name: string): DirectoryPort {
  return shard(env, scope, directoryShard(name));
}

function shard(env: Env, scope: Scope, index: number): DirectoryPort {
  return asking(env).DIRECTORY.getByName(objectName(scope, "platform", "directory", index)) as unknown as DirectoryPort;
}

/** A topic's metadata, at most five seconds old. Throws `topic_not_found`; that a topic is missing is never cached. */
export async function topicMeta(env: Env, scope: Scope, name: string): Promise<TopicMeta> {
  return fresh(topics, scope, name) ?? refreshTopic(env, scope, name);
}

/** Reads a topic's metadata anew: what a caller does once when an object answers `stale_metadata`. Throws `topic_not_found`. */
export async function refreshTopic(env: Env, scope: Scope, name: string): Promise<TopicMeta> {
  const topic = await keep(topics, scope, name, async () => (await directory(env, scope, name).getTopic(name)).value);
  if (topic === null)
    throw new SkerryError("topic_not_found", `There is no topic "${name}". Create it with PUT /v1/topics/${encodeURIComponent(name)}.`);
  return topic;
}

/** Forgets a topic in this isolate, after this isolate created or deleted it. */
export function forgetTopic(scope: Scope, name: string): void {
  topics.delete(cacheKey(scope, name));
}

/** A group's entry, at most five seconds old, or null; that a group is missing is never cached. */
export async function groupMeta(env: Env, scope: Scope, name: string): Promise<GroupMeta | null> {
  return fresh(groups, scope, name) ?? refreshGroup(env, scope, name);
}

/** Reads a group's entry anew: where its replicas are not, or not any more, those that were known. */
export function refreshGroup(env: Env, scope: Scope, name: string): Promise<GroupMeta | null> {
  return keep(groups, scope, name, async () => (await directory(env, scope, name).getGroup(name)).value);
}

/** Forgets a group in this isolate, after this isolate created, changed or deleted it. */
export function forgetGroup(scope: Scope, name: string): void {
  groups.delete(cacheKey(scope, name));
}

/** One page of a project's topics, by name, after `after`. */
export function listTopics(env: Env, scope: Scope, after: string | null = null, limit = 100): Promise<Page<TopicMeta>> {
  return list(env, scope, limit, (port, most) => port.listTopics(after, most));
}

/** One page of a project's rooms, by name, after `after`. */
export function listRooms(env: Env, scope: Scope, after: string | null = null, limit = 100): Promise<Page<RoomMeta>> {
  return list(env, scope, limit, (port, most) => port.listRooms(after, most));
}

/** One page of a project's groups, by name, after `after`. */
export function listGroups(env: Env, scope: Scope, after: string | null = null, limit = 100): Promise<Page<GroupMeta>> {
  return list(env, scope, limit, (port, most) => port.listGroups(after, most));
}

async function list<T extends { name: string }>(
  env: Env,
  scope: Scope,
  limit: number,
  ask: (port: DirectoryPort, most: number) => Promise<Answer<T[]>>,
): Promise<Page<T>> {
  // One more than the page from each shard tells whether anything follows, even if one shard has it all.
  const shards = await Promise.all(Array.from({ length: DIRECTORY_SHARDS }, (_, index) => ask(shard(env, scope, index), limit + 1)));
  return mergePage(
    shards.map((answer) => answer.value),
    limit,
  );
}

type Cache<T> = Map<string, { meta: T; readAt: number }>;

function fresh<T>(cache: Cache<T>, scope: Scope, name: string): T | null {
  const known = cache.get(cacheKey(scope, name));
  return known !== undefined && Date.now() - known.readAt < TTL_MS ? known.meta : null;
}

async function keep<T>(cache: Cache<T>, scope: Scope, name: string, read: () => Promise<T | null>): Promise<T | null> {
  const key = cacheKey(scope, name);
  const readAt = Date.now();
  const meta = await read();
  cache.delete(key);
  if (meta === null) return null;
  if (cache.size >= MAX_CACHED) cache.delete(cache.keys().next().value as string);
  cache.set(key, { meta, readAt });
  return meta;
}

function cacheKey(scope: Scope, name: string): string {
  return `${scope.project}/${scope.jurisdiction}/${name}`;
}

import type { Answer } from "../core/wire/answer.ts";
import {
  DIRECTORY_SHARDS,
  type DirectoryPort,
  directoryShard,
  mergePage,
  type Page,
  type RoomMeta,
  type TopicMeta,
} from "../core/wire/directory.ts";
import { SkerryError } from "../core/wire/errors.ts";
import { objectName, type Scope } from "../core/wire/names.ts";

/** How old a topic's metadata may be in this isolate, in milliseconds. What is stale is refused by its version. */
const TTL_MS = 5_000;
const MAX_CACHED = 4_096;

const cached = new Map<string, { topic: TopicMeta; readAt: number }>();

/** The directory shard that answers for a name. */
export function directory(env: Env, scope: Scope, name: string): DirectoryPort {
  return shard(env, scope, directoryShard(name));
}

function shard(env: Env, scope: Scope, index: number): DirectoryPort {
  return env.DIRECTORY.getByName(objectName(scope, "platform", "directory", index)) as unknown as DirectoryPort;
}

/** A topic's metadata, at most five seconds old. Throws `topic_not_found`; that a topic is missing is never cached. */
export async function topicMeta(env: Env, scope: Scope, name: string): Promise<TopicMeta> {
  const known = cached.get(cacheKey(scope, name));
  if (known !== undefined && Date.now() - known.readAt < TTL_MS) return known.topic;
  return refreshTopic(env, scope, name);
}

/** Reads a topic's metadata anew: what a caller does once when an object answers `stale_metadata`. Throws `topic_not_found`. */
export async function refreshTopic(env: Env, scope: Scope, name: string): Promise<TopicMeta> {
  const key = cacheKey(scope, name);
  const readAt = Date.now();
  const { value: topic } = await directory(env, scope, name).getTopic(name);
  cached.delete(key);
  if (topic === null)
    throw new SkerryError("topic_not_found", `There is no topic "${name}". Create it with PUT /v1/topics/${encodeURIComponent(name)}.`);
  if (cached.size >= MAX_CACHED) cached.delete(cached.keys().next().value as string);
  cached.set(key, { topic, readAt });
  return topic;
}

/** Forgets a topic in this isolate, after this isolate created or deleted it. */
export function forgetTopic(scope: Scope, name: string): void {
  cached.delete(cacheKey(scope, name));
}

/** One page of a project's topics, by name, after `after`. */
export function listTopics(env: Env, scope: Scope, after: string | null = null, limit = 100): Promise<Page<TopicMeta>> {
  return list(env, scope, limit, (port, most) => port.listTopics(after, most));
}

/** One page of a project's rooms, by name, after `after`. */
export function listRooms(env: Env, scope: Scope, after: string | null = null, limit = 100): Promise<Page<RoomMeta>> {
  return list(env, scope, limit, (port, most) => port.listRooms(after, most));
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

function cacheKey(scope: Scope, name: string): string {
  return `${scope.project}/${scope.jurisdiction}/${name}`;
}

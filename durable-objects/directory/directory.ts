import { DurableObject } from "cloudflare:workers";
import { type Answer, answer } from "../../core/wire/answer.ts";
import {
  checkGroupConfig,
  checkMembers,
  checkTopicConfig,
  type DirectoryPort,
  firstMembers,
  type GroupConfig,
  type GroupMeta,
  type RoomMeta,
  sameGroupConfig,
  sameTopicConfig,
  type TopicConfig,
  type TopicMeta,
} from "../../core/wire/directory.ts";
import { SkerryError } from "../../core/wire/errors.ts";
import { checkName } from "../../core/wire/names.ts";
import { DirectoryStore, type EntryRecord } from "./store.ts";

/**
 * One shard of what exists in a project. Entries are never removed: a deleted one stays as a mark with its
 * generation, so that a name made again gets a higher one.
 */
export class Directory extends DurableObject<Env> implements DirectoryPort {
  readonly #store: DirectoryStore;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#store = new DirectoryStore(ctx.storage.sql);
  }

  async putTopic(name: string, config: TopicConfig): Promise<Answer<{ topic: TopicMeta; created: boolean }>> {
    const wanted = checkTopicConfig(config);
    const { entry, created, rows } = this.#put("topic", name, JSON.stringify(wanted));
    const topic = topicOf(entry);
    if (!created && !sameTopicConfig(topic, wanted))
      throw new SkerryError(
        "conflict",
        `The topic "${name}" exists with another configuration. Delete it first, or ask for the one it has.`,
        {
          extra: { existing: topic },
        },
      );
    return answer({ topic, created }, null, "durable", rows);
  }

  async getTopic(name: string): Promise<Answer<TopicMeta | null>> {
    const entry = this.#store.get("topic", name);
    return answer(entry && entry.deletedAt === null ? topicOf(entry) : null, null, "durable");
  }

  async deleteTopic(name: string): Promise<Answer<{ deleted: boolean }>> {
    return this.#delete("topic", name);
  }

  async listTopics(after: string | null, limit: number): Promise<Answer<TopicMeta[]>> {
    return answer(this.#store.list("topic", after, limit).map(topicOf), null, "durable");
  }

  async putRoom(name: string): Promise<Answer<{ room: RoomMeta; created: boolean }>> {
    const { entry, created, rows } = this.#put("room", name, "{}");
    return answer({ room: roomOf(entry), created }, null, "durable", rows);
  }

  async getRoom(name: string): Promise<Answer<RoomMeta | null>> {
    const entry = this.#store.get("room", name);
    return answer(entry && entry.deletedAt === null ? roomOf(entry) : null, null, "durable");
  }

  async deleteRoom(name: string): Promise<Answer<{ deleted: boolean }>> {
    return this.#delete("room", name);
  }

  async listRooms(after: string | null, limit: number): Promise<Answer<RoomMeta[]>> {
    return answer(this.#store.list("room", after, limit).map(roomOf), null, "durable");
  }

  async putGroup(name: string, config: GroupConfig): Promise<Answer<{ group: GroupMeta; created: boolean }>> {
    const wanted = checkGroupConfig(config);
    const { entry, created, rows } = this.#put("group", name, JSON.stringify({ ...wanted, ...firstMembers(wanted) }));
    const group = groupOf(entry);
    if (!created && !sameGroupConfig(group, wanted))
      throw new SkerryError("conflict", `The group "${name}" exists with another configuration. Change its members instead.`, {
        extra: { existing: group },
      });
    return answer({ group, created }, null, "durable", rows);
  }

  async getGroup(name: string): Promise<Answer<GroupMeta | null>> {
    const entry = this.#store.get("group", name);
    return answer(entry && entry.deletedAt === null ? groupOf(entry) : null, null, "durable");
  }

  async deleteGroup(name: string): Promise<Answer<{ deleted: boolean }>> {
    return this.#delete("group", name);
  }

  async listGroups(after: string | null, limit: number): Promise<Answer<GroupMeta[]>> {
    return answer(this.#store.list("group", after, limit).map(groupOf), null, "durable");
  }

  async updateGroup(name: string, version: number, change: Pick<GroupMeta, "members" | "nextId">): Promise<Answer<GroupMeta>> {
    const entry = this.#store.get("group", name);
    if (!entry || entry.deletedAt !== null) throw new SkerryError("group_not_found", `There is no group "${name}".`);
    if (entry.version !== version)
      throw new SkerryError("stale_metadata", `The group "${name}" was changed meanwhile; read it anew.`, { retryAfter: 1 });
    const { members, nextId } = change;
    checkMembers({ members, nextId });
    const next = { ...entry, version: version + 1, config: JSON.stringify({ ...JSON.parse(entry.config), members, nextId }) };
    this.#store.put(next);
    return answer(groupOf(next), null, "durable", 1);
  }

  #put(kind: EntryRecord["kind"], name: string, config: string): { entry: EntryRecord; created: boolean; rows: number } {
    checkName(kind, name);
    const before = this.#store.get(kind, name);
    if (before && before.deletedAt === null) return { entry: before, created: false, rows: 0 };
    const version = (before?.version ?? 0) + 1;
    const generation = (before?.generation ?? 0) + 1;
    const entry: EntryRecord = { kind, name, version, generation, createdAt: Date.now(), deletedAt: null, config };
    this.#store.put(entry);
    return { entry, created: true, rows: 1 };
  }

  #delete(kind: EntryRecord["kind"], name: string): Answer<{ deleted: boolean }> {
    const entry = this.#store.get(kind, name);
    if (!entry || entry.deletedAt !== null) return answer({ deleted: false }, null, "durable");
    this.#store.put({ ...entry, version: entry.version + 1, deletedAt: Date.now() });
    return answer({ deleted: true }, null, "durable", 1);
  }
}

function roomOf({ name, version, generation, createdAt }: EntryRecord): RoomMeta {
  return { name, version, generation, createdAt };
}

function groupOf(entry: EntryRecord): GroupMeta {
  return { ...(JSON.parse(entry.config) as Omit<GroupMeta, keyof RoomMeta>), ...roomOf(entry) };
}

function topicOf(entry: EntryRecord): TopicMeta {
  return { ...(JSON.parse(entry.config) as TopicConfig), ...roomOf(entry) };
}

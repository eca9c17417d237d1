import type { Answer } from "./answer.ts";
import {
  checkGroupConfig,
  checkGroupName,
  checkMembers,
  checkTopicConfig,
  type DirectoryPort,
  firstMembers,
  type GoingLive,
  type GroupConfig,
  type GroupMeta,
  type LiveTopology,
  type Recency,
  type RoomMeta,
  sameGroupConfig,
  sameTopicConfig,
  type TopicConfig,
  type TopicMeta,
} from "./directory.ts";
import {
  ATTEMPTS,
  contended,
  type EntryKind,
  type EntryRecord,
  type EntryStore,
  groupOf,
  liveOf,
  of,
  preparedOf,
  roomOf,
  type Told,
  topicOf,
} from "./entries.ts";
import { SkerryError } from "./errors.ts";
import { goLive } from "./going-live.ts";
import { checkName } from "./names.ts";

/** The rules of a directory, whatever keeps its entries. */
export class DirectoryRules implements DirectoryPort {
  readonly #store: EntryStore;
  readonly #now: () => number;

  /** @param now Unix milliseconds */
  constructor(store: EntryStore, now: () => number) {
    this.#store = store;
    this.#now = now;
  }

  async putTopic(name: string, config: TopicConfig): Promise<Answer<{ topic: TopicMeta; created: boolean }>> {
    const wanted = checkTopicConfig(config);
    const { entry, created, told } = await this.#put("topic", name, JSON.stringify(wanted));
    const topic = topicOf(entry);
    if (!created && !sameTopicConfig(topic, wanted))
      throw new SkerryError(
        "conflict",
        `The topic "${name}" exists with another configuration. Delete it first, or ask for the one it has.`,
        { extra: { existing: topic } },
      );
    return of({ topic, created }, told);
  }

  getTopic(name: string, recency?: Recency): Promise<Answer<TopicMeta | null>> {
    return this.#get("topic", name, topicOf, recency);
  }

  deleteTopic(name: string): Promise<Answer<{ deleted: boolean }>> {
    return this.#delete("topic", name);
  }

  listTopics(after: string | null, limit: number): Promise<Answer<TopicMeta[]>> {
    return this.#list("topic", after, limit, topicOf);
  }

  async putRoom(name: string): Promise<Answer<{ room: RoomMeta; created: boolean }>> {
    const { entry, created, told } = await this.#put("room", name, "{}");
    return of({ room: roomOf(entry), created }, told);
  }

  getRoom(name: string): Promise<Answer<RoomMeta | null>> {
    return this.#get("room", name, roomOf);
  }

  deleteRoom(name: string): Promise<Answer<{ deleted: boolean }>> {
    return this.#delete("room", name);
  }

  listRooms(after: string | null, limit: number): Promise<Answer<RoomMeta[]>> {
    return this.#list("room", after, limit, roomOf);
  }

  async putGroup(name: string, config: GroupConfig): Promise<Answer<{ group: GroupMeta; created: boolean; left: GroupMeta | null }>> {
    checkGroupName(name);
    const wanted = checkGroupConfig(config);
    const { entry, created, before, told } = await this.#put("group", name, JSON.stringify({ ...wanted, ...firstMembers(wanted) }));
    const group = groupOf(entry);
    if (!created && !sameGroupConfig(group, wanted))
      throw new SkerryError("conflict", `The group "${name}" exists with another configuration. Change its members instead.`, {
        extra: { existing: group },
      });
    return of({ group, created, left: preparedOf(before) }, told);
  }

  async prepareGroup(name: string, config: GroupConfig): Promise<Answer<{ group: GroupMeta; left: GroupMeta | null }>> {
    checkGroupName(name);
    const wanted = checkGroupConfig(config);
    const prepared = JSON.stringify({ ...wanted, ...firstMembers(wanted), prepared: true });
    const { entry, created, before, told } = await this.#put("group", name, prepared, this.#now());
    if (!created)
      throw new SkerryError("conflict", `The group "${name}" exists. Restore into a new one, or delete it first.`, {
        extra: { existing: groupOf(entry) },
      });
    return of({ group: preparedOf(entry)!, left: preparedOf(before) }, told);
  }

  async openGroup(name: string, version: number): Promise<Answer<GroupMeta>> {
    const { value: entry } = await this.#store.get("group", name);
    const taken = () => new SkerryError("conflict", `The group "${name}" was made, prepared or deleted by others meanwhile.`);
    if (entry === null || entry.version !== version || preparedOf(entry) === null) throw taken();
    const { prepared: _, ...config } = JSON.parse(entry.config);
    const next = { ...entry, version: version + 1, createdAt: this.#now(), deletedAt: null, config: JSON.stringify(config) };
    const told = await this.#store.put([next]);
    if (!told.value) throw taken();
    return of(groupOf(next), told);
  }

  getGroup(name: string, recency?: Recency): Promise<Answer<GroupMeta | null>> {
    return this.#get("group", name, groupOf, recency);
  }

  deleteGroup(name: string): Promise<Answer<{ deleted: boolean }>> {
    return this.#delete("group", name);
  }

  listGroups(after: string | null, limit: number): Promise<Answer<GroupMeta[]>> {
    return this.#list("group", after, limit, groupOf);
  }

  async updateGroup(name: string, version: number, change: Pick<GroupMeta, "members" | "nextId">): Promise<Answer<GroupMeta>> {
    const { value: entry } = await this.#store.get("group", name);
    if (entry === null || entry.deletedAt !== null) throw new SkerryError("group_not_found", `There is no group "${name}".`);
    const stale = () => new SkerryError("stale_metadata", `The group "${name}" was changed meanwhile; read it anew.`, { retryAfter: 1 });
    if (entry.version !== version) throw stale();
    const { members, nextId } = change;
    checkMembers({ members, nextId });
    const next = { ...entry, version: version + 1, config: JSON.stringify({ ...JSON.parse(entry.config), members, nextId }) };
    const told = await this.#store.put([next]);
    if (!told.value) throw stale();
    return of(groupOf(next), told);
  }

  goLive(name: string, wanted: GoingLive): Promise<Answer<{ topology: LiveTopology; created: TopicMeta[] }>> {
    return goLive(this.#store, this.#now, name, wanted);
  }

  getLive(name: string, recency?: Recency): Promise<Answer<LiveTopology | null>> {
    return this.#get("topology", name, liveOf, recency);
  }

  async #get<T>(kind: EntryKind, name: string, map: (entry: EntryRecord) => T, recency?: Recency): Promise<Answer<T | null>> {
    const told = await this.#store.get(kind, name, recency);
    return of(told.value !== null && told.value.deletedAt === null ? map(told.value) : null, told);
  }

  async #list<T>(kind: EntryKind, after: string | null, limit: number, map: (entry: EntryRecord) => T): Promise<Answer<T[]>> {
    const told = await this.#store.list(kind, after, limit);
    return of(told.value.map(map), told);
  }

  /** `before`: what a new entry takes the place of. `deletedAt`: for one that is not to be there yet. */
  async #put(
    kind: EntryKind,
    name: string,
    config: string,
    deletedAt: number | null = null,
  ): Promise<{ entry: EntryRecord; created: boolean; before: EntryRecord | null; told: Told }> {
    checkName(kind, name);
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const before = await this.#store.get(kind, name);
      const { value } = before;
      if (value !== null && value.deletedAt === null) return { entry: value, created: false, before: null, told: before };
      const [version, generation] = [(value?.version ?? 0) + 1, (value?.generation ?? 0) + 1];
      const entry: EntryRecord = { kind, name, version, generation, createdAt: this.#now(), deletedAt, config };
      const told = await this.#store.put([entry]);
      if (told.value) return { entry, created: true, before: value, told: { ...told, rows: told.rows + before.rows } };
    }
    throw contended(kind, name);
  }

  async #delete(kind: EntryKind, name: string): Promise<Answer<{ deleted: boolean }>> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const before = await this.#store.get(kind, name);
      const entry = before.value;
      if (entry === null || entry.deletedAt !== null) return of({ deleted: false }, before);
      const told = await this.#store.put([{ ...entry, version: entry.version + 1, deletedAt: this.#now() }]);
      if (told.value) return of({ deleted: true }, { ...told, rows: told.rows + before.rows });
    }
    throw contended(kind, name);
  }
}

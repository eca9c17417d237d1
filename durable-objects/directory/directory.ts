import { DurableObject } from "cloudflare:workers";
import type { DirectoryPort, GroupConfig, GroupMeta, TopicConfig } from "../../core/wire/directory.ts";
import { DirectoryRules } from "../../core/wire/directory-rules.ts";
import { DirectoryStore } from "./store.ts";

/** One shard of what exists in a project, kept in a table of its own. */
export class Directory extends DurableObject<Env> implements DirectoryPort {
  readonly #rules: DirectoryRules;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#rules = new DirectoryRules(new DirectoryStore(ctx.storage.sql), Date.now);
  }

  putTopic(name: string, config: TopicConfig) {
    return this.#rules.putTopic(name, config);
  }

  getTopic(name: string) {
    return this.#rules.getTopic(name);
  }

  deleteTopic(name: string) {
    return this.#rules.deleteTopic(name);
  }

  listTopics(after: string | null, limit: number) {
    return this.#rules.listTopics(after, limit);
  }

  putRoom(name: string) {
    return this.#rules.putRoom(name);
  }

  getRoom(name: string) {
    return this.#rules.getRoom(name);
  }

  deleteRoom(name: string) {
    return this.#rules.deleteRoom(name);
  }

  listRooms(after: string | null, limit: number) {
    return this.#rules.listRooms(after, limit);
  }

  putGroup(name: string, config: GroupConfig) {
    return this.#rules.putGroup(name, config);
  }

  getGroup(name: string) {
    return this.#rules.getGroup(name);
  }

  deleteGroup(name: string) {
    return this.#rules.deleteGroup(name);
  }

  listGroups(after: string | null, limit: number) {
    return this.#rules.listGroups(after, limit);
  }

  updateGroup(name: string, version: number, change: Pick<GroupMeta, "members" | "nextId">) {
    return this.#rules.updateGroup(name, version, change);
  }
}

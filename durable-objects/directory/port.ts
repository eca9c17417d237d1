import type { GroupEntries } from "../../core/consensus/directory/entries.ts";
import { DIRECTORY_SHARDS, type DirectoryPort, directoryShard, mergePage, type Recency } from "../../core/wire/directory.ts";
import { DirectoryRules } from "../../core/wire/directory-rules.ts";
import type { EntryKind, EntryRecord, EntryStore, Told } from "../../core/wire/entries.ts";
import { SkerryError } from "../../core/wire/errors.ts";
import { objectName, type Scope } from "../../core/wire/names.ts";
import { asking } from "../shared/refusals.ts";
import type { Directory } from "./directory.ts";
import { systemEntries } from "./system.ts";

/** What exists in a project; see {@link DirectoryPort}. */
export function directory(env: Env, scope: Scope, patience?: number): DirectoryPort {
  return new DirectoryRules(new ProjectEntries(env, scope, systemEntries(env, scope, patience)), Date.now);
}

/** Projects whose system group is known, in this isolate, to hold all that shards held before there was one. */
const brought = new Set<string>();
const MAX_KNOWN = 4_096;

/** Rooms in the tables of shards, everything else in the system group. */
class ProjectEntries implements EntryStore {
  readonly #env: Env;
  readonly #scope: Scope;
  readonly #system: GroupEntries;

  constructor(env: Env, scope: Scope, system: GroupEntries) {
    this.#env = env;
    this.#scope = scope;
    this.#system = system;
  }

  /** What is found may trail; that a name is missing is made sure of, unless anything will do. */
  async get(kind: EntryKind, name: string, recency: Recency = "linearizable"): Promise<Told & { value: EntryRecord | null }> {
    if (kind === "room") return this.#shard(directoryShard(name)).get(kind, name);
    let told = await this.#system.get(kind, name, recency);
    if (recency === "stale") return told;
    const missing = () => told.value === null || told.value.deletedAt !== null;
    if (missing() && recency === "bounded") told = await this.#system.get(kind, name);
    if (!missing()) return told;
    await this.#bring();
    return told.value === null ? this.#system.get(kind, name) : told;
  }

  async put(entries: readonly EntryRecord[], standing: readonly EntryRecord[] = []): Promise<Told & { value: boolean }> {
    const room = [...entries, ...standing].find(({ kind }) => kind === "room");
    if (room === undefined) {
      await this.#bring();
      return this.#system.put(entries, standing);
    }
    if (entries.length !== 1 || standing.length > 0) throw new SkerryError("internal", "A room's entry is in no transaction with others.");
    return this.#shard(directoryShard(room.name)).put(entries);
  }

  async list(kind: EntryKind, after: string | null, limit: number): Promise<Told & { value: EntryRecord[] }> {
    if (kind !== "room") {
      await this.#bring();
      return this.#system.list(kind, after, limit);
    }
    const shards = Array.from({ length: DIRECTORY_SHARDS }, (_, index) => this.#shard(index).list(kind, after, limit));
    const lists = await Promise.all(shards);
    const { items } = mergePage(
      lists.map(({ value }) => value),
      limit,
    );
    return { value: items, position: null, level: "durable", rows: 0 };
  }

  /** Sees to it that what the shards held before there was a system group is in it: once in a project's life. */
  async #bring(): Promise<void> {
    const project = `${this.#scope.project}/${this.#scope.jurisdiction}`;
    if (brought.has(project)) return;
    if (!(await this.#system.brought("stale")) && !(await this.#system.brought("linearizable"))) {
      const held = await Promise.all(Array.from({ length: DIRECTORY_SHARDS }, (_, index) => this.#shard(index).former()));
      await this.#system.bring(held.flat());
    }
    if (brought.size >= MAX_KNOWN) brought.clear();
    brought.add(project);
  }

  #shard(index: number): Shard {
    return asking(this.#env).DIRECTORY.getByName(objectName(this.#scope, "platform", "directory", index)) as unknown as Shard;
  }
}

type Shard = Pick<Directory, "get" | "put" | "list" | "former">;

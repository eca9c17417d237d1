import { DurableObject } from "cloudflare:workers";
import type { EntryKind, EntryRecord, EntryStore } from "../../core/wire/entries.ts";
import { DirectoryStore } from "./store.ts";

/** One shard of a project's rooms, in a table of its own. */
export class Directory extends DurableObject<Env> implements EntryStore {
  readonly #store: DirectoryStore;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#store = new DirectoryStore(ctx.storage.sql);
  }

  get(kind: EntryKind, name: string) {
    return this.#store.get(kind, name);
  }

  put(entries: readonly EntryRecord[], standing: readonly EntryRecord[] = []) {
    return this.#store.put(entries, standing);
  }

  list(kind: EntryKind, after: string | null, limit: number) {
    return this.#store.list(kind, after, limit);
  }

  /** Everything but rooms, deleted ones too: what shards held before the system group did. Nothing changes it any more. */
  former(): Promise<EntryRecord[]> {
    return this.#store.former();
  }
}

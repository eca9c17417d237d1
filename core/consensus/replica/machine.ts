import { errorOf, type SkerryError } from "../../wire/errors.ts";
import { decodeCommands } from "../kv/codec.ts";
import type { LeaseBook } from "../kv/leases.ts";
import { type Applied, type KvOptions, KvStore } from "../kv/store.ts";
import type { Command, WatchEvent } from "../kv/types.ts";
import type { Entry } from "../raft/types.ts";

/** What one revision changed. */
export type Change = { revision: number; events: WatchEvent[] };

/** The state machine of a replica: the store, and how far into the log it is. */
export class Machine {
  readonly #options: Partial<KvOptions>;
  store: KvStore;
  applied: number;
  /** The term of the entry at `applied`. */
  term: number;
  /** Of what was applied since it was last asked. */
  #changes: Change[] = [];
  /** An entry of a later version of this code: to skip it would make this replica another one than the others. */
  halted: SkerryError | null = null;

  constructor(data: Uint8Array, applied: number, term: number, options: Partial<KvOptions>) {
    this.#options = options;
    this.applied = applied;
    this.term = term;
    this.store = this.#restored(data);
  }

  /** The state of a snapshot takes the place of this one. */
  restore(data: Uint8Array, index: number, term: number): void {
    this.store = this.#restored(data);
    this.applied = index;
    this.term = term;
    this.#changes = [];
  }

  /** Applies the next entry. What its commands did, in order; nothing where it has none, or where it cannot be read. */
  apply(entry: Entry, book: LeaseBook | null, now: number): Applied[] {
    if (this.halted !== null) return [];
    const results: Applied[] = [];
    if (entry.kind === "data" && entry.data.length > 0) {
      let commands: Command[];
      try {
        commands = decodeCommands(entry.data);
      } catch (thrown) {
        this.halted = errorOf(thrown);
        return results;
      }
      for (const command of commands) results.push(this.#perform(command, book, now));
    }
    this.applied = entry.index;
    this.term = entry.term;
    return results;
  }

  takeChanges(): Change[] {
    const changes = this.#changes;
    this.#changes = [];
    return changes;
  }

  #perform(command: Command, book: LeaseBook | null, now: number): Applied {
    const applied = this.store.apply(command);
    if (applied.events.length > 0) this.#changes.push({ revision: applied.revision, events: applied.events });
    if (book === null || applied.result === undefined) return applied;
    const { result } = applied;
    if (result.op === "leaseGrant") {
      const lease = this.store.lease(result.response.id);
      if (lease !== undefined && !applied.duplicate) book.granted(lease, now);
    } else if (command.operation.op === "leaseRevoke") book.revoked(command.operation.request.id);
    else if (command.operation.op === "leaseRenew") book.renewed(command.operation.request.ids, command.at);
    return applied;
  }

  #restored(data: Uint8Array): KvStore {
    return data.length === 0 ? new KvStore(this.#options) : KvStore.restore(data, this.#options);
  }
}

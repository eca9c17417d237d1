import { newerFormat } from "../../journal/errors.ts";
import { errorOf, type SkerryError } from "../../wire/errors.ts";
import type { LeaseBook } from "../kv/leases.ts";
import { type Applied, type KvOptions, KvStore } from "../kv/store.ts";
import type { Command, WatchEvent } from "../kv/types.ts";
import type { Entry } from "../raft/types.ts";
import { type Format, versionOf } from "./format.ts";

/** What one revision changed. */
export type Change = { revision: number; events: WatchEvent[] };

/** The state machine of a replica: the store, and how far into the log it is. */
export class Machine {
  readonly format: Format;
  readonly #options: Partial<KvOptions>;
  store: KvStore;
  applied: number;
  /** The term of the entry at `applied`. */
  term: number;
  /** Of what was applied since it was last asked. */
  #changes: Change[] = [];
  /** An entry or a state of a later version of this code: to skip it would make this replica another one than the others. */
  halted: SkerryError | null = null;
  /** Of what was applied, the highest: a state is written in no later one, so that whoever could apply that can read it. */
  #version = 1;

  constructor(data: Uint8Array, applied: number, term: number, options: Partial<KvOptions>, format: Format) {
    this.format = format;
    this.#options = options;
    this.applied = applied;
    this.term = term;
    this.store = this.#restored(data);
  }

  /** Whether this code can apply an entry, or read a state. */
  understands(bytes: Uint8Array): boolean {
    return versionOf(bytes) <= this.format.version;
  }

  /** A state cannot be read. */
  refuse(state: Uint8Array): void {
    this.halted = newerFormat("The state of the group", versionOf(state), this.format.version);
  }

  /** The whole state, the same on every replica that applied the same. */
  snapshot(): Uint8Array {
    return this.format.snapshot(this.store, this.#version);
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
        commands = this.format.decode(entry.data);
      } catch (thrown) {
        this.halted = errorOf(thrown);
        return results;
      }
      this.#version = Math.max(this.#version, versionOf(entry.data));
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
    this.#version = Math.max(1, versionOf(data));
    return data.length === 0 ? new KvStore(this.#options) : this.format.restore(data, this.#options);
  }
}

import { requestBytes } from "../kv/size.ts";
import { type Applied, cost } from "../kv/store.ts";
import type { Command, Operation } from "../kv/types.ts";
import { NO_BYTES } from "../raft/messages.ts";
import type { RaftNode } from "../raft/node.ts";
import { RaftError } from "../raft/types.ts";

/** A command on its way into the log. Just one of the two is called, or none where nobody can tell any more. */
export type Write = {
  command: Command;
  /** It was applied: this is what it did. */
  done: (applied: Applied) => void;
  /** It is in no log, and never will be. */
  lost: () => void;
};

/** A command in the log takes so much beside its request; for the size of an entry, roughly. */
const COMMAND_OVERHEAD = 64;

type Round = { term: number; writes: Write[] };

/**
 * Group commit: what is asked while a round is under way makes the next round, one row of the log on each replica. An entry holds
 * many commands.
 */
export class WriteQueue {
  readonly #entryBytes: number;
  readonly #encode: (commands: Command[]) => Uint8Array;
  #queue: Write[] = [];
  /** Entries of this replica's own that are not applied yet, by index. */
  readonly #rounds = new Map<number, Round>();
  /** The end of the newest round, and when it began. */
  #last = 0;
  #begun = Number.NEGATIVE_INFINITY;
  /** Of what waits and what is under way: bytes of requests, and what they may add to the store. */
  bytes = 0;
  cost = 0;

  constructor(entryBytes: number, encode: (commands: Command[]) => Uint8Array) {
    this.#entryBytes = entryBytes;
    this.#encode = encode;
  }

  get waiting(): boolean {
    return this.#queue.length > 0;
  }

  add(write: Write): void {
    this.#queue.push(write);
    this.#count(write, 1);
  }

  /** The newest round is not committed; `pipeline`: one that takes longer than that is not waited for. */
  underWay(commit: number, now: number, pipeline: number): boolean {
    return this.#last > commit && now - this.#begun < pipeline;
  }

  /** When {@link underWay} ends by time alone; null: it does not. */
  deadline(commit: number, pipeline: number): number | null {
    return this.#queue.length > 0 && this.#last > commit ? this.#begun + pipeline : null;
  }

  /**
   * Proposes all that waits, or an empty entry. Returns the index of the last entry; null where the node takes none now: a
   * transfer is under way, or its log has too much that is not committed.
   */
  flush(node: RaftNode, now: number): number | null {
    const entries = this.#pack();
    try {
      if (entries.length === 0) node.propose(NO_BYTES);
      else node.proposeMany(entries.map((writes) => this.#encode(writes.map(({ command }) => command))));
    } catch (error) {
      if (error instanceof RaftError && error.code === "proposalDropped") return null;
      throw error;
    }
    const { lastIndex, term } = node.status();
    entries.forEach((writes, i) => {
      this.#rounds.set(lastIndex - entries.length + 1 + i, { term, writes });
    });
    this.#queue = [];
    this.#last = lastIndex;
    this.#begun = now;
    return lastIndex;
  }

  /** The entry at `index` is committed and applied; `term` is its own. `results` are of its commands, in order. */
  applied(index: number, term: number, results: readonly Applied[]): void {
    const round = this.#rounds.get(index);
    if (round === undefined) return;
    this.#rounds.delete(index);
    for (const write of round.writes) this.#count(write, -1);
    for (const [i, write] of round.writes.entries()) {
      if (round.term === term) write.done(results[i]!);
      else write.lost();
    }
  }

  /** The state was replaced by one that holds all entries up to `index`: nobody can tell what became of those. */
  forget(index: number): void {
    for (const [at, round] of this.#rounds) {
      if (at > index) continue;
      this.#rounds.delete(at);
      for (const write of round.writes) this.#count(write, -1);
    }
  }

  /** This replica does not lead any more: what is in no log never will be. What is in the log may be committed still. */
  abandon(): void {
    const lost = this.#queue;
    this.#queue = [];
    this.#last = 0;
    for (const write of lost) {
      this.#count(write, -1);
      write.lost();
    }
  }

  #pack(): Write[][] {
    const entries: Write[][] = [];
    let bytes = 0;
    for (const write of this.#queue) {
      const size = requestBytes(write.command.operation) + COMMAND_OVERHEAD;
      const entry = entries.at(-1);
      if (entry === undefined || bytes + size > this.#entryBytes) {
        entries.push([write]);
        bytes = size;
      } else {
        entry.push(write);
        bytes += size;
      }
    }
    return entries;
  }

  #count({ command: { operation } }: Write, sign: 1 | -1): void {
    this.bytes += sign * sizeOf(operation);
    this.cost += sign * cost(operation);
  }
}

/** What an operation counts for against the limit of what may wait. */
export function sizeOf(operation: Operation): number {
  return requestBytes(operation) + COMMAND_OVERHEAD;
}

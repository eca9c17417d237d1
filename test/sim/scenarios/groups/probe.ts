import type { Applied } from "../../../../core/consensus/kv/store.ts";
import type { Command, KeyValue } from "../../../../core/consensus/kv/types.ts";
import { RaftLog } from "../../../../core/consensus/raft/log.ts";
import { RaftNode } from "../../../../core/consensus/raft/node.ts";
import { Raft } from "../../../../core/consensus/raft/raft.ts";
import type { ConfState, Entry } from "../../../../core/consensus/raft/types.ts";
import { LATER } from "../../../../core/consensus/replica/format.fixture.ts";
import { Machine } from "../../../../core/consensus/replica/machine.ts";
import { ReplicaStorage } from "../../../../core/consensus/replica/storage.ts";
import { crc32c } from "../../../../core/journal/crc32c.ts";
import { replaceMethod, type Undo } from "./hooks.ts";

/** A rule of consensus was broken. */
export class Violation extends Error {
  constructor(rule: string, detail: string) {
    super(`${rule}: ${detail}`);
    this.name = "Violation";
  }
}

/** Whose code runs now. `emit` holds back what is seen until the turn's writes are durable: what nobody can have seen breaks no rule. */
export type Context = { id: number; emit: (effect: () => void) => void };
/** What became of a session's command: where it was applied, with which revision, and whether it changed anything. */
export type Place = { index: number; revision: number; changed: boolean };
type Known = { term: number; hash: string };

const DIGEST_EVERY = 8;

/**
 * Watches all replicas at once, from outside of time: what one of them puts into its log, commits, applies or becomes must agree
 * with what all others ever did (Ongaro 2014, figure 3.2).
 */
export class Probe {
  /** Election safety: who led each term. */
  readonly leaders = new Map<number, number>();
  /** Log matching: the content of each entry and the term of the one before, by term and index. */
  readonly #entries = new Map<string, { hash: string; before: number }>();
  /** State-machine safety: what was applied at each index, by anyone. */
  readonly #applied = new Map<number, Known>();
  readonly #digests = new Map<number, string>();
  /** The term of the entry committed at each index, and the highest index of all. */
  readonly #committed = new Map<number, number>();
  #lastCommitted = 0;
  /** The end of the log that each leader had committed in its term: an entry of an old term may be committed much later than in it. */
  readonly #committedIn = new Map<number, number>();
  /** Where each session's command was applied first, by `client/seq`. */
  readonly places = new Map<string, Place>();
  /** Each key's contents, one an entry that changed it, ascending by revision. */
  readonly contents = new Map<string, { revision: number; kv: KeyValue | null }[]>();
  /** When each lease was revoked without anyone having asked for it: as proposed first. */
  readonly #revocations = new Map<string, number>();
  /** A replica begins to lead, or goes on to. */
  onLead: ((id: number) => void) | null = null;
  /** A configuration is applied, the first time anywhere. */
  onConfigured: (() => void) | null = null;
  /** A replica met an entry of a later version. */
  onHalted: ((id: number) => void) | null = null;
  onRevoked: ((lease: bigint, proposedAt: number) => void) | null = null;
  /** Who was a member in any configuration after the first. */
  readonly wereMembers = new Set<number>();
  /** The configuration at the highest index applied. */
  conf: { index: number; conf: ConfState } | null = null;
  readonly #now: () => number;
  #context: Context | null = null;
  #applying = 0;
  /** Counters for whoever wants to know whether a run was worth it. */
  readonly seen = { elections: 0, snapshots: 0, truncations: 0, checkpoints: 0, confChanges: 0, applied: 0 };

  constructor(now: () => number) {
    this.#now = now;
  }

  /** The right time, virtual Unix milliseconds. */
  get time(): number {
    return this.#now();
  }

  get lastCommitted(): number {
    return this.#lastCommitted;
  }

  /** Runs a replica's code; what it does is seen as its own. */
  within<T>(context: Context, run: () => T): T {
    const outer = this.#context;
    this.#context = context;
    try {
      return run();
    } finally {
      this.#context = outer;
    }
  }

  /** Begins to watch; returns what ends it. */
  install(): Undo {
    const undo = [
      replaceMethod(Raft.prototype, "lead", (original) => (self) => {
        original(self);
        this.#leads(self);
      }),
      replaceMethod(ReplicaStorage.prototype, "append", (original) => (self, entries: Entry[], commit: number) => {
        this.#appends(self, entries);
        original(self, entries, commit);
      }),
      replaceMethod(ReplicaStorage.prototype, "checkpoint", (original) => (self, checkpoint: { index: number; data: Uint8Array }) => {
        original(self, checkpoint);
        this.seen.checkpoints++;
        this.#checkDigest(checkpoint.index, hashOf(checkpoint.data));
      }),
      replaceMethod(
        ReplicaStorage.prototype,
        "install",
        (original) => (self, checkpoint: { index: number; term: number; data: Uint8Array }) => {
          original(self, checkpoint);
          this.seen.snapshots++;
          this.#checkDigest(checkpoint.index, hashOf(checkpoint.data));
        },
      ),
      replaceMethod(Machine.prototype, "refuse", (original) => (self, state: never) => {
        const halted = self.halted;
        original(self, state);
        if (halted === null) this.#halts();
      }),
      replaceMethod(Raft.prototype, "maybeCommit", (original) => (self) => {
        const moved = original(self) as boolean;
        if (moved) this.#leaderCommits(self.term, self.log.committed);
        return moved;
      }),
      replaceMethod(RaftLog.prototype, "commitTo", (original) => (self, index: number) => {
        const before = self.committed;
        original(self, index);
        if (self.committed > before) this.#commits(self);
      }),
      replaceMethod(Machine.prototype, "apply", (original) => (self, entry: Entry, book: never, now: never) => {
        const before = self.applied;
        const halted = self.halted;
        const results = original(self, entry, book, now) as Applied[];
        if (self.halted === null) this.#applies(self, entry, before, results);
        else if (halted === null) this.#halts();
        return results;
      }),
      replaceMethod(RaftNode.prototype, "applyConfChange", (original) => (self, change: never) => {
        const conf = original(self, change) as ConfState;
        this.#configures(this.#applying, conf);
        return conf;
      }),
    ];
    return () => {
      for (const each of undo.reverse()) each();
    };
  }

  /** A key's content as of a revision; null where it did not exist. */
  contentAt(key: string, revision: number): KeyValue | null {
    const versions = this.contents.get(key) ?? [];
    for (let i = versions.length - 1; i >= 0; i--) if (versions[i]!.revision <= revision) return versions[i]!.kv;
    return null;
  }

  #observe(check: () => void): void {
    if (this.#context === null) check();
    else this.#context.emit(check);
  }

  #leads(raft: Raft): void {
    const { term, id, log } = raft;
    // What it has now, not what it will have once this is looked at. Log matching makes the highest index stand for all.
    const [last, first] = [log.lastIndex(), log.firstIndex()];
    let [highest, by] = [0, 0];
    for (const [earlier, index] of this.#committedIn) if (earlier < term && index > highest) [highest, by] = [index, earlier];
    const committed = this.#committed.get(highest);
    let missing: string | null = null;
    if (highest > last) missing = `its log ends at ${last}, and ${highest} was committed in term ${by}`;
    else if (highest >= first && committed !== undefined && log.term(highest) !== committed)
      missing = `its entry ${highest} is of term ${log.term(highest)}, the one committed in term ${by} of term ${committed}`;
    this.#observe(() => {
      const other = this.leaders.get(term);
      if (other !== undefined && other !== id) throw new Violation("election safety", `${id} and ${other} both lead term ${term}`);
      if (other === undefined) this.seen.elections++;
      this.leaders.set(term, id);
      this.onLead?.(id);
      if (missing !== null) throw new Violation("leader completeness", `${id} leads term ${term}, but ${missing}`);
    });
  }

  #appends(storage: ReplicaStorage, entries: Entry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    if (first.index <= storage.lastIndex()) this.seen.truncations++;
    let before = first.index === 1 ? 0 : storage.term(first.index - 1);
    const now = this.#now();
    for (const entry of entries) {
      const { term, index } = entry;
      const previous = before;
      const hash = hashOf(entry.data);
      before = term;
      this.#observe(() => {
        const name = `${term}/${index}`;
        const known = this.#entries.get(name);
        if (known === undefined) this.#entries.set(name, { hash, before: previous });
        else if (known.hash !== hash || known.before !== previous)
          throw new Violation(
            "log matching",
            `two entries ${name} differ, or what is before them does (terms ${known.before}, ${previous})`,
          );
      });
      for (const { operation } of this.onRevoked === null ? [] : commandsOf(entry)) {
        const revokes = operation.op === "leaseRevoke" ? `${nameOf(entry)} ${operation.request.id}` : null;
        if (revokes !== null && !this.#revocations.has(revokes)) this.#revocations.set(revokes, now);
      }
    }
  }

  #leaderCommits(term: number, index: number): void {
    this.#observe(() => {
      if (index > (this.#committedIn.get(term) ?? 0)) this.#committedIn.set(term, index);
    });
  }

  #commits(log: RaftLog): void {
    const index = log.committed;
    const term = log.term(index);
    if (term < 0) return;
    this.#observe(() => {
      const known = this.#committed.get(index);
      if (known !== undefined && known !== term)
        throw new Violation("state-machine safety", `entry ${index} is committed with term ${known} and with term ${term}`);
      this.#committed.set(index, term);
      if (index > this.#lastCommitted) this.#lastCommitted = index;
    });
  }

  #applies(machine: Machine, entry: Entry, before: number, results: Applied[]): void {
    const { index, term } = entry;
    this.#applying = index;
    const who = this.#context?.id ?? 0;
    const hash = hashOf(entry.data);
    const digest = index % DIGEST_EVERY === 0 ? hashOf(machine.snapshot()) : null;
    this.#observe(() => {
      if (index !== before + 1) throw new Violation("state-machine safety", `${who} applies ${index} after ${before}`);
      const known = this.#applied.get(index);
      if (known !== undefined && (known.term !== term || known.hash !== hash))
        throw new Violation(
          "state-machine safety",
          `${who} applies another entry ${index} (term ${term}) than was applied (term ${known.term})`,
        );
      if (digest !== null) this.#checkDigest(index, digest);
      if (known !== undefined) return;
      this.seen.applied++;
      this.#applied.set(index, { term, hash });
      this.#committed.set(index, term);
      if (index > this.#lastCommitted) this.#lastCommitted = index;
      this.#learn(entry, results);
    });
  }

  #halts(): void {
    const who = this.#context?.id ?? 0;
    this.#observe(() => this.onHalted?.(who));
  }

  /** The first time that an entry is applied anywhere. */
  #learn(entry: Entry, results: Applied[]): void {
    for (const [order, command] of commandsOf(entry).entries()) {
      const result = results[order];
      if (result === undefined) continue;
      const { operation, session } = command;
      if (session !== null && result.result !== undefined) {
        const client = `${session.client}/${session.seq}`;
        if (result.duplicate !== this.places.has(client))
          throw new Violation(
            "exactly once",
            `${client} is applied ${result.duplicate ? "as a repetition, and never was before" : "a second time"} at ${entry.index}`,
          );
        if (!result.duplicate)
          this.places.set(client, { index: entry.index, revision: result.revision, changed: result.events.length > 0 });
      }
      for (const { type, kv } of result.events) {
        const versions = this.contents.get(kv.key) ?? [];
        versions.push({ revision: result.revision, kv: type === "put" ? kv : null });
        this.contents.set(kv.key, versions);
      }
      if (operation.op === "leaseRevoke" && session === null && result.result !== undefined) {
        const at = this.#revocations.get(`${nameOf(entry)} ${operation.request.id}`);
        if (at !== undefined) this.onRevoked?.(operation.request.id, at);
      }
    }
  }

  #configures(index: number, conf: ConfState): void {
    this.#observe(() => {
      this.seen.confChanges++;
      for (const id of [...conf.voters, ...conf.votersOutgoing, ...conf.learners]) this.wereMembers.add(id);
      if (this.conf === null || index > this.conf.index) this.onConfigured?.();
      if (this.conf === null || index >= this.conf.index) this.conf = { index, conf };
    });
  }

  #checkDigest(index: number, digest: string): void {
    this.#observe(() => {
      const known = this.#digests.get(index);
      if (known !== undefined && known !== digest) throw new Violation("state-machine safety", `two states at ${index} differ`);
      this.#digests.set(index, digest);
    });
  }
}

function nameOf({ term, index }: Entry): string {
  return `${term}/${index}`;
}

function commandsOf(entry: Entry): Command[] {
  return entry.kind === "data" && entry.data.length > 0 ? LATER.decode(entry.data) : [];
}

function hashOf(bytes: Uint8Array): string {
  return `${bytes.length}:${crc32c(bytes)}`;
}

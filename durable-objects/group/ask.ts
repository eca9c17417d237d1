import { KvError } from "../../core/consensus/kv/types.ts";
import type { Ask, Hint, Reply, Told } from "../../core/consensus/replica/types.ts";
import type { Answer } from "../../core/wire/answer.ts";
import type { GroupMeta } from "../../core/wire/directory.ts";
import { errorOf, SkerryError } from "../../core/wire/errors.ts";
import type { Scope } from "../../core/wire/names.ts";
import { firstOf, type GroupHints, hintsOf, nextOf, noteLatency, silenceOf } from "./hints.ts";
import { groupObject, replicaName } from "./names.ts";
import { configure, type ReplicaStub, replicaStub } from "./replicas.ts";

/** All attempts together take no longer unless told otherwise; a replica itself answers within two seconds, if only that it cannot. */
const DEADLINE_MS = 5_000;
/** Before the same round of replicas is asked again. */
const PAUSE_MS = 50;
/** Asks a replica to see to it that there is a leader; nobody has such a lease. */
const NUDGE: Ask = { ask: "leaseTimeToLive", id: -1n, keys: false };

/**
 * A group's answer. `position.object` is `v1/{project}/{jurisdiction}/groups/group/{name}` and `position.at` the revision that
 * the answer shows, so that one entry of a context stands for all replicas. `member` is the replica that answered, `term` its
 * term. `placement` says how the replicas' locations are known; `Skerry-Level` carries it.
 */
export type GroupAnswer<T = Told> = Answer<T> & { member: number; term: number; placement: "measured" | "simulated" };

type Outcome = { member: number; reply: Reply; rows: number } | { member: number; error: SkerryError };

export type Replied = { reply: Reply; rows: number };

/** Who asks: one request, in one attempt or several. Once it is over, what it asked need not be sent any more, nor anybody be told. */
export type Asker = { over: boolean };

/**
 * Asks the replica of this name. Rejects with what its object threw.
 *
 * @param stub called where the call is sent: a stub serves the request that made it
 */
export type Send = (name: string, stub: () => ReplicaStub, asker: Asker, ask: Ask, hint: Hint) => Promise<Replied>;

export const sendAlone: Send = async (_, stub, __, ask, hint) => {
  const { value, rows = 0 } = await stub().asks([{ ask, hint }]);
  return { reply: value[0]!, rows };
};

/** Reads a group's metadata anew, for when a replica knows nothing of its group; null: there is none. */
export type Refresh = () => Promise<GroupMeta | null>;

/**
 * Asks a group's leader, or for a read that may trail any replica, until there is an answer: it follows `notLeader`, and where the
 * leader is silent tells another replica to stand for election. What may be done twice is asked again; a write without a session
 * only where it surely did not happen.
 *
 * @param patience how long all attempts together may take, in milliseconds.
 * @param send how a replica is asked, if not by a call of its own.
 */
export async function askReplicas(
  env: Env,
  scope: Scope,
  meta: GroupMeta,
  ask: Ask,
  refresh: Refresh,
  patience = DEADLINE_MS,
  send = sendAlone,
): Promise<GroupAnswer> {
  const asking = new Asking(env, scope, meta, ask, refresh, patience, send);
  return asking.run();
}

class Asking {
  readonly #env: Env;
  readonly #scope: Scope;
  #meta: GroupMeta;
  readonly #ask: Ask;
  readonly #refresh: Refresh;
  readonly #known: GroupHints;
  readonly #deadline: number;
  /** Attempts that have not come back. */
  readonly #open = new Map<number, Promise<Outcome>>();
  /** Each comes back once another replica leads than the one that a write waits for. */
  readonly #superseded: Promise<Outcome>[] = [];
  readonly #asker: Asker = { over: false };
  #rows = 0;
  /** Replicas that knew of no leader when they were asked. */
  readonly #leaderless = new Set<number>();

  readonly #send: Send;

  constructor(env: Env, scope: Scope, meta: GroupMeta, ask: Ask, refresh: Refresh, patience: number, send: Send) {
    this.#env = env;
    this.#scope = scope;
    this.#meta = meta;
    this.#ask = ask;
    this.#refresh = refresh;
    this.#send = send;
    this.#known = hintsOf(scope, meta);
    this.#deadline = Date.now() + patience;
  }

  async run(): Promise<GroupAnswer> {
    try {
      return await this.#run();
    } finally {
      this.#asker.over = true;
    }
  }

  async #run(): Promise<GroupAnswer> {
    let target = firstOf(this.#known, this.#meta, needsLeader(this.#ask));
    let silent = 0;
    let rounds = 0;
    while (Date.now() < this.#deadline) {
      if (!this.#open.has(target)) this.#open.set(target, this.#attempt(target, silent));
      const outcome = await this.#first(silenceOf(this.#known, target));
      if (outcome === null) {
        // Nobody said anything for a while.
        silent = target;
        if (this.#known.leader === target) this.#known.leader = 0;
        const other = nextOf(this.#meta, target);
        if (isRepeatable(this.#ask)) target = other;
        else if (other !== target) this.#superseded.push(this.#nudge(other, target));
        continue;
      }
      if ("error" in outcome) {
        if (outcome.error.code === "stale_metadata") await this.#introduce(outcome.member);
        else if (outcome.error.code === "overloaded" || !isRepeatable(this.#ask)) throw this.#unknown(outcome.error);
        else silent = outcome.member;
        target = nextOf(this.#meta, outcome.member);
      } else if (outcome.reply.reply === "ok") {
        return this.#answered(outcome.member, outcome.reply, outcome.rows);
      } else if (outcome.reply.reply === "refused") {
        throw new KvError(outcome.reply.grpc, outcome.reply.message);
      } else if (outcome.reply.reply === "unavailable") {
        if (!isRepeatable(this.#ask))
          throw this.#unknown(new SkerryError("no_quorum", outcome.reply.message, { retryAfter: outcome.reply.retryAfterMs / 1_000 }));
        target = nextOf(this.#meta, outcome.member);
      } else {
        const { leader } = outcome.reply;
        const member = this.#meta.members.some(({ id }) => id === leader);
        if (leader === 0) this.#leaderless.add(outcome.member);
        // Others may still name a replica that says itself that it does not lead: then somebody has to stand.
        if (leader !== 0 && this.#leaderless.has(leader)) silent = leader;
        if (leader !== 0 && leader !== silent && member) {
          target = leader;
          silent = 0;
        } else {
          // It waits for one that was removed.
          if (leader !== 0 && !member) silent = leader;
          target = nextOf(this.#meta, outcome.member);
        }
      }
      if (++rounds % this.#meta.members.length === 0) await scheduler.wait(PAUSE_MS);
    }
    throw this.#unknown(new SkerryError("no_quorum", "No leader answered in time.", { retryAfter: 1 }));
  }

  async #attempt(member: number, silent: number): Promise<Outcome> {
    const began = Date.now();
    try {
      const { reply, rows } = await this.#call(member, this.#ask, silent);
      noteLatency(this.#known, member, Date.now() - began);
      return { member, reply, rows };
    } catch (thrown) {
      return { member, error: errorOf(thrown) };
    }
  }

  #call(member: number, ask: Ask, silent: number): Promise<Replied> {
    const meta = this.#meta;
    const name = replicaName(this.#scope, meta.name, meta.generation, member);
    const stub = () => replicaStub(this.#env, this.#scope, meta, this.#member(member));
    return this.#send(name, stub, this.#asker, ask, { silent });
  }

  /** The first attempt that comes back, or null after `ms`. */
  async #first(ms: number): Promise<Outcome | null> {
    // Not cleared: it ends with the request.
    const patience = scheduler.wait(Math.max(1, Math.min(ms, this.#deadline - Date.now())));
    const outcome = (await Promise.race([...this.#open.values(), ...this.#superseded, patience])) ?? null;
    if (outcome !== null) this.#open.delete(outcome.member);
    return outcome;
  }

  /**
   * Has another replica see to it that there is a leader. Once one is there, who waits for the silent one is told that nobody knows:
   * it would wait in vain, and may ask again. Never comes back otherwise.
   */
  async #nudge(member: number, silent: number): Promise<Outcome> {
    try {
      const { reply } = await this.#call(member, NUDGE, silent);
      const leader = reply.reply === "ok" ? member : reply.reply === "notLeader" ? reply.leader : 0;
      if (leader !== 0) this.#known.leader = leader;
      if (leader !== 0 && leader !== silent) return { member: silent, error: new SkerryError("no_quorum", "Another replica leads now.") };
    } catch {
      // The next request will find out.
    }
    return new Promise(() => {});
  }

  /** The object knows nothing of its group: tells it, or finds that the group is another one now. */
  async #introduce(member: number): Promise<void> {
    const now = await this.#refresh();
    if (now === null) throw new SkerryError("group_not_found", `The group "${this.#meta.name}" was deleted.`);
    if (now.generation !== this.#meta.generation)
      throw new SkerryError("stale_metadata", "The group was made anew; ask again.", { retryAfter: 0 });
    this.#meta = now;
    if (now.members.some(({ id }) => id === member)) this.#rows += await configure(this.#env, this.#scope, now, member);
  }

  #member(id: number) {
    return this.#meta.members.find((each) => each.id === id) ?? { id, region: null };
  }

  #answered(member: number, reply: Extract<Reply, { reply: "ok" }>, rows: number): GroupAnswer {
    const { value, term, revision, achieved, placement } = reply;
    if (needsLeader(this.#ask)) this.#known.leader = member;
    const position = { object: groupObject(this.#scope, this.#meta.name), at: revision };
    const all = rows + this.#rows;
    return { value: value as Told, position, level: achieved, ...(all > 0 && { rows: all }), member, term, placement };
  }

  /** What a caller is told of an attempt that may have done something. */
  #unknown(error: SkerryError): SkerryError {
    if (error.code === "overloaded" || isRepeatable(this.#ask)) return error;
    return new SkerryError("no_quorum", "The write may or may not have happened: the leader was lost before it answered.", {
      retryAfter: 1,
      cause: error,
    });
  }
}

/** All but reads that may trail, and what any replica can say of itself. */
function needsLeader(ask: Ask): boolean {
  return ask.ask === "range" ? ask.read.level === "linearizable" : ask.ask !== "status";
}

/** Whether it may be asked again although it may have been done: it changes nothing, or has a session. */
export function isRepeatable(ask: Ask): boolean {
  return ask.ask === "write" ? ask.session !== null : ask.ask !== "reconfigure";
}

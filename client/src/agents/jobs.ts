import { SkerryError } from "../../../core/wire/errors.ts";
import type { Group } from "../groups/group.ts";
import type { Lease } from "../groups/lease.ts";
import { within } from "../groups/time.ts";
import { type Condition, del, get, type Op, type Put, put, range, when } from "../groups/txn.ts";

export type ClaimOptions = {
  /** The claim ends with this lease, such as a fleet membership's; without, with one of its own. */
  lease?: Lease;
  /** Seconds, of a lease of its own; 10 unless given. */
  ttl?: number;
  /** Who claims, for others to see. */
  by?: string;
  /** Milliseconds to wait for a job where none is free; 0 unless given. */
  wait?: number;
  signal?: AbortSignal;
};

export type JobCounts = { open: number; claimed: number; done: number };
/** `fence`: of the claim under which it was done. */
export type Done<Result> = { id: string; result: Result; by: string; fence: number };

const TTL = 10;
/** Jobs looked at to find a free one; who looks next to others chooses by chance among the first of them. */
const PAGE = 200;
const SPREAD = 32;

/**
 * Jobs that agents share out: each is claimed by one at a time, comes free again when its holder is gone, and is completed once.
 * @example
 * const jobs = jobQueue<{ url: string }, number>(group, "crawl");
 * await jobs.add("page-1", { url: "https://example.com" });
 * const claim = await jobs.claim({ lease: fleet.lease });
 * if (claim !== null) await claim.complete(200);
 */
export function jobQueue<Payload = unknown, Result = unknown>(group: Group, name: string): JobQueue<Payload, Result> {
  return new JobQueue<Payload, Result>(group, name);
}

export class JobQueue<Payload = unknown, Result = unknown> {
  readonly name: string;
  readonly #group: Group;
  readonly #root: string;

  /** @internal Use {@link jobQueue}. */
  constructor(group: Group, name: string) {
    this.#group = group;
    this.name = name;
    this.#root = `jobs/${encodeURIComponent(name)}/`;
  }

  /** Adds a job; false where there is one of that id, open or done. */
  async add(id: string, payload: Payload): Promise<boolean> {
    const { open, done } = this.#keys(id);
    const { succeeded } = await this.#group
      .txn()
      .if(when(open).absent(), when(done).absent())
      .do(put(open, JSON.stringify(payload)))
      .commit();
    return succeeded;
  }

  /**
   * Adding a job as a step of a transaction, such as that of a coordinator under the guard of its term. It must be new: of a job
   * that was done already this makes another one.
   */
  adding(id: string, payload: Payload): Op<Put> {
    return put(this.#keys(id).open, JSON.stringify(payload));
  }

  /** Claims a job that is free; null where there is none, also not within `wait`. */
  async claim(options: ClaimOptions = {}): Promise<Claim<Payload, Result> | null> {
    const { lease, ttl = TTL, by = "", wait = 0, signal } = options;
    const { runtime } = this.#group;
    const end = runtime.now() + wait;
    for (;;) {
      const revision = this.#group.revision;
      // The time limits the waiting alone: a claim that has begun is carried to its end.
      const claim = await this.#claim(lease, ttl, by, signal);
      const left = end - runtime.now();
      if (claim !== null || left <= 0) return claim;
      try {
        await within(runtime, left, signal, "No job was free in time.", (until) => this.#stir(revision, until));
      } catch (error) {
        if (error instanceof SkerryError && error.code === "timed_out") return null;
        throw error;
      }
    }
  }

  async counts(): Promise<JobCounts> {
    const count = (part: string) => range({ prefix: this.#root + part }, { countOnly: true });
    const { answers, succeeded } = await this.#group.txn().do(count("open/"), count("held/"), count("done/")).commit();
    if (!succeeded) throw new SkerryError("internal", "A transaction without a condition failed.");
    const [open, held, done] = answers;
    return { open: open.count - held.count, claimed: held.count, done: done.count };
  }

  /** What was completed, and what came of it. */
  async *done(): AsyncGenerator<Done<Result>, void, undefined> {
    const prefix = `${this.#root}done/`;
    for await (const entry of this.#group.entries({ prefix })) {
      yield { id: decodeURIComponent(entry.key.slice(prefix.length)), ...entry.json<Omit<Done<Result>, "id">>() };
    }
  }

  /** Forgets completed jobs: an id may be used again then. */
  async forget(...ids: string[]): Promise<void> {
    await this.#group
      .txn()
      .do(...ids.map((id) => del(this.#keys(id).done)))
      .commit();
  }

  async #claim(given: Lease | undefined, ttl: number, by: string, signal: AbortSignal | undefined): Promise<Claim<Payload, Result> | null> {
    let own: Lease | null = null;
    try {
      for await (const id of this.#free(signal)) {
        if (given === undefined) own ??= await this.#group.lease(ttl, { signal });
        const lease = given ?? (own as Lease);
        const { open, held } = this.#keys(id);
        // Of this attempt alone, so that it can be taken back without taking another's.
        const mark = JSON.stringify({ by, claim: this.#group.runtime.uuid() });
        const { succeeded, answers, revision } = await this.#group
          .txn({ signal })
          .if(when(held).absent(), when(open).exists())
          .do(put(held, mark, { lease }), get(open))
          .commit()
          .catch(async (error) => {
            // Nobody knows whether it is held now, and nobody would work on it.
            await this.#group
              .txn()
              .if(when(held).value.is(mark))
              .do(del(held))
              .commit()
              .catch(() => {});
            throw error;
          });
        // Another was faster.
        if (!succeeded) continue;
        const payload = answers[1]?.json<Payload>() as Payload;
        const claim = new Claim<Payload, Result>(this.#group, this.#keys(id), {
          id,
          payload,
          by,
          fence: revision,
          lease,
          own: own !== null,
        });
        own = null;
        return claim;
      }
      return null;
    } finally {
      await own?.revoke().catch(() => {});
    }
  }

  /** Jobs that nobody held just now, page by page, in an order that differs from agent to agent. */
  async *#free(signal: AbortSignal | undefined): AsyncGenerator<string, void, undefined> {
    const prefix = `${this.#root}open/`;
    for (let from = prefix; ; ) {
      const { answers, succeeded } = await this.#group
        .txn({ signal })
        .do(
          range({ from, to: `${this.#root}open0` }, { keysOnly: true, limit: PAGE }),
          range({ prefix: `${this.#root}held/` }, { keysOnly: true }),
        )
        .commit();
      if (!succeeded) return;
      const [open, held] = answers;
      const taken = new Set(held.entries.map(({ key }) => key.slice(this.#root.length + 5)));
      const free = open.entries.map(({ key }) => key.slice(prefix.length)).filter((id) => !taken.has(id));
      while (free.length > 0) {
        const at = Math.floor(this.#group.runtime.random() * Math.min(SPREAD, free.length)) % free.length;
        yield decodeURIComponent(free.splice(at, 1)[0] as string);
      }
      const last = open.entries.at(-1);
      if (!open.more || last === undefined) return;
      from = `${last.key}\0`;
    }
  }

  /** Resolves once a job was added, or came free, after a revision. */
  async #stir(revision: number, signal: AbortSignal | undefined): Promise<void> {
    const end = new AbortController();
    const until = signal === undefined ? end.signal : AbortSignal.any([signal, end.signal]);
    const added = this.#group.watch({ prefix: `${this.#root}open/` }, { from: revision, only: "puts", signal: until });
    const freed = this.#group.watch({ prefix: `${this.#root}held/` }, { from: revision, only: "deletes", signal: until });
    try {
      await Promise.race([added.next(), freed.next()]);
    } catch (error) {
      // History is gone: whatever it was, it is to be looked for anew.
      if (!(error instanceof SkerryError) || error.code !== "revision_compacted") throw error;
    } finally {
      end.abort();
      await Promise.allSettled([added.return?.(), freed.return?.()]);
    }
  }

  #keys(id: string): Keys {
    const name = encodeURIComponent(id);
    return { open: `${this.#root}open/${name}`, held: `${this.#root}held/${name}`, done: `${this.#root}done/${name}` };
  }
}

type Keys = { open: string; held: string; done: string };
type Holding<Payload> = { id: string; payload: Payload; by: string; fence: number; lease: Lease; own: boolean };

/** A job that this agent holds. */
export class Claim<Payload = unknown, Result = unknown> {
  readonly id: string;
  readonly payload: Payload;
  /** Grows from claim to claim of a job: what is outside of the group refuses a lower one than it has seen. */
  readonly fence: number;
  readonly #group: Group;
  readonly #keys: Keys;
  readonly #by: string;
  readonly #lease: Lease;
  readonly #own: boolean;

  /** @internal */
  constructor(group: Group, keys: Keys, { id, payload, by, fence, lease, own }: Holding<Payload>) {
    this.#group = group;
    this.#keys = keys;
    this.id = id;
    this.payload = payload;
    this.fence = fence;
    this.#by = by;
    this.#lease = lease;
    this.#own = own;
  }

  /** Aborted when the claim is lost, or may be. */
  get signal(): AbortSignal {
    return this.#lease.signal;
  }

  /** The condition that it is held, for transactions of the same group. */
  get guard(): Condition {
    return when(this.#keys.held).createRevision.is(this.fence);
  }

  /**
   * The job is done, with whatever else is to happen at the same moment: all of it once, or, where the claim was lost, nothing and
   * `not_held` is thrown.
   */
  async complete(result: Result, ...steps: Op<unknown>[]): Promise<void> {
    const { open, held, done } = this.#keys;
    const kept = JSON.stringify({ result, by: this.#by, fence: this.fence });
    await this.#under(del(open), del(held), put(done, kept), ...steps);
    await this.#end();
  }

  /** Gives the job back for others. Throws `not_held`. */
  async release(): Promise<void> {
    await this.#under(del(this.#keys.held));
    await this.#end();
  }

  async #under(...steps: Op<unknown>[]): Promise<void> {
    const { succeeded } = await this.#group
      .txn()
      .if(this.guard)
      .do(...steps)
      .commit();
    if (!succeeded) throw new SkerryError("not_held", `The job "${this.id}" is not held any more: its holder was not heard for too long.`);
  }

  async #end(): Promise<void> {
    if (this.#own) await this.#lease.revoke().catch(() => {});
  }
}

import { SkerryError } from "../../../core/wire/errors.ts";
import type { Leadership } from "../groups/election.ts";
import type { Group } from "../groups/group.ts";
import type { Lease } from "../groups/lease.ts";
import { put, when } from "../groups/txn.ts";
import type { Entry } from "../groups/values.ts";

export type FleetOptions<About = unknown> = {
  /** Who this agent is; a name of its own unless given. Two with one name are refused. */
  id?: string;
  /** What the others are to know of it, as JSON. */
  about?: About;
  /**
   * By what the others know that an agent is gone. `lease` (unless given): it was not heard for `ttl` seconds. `socket`: its connection to
   * the group ended, by whatever, and it did not come back within `hold` seconds; `ttl` is the backstop then.
   */
  liveness?: "lease" | "socket";
  /** Seconds after which an agent that is not heard is gone; 10 unless given, with `liveness: "socket"` 60. */
  ttl?: number;
  /** Seconds that an agent whose connection broke has to come back, with `liveness: "socket"`; 2 unless given. */
  hold?: number;
  signal?: AbortSignal;
};

/** An agent that is there. `since`: the revision at which it came; it tells two lives of one name apart. */
export type Member<About = unknown> = { id: string; about: About; since: number };

const TTL = 10;
/** Keep-alives are only the backstop then, and each costs something. */
const TTL_WITH_SOCKET = 60;
const HOLD = 2;

/**
 * Joins a fleet: while this process lives and reaches the group, the others see it as a member.
 * @example
 * const fleet = await joinFleet(group, "couriers", { about: { city: "oslo" } });
 * console.log((await fleet.members()).length);
 */
export async function joinFleet<About = unknown>(group: Group, name: string, options: FleetOptions<About> = {}): Promise<Fleet<About>> {
  const { id = group.runtime.uuid(), about = null as About, liveness = "lease", signal } = options;
  const bySocket = liveness === "socket";
  const { ttl = bySocket ? TTL_WITH_SOCKET : TTL, hold = HOLD } = options;
  const lease = await group.lease(ttl, { signal, hold: bySocket ? hold : undefined });
  const key = `${membersOf(name)}${encodeURIComponent(id)}`;
  try {
    const { succeeded, revision } = await group
      .txn({ signal })
      .if(when(key).absent())
      .do(put(key, JSON.stringify(about), { lease }))
      .commit();
    if (!succeeded)
      throw new SkerryError("conflict", `The fleet "${name}" has a member "${id}" already, or has not noticed yet that it is gone.`);
    return new Fleet<About>(group, name, id, key, lease, revision);
  } catch (error) {
    await lease.revoke().catch(() => {});
    throw error;
  }
}

/** A fleet as one of its members sees it. */
export class Fleet<About = unknown> {
  readonly name: string;
  readonly id: string;
  /** Held by the membership: what is claimed with it is free again when this agent is gone. */
  readonly lease: Lease;
  readonly #group: Group;
  readonly #key: string;
  readonly #since: number;

  /** @internal Use {@link joinFleet}. */
  constructor(group: Group, name: string, id: string, key: string, lease: Lease, since: number) {
    this.#group = group;
    this.name = name;
    this.id = id;
    this.lease = lease;
    this.#key = key;
    this.#since = since;
  }

  /** Aborted once the others count this agent as gone, or soon will: whatever it holds it must let go of. */
  get signal(): AbortSignal {
    return this.lease.signal;
  }

  /** Who is there. */
  async members({ signal }: { signal?: AbortSignal } = {}): Promise<Member<About>[]> {
    const { entries } = await this.#group.range({ prefix: membersOf(this.name) }, { signal });
    return entries.map((entry) => memberOf<About>(this.name, entry));
  }

  /** Who is there, and again whenever that changes. */
  async *watch({ signal }: { signal?: AbortSignal } = {}): AsyncGenerator<Member<About>[], void, undefined> {
    const present = new Map<string, Member<About>>();
    for await (const told of this.#group.follow({ prefix: membersOf(this.name) }, { signal })) {
      if (told.kind === "snapshot") {
        present.clear();
        for (const entry of told.entries) present.set(entry.key, memberOf<About>(this.name, entry));
      } else {
        for (const { type, key, entry } of told.events) {
          if (type === "put") present.set(key, memberOf<About>(this.name, entry));
          else present.delete(key);
        }
      }
      yield [...present.values()];
    }
  }

  /** Tells the others something else. Throws `not_held` where this agent is no member any more. */
  async update(about: About): Promise<void> {
    const { succeeded } = await this.#group
      .txn()
      .if(when(this.#key).createRevision.is(this.#since))
      .do(put(this.#key, JSON.stringify(about), { lease: this.lease }))
      .commit();
    if (!succeeded) throw new SkerryError("not_held", `"${this.id}" is no member of the fleet "${this.name}" any more.`);
  }

  /**
   * Stands for election, as often as it takes, and runs `work` whenever this agent is the fleet's coordinator, of whom there is
   * one at a time. `work` stops when `term.signal` is aborted, and fences what it does by `term.guard` or `term.fence`. Resolves
   * to what it returns, and then this agent coordinates no more; where the office was lost meanwhile, stands again. The office is lost
   * as the membership is: after `ttl`, that of the membership unless given, or with its connection.
   */
  async coordinate<T>(
    work: (term: Leadership) => Promise<T>,
    { ttl = this.lease.ttl, signal }: { ttl?: number; signal?: AbortSignal } = {},
  ): Promise<T> {
    const until = signal === undefined ? this.signal : AbortSignal.any([signal, this.signal]);
    for (;;) {
      const hold = this.lease.hold ?? undefined;
      const term = await this.#group.campaign(electionOf(this.name), this.id, { ttl, hold, signal: until });
      try {
        const done = await work(term);
        if (!term.signal.aborted) return done;
      } catch (error) {
        if (!term.signal.aborted) throw error;
      } finally {
        if (!term.signal.aborted) await term.resign().catch(() => {});
      }
      until.throwIfAborted();
    }
  }

  /** Who coordinates; null: nobody at present. */
  async coordinator({ signal }: { signal?: AbortSignal } = {}): Promise<{ id: string; fence: number } | null> {
    const leading = await this.#group.leader(electionOf(this.name), { signal });
    return leading === null ? null : { id: leading.entry.text, fence: leading.fence };
  }

  /** Leaves, with all that hangs on the membership. */
  leave(): Promise<void> {
    return this.lease.revoke();
  }
}

function memberOf<About>(fleet: string, entry: Entry): Member<About> {
  const id = decodeURIComponent(entry.key.slice(membersOf(fleet).length));
  return { id, about: entry.json<About>(), since: entry.createRevision };
}

function membersOf(fleet: string): string {
  return `fleets/${encodeURIComponent(fleet)}/members/`;
}

function electionOf(fleet: string): string {
  return `fleets/${encodeURIComponent(fleet)}/coordinator`;
}

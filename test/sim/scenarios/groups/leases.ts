import type { Ask, Reply } from "../../../../core/consensus/replica/types.ts";
import { putOf, rangeOf } from "./clients.ts";
import { LONGEST_FREEZE } from "./plan.ts";
import { Violation } from "./probe.ts";
import type { World } from "./world.ts";

const REQUEST_TIMEOUT = 4_000;

/** Holders of leases, and whether their leases outlived what they were promised. */
export class Leases {
  /** By lease: when the last keep-alive that was answered had been asked for, and the TTL that was promised; milliseconds. */
  readonly #kept = new Map<bigint, { asked: number; ttl: number }>();
  readonly #revoked = new Map<bigint, number>();
  readonly #world: World;
  #count = 0;

  constructor(world: World) {
    this.#world = world;
    if (world.plan.leases) {
      world.probe.onRevoked = (lease, proposedAt) => {
        if (!this.#revoked.has(lease)) this.#revoked.set(lease, proposedAt);
        this.#check(lease);
      };
    }
  }

  /** Takes a lease, hangs a key on it, keeps it alive for a while, and lets it go. */
  async hold(name: string): Promise<void> {
    const { sim } = this.#world;
    const { random } = sim;
    let seq = 0;
    const leases = 1 + Math.floor(this.#world.plan.operations / 5);
    for (let taken = 0; taken < leases && !this.#world.stopping; taken++) {
      const id = BigInt(++this.#count);
      const ttl = random.int(2, 4);
      const session = () => ({ client: name, seq: ++seq, ack: 0 });
      const granted = await this.#ask(name, { ask: "write", operation: { op: "leaseGrant", request: { id, ttl } }, session: session() });
      if (granted === null) continue;
      const put = { op: "put", request: putOf(`lease/${id}`, name, id) } as const;
      await this.#ask(name, { ask: "write", operation: put, session: session() }, id);
      for (let left = random.int(0, 6); left > 0 && !this.#world.stopping; left--) {
        await sim.sleep(random.int(50, ttl * 400));
        const asked = sim.now();
        const kept = await this.#ask(name, { ask: "leaseKeepAlive", id });
        if (kept?.reply !== "ok" || kept.value.told !== "leaseKeepAlive") continue;
        if (kept.value.response.ttl === 0) break;
        this.#kept.set(id, { asked, ttl: kept.value.response.ttl * 1_000 });
        this.#check(id);
      }
      await sim.sleep(random.int(0, 2_000));
    }
  }

  /** Every lease has ended, and with it the keys on it. */
  async ended(name: string): Promise<void> {
    const asks = [
      { ask: "leases" } as const,
      { ask: "range", request: rangeOf("lease/", "lease0"), read: { level: "linearizable" }, after: 0 } as const,
    ];
    for (const ask of asks) {
      const answer = await this.#ask(name, ask);
      if (answer?.reply !== "ok") throw new Violation("liveness", "nobody says which leases there are");
      const { value } = answer;
      const left = value.told === "leases" ? value.response.ids.length : value.told === "range" ? value.response.count : -1;
      if (left !== 0)
        throw new Violation(
          "leases",
          `${left} of ${value.told === "leases" ? "the leases" : "their keys"} are left when all should have ended`,
        );
    }
  }

  async #ask(name: string, ask: Ask, lease?: bigint): Promise<Extract<Reply, { reply: "ok" }> | null> {
    const answer = await this.#world.ask(name, ask, this.#world.sim.now() + REQUEST_TIMEOUT);
    if (answer === null) return null;
    const { reply } = answer;
    if (reply.reply === "ok") return reply;
    // The lease may have ended before the key came; a repetition of an old request says that it is one.
    if (lease !== undefined || reply.message.startsWith("skerry: ")) return null;
    throw new Violation("refusals", `${ask.ask}: ${reply.message}`);
  }

  /** A clock that leaps makes leases end whenever it likes. One that stands still cheats for as long as it stood. */
  get #slack(): number {
    const { faults } = this.#world.plan;
    if (faults.has("clockJump")) return Number.POSITIVE_INFINITY;
    return faults.has("clockFreeze") ? LONGEST_FREEZE : 0;
  }

  #check(lease: bigint): void {
    const revokedAt = this.#revoked.get(lease);
    const kept = this.#kept.get(lease);
    if (revokedAt === undefined || kept === undefined) return;
    const early = kept.asked + kept.ttl - this.#slack - revokedAt;
    if (early > 0)
      throw new Violation(
        "leases",
        `lease ${lease} was ended ${early} ms too early: kept alive ${revokedAt - kept.asked} ms before, for ${kept.ttl}`,
      );
  }
}

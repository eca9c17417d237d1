import { Replica } from "../../../../core/consensus/replica/replica.ts";
import { ReplicaStorage } from "../../../../core/consensus/replica/storage.ts";
import type { Ask, Reply } from "../../../../core/consensus/replica/types.ts";
import { MemoryJournalStorage, type MemorySnapshot } from "../../../../core/journal/memory.ts";
import type { Sim, SimMachine } from "../../kit/index.ts";
import { replaceGetter, type Undo } from "./hooks.ts";
import type { Plan } from "./plan.ts";
import { Probe, Violation } from "./probe.ts";
import { type AskRequest, type Group, ReplicaShell, rowsOf } from "./shell.ts";
import { type CodeVersion, dress, formatOf } from "./versions.ts";

export type Answer = { reply: Extract<Reply, { reply: "ok" | "refused" }>; from: number };

/** A group under test: its replicas, what is known of them, and how a Worker reaches them. */
export class World {
  readonly sim: Sim;
  readonly plan: Plan;
  readonly probe: Probe;
  /** Replicas that clients know of; the group may have others by now. */
  directory: number[];
  /** Replicas whose disks lost something that they had told others. */
  readonly rolledBack = new Set<number>();
  readonly #versions = new Map<number, CodeVersion>();
  /** Replicas that ran the present code all along. */
  readonly #neverLater = new Set<number>();
  /** What new members run; null: one or the other. */
  #deployed: CodeVersion | null = 1;
  readonly #retired = new Set<number>();
  #nextId: number;
  #lastLeader = 0;
  /** All is over but the checks: nobody starts anything. */
  stopping = false;

  constructor(sim: Sim, plan: Plan) {
    this.sim = sim;
    this.plan = plan;
    this.probe = new Probe(() => sim.now());
    this.probe.onHalted = (id) => {
      if (this.#neverLater.has(id) && this.members.includes(id))
        throw new Violation("versions", `${id} was given an entry or a state of a version that it never had`);
    };
    this.directory = Array.from({ length: plan.size }, (_, i) => i + 1);
    this.#nextId = plan.size + 1;
    if (plan.faults.has("versions")) this.#deployed = sim.random.pick([1, 2] as const);
    for (const id of this.directory) this.#define(id, (rows) => Replica.found(rows, this.directory));
  }

  /** Watches the replicas, and has checkpoints as often as the plan says. */
  install(): Undo {
    const undo = [this.probe.install()];
    const { checkpoints } = this.plan;
    if (checkpoints > 1) {
      undo.push(
        replaceGetter(ReplicaStorage.prototype, "cost", (original) => (self) => {
          const { bytes, rows } = original(self);
          return { bytes: bytes * checkpoints, rows: rows * checkpoints };
        }),
      );
    }
    return () => {
      for (const each of undo.reverse()) each();
    };
  }

  /** A replica starts again with other code. */
  deploy(id: number, version: CodeVersion): void {
    this.machine(id).crash(`for version ${version}`);
    this.#versions.set(id, version);
    if (version > 1) this.#neverLater.delete(id);
    this.#deployed = null;
  }

  /** A deployment ends: all have the later code, if anybody ever had. */
  upgrade(): void {
    if (!this.plan.faults.has("versions")) return;
    for (const id of this.inService) if (this.versionOf(id) !== 2) this.deploy(id, 2);
    this.#deployed = 2;
  }

  versionOf(id: number): CodeVersion {
    return this.#versions.get(id) ?? 1;
  }

  nameOf(id: number): string {
    return `r${id}`;
  }

  machine(id: number): SimMachine {
    return this.sim.machines.get(this.nameOf(id));
  }

  /** Who votes, as far as the furthest replica knows. */
  get voters(): number[] {
    const conf = this.probe.conf?.conf;
    return conf === undefined ? Array.from({ length: this.plan.size }, (_, i) => i + 1) : conf.voters;
  }

  get members(): number[] {
    const conf = this.probe.conf?.conf;
    return conf === undefined ? this.voters : [...new Set([...conf.voters, ...conf.votersOutgoing, ...conf.learners])];
  }

  /** How many replicas may be lost for good. */
  get spare(): number {
    return Math.floor((this.voters.length - 1) / 2) - this.voters.filter((id) => this.rolledBack.has(id)).length;
  }

  /** A machine for a new member, which knows nothing yet. */
  newMember(): number {
    const id = this.#nextId++;
    this.#define(id, (rows) => Replica.join(rows));
    this.directory = [...this.directory, id];
    return id;
  }

  /** Who was removed is told nothing more: its object is deleted, as whoever removes a member does in the end. */
  retireOthers(): void {
    const { members } = this;
    for (const id of this.inService) {
      // A newcomer is not a member yet.
      if (members.includes(id) || !(id <= this.plan.size || this.probe.wereMembers.has(id))) continue;
      this.#retired.add(id);
      this.machine(id).crash("for it is no member");
    }
    this.directory = this.directory.filter((id) => !this.#retired.has(id));
  }

  /** All replicas that there are, members or not any more. */
  get inService(): number[] {
    return Array.from({ length: this.#nextId - 1 }, (_, i) => i + 1).filter((id) => !this.#retired.has(id));
  }

  /** The incarnation that a disk has, and those of others that it knows. */
  incarnations(medium: unknown): { own: number; known: ReadonlyMap<number, { incarnation: number }> } {
    const rows = new MemoryJournalStorage();
    rows.restore(medium as MemorySnapshot);
    const { state } = ReplicaStorage.open(rows);
    return { own: state.incarnation, known: state.peers };
  }

  /** A replica that leads, in the highest term. */
  leader(): number {
    let [leader, highest] = [0, -1];
    for (const id of this.members) {
      const status = this.replica(id)?.inspect();
      if (status?.role === "leader" && status.term > highest) [leader, highest] = [id, status.term];
    }
    return leader;
  }

  /** A replica that is in memory. */
  replica(id: number): Replica | null {
    return (this.machine(id).machine as ReplicaShell | null)?.replica ?? null;
  }

  /** The replicas as they are, for a message. */
  describe(): string {
    const conf = this.probe.conf?.conf;
    const lines = this.sim.machines.all().map(({ name, machine }) => {
      const status = (machine as ReplicaShell | null)?.replica?.inspect();
      if (status === undefined) return `  ${name} ${machine === null ? "is not in memory" : "is not configured"}`;
      const { role, term, leader, index, committed, applied, conf: own, incarnation, regressed, firstIndex, peers } = status;
      const state = `${role}, term ${term}, leader ${leader}, log ${firstIndex}-${index}, committed ${committed}, applied ${applied}`;
      const others = peers
        .map((peer) => `${peer.id}: ${peer.state} match ${peer.match} next ${peer.next}${peer.down ? " down" : ""}`)
        .join("; ");
      return `  ${name}: ${state}, voters ${own.voters}/${own.votersOutgoing}, learners ${own.learners}, incarnation ${incarnation}${regressed ? ", regressed" : ""}${others === "" ? "" : `\n    ${others}`}`;
    });
    return `voters ${conf?.voters ?? "as founded"}/${conf?.votersOutgoing ?? ""}, learners ${conf?.learners ?? ""}\n${lines.join("\n")}`;
  }

  /**
   * Asks as a Worker does: whoever it takes for the leader, else anyone; goes where it is sent; after silence asks another
   * one and says who was silent. Null where nothing definite came until `deadline`. `once`: a request that may have been
   * taken is not repeated.
   */
  async ask(client: string, ask: Ask, deadline: number, once = false): Promise<Answer | null> {
    const { sim } = this;
    const random = sim.random;
    let target = this.#lastLeader !== 0 && random.chance(0.7) ? this.#lastLeader : random.pick(this.directory);
    let silent = 0;
    while (sim.now() < deadline) {
      const patience = random.pick([200, 400, 1_000, 2_500]);
      const reply = await this.#attempt(client, target, { ask, hint: { silent } }, patience);
      if (reply?.reply === "ok" || reply?.reply === "refused") {
        if (reply.reply === "ok" && ask.ask !== "range") this.#lastLeader = target;
        return { reply, from: target };
      }
      if (reply?.reply === "notLeader") {
        if (reply.leader !== 0 && reply.leader !== silent && reply.leader < this.#nextId) {
          [target, silent] = [reply.leader, 0];
          continue;
        }
        // Whoever was named and says that it does not lead might as well be silent: others may go on naming it.
        if (reply.leader === 0) silent = target;
        target = random.pick(this.directory);
        await sim.sleep(random.int(1, 100));
        continue;
      }
      if (once) return null;
      silent = target;
      if (this.#lastLeader === target) this.#lastLeader = 0;
      const others = this.directory.filter((id) => id !== target);
      if (others.length > 0) target = random.pick(others);
      await sim.sleep(random.int(1, 200));
    }
    return null;
  }

  /** One request to one replica. Null where it failed, or no answer came in time. */
  attempt(client: string, id: number, ask: Ask, patience: number, silent = 0): Promise<Reply | null> {
    return this.#attempt(client, id, { ask, hint: { silent } }, patience);
  }

  #attempt(client: string, id: number, request: AskRequest, patience: number): Promise<Reply | null> {
    return new Promise((resolve) => {
      const cancel = this.sim.timer(patience, () => resolve(null));
      this.sim.ask<Reply>(client, this.nameOf(id), "ask", request).then(
        (reply) => {
          cancel();
          resolve(reply);
        },
        () => {
          cancel();
          resolve(null);
        },
      );
    });
  }

  #define(id: number, make: (rows: MemoryJournalStorage) => void): void {
    const { plan, probe } = this;
    const version = this.#deployed ?? this.sim.random.pick([1, 2] as const);
    this.#versions.set(id, version);
    // A newcomer may meet entries that were written before it came.
    if (version === 1 && id <= plan.size) this.#neverLater.add(id);
    const group: Group = {
      probe,
      options: {
        placement: "simulated",
        storage: plan.storage,
        limits: { chunkBytes: plan.chunkBytes, entryBytes: plan.entryBytes },
      },
      nameOf: (to) => this.nameOf(to),
      formatOf: (at) => formatOf(this.versionOf(at)),
      wire: (from, bytes) => dress(bytes, this.versionOf(from)),
      mayStop: (at) => this.rolledBack.has(at),
      retired: (at) => this.#retired.has(at),
    };
    const machine = this.sim.machine(
      this.nameOf(id),
      () => new MemoryJournalStorage(),
      (rows, env) => new ReplicaShell(id, rows, env, group),
    );
    machine.disk = { medium: rowsOf(make), alarm: null };
  }
}

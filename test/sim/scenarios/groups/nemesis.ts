import type { Image } from "../../kit/index.ts";
import { type Fault, LONGEST_CUT, LONGEST_FREEZE } from "./plan.ts";
import type { World } from "./world.ts";

/** No clock is off by more. Milliseconds. */
const FARTHEST_CLOCK = 30_000;

/** Hurts a group in the ways of its plan, until it is told to stop. */
export class Nemesis {
  readonly #world: World;
  /** Whether now a member may be lost for good. */
  mayRollBack: () => boolean = () => false;
  onRolledBack: (id: number) => void = () => {};

  constructor(world: World) {
    this.#world = world;
  }

  async run(): Promise<void> {
    const { sim, plan } = this.#world;
    const { random } = sim;
    this.#always();
    if (plan.faults.has("hunt")) {
      this.#world.probe.onLead = (id) => this.#hunt(id);
      this.#world.probe.onConfigured = () => this.#interrupt();
    }
    const sudden = [...plan.faults].filter((fault) => SUDDEN.has(fault));
    while (!this.#world.stopping) {
      await sim.sleep(random.int(1, 2 * plan.pause));
      if (this.#world.stopping || sudden.length === 0) break;
      this.#strike(random.pick(sudden));
    }
  }

  /** What holds for the whole run. */
  #always(): void {
    const { sim, plan } = this.#world;
    const { random } = sim;
    const has = (fault: Fault) => plan.faults.has(fault);
    sim.faults({
      delay: plan.delay,
      crash: has("crashTurns") ? random.pick([0.001, 0.01]) : 0,
      evict: has("evict") ? random.pick([0.01, 0.05, 0.2]) : 0,
      drop: has("drop") ? random.pick([0.01, 0.05, 0.2]) : 0,
      alarmLate: has("lateAlarms") ? 60_000 : 100,
      disk: has("slowDisk") ? random.pick([[0, 10] as const, [1, 100] as const]) : [0, 0],
    });
    if (has("clockOffset")) for (const id of this.#world.directory) this.#clock(id).jump(random.int(-FARTHEST_CLOCK, FARTHEST_CLOCK));
  }

  #strike(fault: Fault): void {
    const { sim } = this.#world;
    const { random } = sim;
    const id = random.pick(this.#world.directory);
    const machine = this.#world.machine(id);
    switch (fault) {
      case "crash":
        machine.crash("by the nemesis");
        return;
      case "crashAll":
        if (random.chance(0.3)) for (const each of this.#world.directory) this.#world.machine(each).crash("with all others");
        return;
      case "supersede":
        this.#world.machine(this.#leaderOr(id)).supersede(random.pick([100, 1_000, 5_000]));
        return;
      case "rollBack":
        if (random.chance(0.5)) this.#rollBack(id);
        return;
      case "partition":
        this.#partition();
        return;
      case "oneWay":
        this.#oneWay();
        return;
      case "hang": {
        const name = this.#world.nameOf(this.#leaderOr(id));
        for (const other of this.#everyone()) if (other !== name) sim.network.cut(name, other);
        this.#healLater();
        return;
      }
      case "slowNetwork":
        this.#slowLink();
        return;
      case "slowDisk": {
        const most = random.pick([0, 50, 400]);
        const turns = this.#world.plan.faults.has("crashTurns") ? 0.005 : 0;
        machine.faults = random.chance(0.4) ? null : { crash: turns, evict: 0, alarmLate: 100, disk: [0, most] };
        return;
      }
      case "clockFreeze":
        this.#freeze(id);
        return;
      case "clockJump":
        this.#leap(id);
        return;
      case "versions":
        // A deployment reaches one replica after the other, and is taken back at times.
        if (random.chance(0.8)) this.#world.deploy(id, random.pick([1, 2, 2, 2, 3]));
        else {
          const version = random.pick([1, 2, 2] as const);
          for (const each of this.#world.directory) this.#world.deploy(each, version);
        }
        return;
      default:
    }
  }

  /** Strikes whoever begins to lead before it gets far: what one leader leaves unfinished is the next one's to get wrong. */
  #hunt(id: number): void {
    const { sim, plan } = this.#world;
    const { random } = sim;
    if (this.#world.stopping || random.chance(0.4)) return;
    sim.timer(random.int(0, 4 * plan.delay[1]), () => {
      if (this.#world.stopping) return;
      const name = this.#world.nameOf(id);
      const others = random.shuffle(this.#everyone().filter((other) => other !== name));
      const friends = random.pick([0, 0, 1, 2]);
      if (random.chance(0.4)) this.#world.machine(id).crash("as it begins to lead");
      else {
        sim.network.partition([name, ...others.slice(0, friends)], others.slice(friends));
        this.#healLater();
      }
    });
  }

  /** Parts the group while its configuration changes. */
  #interrupt(): void {
    const { sim, plan } = this.#world;
    if (this.#world.stopping || sim.random.chance(0.7)) return;
    sim.timer(sim.random.int(0, 2 * plan.delay[1]), () => {
      if (!this.#world.stopping) this.#partition(this.#newcomers());
    });
  }

  /** Whose word counts only by the new configuration, or not at all, and the leader, which has to tell the two apart. */
  #newcomers(): string[] {
    const { probe, members } = this.#world;
    const { votersOutgoing = [], learners = [] } = probe.conf?.conf ?? {};
    const ids = members.filter((id) => learners.includes(id) || (votersOutgoing.length > 0 && !votersOutgoing.includes(id)));
    return ids.length === 0 ? [] : [...ids, this.#world.leader()].filter((id) => id !== 0).map((id) => this.#world.nameOf(id));
  }

  /** `first`: all on one side. */
  #partition(first: readonly string[] = []): void {
    const { sim } = this.#world;
    const { random } = sim;
    if (first.length === 0 && random.chance(0.3)) {
      sim.network.heal();
      return;
    }
    const names = [...first, ...random.shuffle(this.#everyone().filter((name) => !first.includes(name)))];
    const at = random.int(Math.max(1, first.length), Math.max(1, names.length - 1));
    sim.network.partition(names.slice(0, at), names.slice(at));
    this.#healLater();
  }

  #oneWay(): void {
    const { sim } = this.#world;
    const { random } = sim;
    const names = this.#world.directory.map((id) => this.#world.nameOf(id));
    for (let cuts = random.int(1, names.length); cuts > 0; cuts--) {
      const [from, to] = [random.pick(names), random.pick(names)];
      if (from !== to) sim.network.cut(from, to);
    }
    this.#healLater();
  }

  #slowLink(): void {
    const { sim } = this.#world;
    const { random } = sim;
    const names = this.#everyone();
    const delay = random.pick([[1, 5] as const, [50, 300] as const, [1, 1_500] as const]);
    sim.network.link(random.pick(names), random.pick(names), { delay });
  }

  #healLater(): void {
    const { sim } = this.#world;
    sim.timer(sim.random.pick([100, 600, LONGEST_CUT]), () => sim.network.heal());
  }

  #freeze(id: number): void {
    const { sim } = this.#world;
    const clock = this.#clock(id);
    if (clock.frozen) return;
    clock.freeze(sim.now());
    sim.timer(sim.random.int(1, LONGEST_FREEZE), () => clock.thaw());
  }

  #leap(id: number): void {
    const { random } = this.#world.sim;
    const clock = this.#clock(id);
    clock.jump(random.pick([-1, 1]) * random.pick([50, 1_000, FARTHEST_CLOCK]) - clock.offset);
  }

  /**
   * A disk comes back as it was in an earlier incarnation. It counts as a failure for good, so only as many as a group
   * tolerates; and the others know the incarnation that is lost, or nobody could tell.
   */
  #rollBack(id: number): void {
    const world = this.#world;
    if (world.spare < 1 || world.rolledBack.has(id) || !world.voters.includes(id) || !this.mayRollBack()) return;
    const machine = world.machine(id);
    const { own } = world.incarnations(machine.disk.medium);
    const older = machine.images.filter((image: Image) => world.incarnations(image.medium).own < own);
    const others = world.inService.filter((other) => other !== id);
    const known = others.every((other) => (world.incarnations(world.machine(other).disk.medium).known.get(id)?.incarnation ?? 0) >= own);
    if (older.length === 0 || !known) return;
    world.rolledBack.add(id);
    machine.rollBack(world.sim.random.pick(older));
    this.onRolledBack(id);
  }

  #leaderOr(id: number): number {
    return this.#world.sim.random.chance(0.6) ? this.#world.leader() || id : id;
  }

  #everyone(): string[] {
    const clients = Array.from({ length: this.#world.plan.clients }, (_, i) => `client-${i}`);
    return [...this.#world.directory.map((id) => this.#world.nameOf(id)), ...clients];
  }

  #clock(id: number) {
    return this.#world.sim.clock(this.#world.nameOf(id));
  }
}

const SUDDEN: ReadonlySet<Fault> = new Set<Fault>([
  "crash",
  "crashAll",
  "supersede",
  "rollBack",
  "partition",
  "oneWay",
  "hang",
  "slowNetwork",
  "slowDisk",
  "clockFreeze",
  "clockJump",
  "versions",
]);

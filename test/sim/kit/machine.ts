import { interrupted, type Outcome } from "./actor.ts";
import type { Actor } from "./kernel.ts";
import type { MachineHost } from "./machines.ts";
import type { Delay } from "./network.ts";
import { NO_FAULTS, type ObjectFaults } from "./objects.ts";
import type { Random } from "./random.ts";
import type { Snapshotable } from "./storage.ts";

export type Settle = (outcome: Outcome<unknown>) => void;

/**
 * The shell of a pure core: each event is one turn without an await. What is thrown is a mistake and ends the simulation; an
 * error for a caller is an answer. Arguments and answers are not copied: whoever keeps or changes them copies.
 */
export interface Machine {
  /** Answer once, in this turn or in a later one. */
  call(from: string, method: string, argument: unknown, answer: Settle): void;
  /** The time that {@link MachineEnv.wakeIn} named has passed. */
  wake?(): void;
  alarm?(): void;
}

/** What a machine may do. What leaves is held back until all that was written before is durable (the platform's output gate). */
export interface MachineEnv {
  readonly name: string;
  readonly random: Random;
  /** What its clock shows, which may be wrong. */
  now(): number;
  /** Calls another machine; `settle` runs in a turn of this one, or never: the call, its answer or this instance may get lost. */
  call(to: string, method: string, argument: unknown, settle: Settle): void;
  /** Tells a watcher of the disks, who belongs to no part of it: once what this turn writes is durable, even if a crash keeps all else from leaving. */
  witness(seen: () => void): void;
  /** Runs `run` as a turn once all that was written so far is durable. */
  whenDurable(run: () => void): void;
  /** One timer: this takes the place of what was set before; null for none. Lost with the memory. */
  wakeIn(ms: number | null): void;
  /** One alarm, part of what is written; Unix milliseconds by its clock as it goes when this becomes durable, null for none. */
  setAlarm(at: number | null): void;
  getAlarm(): number | null;
  log(line: string): void;
}

export type MachineFaults = ObjectFaults & {
  /** How long a write takes until it is durable, in milliseconds. Writes become durable in their order. */
  disk: Delay;
};
export const NO_MACHINE_FAULTS: MachineFaults = { ...NO_FAULTS, disk: [0, 0] };

/** What a machine has made durable at one moment. */
export type Image = { readonly medium: unknown; readonly alarm: number | null };
export type Request = { from: string; method: string; argument: unknown; reply: Settle };
/** `seen` goes with the image, `outputs` only if the instance lives. */
type Commit = { image: Image; outputs: (() => void)[]; seen: (() => void)[] };

const KEPT_IMAGES = 32;
/** An alarm that is set to a time that has passed goes off so soon. Milliseconds. */
const ALARM_AFTER = 5;

/** One life of a machine in memory, writing to a medium of its own until that is durable. */
class Instance implements Actor {
  alive = true;
  /** Another instance has taken its place, and this one does not know: it hears and answers, but cannot write. */
  fenced = false;
  readonly label: string;
  readonly medium: Snapshotable;
  readonly requests = new Set<Request>();
  readonly owner: SimMachine;
  machine: Machine | null = null;
  written: number | undefined;
  alarm: number | null;
  alarmSet = false;
  outbox: (() => void)[] = [];
  seen: (() => void)[] = [];
  pending: Commit[] = [];
  durableAt = 0;
  /** Calls of its own that are not settled. */
  calls = 0;
  cancelTimer: (() => void) | null = null;

  constructor(owner: SimMachine, medium: Snapshotable, alarm: number | null) {
    this.owner = owner;
    this.label = owner.name;
    this.medium = medium;
    this.alarm = alarm;
    this.written = medium.rowsWritten?.();
  }

  endTurn(): void {
    if (this.alive) this.owner.endTurn(this);
  }
}

/** A machine by its name: its disk, its present instance, and one that it superseded. */
export class SimMachine {
  readonly name: string;
  faults: MachineFaults | null = null;
  /** What is durable; null before the first write. */
  disk: Image;
  /** Some of what was durable before, the oldest first. */
  readonly images: Image[] = [];
  starts = 0;
  #instance: Instance | null = null;
  #ghost: Instance | null = null;
  #cancelAlarm: (() => void) | null = null;
  #alarmAt: number | null = null;
  readonly #host: MachineHost;
  readonly #create: () => Snapshotable;
  readonly #factory: (medium: never, env: MachineEnv) => Machine;

  constructor(host: MachineHost, name: string, create: () => Snapshotable, factory: (medium: never, env: MachineEnv) => Machine) {
    this.#host = host;
    this.name = name;
    this.#create = create;
    this.#factory = factory;
    this.disk = { medium: create().snapshot(), alarm: null };
  }

  /** What is in memory, if anything is; the superseded one apart. */
  get machine(): Machine | null {
    return this.#instance?.machine ?? null;
  }

  /** The superseded instance, while there is one. */
  get ghost(): Machine | null {
    return this.#ghost?.machine ?? null;
  }

  /** Writes that are not durable yet. */
  get unwritten(): number {
    return this.#instance?.pending.length ?? 0;
  }

  /** Runs code in a turn of the machine, which is woken for it. */
  turn(label: string, run: (machine: Machine) => void): void {
    const { kernel } = this.#host;
    kernel.turn(0, label, null, () => {
      const instance = this.#wake();
      run(instance.machine as Machine);
    });
  }

  receive(request: Request): void {
    const { random, kernel } = this.#host;
    // While there are two, nobody can tell which one a call reaches.
    const toGhost = this.#ghost !== null && random.chance(0.5);
    const instance = toGhost && this.#ghost !== null ? this.#ghost : this.#wake();
    kernel.touch(instance);
    instance.requests.add(request);
    let answered = false;
    (instance.machine as Machine).call(request.from, request.method, request.argument, (outcome) => {
      if (answered || !instance.alive) return;
      answered = true;
      instance.outbox.push(() => {
        instance.requests.delete(request);
        request.reply(outcome);
      });
      kernel.touch(instance);
    });
  }

  /** What the turn wrote is on its way to the disk, and what it said waits for that. */
  endTurn(instance: Instance): void {
    const { random, kernel } = this.#host;
    const { crash, evict, disk } = this.#faults;
    const [crashes, evicts] = [random.chance(crash), random.chance(evict)];
    const stage = crashes ? random.int(0, 2) : 3;
    const outputs = instance.outbox;
    instance.outbox = [];
    const seen = instance.seen;
    instance.seen = [];
    const written = instance.medium.rowsWritten?.();
    if (written === undefined || written !== instance.written || instance.alarmSet) {
      if (instance.fenced) {
        this.#end(instance, "its write was refused");
        return;
      }
      instance.written = written;
      instance.alarmSet = false;
      const image = { medium: instance.medium.snapshot(), alarm: instance.alarm };
      if (stage > 0) this.#write(instance, { image, outputs: stage === 1 ? [] : outputs, seen }, random.int(...disk));
    } else {
      const last = instance.pending.at(-1);
      last?.seen.push(...seen);
      if (last === undefined) for (const each of seen) each();
      if (stage === 3) last?.outputs.push(...outputs);
      if (stage === 3 && last === undefined) for (const output of outputs) output();
    }
    if (crashes) this.crash(["before its commit", "during it", "after it"][stage] as string, stage === 2);
    else if (evicts && this.evict()) kernel.log(`evict ${this.name}`);
  }

  /** Memory is lost; of what was not durable yet, the older part may be durable all the same. Callers get a retryable error. */
  crash(why: string, durable = false): void {
    const instance = this.#instance;
    this.#host.kernel.log(`crash ${this.name} ${why}`);
    if (instance === null) return;
    this.#instance = null;
    const { pending } = instance;
    const kept = durable ? pending.length : this.#host.random.int(0, pending.length);
    for (const commit of pending.slice(0, kept)) this.#makeDurable(commit);
    this.#end(instance, null);
  }

  /** Memory is lost, unless it waits for something; false then. */
  evict(): boolean {
    const instance = this.#instance;
    if (instance === null || instance.requests.size > 0 || instance.calls > 0 || instance.pending.length > 0) return false;
    this.#instance = null;
    this.#end(instance, null);
    return true;
  }

  /** A second instance takes over while the first one lives on for `ms`, or until its first write. False where there is none. */
  supersede(ms: number): boolean {
    const { kernel } = this.#host;
    const old = this.#instance;
    if (old === null || this.#ghost !== null) return false;
    if (old.pending.length > 0) {
      this.crash("superseded while it wrote");
      return true;
    }
    old.fenced = true;
    this.#ghost = old;
    this.#instance = null;
    kernel.log(`supersede ${this.name} for ${ms} ms`);
    kernel.turn(ms, "", null, () => this.#ghost === old && this.#end(old, "it was found out"));
    return true;
  }

  /** The disk is as it once was; memory is lost. */
  rollBack(image: Image): void {
    this.exorcise();
    this.crash("and its disk is rolled back");
    const at = this.images.indexOf(image);
    this.images.length = at + 1;
    this.disk = image;
    this.#armAlarm();
  }

  /** A superseded instance, if there is one, ends. */
  exorcise(): void {
    if (this.#ghost !== null) this.#end(this.#ghost, "it was found out");
  }

  get #faults(): MachineFaults {
    return this.faults ?? this.#host.faults;
  }

  #wake(): Instance {
    let instance = this.#instance;
    if (instance === null) {
      this.starts++;
      const medium = this.#create();
      medium.restore(this.disk.medium);
      instance = new Instance(this, medium, this.disk.alarm);
      this.#instance = instance;
      instance.machine = this.#factory(medium as never, this.#env(instance));
    }
    this.#host.kernel.touch(instance);
    return instance;
  }

  #write(instance: Instance, commit: Commit, delay: number): void {
    const { kernel } = this.#host;
    instance.durableAt = Math.max(instance.durableAt, kernel.now + delay);
    if (delay === 0 && instance.pending.length === 0) {
      this.#makeDurable(commit);
      for (const output of commit.outputs) output();
      return;
    }
    instance.pending.push(commit);
    kernel.turn(instance.durableAt - kernel.now, "", instance, () => {
      // Two that are due in the same millisecond may come in any order; the older one is durable first all the same.
      const count = instance.pending.indexOf(commit) + 1;
      for (const each of instance.pending.splice(0, count)) {
        this.#makeDurable(each);
        for (const output of each.outputs) output();
      }
    });
  }

  #makeDurable({ image, seen }: Commit): void {
    this.disk = image;
    for (const each of seen) each();
    if (this.images.length < 2 || this.#host.random.chance(0.25)) this.images.push(image);
    if (this.images.length > KEPT_IMAGES) this.images.splice(this.#host.random.int(1, KEPT_IMAGES - 1), 1);
    this.#armAlarm();
  }

  #end(instance: Instance, why: string | null): void {
    const { kernel, network } = this.#host;
    if (why !== null) kernel.log(`end of ${this.name}: ${why}`);
    instance.alive = false;
    instance.outbox = [];
    instance.pending = [];
    instance.cancelTimer?.();
    if (this.#ghost === instance) this.#ghost = null;
    if (this.#instance === instance) this.#instance = null;
    for (const request of instance.requests) {
      const error = interrupted(`${this.name} was reset.`);
      kernel.turn(network.delay(this.name, request.from), "", null, () => request.reply({ ok: false, error }));
    }
  }

  #armAlarm(): void {
    const { kernel, random } = this.#host;
    if (this.disk.alarm === this.#alarmAt) return;
    this.#alarmAt = this.disk.alarm;
    this.#cancelAlarm?.();
    this.#cancelAlarm = null;
    if (this.#alarmAt === null) return;
    const late = random.int(0, this.#faults.alarmLate);
    const left = Math.max(ALARM_AFTER, this.#alarmAt - this.#host.clock(this.name).read(kernel.now));
    this.#cancelAlarm = kernel.turn(left + late, `alarm ${this.name}`, null, () => {
      this.#alarmAt = null;
      this.disk = { ...this.disk, alarm: null };
      const instance = this.#wake();
      instance.alarm = null;
      (instance.machine as Machine).alarm?.();
    });
  }

  #env(instance: Instance): MachineEnv {
    const host = this.#host;
    const { kernel } = host;
    const clock = host.clock(this.name);
    return {
      name: this.name,
      random: host.random.fork(this.name),
      now: () => clock.read(kernel.now),
      call: (to, method, argument, settle) => {
        instance.calls++;
        const done: Settle = (outcome) => {
          instance.calls--;
          settle(outcome);
        };
        instance.outbox.push(() => host.request(this.name, to, method, argument, done, instance));
        kernel.touch(instance);
      },
      witness: (seen) => {
        instance.seen.push(seen);
        kernel.touch(instance);
      },
      whenDurable: (run) => {
        instance.outbox.push(() => kernel.turn(0, "", instance, run));
        kernel.touch(instance);
      },
      wakeIn: (ms) => {
        instance.cancelTimer?.();
        instance.cancelTimer = ms === null ? null : kernel.turn(ms, "", instance, () => instance.machine?.wake?.());
      },
      setAlarm: (at) => {
        if (at === instance.alarm) return;
        instance.alarm = at;
        instance.alarmSet = true;
        kernel.touch(instance);
      },
      getAlarm: () => instance.alarm,
      log: (line) => kernel.log(`${this.name}: ${line}`),
    };
  }
}

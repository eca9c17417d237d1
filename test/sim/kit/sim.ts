import { interrupted, type Outcome } from "./actor.ts";
import type { ObjectClock } from "./clock.ts";
import { Kernel, START } from "./kernel.ts";
import { type Machine, type MachineEnv, NO_MACHINE_FAULTS, type SimMachine } from "./machine.ts";
import { MachineHost } from "./machines.ts";
import { CALM, type Delay, type LinkFaults, Network } from "./network.ts";
import { type Env, type Factory, type ObjectFaults, ObjectHost, type SimObject } from "./objects.ts";
import { type Consumer, Invocation, type QueueOptions, SimQueue } from "./queue.ts";
import { Random } from "./random.ts";
import { type ClientSocket, connect } from "./sockets.ts";
import type { Snapshotable } from "./storage.ts";

/** The name of the scenario itself on the network, unless it calls in another client's name. */
const OUTSIDE = "outside";

/** What a scenario holds: a world of objects, queues and links in virtual time, drawn from one seed. */
export class Sim {
  readonly seed: number;
  readonly random: Random;
  readonly kernel: Kernel;
  readonly network: Network;
  readonly machines: MachineHost;
  readonly #host: ObjectHost;
  readonly #queues = new Map<string, SimQueue>();
  #quiet: (() => void)[] = [];
  readonly #endings: (() => void)[] = [];
  #sockets = 0;
  #invocations = 0;

  constructor(seed: number) {
    this.seed = seed;
    const root = new Random(seed);
    this.random = root.fork("scenario");
    this.kernel = new Kernel(root);
    this.network = new Network(this.kernel, root);
    this.#host = new ObjectHost(this.kernel, this.network, root, (process, queue, body, delay) =>
      this.#queue(queue).send(process, body, delay),
    );
    this.machines = new MachineHost(this.kernel, this.network, root, (name) => this.#host.clock(name));
  }

  /** Virtual Unix milliseconds. */
  now(): number {
    return this.kernel.now;
  }

  /** Virtual milliseconds since the beginning. */
  get elapsed(): number {
    return this.kernel.now - START;
  }

  log(line: string): void {
    this.kernel.log(line);
  }

  /**
   * Declares an object. `factory(storage, env)` makes its instance at the first call and after each crash or eviction;
   * its public methods are what others call. Methods the kit calls itself: `alarm`, `onPost`, `onConnect`, `onMessage`, `onClose`.
   */
  object(name: string, factory: Factory): SimObject {
    return this.#host.define(name, factory);
  }

  /**
   * Declares a machine: a pure core and its shell, whose every event is one turn without an await. Objects and machines have
   * names of their own; they do not call each other.
   */
  machine<S extends Snapshotable>(name: string, create: () => S, factory: (medium: S, env: MachineEnv) => Machine): SimMachine {
    return this.machines.define(name, create, factory);
  }

  /** Calls a machine, in the name of an endpoint. Rejects as the platform does, or never settles: the network may lose it unnoticed. */
  ask<T = unknown>(from: string, name: string, method: string, argument: unknown): Promise<T> {
    return new Promise((resolve, reject) => {
      this.machines.request(from, name, method, argument, (outcome) => (outcome.ok ? resolve(outcome.value as T) : reject(outcome.error)));
    });
  }

  /** The clock of an object or a machine, to be set wrong. */
  clock(name: string): ObjectClock {
    return this.#host.clock(name);
  }

  /** Calls an object's method from outside, or in the name of another endpoint. */
  call<T = unknown>(name: string, method: string, ...args: unknown[]): Promise<T> {
    return this.callAs<T>(OUTSIDE, name, method, ...args);
  }

  callAs<T = unknown>(from: string, name: string, method: string, ...args: unknown[]): Promise<T> {
    const copy = structuredClone(args);
    return new Promise((resolve, reject) => {
      this.#host.request(from, name, method, copy, (outcome) => {
        // An event of its own: the outcome may come at the end of another's turn, when no code may run.
        this.kernel.after(0, "", null, () => (outcome.ok ? resolve(outcome.value as T) : reject(outcome.error)));
      });
    });
  }

  /** Calls until it succeeds, as a client does that repeats what failed with a retryable error. */
  async retry<T>(attempt: () => Promise<T>, pause = 50): Promise<T> {
    for (;;) {
      try {
        return await attempt();
      } catch (error) {
        if ((error as { retryable?: boolean }).retryable !== true) throw error;
        await this.sleep(this.random.int(1, pause));
      }
    }
  }

  /** Runs code as a stateless Worker that dies with probability `crash` at the end of each turn; rejects as retryable then. */
  worker<T>(body: (env: Env) => T | Promise<T>, crash = 0): Promise<T> {
    return new Promise((resolve, reject) => {
      const label = `worker#${++this.#invocations}`;
      new Invocation(this.#host, label, () => crash).start(body, (outcome: Outcome<T> | null) => {
        this.kernel.after(0, "", null, () => {
          if (outcome === null) reject(interrupted(`${label} died.`));
          else if (outcome.ok) resolve(outcome.value);
          else reject(outcome.error);
        });
      });
    });
  }

  /** Opens a socket to an object, under the client's name on the network. `request` reaches `onConnect`. */
  connect(client: string, name: string, request: unknown = null): ClientSocket {
    return connect(this.#host, client, this.#host.get(name), request, ++this.#sockets);
  }

  /** Declares a queue and what consumes it: at-least-once, in any order, and worse with `options.faults`. */
  queue(name: string, consumer: Consumer, options: QueueOptions = {}): SimQueue {
    const deadLetter = options.deadLetter === undefined ? null : this.#queue(options.deadLetter);
    const queue = new SimQueue(this.#host, name, consumer, options, deadLetter);
    this.#queues.set(name, queue);
    return queue;
  }

  /** Puts a message on a queue from outside. */
  send(queue: string, body: unknown, delaySeconds = 0): void {
    this.#queue(queue).put(body, delaySeconds);
  }

  /** Kills an object now, between two turns: at an await of everything it is doing. */
  crash(name: string): void {
    this.#host.get(name).crash("by order");
  }

  /** Evicts an object if it is idle; false if it is busy or not in memory. */
  evict(name: string): boolean {
    const evicted = this.#host.get(name).evict();
    if (evicted) this.kernel.log(`evict ${name} by order`);
    return evicted;
  }

  /** When an object's alarm is set for, null if it is not; reads what is committed. */
  alarm(name: string): number | null {
    return this.#host.get(name).disk.alarm;
  }

  /** Sets the faults of objects and links from here on; what is not named becomes zero. */
  faults(faults: Partial<ObjectFaults & LinkFaults & { disk: Delay }>): void {
    const { crash, evict, alarmLate, disk } = { ...NO_MACHINE_FAULTS, ...faults };
    const { delay, drop, duplicate } = { ...CALM, ...faults };
    this.#host.faults = { crash, evict, alarmLate };
    this.machines.faults = { crash, evict, alarmLate, disk };
    this.network.faults = { delay, drop, duplicate };
  }

  /** Ends all faults: what comes after must succeed. */
  calm(): void {
    this.faults({});
    this.network.heal(true);
    for (const object of this.#host.all()) object.faults = null;
    this.#host.thawClocks();
    this.machines.calm();
    for (const queue of this.#queues.values()) queue.faults = { ...queue.faults, drop: 0, duplicate: 0, sendFails: 0, crash: 0 };
    this.log("calm");
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.kernel.after(ms, "", null, resolve));
  }

  /** Runs `run` after `ms` virtual milliseconds, from outside; returns what cancels it. */
  timer(ms: number, run: () => void): () => void {
    return this.kernel.after(ms, "", null, run);
  }

  /** Waits until nothing is left to happen: no message under way, no timer, no alarm. */
  quiet(): Promise<void> {
    return new Promise((resolve) => this.#quiet.push(resolve));
  }

  /** Has `end` called when the simulation is over, however it ends: a scenario that fails in mid-turn never comes to its own end. */
  onEnd(end: () => void): void {
    this.#endings.push(end);
  }

  /** Runs the scenario to its end. The caller gives up on too many events; see `scenario.ts`. */
  async run(body: (sim: Sim) => Promise<void>, maxEvents: number): Promise<void> {
    try {
      await this.#run(body, maxEvents);
    } finally {
      for (const end of this.#endings.reverse()) end();
    }
  }

  async #run(body: (sim: Sim) => Promise<void>, maxEvents: number): Promise<void> {
    let outcome: Outcome<void> | null = null;
    void body(this).then(
      (value) => {
        outcome = { ok: true, value };
      },
      (error) => {
        outcome = { ok: false, error };
      },
    );
    const ended = () => outcome as Outcome<void> | null;
    await this.kernel.drain();
    this.kernel.endTurns();
    while (ended() === null) {
      if (this.kernel.events > maxEvents) throw new Error(`The scenario did not end within ${maxEvents} events.`);
      const stepped = this.kernel.step();
      if (stepped === true || (stepped !== false && (await stepped))) continue;
      const waiting = this.#quiet;
      if (waiting.length === 0)
        throw new Error("Nothing is left to happen, yet the scenario still waits: something it awaits never comes.");
      this.#quiet = [];
      for (const resolve of waiting) resolve();
      await this.kernel.drain();
      this.kernel.endTurns();
    }
    const final = ended();
    if (final?.ok === false) throw final.error;
  }

  #queue(name: string): SimQueue {
    const queue = this.#queues.get(name);
    if (queue === undefined) throw new Error(`There is no queue "${name}"; declare it with sim.queue.`);
    return queue;
  }
}

import { interrupted, type Outcome, Process, remoteError } from "./actor.ts";
import { ObjectClock } from "./clock.ts";
import type { Kernel } from "./kernel.ts";
import type { Network } from "./network.ts";
import type { Random } from "./random.ts";
import type { ServerSocket } from "./sockets.ts";
import { type Disk, emptyDisk, SimStorage } from "./storage.ts";

/** What an object, or a Worker's invocation, may do. Time, randomness and everything outside come through here. */
export interface Env {
  readonly name: string;
  readonly random: Random;
  now(): number;
  sleep(ms: number): Promise<void>;
  /** Calls a method of another object. Arguments and result are copied. Rejects as the platform does if either side is cut. */
  call<T = unknown>(object: string, method: string, ...args: unknown[]): Promise<T>;
  /** Sends a message that may be lost, doubled and reordered to another object's `onPost(from, message)`. */
  post(object: string, message: unknown): void;
  /** Puts a message on a queue. As on the platform it may throw although the message was accepted. */
  send(queue: string, body: unknown, options?: { delaySeconds?: number }): Promise<void>;
  /** The open sockets of this object, also those of before an eviction. */
  sockets(): ServerSocket[];
  log(line: string): void;
}

export type Factory = (storage: SimStorage, env: Env) => object;
type Methods = Record<string, (...args: unknown[]) => unknown>;

/** Probabilities a turn. */
export type ObjectFaults = {
  /** That the object crashes at the end of the turn: before the commit, after it, or after its messages went out. */
  crash: number;
  /** That an idle object is evicted after the turn: memory lost, storage and sockets kept. */
  evict: number;
  /** How late an alarm may be, in milliseconds. */
  alarmLate: number;
};

export const NO_FAULTS: ObjectFaults = { crash: 0, evict: 0, alarmLate: 0 };
/** The platform retries a failed alarm six times, from two seconds on, doubling. */
const ALARM_RETRIES = 6;
const ALARM_BACKOFF = 2000;

/** An `optional` method may be missing: the object then does not care for the event. */
type Request = { method: string; args: unknown[]; optional?: boolean; reply: (outcome: Outcome<unknown>) => void };

/** One life of an object in memory. */
export class Incarnation extends Process {
  readonly storage: SimStorage;
  readonly instance: Methods;
  readonly requests = new Set<Request>();
  readonly #object: SimObject;

  constructor(object: SimObject, kernel: Kernel, env: (process: Process) => Env) {
    super(kernel, object.name);
    this.#object = object;
    this.storage = new SimStorage(object.disk, () => {
      if (!this.alive) throw interrupted(`${object.name} is gone; this is what it left running.`);
    });
    this.instance = object.factory(this.storage, env(this)) as Methods;
  }

  get idle(): boolean {
    return this.requests.size === 0 && this.waiting === 0;
  }

  override endTurn(): void {
    if (this.alive) this.#object.endTurn(this);
  }
}

/** An object by its name: its disk, its sockets, and its present incarnation if it has one. */
export class SimObject {
  readonly name: string;
  readonly factory: Factory;
  readonly disk: Disk = emptyDisk();
  readonly sockets = new Set<ServerSocket>();
  faults: ObjectFaults | null = null;
  incarnation: Incarnation | null = null;
  starts = 0;
  #cancelAlarm: (() => void) | null = null;
  #alarmAt: number | null = null;
  readonly #host: ObjectHost;

  constructor(host: ObjectHost, name: string, factory: Factory) {
    this.#host = host;
    this.name = name;
    this.factory = factory;
  }

  /** The present incarnation, or a new one. The factory may throw, as a constructor may. */
  wake(): Incarnation {
    if (this.incarnation === null) {
      this.starts++;
      this.incarnation = new Incarnation(this, this.#host.kernel, (process) => this.#host.env(process, () => [...this.sockets]));
    }
    this.#host.kernel.touch(this.incarnation);
    return this.incarnation;
  }

  /** Runs a method in a turn of the object; `reply` is called once, when the turn that settled it has committed, or on a crash. */
  receive(request: Request): void {
    let incarnation: Incarnation;
    try {
      incarnation = this.wake();
    } catch (error) {
      request.reply({ ok: false, error: remoteError(error) });
      return;
    }
    incarnation.requests.add(request);
    const finish = (outcome: Outcome<unknown>) => {
      // Until it has left, a crash still turns the answer into an error.
      incarnation.emit(() => {
        incarnation.requests.delete(request);
        request.reply(outcome);
      });
    };
    run(() => {
      const method = incarnation.instance[request.method];
      if (method === undefined && request.optional) return undefined;
      if (typeof method !== "function") throw new TypeError(`${this.name} has no method "${request.method}".`);
      return method.apply(incarnation.instance, request.args);
    }).then(
      (value) => finish(copied(value)),
      (error) => finish({ ok: false, error: remoteError(error) }),
    );
  }

  endTurn(incarnation: Incarnation): void {
    const { kernel, random } = this.#host;
    const faults = this.faults ?? this.#host.faults;
    const stage = random.pick(["before its commit", "after its commit", "after its messages"] as const);
    const crashes = random.chance(faults.crash);
    const evicted = random.chance(faults.evict);
    if (!crashes || stage !== "before its commit") {
      incarnation.storage.commit();
      this.#armAlarm();
      if (!crashes || stage === "after its messages") incarnation.flush();
    }
    if (crashes) this.crash(stage);
    else if (evicted && incarnation.idle && this.evict()) kernel.log(`evict ${this.name}`);
  }

  /** Memory is lost, what is committed stays; callers in wait get a retryable error; sockets break. */
  crash(why: string): void {
    const { kernel, network } = this.#host;
    const incarnation = this.incarnation;
    kernel.log(`crash ${this.name} ${why}`);
    this.incarnation = null;
    if (incarnation !== null) {
      incarnation.kill();
      for (const request of incarnation.requests) {
        kernel.after(network.delay(this.name, "caller"), "", null, () =>
          request.reply({ ok: false, error: interrupted(`${this.name} was reset.`) }),
        );
      }
    }
    for (const socket of [...this.sockets]) socket.cut(false);
  }

  /** Memory is lost, storage and sockets stay. Only an idle object is evicted; false if it was not. */
  evict(): boolean {
    if (this.incarnation === null || !this.incarnation.idle) return false;
    this.incarnation.kill();
    this.incarnation = null;
    return true;
  }

  #armAlarm(): void {
    if (this.disk.alarm === this.#alarmAt) return;
    this.#alarmAt = this.disk.alarm;
    this.#cancelAlarm?.();
    this.#cancelAlarm = null;
    if (this.#alarmAt === null) return;
    const late = this.#host.random.int(0, (this.faults ?? this.#host.faults).alarmLate);
    this.#cancelAlarm = this.#host.kernel.after(this.#alarmAt - this.#host.kernel.now + late, `alarm ${this.name}`, null, () =>
      this.#fireAlarm(0),
    );
  }

  #fireAlarm(retryCount: number): void {
    this.#alarmAt = null;
    this.disk.alarm = null;
    this.incarnation?.storage.alarmFired();
    const reply = (outcome: Outcome<unknown>) => {
      if (outcome.ok) return;
      if (retryCount === ALARM_RETRIES) this.#host.kernel.log(`alarm ${this.name} given up`);
      else
        this.#host.kernel.after(ALARM_BACKOFF * 2 ** retryCount, `alarm ${this.name} again`, null, () => this.#fireAlarm(retryCount + 1));
    };
    this.receive({ method: "alarm", args: [{ isRetry: retryCount > 0, retryCount }], reply });
  }
}

export type Enqueue = (process: Process, queue: string, body: unknown, delaySeconds: number) => Promise<void>;

/** All objects of a simulation, and how they reach each other. */
export class ObjectHost {
  faults: ObjectFaults = NO_FAULTS;
  readonly kernel: Kernel;
  readonly network: Network;
  readonly random: Random;
  readonly #objects = new Map<string, SimObject>();
  readonly #clocks = new Map<string, ObjectClock>();
  readonly #enqueue: Enqueue;

  constructor(kernel: Kernel, network: Network, random: Random, enqueue: Enqueue) {
    this.kernel = kernel;
    this.network = network;
    this.random = random.fork("objects");
    this.#enqueue = enqueue;
  }

  define(name: string, factory: Factory): SimObject {
    if (this.#objects.has(name)) throw new Error(`There is an object "${name}" already.`);
    const object = new SimObject(this, name, factory);
    this.#objects.set(name, object);
    return object;
  }

  get(name: string): SimObject {
    const object = this.#objects.get(name);
    if (object === undefined) throw new Error(`There is no object "${name}"; define it with sim.object.`);
    return object;
  }

  /** The clock of an object, machine or Worker, by its name. */
  clock(name: string): ObjectClock {
    const clock = this.#clocks.get(name) ?? new ObjectClock();
    this.#clocks.set(name, clock);
    return clock;
  }

  /** Lets all clocks go on. By how much they are off stays as it is: to put one right would be a leap. */
  thawClocks(): void {
    for (const clock of this.#clocks.values()) clock.thaw();
  }

  all(): SimObject[] {
    return [...this.#objects.values()];
  }

  /** Sends a request and its reply over the network. `settle` is called exactly once. */
  request(from: string, name: string, method: string, args: unknown[], settle: (outcome: Outcome<unknown>) => void): void {
    const { kernel, network } = this;
    const label = `${from} > ${name}.${method}`;
    const lost = () =>
      kernel.after(network.timeout, `lost ${label}`, null, () => settle({ ok: false, error: interrupted(`The network lost ${label}.`) }));
    if (!network.passes(from, name)) return void lost();
    kernel.after(network.delay(from, name), label, null, () =>
      this.get(name).receive({
        method,
        args,
        reply: (outcome) => {
          if (!network.passes(name, from)) lost();
          else kernel.after(network.delay(name, from), "", null, () => settle(outcome));
        },
      }),
    );
  }

  env(process: Process, sockets: () => ServerSocket[]): Env {
    const { kernel, network } = this;
    const clock = this.clock(process.label);
    return {
      name: process.label,
      random: this.random.fork(process.label),
      now: () => clock.read(kernel.now),
      sleep: (ms) => process.owe<void>("", (settle) => void kernel.after(ms, "", process, () => settle({ ok: true, value: undefined }))),
      call: <T>(object: string, method: string, ...args: unknown[]) => {
        const copy = structuredClone(args);
        return process.owe<T>("", (settle) =>
          process.emit(() => this.request(process.label, object, method, copy, (outcome) => settle(outcome as Outcome<T>))),
        );
      },
      post: (object, message) => {
        const copy = structuredClone(message);
        process.emit(() =>
          network.post(process.label, object, () =>
            this.get(object).receive({ method: "onPost", args: [process.label, structuredClone(copy)], reply: failLoudly }),
          ),
        );
      },
      send: (queue, body, options) => this.#enqueue(process, queue, structuredClone(body), options?.delaySeconds ?? 0),
      sockets,
      log: (line) => kernel.log(`${process.label}: ${line}`),
    };
  }
}

/** Nobody waits for the result of a posted message: an error other than a crash is a mistake of the scenario. */
function failLoudly(outcome: Outcome<unknown>): void {
  if (!outcome.ok && (outcome.error as { retryable?: boolean }).retryable !== true) throw outcome.error;
}

async function run<T>(body: () => T): Promise<Awaited<T>> {
  return await body();
}

function copied(value: unknown): Outcome<unknown> {
  try {
    return { ok: true, value: structuredClone(value) };
  } catch (error) {
    return { ok: false, error: remoteError(error) };
  }
}

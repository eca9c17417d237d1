import { interrupted } from "./actor.ts";
import type { ObjectClock } from "./clock.ts";
import type { Actor, Kernel } from "./kernel.ts";
import { type Machine, type MachineEnv, type MachineFaults, NO_MACHINE_FAULTS, type Settle, SimMachine } from "./machine.ts";
import type { Network } from "./network.ts";
import type { Random } from "./random.ts";
import type { Snapshotable } from "./storage.ts";

/** A lost call is noticed after up to so long, if at all. Milliseconds. */
const LOST_AFTER = 2_000;

/** All machines of a simulation, and how they are reached. */
export class MachineHost {
  faults: MachineFaults = NO_MACHINE_FAULTS;
  readonly kernel: Kernel;
  readonly network: Network;
  readonly random: Random;
  readonly clock: (name: string) => ObjectClock;
  readonly #machines = new Map<string, SimMachine>();

  constructor(kernel: Kernel, network: Network, random: Random, clock: (name: string) => ObjectClock) {
    this.kernel = kernel;
    this.network = network;
    this.random = random.fork("machines");
    this.clock = clock;
  }

  define<S extends Snapshotable>(name: string, create: () => S, factory: (medium: S, env: MachineEnv) => Machine): SimMachine {
    if (this.#machines.has(name)) throw new Error(`There is a machine "${name}" already.`);
    const machine = new SimMachine(this, name, create, factory);
    this.#machines.set(name, machine);
    return machine;
  }

  get(name: string): SimMachine {
    const machine = this.#machines.get(name);
    if (machine === undefined) throw new Error(`There is no machine "${name}"; define it with sim.machine.`);
    return machine;
  }

  all(): SimMachine[] {
    return [...this.#machines.values()];
  }

  calm(): void {
    for (const machine of this.all()) {
      machine.faults = null;
      machine.exorcise();
    }
  }

  /** Sends a call and its answer over the network. `settle` runs in a turn of `caller`, or outside of all where that is null. */
  request(from: string, to: string, method: string, argument: unknown, settle: Settle, caller: Actor | null = null): void {
    const { kernel, network, random } = this;
    const label = `${from} > ${to}.${method}`;
    const later = (ms: number, name: string, run: () => void) =>
      caller === null ? kernel.after(ms, name, null, run) : kernel.turn(ms, name, caller, run);
    let settled = false;
    const finish: Settle = (outcome) => {
      if (settled) return;
      settled = true;
      settle(outcome);
    };
    const lost = () => {
      const [noticed, ms] = [random.chance(0.5), random.int(1, LOST_AFTER)];
      if (noticed) later(ms, `lost ${label}`, () => finish({ ok: false, error: interrupted(`The network lost ${label}.`) }));
    };
    if (!network.passes(from, to)) {
      lost();
      return;
    }
    const reply: Settle = (outcome) => {
      if (network.passes(to, from)) later(network.delay(to, from), `${from} < ${to}`, () => finish(outcome));
      else lost();
    };
    kernel.turn(network.delay(from, to), label, null, () => this.get(to).receive({ from, method, argument, reply }));
  }
}

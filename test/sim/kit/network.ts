import type { Kernel } from "./kernel.ts";
import type { Random } from "./random.ts";

/** Milliseconds, from and to, both inclusive. Each delivery draws its own, so a wide range reorders. */
export type Delay = readonly [min: number, max: number];

export type LinkFaults = {
  delay: Delay;
  /** Probability that a message is lost. An RPC then fails after {@link Network.timeout}; a socket breaks. */
  drop: number;
  /** Probability that a posted message arrives twice (calls and sockets are never doubled by the platform). */
  duplicate: number;
};

export const CALM: LinkFaults = { delay: [1, 5], drop: 0, duplicate: 0 };

/** Links between named endpoints: objects, Workers, clients. Each direction of a pair is a link of its own. */
export class Network {
  /** How long a caller waits before it takes a lost message for lost, in milliseconds. */
  timeout = 1000;
  faults: LinkFaults = CALM;
  readonly #links = new Map<string, LinkFaults>();
  #islands: ReadonlySet<string>[] = [];
  /** Directions that lose everything, as "from>to". */
  readonly #cuts = new Set<string>();
  readonly #kernel: Kernel;
  readonly #random: Random;

  constructor(kernel: Kernel, random: Random) {
    this.#kernel = kernel;
    this.#random = random.fork("network");
  }

  /** Faults of one direction of one pair, instead of the general ones. */
  link(from: string, to: string, faults: Partial<LinkFaults>): void {
    this.#links.set(`${from}>${to}`, { ...this.faults, ...faults });
  }

  /** Cuts the endpoints in islands that do not hear each other; who is in none of them hears everyone. */
  partition(...islands: string[][]): void {
    this.#islands = islands.map((names) => new Set(names));
    this.#kernel.log(`partition ${islands.map((names) => names.join(",")).join(" | ")}`);
  }

  /** Loses everything from `from` to `to`; what goes the other way arrives. */
  cut(from: string, to: string): void {
    this.#cuts.add(`${from}>${to}`);
    this.#kernel.log(`cut ${from} > ${to}`);
  }

  /** Ends partitions and cuts; with `calm` all faults of links too. */
  heal(calm = false): void {
    this.#islands = [];
    this.#cuts.clear();
    if (calm) {
      this.#links.clear();
      this.faults = { ...this.faults, drop: 0, duplicate: 0 };
    }
  }

  reachable(from: string, to: string): boolean {
    if (this.#cuts.size > 0 && this.#cuts.has(`${from}>${to}`)) return false;
    const [one, other] = [this.#island(from), this.#island(to)];
    return one === undefined || other === undefined || one === other;
  }

  delay(from: string, to: string): number {
    const [min, max] = this.#faultsOf(from, to).delay;
    return this.#random.int(min, max);
  }

  /** Decides the fate of one message that must not be doubled: false if it is lost. */
  passes(from: string, to: string): boolean {
    const lost = this.#random.chance(this.#faultsOf(from, to).drop);
    return !lost && this.reachable(from, to);
  }

  /** Delivers a posted message: perhaps never, perhaps twice, in any order with its neighbours. */
  post(from: string, to: string, deliver: () => void): void {
    const copies = this.#random.chance(this.#faultsOf(from, to).duplicate) ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      if (this.passes(from, to)) this.#kernel.after(this.delay(from, to), "", null, deliver);
      else this.#kernel.log(`lost ${from} > ${to}`);
    }
  }

  #faultsOf(from: string, to: string): LinkFaults {
    return this.#links.size === 0 ? this.faults : (this.#links.get(`${from}>${to}`) ?? this.faults);
  }

  #island(name: string): ReadonlySet<string> | undefined {
    return this.#islands.find((names) => names.has(name));
  }
}

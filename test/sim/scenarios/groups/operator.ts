import type { ConfChangeSingle } from "../../../../core/consensus/raft/types.ts";
import { putOf } from "./clients.ts";
import type { World } from "./world.ts";

const REQUEST_TIMEOUT = 6_000;
const LARGEST = 7;

/** Who runs a group: hands over leadership, adds and removes members, replaces the ones whose disk lost something. */
export class Operator {
  readonly #world: World;
  /** A change is under way, or was asked for, and nobody knows what became of it: the group may be about to be another one. */
  #unresolved = false;
  #busy = false;
  #replacing = 0;

  constructor(world: World) {
    this.#world = world;
  }

  /** The configuration is what it seems. */
  get idle(): boolean {
    return !this.#busy && !this.#unresolved && this.#replacing === 0;
  }

  async run(): Promise<void> {
    const world = this.#world;
    const { sim, plan } = world;
    const { random } = sim;
    const kinds = (["membership", "transfer"] as const).filter((kind) => plan.faults.has(kind));
    if (kinds.length === 0) return;
    while (!world.stopping) {
      await sim.sleep(random.int(50, 3 * plan.pause + 400));
      if (world.stopping) return;
      if (random.pick(kinds) === "transfer") await this.#transfer();
      else await this.#change();
    }
  }

  /** Puts a new member in the place of one that was rolled back. Not before that is done may anything else be lost for good. */
  async replace(id: number, deadline: number): Promise<boolean> {
    const world = this.#world;
    const added = world.newMember();
    this.#replacing++;
    try {
      while (world.sim.now() < deadline) {
        const { members } = world;
        const changes: ConfChangeSingle[] = [];
        if (members.includes(id)) changes.push({ kind: "remove", node: id });
        if (!members.includes(added)) changes.push({ kind: "addVoter", node: added });
        if (changes.length === 0) {
          world.directory = world.directory.filter((each) => each !== id);
          return true;
        }
        await this.#reconfigure(changes);
        await world.sim.sleep(world.sim.random.int(10, 300));
      }
      return false;
    } finally {
      this.#replacing--;
    }
  }

  async #transfer(): Promise<void> {
    const { sim, voters } = this.#world;
    await this.#world.ask("operator", { ask: "transfer", to: sim.random.pick(voters) }, sim.now() + REQUEST_TIMEOUT, true);
  }

  async #change(): Promise<void> {
    const world = this.#world;
    const { random } = world.sim;
    const { voters, members } = world;
    if (this.#replacing > 0 || voters.some((id) => world.rolledBack.has(id))) return;
    const learners = members.filter((id) => !voters.includes(id));
    const removed = { kind: "remove", node: random.pick(members) } as const;
    const choice = random.int(0, 4);
    if (choice === 0 && learners.length > 0) await this.#reconfigure([{ kind: "addVoter", node: random.pick(learners) }]);
    else if (choice <= 1 && members.length < LARGEST)
      await this.#reconfigure([{ kind: random.pick(["addVoter", "addLearner"] as const), node: world.newMember() }]);
    else if (choice === 2 && voters.length > 1) await this.#reconfigure([removed]);
    else if (choice === 3 && members.length < LARGEST) await this.#reconfigure([{ kind: "addVoter", node: world.newMember() }, removed]);
    else if (choice === 4 && voters.length > 2) await this.#reconfigure([{ kind: "addLearner", node: random.pick(voters) }]);
  }

  /**
   * Erases who was removed. Not before something else was committed by who remains: until then they may not know, after a crash,
   * that the removal is, and need the removed ones to find out.
   */
  async erase(deadline: number): Promise<void> {
    const world = this.#world;
    while (world.sim.now() < deadline) {
      const before = world.probe.conf;
      const write = { ask: "write", operation: { op: "put", request: putOf("operator", "1") }, session: null } as const;
      const answer = await world.ask("operator", write, Math.min(deadline, world.sim.now() + REQUEST_TIMEOUT));
      const settled = before === null || (before.conf.votersOutgoing.length === 0 && world.probe.conf === before);
      if (answer !== null && settled && world.voters.includes(answer.from)) {
        world.retireOthers();
        return;
      }
      await world.sim.sleep(100);
    }
  }

  async #reconfigure(changes: ConfChangeSingle[]): Promise<void> {
    const world = this.#world;
    this.#busy = true;
    const answer = await world.ask("operator", { ask: "reconfigure", changes }, world.sim.now() + REQUEST_TIMEOUT, true);
    this.#busy = false;
    this.#unresolved = answer === null;
    if (answer !== null && changes.some(({ kind }) => kind === "remove") && world.sim.random.chance(0.5))
      await this.erase(world.sim.now() + REQUEST_TIMEOUT);
    // Clients hear of changes, late and not always; who was removed may still be asked.
    if (world.sim.random.chance(0.7))
      world.directory = [...new Set([...world.members, ...changes.filter(({ kind }) => kind !== "remove").map(({ node }) => node)])];
  }
}

import { RaftError } from "../../../../core/consensus/raft/types.ts";
import type { Format } from "../../../../core/consensus/replica/format.ts";
import type { ReplicaOptions } from "../../../../core/consensus/replica/options.ts";
import { type Effects, Replica } from "../../../../core/consensus/replica/replica.ts";
import type { Ask, Hint, Reply } from "../../../../core/consensus/replica/types.ts";
import { MemoryJournalStorage } from "../../../../core/journal/memory.ts";
import type { Machine, MachineEnv, Settle } from "../../kit/index.ts";
import { type Probe, Violation } from "./probe.ts";

export type AskRequest = { ask: Ask; hint: Hint };

/** An alarm costs a row and a request: so many in a second are a storm. */
const MOST_ALARMS = 30;

/** What all shells of one group share. */
export type Group = {
  probe: Probe;
  options: Omit<ReplicaOptions, "id" | "random" | "format">;
  nameOf(id: number): string;
  /** The code that a member runs from its next start on. */
  formatOf(id: number): Format;
  /** What is on the wire between two replicas, of whatever versions they are. */
  wire(from: number, bytes: Uint8Array): Uint8Array;
  /** Its disk lost something: it may find out and stop. */
  mayStop(id: number): boolean;
  /** It is no member any more, and its object was deleted. */
  retired(id: number): boolean;
};

/** A replica and what it lives in, as a Durable Object would be it: performs what the core wants done, in its order. */
export class ReplicaShell implements Machine {
  readonly id: number;
  readonly replica: Replica | null;
  readonly #group: Group;
  readonly #env: MachineEnv;
  readonly #asks = new Map<number, Settle>();
  #askNumber = 0;
  #stopped = false;
  #alarms = 0;
  #alarmSecond = 0;

  constructor(id: number, rows: MemoryJournalStorage, env: MachineEnv, group: Group) {
    this.id = id;
    this.#group = group;
    this.#env = env;
    const random = (below: number) => env.random.int(0, below - 1);
    const options = { ...group.options, id, random, format: group.formatOf(id) };
    this.replica = this.#within(() => {
      try {
        return Replica.open(rows, options);
      } catch (error) {
        // It was taken back to code that cannot read its checkpoint. What it has it keeps.
        if ((error as { code?: string }).code !== "newer_format") throw error;
        env.log("cannot be opened by older code");
        return null;
      }
    });
  }

  call(_: string, method: string, argument: unknown, answer: Settle): void {
    const { replica } = this;
    if (replica === null || this.#stopped || this.#group.retired(this.id)) {
      answer({ ok: false, error: new Error("This replica is not in service.") });
    } else if (method === "ask") {
      const { ask, hint } = argument as AskRequest;
      const number = ++this.#askNumber;
      this.#asks.set(number, answer);
      this.#do(() => replica.ask(number, ask, hint, this.#env.now()));
    } else if (method === "step") {
      const effects = this.#try(() => replica.step(argument as Uint8Array, this.#env.now()));
      if (effects === null) answer({ ok: false, error: new Error("The envelope was refused.") });
      else if (effects.answer === null) answer({ ok: false, error: new Error("This replica takes no part.") });
      else answer({ ok: true, value: this.#group.wire(this.id, effects.answer) });
    } else throw new Error(`There is no method ${method}.`);
  }

  wake(): void {
    const { replica } = this;
    if (replica !== null) this.#do(() => replica.wake(this.#env.now()));
  }

  alarm(): void {
    const { replica } = this;
    const second = Math.floor(this.#group.probe.time / 1_000);
    this.#alarms = second === this.#alarmSecond ? this.#alarms + 1 : 1;
    this.#alarmSecond = second;
    if (this.#alarms > MOST_ALARMS) throw new Violation("rest", `${this.#env.name} has had ${this.#alarms} alarms within a second`);
    if (replica !== null) this.#do(() => replica.alarm(this.#env.now()));
  }

  #do(event: () => Effects): void {
    if (!this.#stopped && !this.#group.retired(this.id)) this.#try(event);
  }

  /** Null where the event was refused before anything was done, or where the replica has to stop. */
  #try(event: () => Effects): Effects | null {
    let effects: Effects;
    try {
      effects = this.#within(event);
    } catch (error) {
      if (["newer_format", "corrupt"].includes((error as { code?: string }).code ?? "") && !(error instanceof RaftError)) return null;
      if (!(error instanceof RaftError) || error.code !== "corrupt" || !this.#group.mayStop(this.id)) throw error;
      this.#env.log("stops: its log lost what it had acknowledged");
      this.#stopped = true;
      return null;
    }
    this.#perform(effects);
    return effects;
  }

  #perform({ calls, replies, wakeIn, alarmAt, sync }: Effects): void {
    const { replica } = this;
    if (replica === null) return;
    for (const { call, to, bytes } of calls) {
      const sent = this.#group.wire(this.id, bytes);
      this.#env.call(this.#group.nameOf(to), "step", sent, (outcome) =>
        this.#do(() => {
          if (!outcome.ok) return replica.failed(call, this.#env.now());
          try {
            return replica.answered(call, outcome.value as Uint8Array, this.#env.now());
          } catch (error) {
            if (!["newer_format", "corrupt"].includes((error as { code?: string }).code ?? "") || error instanceof RaftError) throw error;
            return replica.failed(call, this.#env.now());
          }
        }),
      );
    }
    for (const { ask, reply } of replies) this.#reply(ask, reply);
    this.#env.wakeIn(wakeIn);
    const set = this.#env.getAlarm();
    if (alarmAt !== null && (set === null || alarmAt < set)) this.#env.setAlarm(alarmAt);
    if (sync) this.#env.whenDurable(() => this.#do(() => replica.persisted(this.#env.now())));
  }

  #reply(ask: number, reply: Reply): void {
    const settle = this.#asks.get(ask);
    this.#asks.delete(ask);
    settle?.({ ok: true, value: reply });
  }

  #within<T>(run: () => T): T {
    // What a failed replica tells itself breaks no rule; that the others take it for true would.
    const emit = (effect: () => void) => {
      if (!this.#group.mayStop(this.id)) this.#env.witness(effect);
    };
    return this.#group.probe.within({ id: this.id, emit }, run);
  }
}

/** The disk of a member before it has done anything. */
export function rowsOf(make: (rows: MemoryJournalStorage) => void): ReturnType<MemoryJournalStorage["snapshot"]> {
  const rows = new MemoryJournalStorage();
  make(rows);
  return rows.snapshot();
}

import { Journal } from "../journal/journal.ts";
import type { JournalStorage } from "../journal/port.ts";
import { SkerryError } from "../wire/errors.ts";
import { joinBatches, type RecordBatch } from "./batch.ts";
import { recordsFrom } from "./log.ts";
import { type Cell, rowPages } from "./pages.ts";
import { goneRange, isErased, type ReadLog, ReplaySource } from "./replay.ts";
import { type MappedRange, mapRange, type ScoreModel } from "./stateless.ts";
import { checkpointDue, type TaskEntry, TaskMachine, type TaskMeta } from "./task.ts";
import type { Topology } from "./topology.ts";

/** `setting`: what the topology's setting is now, as text; null: nobody has made one. */
export type Ports = { readLog: ReadLog; score: ScoreModel; now: () => number; setting?: () => Promise<string | null> };

const PULL_BYTES = 512 * 1024;
/** What tables may hold in memory: the isolate's 128 MB are shared with every other object of the script. */
const MEMORY_BUDGET = 8 * 1024 * 1024;
/** Undelivered outputs at which the task stops taking input; the partitions' alarms bring it again. */
const MAX_OUTBOX = 1000;
/** Their characters as JSON, likewise: a checkpoint carries them. */
const MAX_OUTBOX_SIZE = 4 * 1024 * 1024;

/**
 * The machine with its journal: loads and replays, takes ranges strictly in order, pulls what is missing, and
 * checkpoints. Everything that changes state runs in one queue, because a pull awaits in the middle.
 */
export class TaskEngine {
  readonly #storage: JournalStorage;
  readonly #journal: Journal;
  readonly #topology: Topology;
  readonly #partition: number;
  readonly #ports: Ports;
  readonly #lastEmit = new Map<string, number>();
  #machine: TaskMachine | null = null;
  #loading: Promise<TaskMachine> | null = null;
  #queue: Promise<unknown> = Promise.resolve();
  #since = { records: 0, entries: 0 };
  /** Outputs in the stored checkpoint. */
  #carried = 0;
  /** Unix ms of the last input; of the load, after a wake: a task that slept through nothing must not close windows early. */
  lastInput: number;
  /** Called after every applied entry with the rows that changed, by table, and the revision it made. */
  onApplied: (changed: Map<string, Cell[]>, revision: number) => void = () => {};

  constructor(storage: JournalStorage, topology: Topology, partition: number, ports: Ports) {
    this.#storage = storage;
    this.#journal = Journal.open(storage);
    this.#topology = topology;
    this.#partition = partition;
    this.#ports = ports;
    this.lastInput = ports.now();
  }

  /**
   * The machine, once what the last run left behind is replayed. A load that fails (a log out of reach) fails whoever
   * waits for it, and is tried again for the next.
   */
  ready(): Promise<TaskMachine> {
    this.#loading ??= this.#load().catch((error) => {
      this.#loading = null;
      throw error;
    });
    return this.#loading;
  }

  /** What tables can be read from at once; null while it replays. */
  get machine(): TaskMachine | null {
    return this.#machine;
  }

  /** Applies a range that was mapped elsewhere, pulling what comes before it. Resolves when all of it is durable. */
  ingest(range: MappedRange, generation: number): Promise<void> {
    return this.#inOrder(async (machine) => {
      const standing = machine.standing(range.topic, generation, range.from, range.to);
      if (standing.at === "known") return;
      if (standing.at === "gap") await this.#pull(machine, range.topic, generation, range.from);
      if (standing.at === "overlap" || machine.standing(range.topic, generation, range.from, range.to).at !== "next") {
        await this.#pull(machine, range.topic, generation, range.to);
        return;
      }
      this.#take(machine, generation, range);
    });
  }

  /** Pulls from the log until `head` is applied. */
  catchUp(topic: string, generation: number, head: number): Promise<void> {
    return this.#inOrder((machine) => this.#pull(machine, topic, generation, head));
  }

  /** Emits table updates whose time has come (or all), as a journalled entry. */
  emit(all: boolean): Promise<void> {
    return this.#inOrder((machine) => {
      const ids = machine
        .pending()
        .filter(({ id, every }) => all || this.#isDue(id, every))
        .map(({ id }) => id);
      if (ids.length > 0) this.#commit(machine, { k: "emit", emit: this.#emitted(ids) }, null);
    });
  }

  /** Closes every open window by a logged tick, provided the task has all there is. Returns whether it did. */
  closeWindows(heads: () => Promise<{ topic: string; generation: number; head: number }[]>): Promise<boolean> {
    return this.#inOrder(async (machine) => {
      for (const { topic, generation, head } of await heads()) {
        const { at } = machine.standing(topic, generation, head, head);
        if (at === "known") continue;
        await this.#pull(machine, topic, generation, head);
        this.lastInput = this.#ports.now();
        return false;
      }
      const time = machine.closingTime();
      if (time !== null) this.#commit(machine, { k: "tick", at: time }, null);
      return true;
    });
  }

  /**
   * A source was deleted: what comes late from this generation of it counts no more, and the checkpoint frees its log,
   * since no journalled range of it is left to replay.
   */
  retire(topic: string, generation: number): Promise<void> {
    return this.#inOrder((machine) => {
      this.#retire(machine, topic, generation);
      this.#checkpoint(machine);
    });
  }

  /** Lets go of pages that a query has loaded beyond the budget. */
  relax(): void {
    this.#machine?.shrink(MEMORY_BUDGET);
  }

  /** Writes what changed, so that the next wake replays nothing. */
  checkpoint(): Promise<void> {
    return this.#inOrder((machine) => this.#checkpoint(machine));
  }

  get replayCost(): { records: number; entries: number } {
    return this.#since;
  }

  /** Whether a checkpoint would spare the next wake something: entries to replay, or outputs to send that have arrived. */
  get unsettled(): boolean {
    return this.#since.entries > 0 || this.#carried > (this.#machine?.outbox.length ?? 0);
  }

  get base(): number {
    return this.#journal.base;
  }

  #inOrder<T>(work: (machine: TaskMachine) => T | Promise<T>): Promise<T> {
    const turn = this.#queue.then(() => this.ready()).then(work);
    // The queue goes on after a failure: it was this caller's, and the state is untouched (persist first, then apply).
    this.#queue = turn.catch(() => {});
    return turn;
  }

  async #load(): Promise<TaskMachine> {
    this.#since = { records: 0, entries: 0 };
    const stored = this.#journal.latestCheckpoint();
    const checkpoint = stored === null ? undefined : { revision: stored.position, meta: JSON.parse(text.decode(stored.bytes)) as TaskMeta };
    const machine = new TaskMachine(this.#topology, rowPages(this.#storage), checkpoint);
    this.#carried = machine.outbox.length;
    const source = new ReplaySource(this.#ports.readLog);
    for (const { bytes } of this.#journal.replay(machine.revision)) {
      const entry = JSON.parse(text.decode(bytes)) as TaskEntry;
      let mapped: MappedRange | null = null;
      if (entry.k === "range") {
        const batch = await source.range(entry.topic, entry.generation, entry.from, entry.to);
        mapped = batch === null ? goneRange(entry, this.#partition) : await this.#map(entry.topic, entry.from, batch, entry.setting);
        this.#since.records += entry.to - entry.from;
      }
      machine.apply(entry, mapped);
      this.#since.entries++;
    }
    this.#machine = machine;
    return machine;
  }

  #map(topic: string, from: number, batch: RecordBatch, setting: unknown): Promise<MappedRange> {
    return mapRange(this.#topology, { topic, partition: this.#partition, from }, batch, this.#ports.score, setting);
  }

  async #setting(): Promise<unknown> {
    const { setting } = this.#topology;
    return setting === null ? undefined : setting.parse((await this.#ports.setting?.()) ?? null);
  }

  async #pull(machine: TaskMachine, topic: string, generation: number, head: number): Promise<void> {
    for (;;) {
      const standing = machine.standing(topic, generation, head, head);
      if (standing.at === "known" || standing.at === "next") return;
      const { from } = standing;
      const read = await this.#ports.readLog(topic, generation, from, PULL_BYTES).catch((thrown) => {
        if (!isErased(thrown)) throw thrown;
        return null;
      });
      if (read === null) {
        this.#retire(machine, topic, generation);
        return;
      }
      const batch = joinBatches(recordsFrom(from, read.batches).map(({ records }) => records));
      if (batch.t.length === 0)
        throw new SkerryError("unavailable", `The log of "${topic}" ends at ${read.head}, before ${head}.`, { retryAfter: 1 });
      this.#take(machine, generation, await this.#map(topic, from, batch, await this.#setting()));
    }
  }

  #take(machine: TaskMachine, generation: number, range: MappedRange): void {
    if (machine.outbox.length >= MAX_OUTBOX || machine.outboxSize >= MAX_OUTBOX_SIZE) {
      throw new SkerryError(
        "overloaded",
        `${machine.outbox.length} outputs wait for their receivers; the task takes no more until they go.`,
        { retryAfter: 5 },
      );
    }
    this.lastInput = this.#ports.now();
    const due = machine
      .emitters()
      .filter(({ id, every }) => this.#isDue(id, every))
      .map(({ id }) => id);
    const { topic, from, to, setting } = range;
    const entry: TaskEntry = {
      k: "range",
      topic,
      generation,
      from,
      to,
      emit: this.#emitted(due),
      ...(setting !== undefined && { setting }),
    };
    this.#commit(machine, entry, range);
    this.#since.records += to - from;
    if (checkpointDue(this.#since, machine.dirty)) this.#checkpoint(machine);
    else if (machine.bytes > 2 * MEMORY_BUDGET) this.relax();
  }

  #retire(machine: TaskMachine, topic: string, generation: number): void {
    if (machine.applied(topic).generation <= generation) this.#commit(machine, { k: "retire", topic, generation }, null);
  }

  #isDue(id: string, every: number): boolean {
    return this.#ports.now() - (this.#lastEmit.get(id) ?? 0) >= every;
  }

  #emitted(ids: string[]): string[] {
    for (const id of ids) this.#lastEmit.set(id, this.#ports.now());
    return ids;
  }

  /** Persist, then apply: after a crash in between the replay applies it. */
  #commit(machine: TaskMachine, entry: TaskEntry, range: MappedRange | null): void {
    this.#journal.stage(utf8.encode(JSON.stringify(entry)));
    this.#journal.commit();
    this.#since.entries++;
    try {
      this.onApplied(machine.apply(entry, range), machine.revision);
    } catch (error) {
      // Memory is now behind what is committed: only a replay can tell what it should be.
      this.#forget();
      throw error;
    }
  }

  #forget(): void {
    this.#machine = null;
    this.#loading = null;
  }

  #checkpoint(machine: TaskMachine): void {
    if (!this.unsettled) return;
    const pending = machine.pending().map(({ id }) => id);
    if (pending.length > 0) this.#commit(machine, { k: "emit", emit: this.#emitted(pending) }, null);
    try {
      this.#storage.transaction(() => {
        const meta = machine.checkpoint();
        this.#journal.checkpoint(machine.revision, utf8.encode(JSON.stringify(meta)));
        this.#journal.trim(machine.revision);
      });
    } catch (error) {
      // The pages take themselves for written: only what is stored can tell.
      this.#forget();
      throw error;
    }
    this.#since = { records: 0, entries: 0 };
    this.#carried = machine.outbox.length;
    this.relax();
  }
}

const utf8 = new TextEncoder();
const text = new TextDecoder();

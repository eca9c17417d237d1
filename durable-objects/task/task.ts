import { DurableObject } from "cloudflare:workers";
import type { ModelsService } from "../../core/inference/port.ts";
import { TaskEngine } from "../../core/streams/engine.ts";
import { isErased } from "../../core/streams/replay.ts";
import type { MappedRange, ScoreModel } from "../../core/streams/stateless.ts";
import { checkQuery, type TableQuery } from "../../core/streams/table.ts";
import type { TaskMachine } from "../../core/streams/task.ts";
import type { TableRow, Topology } from "../../core/streams/topology.ts";
import { hourOf } from "../../core/usage/usage.ts";
import { type Answer, answer, type Level } from "../../core/wire/answer.ts";
import { SkerryError } from "../../core/wire/errors.ts";
import { ACTOR_HEADER, type Actor } from "../../core/wire/grant.ts";
import { objectName } from "../../core/wire/names.ts";
import { topologyNamed } from "../../topologies/index.ts";
import { ensureLive } from "../directory/live.ts";
import { Alarms } from "../shared/alarms.ts";
import { sqliteJournalStorage } from "../shared/journal-sqlite.ts";
import { answerClose, closeExpired, closeToken, earliestExpiry } from "../shared/sockets.ts";
import { identify, partitionName, taskName } from "../streams.ts";
import { LiveTables } from "./live.ts";
import { Outbox, type Waiting } from "./outbox.ts";
import { settingText } from "./setting.ts";

export type TaskStats = {
  topology: string;
  partition: number;
  revision: number;
  records: number;
  applied: Record<string, { generation: number; offset: number }>;
  tables: Record<string, { streamTime: number; late: number }>;
  poisoned: { count: number; last: unknown[] };
  outbox: number;
  /** Sinks whose receivers do not take what they are sent. */
  waiting: Waiting[];
  bytes: number;
  replay: { records: number; entries: number };
};
/** What a caller must be able to see: offsets of the task's source partitions, by topic. */
export type AtLeast = { topic: string; generation: number; offset: number }[];
export type TablePage = { rows: TableRow[]; streamTime: number; late: number; applied: Record<string, number> };

/** While there is work that a crash would leave undone, the object wakes by itself after so many ms. */
const BUSY_MS = 5_000;
/** While nothing is left to do but to wait for a receiver, it asks less and less often. */
const BUSY_MAX = 60_000;

type Running = { topology: Topology; engine: TaskEngine; outbox: Outbox; live: LiveTables };

/** One task: a topology's stateful part for one partition. The engine has the state; this has the world. */
export class Task extends DurableObject<Env> {
  readonly #alarms: Alarms;
  readonly #storage: ReturnType<typeof sqliteJournalStorage>;
  #running: Running | null = null;
  #emitTimer: ReturnType<typeof setTimeout> | null = null;
  #patience = BUSY_MS;
  #isLive = false;
  /** What the project's account has not heard of yet: calls taken, and the count of rows it was last told. */
  #unbilled = { calls: 0, rowsTold: 0 };

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#alarms = new Alarms(ctx.storage);
    this.#storage = sqliteJournalStorage(ctx.storage);
  }

  /** Takes a range that the consumer has mapped; what was applied before is skipped, what is missing is pulled. */
  async apply(range: MappedRange, generation: number): Promise<Answer<{ offset: number }>> {
    const { engine } = await this.#live();
    this.#unbilled.calls++;
    await engine.ingest(range, generation);
    return this.#after(await engine.ready(), range.topic);
  }

  /** The partition's own bell: applies its log up to `head`. */
  async catchUp(topic: string, generation: number, head: number): Promise<Answer<{ offset: number }>> {
    const { engine } = await this.#live();
    this.#unbilled.calls++;
    await engine.catchUp(topic, generation, head);
    return this.#after(await engine.ready(), topic);
  }

  /** A source was deleted: keeps what was taken of it without its log, and takes no more of that generation. */
  async retire(topic: string, generation: number): Promise<Answer<{ offset: number }>> {
    const { engine } = this.#run();
    this.#unbilled.calls++;
    await engine.retire(topic, generation);
    return this.#after(await engine.ready(), topic);
  }

  /**
   * Rows of a table in the order (window start, key). Pulls from the log first if the caller has seen more than is
   * applied; without `atLeast` (null) the caller has not said, and gets what there is.
   */
  async query(table: string, query: TableQuery, atLeast: AtLeast | null): Promise<Answer<TablePage>> {
    const { engine } = this.#run();
    for (const { topic, generation, offset } of atLeast ?? []) {
      const machine = await engine.ready();
      if (machine.standing(topic, generation, offset, offset).at !== "known") await engine.catchUp(topic, generation, offset);
    }
    const machine = await engine.ready();
    const found = machine.tables.get(table);
    if (found === undefined) throw new SkerryError("table_not_found", `The topology "${machine.topology.name}" has no table "${table}".`);
    const rows = found.query(checkQuery(query));
    engine.relax();
    const applied = Object.fromEntries(Object.entries(machine.allApplied).map(([topic, { offset }]) => [topic, offset]));
    return this.#answer(
      machine,
      { rows, streamTime: found.streamTime, late: found.late, applied },
      atLeast === null ? "eventual" : "session",
    );
  }

  async stats(): Promise<Answer<TaskStats>> {
    const { engine, outbox, topology } = this.#run();
    const machine = await engine.ready();
    const tables = Object.fromEntries([...machine.tables].map(([name, { streamTime, late }]) => [name, { streamTime, late }]));
    return this.#answer(machine, {
      topology: topology.name,
      partition: this.#partition(),
      revision: machine.revision,
      records: machine.records,
      applied: { ...machine.allApplied },
      tables,
      poisoned: machine.poisoned,
      outbox: machine.outbox.length,
      waiting: outbox.waiting,
      bytes: machine.bytes,
      replay: engine.replayCost,
    });
  }

  /** A token was revoked: its sockets close now. */
  async revoked(tokenId: string): Promise<void> {
    const { live } = this.#run();
    for (const socket of closeToken(this.ctx, tokenId)) live.closed(socket);
  }

  /** The Worker opens a live socket here, having authorised it. */
  override async fetch(request: Request): Promise<Response> {
    if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") return new Response("Expected a WebSocket.", { status: 426 });
    const { engine, live, topology } = this.#run();
    await engine.ready();
    const actor = JSON.parse(request.headers.get(ACTOR_HEADER) ?? "null") as Actor | null;
    if (actor === null) return new Response("No actor.", { status: 401 });
    const response = live.accept(actor, topology.name, request.headers.get("sec-websocket-protocol"));
    this.#watchExpiry();
    return response;
  }

  override async webSocketMessage(socket: WebSocket, data: string | ArrayBuffer): Promise<void> {
    const { engine, live } = this.#run();
    await engine.ready();
    live.message(socket, data);
    this.#watchExpiry();
  }

  override async webSocketClose(socket: WebSocket): Promise<void> {
    this.#running?.live.closed(socket);
    answerClose(socket);
  }

  override async webSocketError(socket: WebSocket): Promise<void> {
    this.#running?.live.closed(socket);
  }

  override async alarm(): Promise<void> {
    await this.#alarms.fire(
      Date.now(),
      async (name) => {
        if (name === "busy") await this.#busy();
        if (name === "expiry") {
          for (const socket of closeExpired(this.ctx, Date.now())) this.#running?.live.closed(socket);
          this.#watchExpiry();
        }
      },
      (name, error) =>
        console.warn(
          JSON.stringify({ level: "warn", message: "alarm failed", task: identify(this.ctx).name, alarm: name, error: String(error) }),
        ),
    );
  }

  /** Looked up once a wake: a deployment of another version makes a new object of it. */
  async #live(): Promise<Running> {
    const running = this.#run();
    if (!this.#isLive) await ensureLive(this.env, identify(this.ctx).scope, running.topology);
    this.#isLive = true;
    return running;
  }

  #run(): Running {
    if (this.#running !== null) return this.#running;
    const me = identify(this.ctx);
    const topology = topologyNamed(me.parts[1] as string);
    // An object of an older version must not go on under the new code: its state means something else.
    if (taskName(me.scope, topology, this.#partition()) !== me.name)
      throw new SkerryError("topology_not_found", `"${me.name}" belongs to a version that is no longer deployed.`);
    const models = this.env.MODELS as unknown as ModelsService;
    const score: ScoreModel = async (model, rows, n) => (await models.score(model, rows, n)).scores;
    const engine = new TaskEngine(this.#storage, topology, this.#partition(), {
      readLog: async (topic, generation, offset, maxBytes) =>
        (await this.env.TOPIC.getByName(partitionName(me.scope, topic, generation, this.#partition())).read(offset, maxBytes)).value,
      score,
      now: () => Date.now(),
      setting: async () => (topology.setting === null ? null : settingText(this.env, me.scope, topology.setting)),
    });
    const live = new LiveTables(this.ctx, me.parts[2] as string, this.#partition(), () => engine.machine);
    engine.onApplied = (changed, revision) => live.changed(changed, revision);
    this.#running = { topology, engine, outbox: new Outbox(this.env, me), live };
    return this.#running;
  }

  #partition(): number {
    return Number(identify(this.ctx).parts[3]);
  }

  /** Emits, delivers and answers after input. Delivery does not hold the answer: the outbox is replayable. */
  #after(machine: TaskMachine, topic: string): Answer<{ offset: number }> {
    if (machine.outbox.length > 0) this.ctx.waitUntil(this.#run().outbox.drain(machine));
    this.#stayAwake(machine);
    return this.#answer(machine, { offset: machine.applied(topic).offset });
  }

  #stayAwake(machine: TaskMachine): void {
    const { engine, outbox, topology } = this.#run();
    const pending = machine.pending();
    if (pending.length > 0 && this.#emitTimer === null) {
      const wait = Math.min(...pending.map(({ every }) => every));
      const emit = async () => {
        this.#emitTimer = null;
        await engine.emit(false);
        await outbox.drain(machine);
        this.#stayAwake(machine);
      };
      // A failure here is the alarm's to mend, which is set below.
      this.#emitTimer = setTimeout(
        () => emit().catch((error) => console.warn(JSON.stringify({ level: "warn", message: "emit failed", error: String(error) }))),
        wait,
      );
    }
    const open = topology.closeOnIdle !== null && machine.closingTime() !== null;
    if ((pending.length > 0 || machine.outbox.length > 0 || open || engine.unsettled) && this.#alarms.at("busy") === null) {
      this.#alarms.schedule("busy", Date.now() + BUSY_MS);
    }
  }

  /** The backstop of the timers, and what happens when input stops: emit, deliver, close windows, checkpoint. */
  async #busy(): Promise<void> {
    const { engine, outbox, topology } = this.#run();
    let machine = await engine.ready();
    await engine.emit(true);
    const idle = Date.now() - engine.lastInput;
    if (topology.closeOnIdle !== null && idle >= topology.closeOnIdle) await engine.closeWindows(() => this.#heads(machine));
    const drained = await outbox.drain(machine);
    machine = await engine.ready();
    if (idle >= BUSY_MS) await engine.checkpoint();
    await this.#bill();
    const open = topology.closeOnIdle !== null && machine.closingTime() !== null;
    const working = machine.pending().length > 0 || open || engine.unsettled;
    this.#patience = drained || working ? BUSY_MS : Math.min(BUSY_MAX, this.#patience * 2);
    if (!drained || working) this.#alarms.schedule("busy", Date.now() + this.#patience);
  }

  /** Tells the project what this task's own work cost. A crash forgets the seconds since the last time. */
  async #bill(): Promise<void> {
    const rows = this.#storage.rowsWritten() + this.#run().outbox.rows;
    const bucket = { requests: this.#unbilled.calls, rows: rows - this.#unbilled.rowsTold, bytesIn: 0, bytesOut: 0 };
    if (bucket.requests + bucket.rows === 0) return;
    this.#unbilled = { calls: 0, rowsTold: rows };
    const project = this.env.PROJECT.getByName(objectName(identify(this.ctx).scope, "platform", "project"));
    await project.addUsage([{ hour: hourOf(Date.now()), capability: "streams", ...bucket }]);
  }

  /** Ends of the logs this task reads from; one that was erased has ended. */
  async #heads(machine: TaskMachine): Promise<{ topic: string; generation: number; head: number }[]> {
    const { scope } = identify(this.ctx);
    return Promise.all(
      Object.entries(machine.allApplied).map(async ([topic, { generation, offset }]) => {
        const partition = this.env.TOPIC.getByName(partitionName(scope, topic, generation, this.#partition()));
        const head = await partition.stats().then(
          ({ value }) => value.head,
          (thrown) => {
            if (!isErased(thrown)) throw thrown;
            return offset;
          },
        );
        return { topic, generation, head };
      }),
    );
  }

  #watchExpiry(): void {
    const at = earliestExpiry(this.ctx);
    if (at !== null) this.#alarms.scheduleBy("expiry", at);
  }

  #answer<T>(machine: TaskMachine, value: T, level: Level = "durable"): Answer<T> {
    return answer(value, { object: identify(this.ctx).name, at: machine.revision }, level);
  }
}

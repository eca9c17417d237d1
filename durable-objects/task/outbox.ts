import { appendsOf } from "../../core/streams/records.ts";
import { isErased } from "../../core/streams/replay.ts";
import type { Output, TaskMachine } from "../../core/streams/task.ts";
import type { RoomSink, TopicSink } from "../../core/streams/topology.ts";
import type { Answer } from "../../core/wire/answer.ts";
import { DEFAULT_MAX_FUTURE_MS, type TopicMeta } from "../../core/wire/directory.ts";
import { type ErrorCode, errorOf, SkerryError } from "../../core/wire/errors.ts";
import { objectName } from "../../core/wire/names.ts";
import { learnTopic, refreshTopic, takeRows, topicMeta } from "../directory/lookup.ts";
import { directory } from "../directory/port.ts";
import type { Identity } from "../streams.ts";
import { appendAll } from "../topic/append.ts";

/** A sink whose receiver does not take what it is sent; the outputs wait. */
export type Waiting = { sink: string; to: string; code: ErrorCode; detail: string };

/** Errors that say something of the output itself: it would meet them again for ever. */
const HOPELESS: ReadonlySet<ErrorCode> = new Set(["bad_record", "bad_request", "too_large"]);

/**
 * Delivers a task's outputs, each sink's in order and one at a time. The task's name is the producer and the revision
 * the number, so a receiver that has it already says so: after a crash the replay sends again and nothing doubles.
 */
export class Outbox {
  readonly #env: Env;
  readonly #me: Identity;
  readonly #topics = new Map<string, TopicMeta>();
  readonly #waiting = new Map<string, Waiting>();
  #sending: Promise<boolean> | null = null;
  rows = 0;

  constructor(env: Env, me: Identity) {
    this.#env = env;
    this.#me = me;
  }

  /** The sinks that wait, with the reason. */
  get waiting(): Waiting[] {
    return [...this.#waiting.values()];
  }

  /** Sends all there is. Resolves to whether the outbox is empty; what failed stays for the next call. */
  drain(machine: TaskMachine): Promise<boolean> {
    this.#sending ??= this.#drain(machine).finally(() => {
      this.#sending = null;
    });
    return this.#sending;
  }

  async #drain(machine: TaskMachine): Promise<boolean> {
    while (machine.outbox.length > 0) {
      const sinks = new Map<string, Output[]>();
      for (const output of machine.outbox) sinks.set(output.sink, [...(sinks.get(output.sink) ?? []), output]);
      const results = await Promise.all([...sinks].map(([id, outputs]) => this.#drainSink(machine, id, outputs)));
      if (results.includes(false)) return false;
    }
    return true;
  }

  async #drainSink(machine: TaskMachine, id: string, outputs: Output[]): Promise<boolean> {
    const sink = machine.sink(id);
    // One by one: an output carries its own number, and a replay after a crash must find the same borders.
    for (const output of outputs) {
      try {
        // A sink that the topology no longer has takes nothing more.
        const refused = sink === undefined ? [] : await this.#send(sink, output);
        machine.delivered(output, refused);
        this.#waiting.delete(id);
      } catch (thrown) {
        const { code, message } = errorOf(thrown);
        const to = sink?.kind === "topic" ? sink.to.topic : (sink?.room ?? "");
        if (sink?.kind === "topic") this.#topics.delete(to);
        this.#waiting.set(id, { sink: id, to, code, detail: message });
        const told = {
          level: "warn",
          message: "an output waits for its receiver",
          task: this.#me.name,
          sink: id,
          to,
          error: String(thrown),
        };
        console.warn(JSON.stringify(told));
        return false;
      }
    }
    return true;
  }

  /** Resolves to what the receiver can never take, as reasons. */
  async #send(sink: TopicSink | RoomSink, output: Output): Promise<string[]> {
    if (sink.kind === "topic" && output.kind === "topic") {
      return this.#append(sink, output.values, output.seq).catch((thrown) => {
        if (!isErased(thrown)) throw thrown;
        // Deleted since it was looked up, and perhaps made anew.
        return this.#append(sink, output.values, output.seq, true);
      });
    }
    if (sink.kind === "room" && output.kind === "room") return this.#applyMap(sink, output);
    return [];
  }

  async #append(sink: TopicSink, values: unknown[], seq: number, again = false): Promise<string[]> {
    let topic = again ? await this.#lookUp(sink, true) : (this.#topics.get(sink.to.topic) ?? (await this.#lookUp(sink)));
    let cut = appendsOf(values, topic, Date.now(), seq);
    if (cut.refused.length > 0 && !again) {
      // Refused for good, so not by what the topic was before somebody made it anew.
      topic = await this.#lookUp(sink, true);
      cut = appendsOf(values, topic, Date.now(), seq);
    }
    const { appends, refused } = cut;
    for (const [part, shares] of appends.entries()) {
      if (shares.every(({ count }) => count === 0)) continue;
      // Each part is a producer of its own: their numbers may skip, never repeat.
      const id = `t/${this.#me.name}/${sink.id}${part === 0 ? "" : `/${part}`}`;
      const answers = await appendAll(this.#env, this.#me.scope, topic, shares, { id, epoch: 0, seq, gapless: false }, null);
      for (const { rows = 0 } of answers) this.rows += rows;
    }
    return refused.map(({ error }) => error);
  }

  async #applyMap(sink: RoomSink, { seq, set, delete: gone }: Extract<Output, { kind: "room" }>): Promise<string[]> {
    const room = this.#env.ROOM.getByName(objectName(this.#me.scope, "rooms", sink.room));
    const write = { map: sink.map, source: `t/${this.#me.name}/${sink.id}`, seq, set: set as never, delete: gone };
    try {
      const { rows = 0 } = (await room.applyMap(write)) as Answer<unknown>;
      this.rows += rows;
      return [];
    } catch (thrown) {
      const { code, message } = errorOf(thrown);
      if (!HOPELESS.has(code)) throw thrown;
      return [message];
    }
  }

  /** @param again it was known, and its partitions say that what is known is out of date. */
  async #lookUp(sink: TopicSink, again = false): Promise<TopicMeta> {
    const { topic, partitions, key, timestamp } = sink.to;
    const { scope } = this.#me;
    const look = again ? refreshTopic : topicMeta;
    const meta = await look(this.#env, scope, topic).catch(async (thrown) => {
      if (errorOf(thrown).code !== "topic_not_found") throw thrown;
      const config = { partitions, key, timestamp, contentType: "application/json", maxFutureMs: DEFAULT_MAX_FUTURE_MS };
      const { value, rows = 0 } = await directory(this.#env, scope).putTopic(topic, config);
      learnTopic(scope, value.topic);
      this.rows += rows;
      return value.topic;
    });
    this.rows += takeRows(scope);
    if (meta.contentType !== "application/json")
      throw new SkerryError("conflict", `The topic "${topic}" takes ${meta.contentType}, a topology writes JSON.`);
    this.#topics.set(topic, meta);
    return meta;
  }
}

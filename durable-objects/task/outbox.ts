import { partitionRecords } from "../../core/streams/records.ts";
import type { Output, TaskMachine } from "../../core/streams/task.ts";
import type { RoomSink, TopicSink } from "../../core/streams/topology.ts";
import type { Answer } from "../../core/wire/answer.ts";
import { DEFAULT_MAX_FUTURE_MS, directoryShard, type TopicMeta } from "../../core/wire/directory.ts";
import { SkerryError } from "../../core/wire/errors.ts";
import { objectName } from "../../core/wire/names.ts";
import type { Identity } from "../streams.ts";
import { appendAll } from "../topic/append.ts";

/**
 * Delivers a task's outputs, each sink's in order and one at a time. The task's name is the producer and the revision
 * the number, so a receiver that has it already says so: after a crash the replay sends again and nothing doubles.
 */
export class Outbox {
  readonly #env: Env;
  readonly #me: Identity;
  readonly #topics = new Map<string, TopicMeta>();
  #sending: Promise<boolean> | null = null;
  rows = 0;

  constructor(env: Env, me: Identity) {
    this.#env = env;
    this.#me = me;
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
        if (sink !== undefined) await this.#send(sink, output);
        machine.delivered(output);
      } catch (error) {
        if (sink?.kind === "topic") this.#topics.delete(sink.to.topic);
        console.warn(
          JSON.stringify({
            level: "warn",
            message: "an output waits for its receiver",
            task: this.#me.name,
            sink: id,
            error: String(error),
          }),
        );
        return false;
      }
    }
    return true;
  }

  async #send(sink: TopicSink | RoomSink, output: Output): Promise<void> {
    const { seq } = output;
    const source = `t/${this.#me.name}/${sink.id}`;
    if (sink.kind === "topic" && output.kind === "topic") {
      const topic = await this.#topic(sink);
      const shares = partitionRecords(output.values, { ...topic, maxFutureMs: Number.MAX_SAFE_INTEGER }, Date.now(), seq);
      const answers = await appendAll(this.#env, this.#me.scope, topic, shares, { id: source, epoch: 0, seq, gapless: false }, null);
      for (const { rows = 0 } of answers) this.rows += rows;
    } else if (sink.kind === "room" && output.kind === "room") {
      const room = this.#env.ROOM.getByName(objectName(this.#me.scope, "rooms", sink.room));
      const answered = (await room.applyMap({
        map: sink.map,
        source,
        seq,
        set: output.set as never,
        delete: output.delete,
      })) as Answer<unknown>;
      this.rows += answered.rows ?? 0;
    }
  }

  async #topic(sink: TopicSink): Promise<TopicMeta> {
    const { topic, partitions, key, timestamp } = sink.to;
    const known = this.#topics.get(topic);
    if (known !== undefined) return known;
    const shard = this.#env.DIRECTORY.getByName(objectName(this.#me.scope, "platform", "directory", directoryShard(topic)));
    let meta = ((await shard.getTopic(topic)) as Answer<TopicMeta | null>).value;
    if (meta === null) {
      const config = { partitions, key, timestamp, contentType: "application/json", maxFutureMs: DEFAULT_MAX_FUTURE_MS };
      meta = ((await shard.putTopic(topic, config)) as Answer<{ topic: TopicMeta }>).value.topic;
    }
    if (meta.contentType !== "application/json")
      throw new SkerryError("conflict", `The topic "${topic}" takes ${meta.contentType}, a topology writes JSON.`);
    this.#topics.set(topic, meta);
    return meta;
  }
}

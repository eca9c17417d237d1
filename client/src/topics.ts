import { SkerryError } from "../../core/wire/errors.ts";
import type { Http } from "./http.ts";

export type TopicConfig = {
  partitions?: number;
  contentType?: string;
  /** RFC 6901 pointer to each record's key; null: no key. */
  key?: string | null;
  /** Pointer to the event time; null: the time of the append. */
  timestamp?: string | null;
  maxFutureMs?: number;
};

export type Topic = Required<TopicConfig> & { name: string; version: number; generation: number; createdAt: number };
export type TopicDetail = Topic & { extents: { partition: number; base: number; head: number }[]; readBy: string[] };

/** `duplicate`: the server had this sequence number already, so an earlier attempt had succeeded. */
export type Appended = { duplicate: boolean; nextOffset: string | null };

type Numbered = { id: string; epoch: number; seq: number };
type Options = { signal?: AbortSignal };

export class Topics {
  readonly #http: Http;

  constructor(http: Http) {
    this.#http = http;
  }

  get(topic: string, options: Options = {}): Promise<TopicDetail> {
    return this.#http.json("GET", `/v1/topics/${encodeURIComponent(topic)}`, { signal: options.signal });
  }

  /** Creates the topic, or confirms that it is so; `conflict` where it exists with another configuration. */
  put(topic: string, config: TopicConfig = {}, options: Options = {}): Promise<Topic> {
    return this.#http.json("PUT", `/v1/topics/${encodeURIComponent(topic)}`, { body: config, signal: options.signal });
  }

  /**
   * Appends records (1 to 10,000) and resolves when they are durable. With `producer` a repetition never doubles them,
   * and the client repeats by itself; without, it tries once. {@link producer} numbers batches by itself.
   */
  append(topic: string, records: readonly unknown[], options: Options & { producer?: Numbered } = {}): Promise<Appended> {
    return append(this.#http, topic, records, options);
  }

  /**
   * A producer that numbers its batches. `id` names it for good, `epoch` must grow with each new run of that name
   * (which fences the old run off), and numbers begin at 0 in each epoch.
   * @example await client.topics.producer("flights", { id: "gate-7", epoch: 3 }).append([{ origin: "ATL" }])
   */
  producer(topic: string, options: { id: string; epoch?: number; seq?: number }): Producer {
    return new Producer(this.#http, topic, options.id, options.epoch ?? 0, options.seq ?? 0);
  }
}

/** Sends one batch after the other, each until it is acknowledged, refused or aborted. */
export class Producer {
  readonly id: string;
  readonly epoch: number;
  readonly #http: Http;
  readonly #topic: string;
  #seq: number;
  #last: Promise<unknown> = Promise.resolve();
  #failure: SkerryError | null = null;

  constructor(http: Http, topic: string, id: string, epoch: number, seq: number) {
    this.#http = http;
    this.#topic = topic;
    this.id = id;
    this.epoch = epoch;
    this.#seq = seq;
  }

  /** The number of the next batch: how many of this epoch are acknowledged. */
  get seq(): number {
    return this.#seq;
  }

  /**
   * Appends after all earlier batches. A batch that the server refused as a whole (a bad record, say) takes no number
   * and the next one goes on. Where it cannot be known how much of a batch was taken (it was aborted, say), the producer stops: every later
   * append throws the same error, and a new producer with a higher epoch must decide what to send again.
   */
  append(records: readonly unknown[], options: Options = {}): Promise<Appended> {
    const sent = this.#last.then(() => this.#send(records, options.signal));
    this.#last = sent.catch(() => {});
    return sent;
  }

  async #send(records: readonly unknown[], signal: AbortSignal | undefined): Promise<Appended> {
    if (this.#failure !== null) throw this.#failure;
    let inDoubt = false;
    try {
      const appended = await append(this.#http, this.#topic, records, {
        producer: { id: this.id, epoch: this.epoch, seq: this.#seq },
        signal,
        attempts: Number.POSITIVE_INFINITY,
        onDoubt: () => {
          inDoubt = true;
        },
      });
      this.#seq++;
      return appended;
    } catch (thrown) {
      const fenced = thrown instanceof SkerryError && (thrown.code === "stale_epoch" || thrown.code === "sequence_gap");
      if (inDoubt || fenced) {
        const detail = `Batch ${this.#seq} was given up and may have been appended.`;
        this.#failure = fenced ? thrown : new SkerryError("unavailable", detail, { cause: thrown });
      }
      throw thrown;
    }
  }
}

type AppendOptions = { producer?: Numbered; signal?: AbortSignal | undefined; attempts?: number; onDoubt?: () => void };

async function append(http: Http, topic: string, records: readonly unknown[], options: AppendOptions): Promise<Appended> {
  const { producer, ...rest } = options;
  const response = await http.request("POST", `/v1/stream/${encodeURIComponent(topic)}`, {
    body: records,
    // Without a producer a repetition could append twice.
    ...(producer === undefined
      ? { attempts: 1 }
      : { headers: { "producer-id": producer.id, "producer-epoch": String(producer.epoch), "producer-seq": String(producer.seq) } }),
    ...rest,
  });
  return { duplicate: producer !== undefined && response.status === 204, nextOffset: response.headers.get("stream-next-offset") };
}

import { SkerryError } from "../../../core/wire/errors.ts";
import type { CallOptions, Http } from "../http.ts";
import { type Producer, type ProducerOptions, TopicProducer } from "./producer.ts";

export type TopicConfig = {
  /** From 1 to 64; 1 unless given. It never changes. */
  partitions?: number;
  contentType?: string;
  /** RFC 6901 pointer to each record's key; null: no key. */
  key?: string | null;
  /** Pointer to the event time (Unix milliseconds or RFC 3339); null: the time of the append. */
  timestamp?: string | null;
  /** How far ahead of now an event time may be, in milliseconds; 5 minutes unless given. */
  maxFutureMs?: number;
};

/** A topic as it was created. */
export type TopicInfo = Required<TopicConfig> & { name: string; version: number; generation: number; createdAt: number };
/** With the extent of each partition, and the topologies that read it. */
export type TopicDetail = TopicInfo & { extents: { partition: number; base: number; head: number }[]; readBy: string[] };

/** `duplicate`: the server had this sequence number already, so an earlier attempt had succeeded. */
export type Appended = { duplicate: boolean; nextOffset: string | null };

/** Some records of one partition, in order. `next` goes on after them; `upToDate`: there were no more. */
export type RecordPage<T = unknown> = { records: T[]; next: string; upToDate: boolean };

export type ReadOptions = CallOptions & {
  /** 0 unless given. */
  partition?: number;
  /** `-1`: the beginning (unless given), `now`: the end, or the `next` of an earlier page. */
  from?: string;
};

export type AppendOptions = CallOptions & {
  /** The number of this batch in a sequence that the caller keeps: a repetition is not appended again. */
  producer?: { id: string; epoch: number; seq: number };
};

/**
 * One topic.
 * @example
 * const orders = client.streams.topic<{ shop: string; price: number }>("orders");
 * await orders.create({ partitions: 4, key: "/shop" });
 * await orders.append([{ shop: "oslo", price: 12 }]);
 */
export class Topic<T = unknown> {
  readonly name: string;
  readonly #http: Http;

  constructor(http: Http, name: string) {
    this.#http = http;
    this.name = name;
  }

  /** Creates the topic, or confirms that it is so; `conflict` where it exists with another configuration. Needs `admin`. */
  create(config: TopicConfig = {}, options: CallOptions = {}): Promise<TopicInfo> {
    return this.#http.json("PUT", this.#path, { body: config, signal: options.signal });
  }

  info(options: CallOptions = {}): Promise<TopicDetail> {
    return this.#http.json("GET", this.#path, { signal: options.signal });
  }

  /** Deletes the topic and all of its records. Needs `admin`. */
  delete(options: CallOptions = {}): Promise<void> {
    return this.#http.delete(this.#path, "topic_not_found", options);
  }

  /**
   * Appends one batch (1 to 10,000 records) and resolves when it is durable. Without a sequence number it tries once: an
   * `unavailable` leaves open whether the records are there. With one it repeats by itself. {@link producer} batches
   * and numbers for you.
   */
  async append(records: readonly T[], { producer, signal }: AppendOptions = {}): Promise<Appended> {
    if (records.length === 0) throw new SkerryError("bad_record", "There is no record to append.");
    const headers = producer && {
      "producer-id": producer.id,
      "producer-epoch": String(producer.epoch),
      "producer-seq": String(producer.seq),
    };
    const options = { body: records, signal, ...(headers === undefined ? { attempts: 1 } : { headers }) };
    return this.#http.request("POST", this.#stream, options, (response) => ({
      duplicate: producer !== undefined && response.status === 204,
      nextOffset: response.headers.get("stream-next-offset"),
    }));
  }

  /**
   * A producer: it gathers records into batches, partitions them as Kafka does, repeats what fails, and neither loses
   * nor doubles a record while it runs.
   * @example
   * const producer = client.streams.topic("orders").producer();
   * for (const order of orders) await producer.send(order); // waits only when too much is under way
   * await producer.close(); // all are durable
   */
  producer(options: ProducerOptions<T> = {}): Producer<T> {
    return new TopicProducer<T>(this.#http, this.name, () => this.info(), options);
  }

  /** One page of a partition, about 1 MB at most. */
  read({ partition = 0, from = "-1", signal }: ReadOptions = {}): Promise<RecordPage<T>> {
    return this.#http.request("GET", `${this.#stream}/${partition}`, { query: { offset: from }, signal }, async (response) => ({
      records: (await response.json()) as T[],
      next: response.headers.get("stream-next-offset") ?? from,
      upToDate: response.headers.get("stream-up-to-date") === "true",
    }));
  }

  /**
   * The records of a partition, in order, up to where it ends when it gets there.
   * @example for await (const order of client.streams.topic("orders").records({ partition: 1 })) console.log(order);
   */
  async *records({ from = "-1", ...options }: ReadOptions = {}): AsyncGenerator<T, void, undefined> {
    for (let at = from; ; ) {
      const page = await this.read({ ...options, from: at });
      yield* page.records;
      if (page.upToDate) return;
      at = page.next;
    }
  }

  get #path(): string {
    return `/v1/topics/${encodeURIComponent(this.name)}`;
  }

  get #stream(): string {
    return `/v1/stream/${encodeURIComponent(this.name)}`;
  }
}

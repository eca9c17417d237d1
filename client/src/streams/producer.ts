import { SkerryError } from "../../../core/wire/errors.ts";
import type { Http } from "../http.ts";
import { type Entry, Lane } from "./lane.ts";
import { type Placed, Placement, textOf } from "./placement.ts";
import type { TopicInfo } from "./topic.ts";

export type ProducerOptions<T = unknown> = {
  /**
   * Names the producer for good, so that a new run fences off an old one that still sends. Without, each producer is
   * one of its own.
   */
  id?: string;
  /** Must grow with each run of an `id`; Unix milliseconds unless given. */
  epoch?: number;
  /** Milliseconds that a record waits for others to share its batch; 5 unless given. */
  linger?: number;
  /** Records of a batch, at most 10,000; 2,000 unless given. */
  batchRecords?: number;
  /** Bytes of a batch as it is stored, at most 1,300,000; 262,144 unless given. */
  batchBytes?: number;
  /** Bytes that may wait or be under way before `send` waits; 8 MiB unless given. */
  maxBuffered?: number;
  /** Gives up what is under way, and the producer with it. */
  signal?: AbortSignal;
  /** Told of each record of {@link Producer.send} that the server refused; without, `flush` and `close` throw. */
  onRefused?: (record: T, error: SkerryError) => void;
};

/**
 * Appends records in batches, one sequence of numbers for each partition: a batch costs one partition one write, none
 * waits for another, and a retry is never taken twice. Records of a key keep their order.
 *
 * While it lives, what it took is appended exactly once. What a crash of this process interrupts may or may not be there:
 * who must know keeps batches and numbers itself and uses `topic.append`.
 */
export interface Producer<T = unknown> {
  readonly id: string;
  readonly epoch: number;
  /** Bytes that wait or are under way. */
  readonly buffered: number;
  /**
   * Takes a record and resolves as soon as there is room for more: most often at once. Throws `bad_record` where it is
   * no JSON or has no key, and what stopped the producer.
   */
  send(record: T): Promise<void>;
  /** Takes records and resolves when they are durable. Rejects if one is refused, after the others are durable. */
  append(records: readonly T[]): Promise<void>;
  /** Sends what waits and resolves when everything taken so far is durable. Throws if `send` was refused a record since. */
  flush(): Promise<void>;
  /** Flushes and takes no more. */
  close(): Promise<void>;
}

const DEFAULTS = { linger: 5, batchRecords: 2000, batchBytes: 262_144, maxBuffered: 8 * 1024 * 1024 };
const MOST = { linger: 60_000, batchRecords: 10_000, batchBytes: 1_300_000, maxBuffered: 2 ** 40 };

export class TopicProducer<T> implements Producer<T> {
  readonly id: string;
  readonly epoch: number;
  readonly #http: Http;
  readonly #topic: string;
  readonly #info: () => Promise<TopicInfo>;
  readonly #options: Required<Omit<ProducerOptions<T>, "id" | "epoch" | "signal" | "onRefused">>;
  readonly #signal: AbortSignal | undefined;
  readonly #onRefused: ((record: T, error: SkerryError) => void) | undefined;
  #opening: Promise<void> | null = null;
  #placement: Placement | null = null;
  #lanes: Lane[] = [];
  /** Which lane gets records that may go anywhere: it changes with each batch. */
  #any = 0;
  #buffered = 0;
  #waiting: (() => void)[] = [];
  #failure: SkerryError | null = null;
  #closed = false;
  #refused: { first: SkerryError; count: number } | null = null;

  constructor(http: Http, topic: string, info: () => Promise<TopicInfo>, options: ProducerOptions<T>) {
    const { id = http.runtime.uuid(), epoch = http.runtime.now(), signal, onRefused, ...sizes } = options;
    if (id.length < 1 || id.length > 256) throw new SkerryError("producer_headers", `"id" has 1 to 256 characters.`);
    if (!Number.isSafeInteger(epoch) || epoch < 0) throw new SkerryError("producer_headers", `"epoch" is a whole number, 0 or more.`);
    this.#options = { ...DEFAULTS, ...sizes };
    for (const name of ["linger", "batchRecords", "batchBytes", "maxBuffered"] as const) {
      const [value, least] = [this.#options[name], name === "linger" ? 0 : 1];
      if (!Number.isInteger(value) || value < least || value > MOST[name])
        throw new SkerryError("bad_request", `"${name}" is a whole number from ${least} to ${MOST[name]}.`);
    }
    this.id = id;
    this.epoch = epoch;
    this.#http = http;
    this.#topic = topic;
    this.#info = info;
    this.#signal = signal;
    this.#onRefused = onRefused;
  }

  get buffered(): number {
    return this.#buffered;
  }

  async send(record: T): Promise<void> {
    const text = textOf(record);
    const early = this.#placement && this.#where(text, record);
    await this.#ready();
    this.#take(early ?? this.#where(text), { done: () => {}, refused: (error) => this.#refuse(text, error) });
    while (this.#buffered > this.#options.maxBuffered && this.#failure === null) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    if (this.#failure !== null) throw this.#failure;
  }

  append(records: readonly T[]): Promise<void> {
    const appended = this.#append(records);
    // Who only flushes learns of a refusal there.
    appended.catch(() => {});
    return appended;
  }

  async flush(): Promise<void> {
    // Records that wait for the topic to be known get to their lanes first.
    await this.#opening?.catch(() => {});
    await Promise.all(this.#lanes.map((lane) => lane.flush()));
    if (this.#failure !== null) throw this.#failure;
    const refused = this.#refused;
    this.#refused = null;
    if (refused === null) return;
    const { first, count } = refused;
    const detail = count === 1 ? first.message : `${count} records were refused; the first: ${first.message}`;
    throw new SkerryError(first.code, detail, { extra: { ...first.extra, refused: count }, cause: first });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.flush();
  }

  async #append(records: readonly T[]): Promise<void> {
    const texts = records.map(textOf);
    const early = this.#placement && texts.map((text, i) => this.#where(text, records[i]));
    await this.#ready();
    // All are placed before the first is taken: one without a key must not leave half of its call behind.
    const placed = early ?? texts.map((text) => this.#where(text));
    await new Promise<void>((resolve, reject) => {
      let left = placed.length;
      let first: SkerryError | null = null;
      const settle = () => {
        if (--left > 0) return;
        if (first === null) resolve();
        else reject(first);
      };
      placed.forEach((each, index) => {
        const refused = (error: SkerryError) => {
          first ??= new SkerryError(error.code, error.message, { extra: { ...error.extra, index }, cause: error });
          settle();
        };
        this.#take(each, { done: settle, refused });
      });
      if (placed.length === 0) resolve();
    });
  }

  /** The topic is known, and records are taken. Whoever called first goes on first. */
  #ready(): Promise<void> {
    if (this.#closed) throw new SkerryError("bad_request", "The producer is closed.");
    if (this.#failure !== null) throw this.#failure;
    this.#opening ??= this.#open();
    return this.#opening;
  }

  #where(text: string, record?: T): Placed {
    return (this.#placement as Placement).place(text, record);
  }

  async #open(): Promise<void> {
    try {
      this.#placement = new Placement(await this.#info());
    } catch (error) {
      // Asked again with the next record.
      this.#opening = null;
      throw error;
    }
    const { linger, batchRecords, batchBytes } = this.#options;
    this.#lanes = Array.from(
      { length: this.#placement.partitions },
      (_, partition) =>
        new Lane(
          {
            path: `/v1/stream/${encodeURIComponent(this.#topic)}/${partition}`,
            producer: { id: this.id, epoch: this.epoch },
            ...{ linger, batchRecords, batchBytes, signal: this.#signal },
          },
          this.#http,
          { settled: (bytes) => this.#release(bytes), stopped: (error) => this.#stop(error), sent: () => this.#rotate(partition) },
        ),
    );
    this.#any = Math.floor(this.#http.runtime.random() * this.#lanes.length) % this.#lanes.length;
  }

  #take({ text, bytes, partition }: Placed, outcome: Pick<Entry, "done" | "refused">): void {
    if (this.#failure !== null) {
      outcome.refused(this.#failure);
      return;
    }
    this.#buffered += bytes;
    (this.#lanes[partition ?? this.#any] as Lane).add({ text, bytes, ...outcome });
  }

  #rotate(partition: number): void {
    if (partition === this.#any) this.#any = (this.#any + 1) % this.#lanes.length;
  }

  #release(bytes: number): void {
    this.#buffered -= bytes;
    if (this.#buffered > this.#options.maxBuffered) return;
    for (const wake of this.#waiting.splice(0)) wake();
  }

  #refuse(text: string, error: SkerryError): void {
    if (this.#failure !== null) return;
    if (this.#onRefused !== undefined) this.#onRefused(JSON.parse(text) as T, error);
    else this.#refused = { first: this.#refused?.first ?? error, count: (this.#refused?.count ?? 0) + 1 };
  }

  /** It is not known what became of a batch, or another run has taken over: nothing more can be numbered. */
  #stop(error: SkerryError): void {
    if (this.#failure !== null) return;
    this.#failure = error;
    for (const lane of this.#lanes) lane.stop(error);
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

import { type Outcome, Process } from "./actor.ts";
import type { Delay } from "./network.ts";
import type { Env, ObjectHost } from "./objects.ts";

export type QueueFaults = {
  /** Milliseconds from sending to delivery; a wide range reorders. */
  delay: Delay;
  /** Probability that a message is never delivered. The platform's own queue promises not to; what rings it must not care. */
  drop: number;
  /** Probability that a message is delivered twice. */
  duplicate: number;
  /** Probability that `send` throws although the message was accepted. */
  sendFails: number;
  /** Probability, a turn of the consumer, that its invocation dies: nothing it acknowledged counts. */
  crash: number;
};

export type QueueOptions = {
  faults?: Partial<QueueFaults>;
  /** Messages a batch, at most. */
  batch?: number;
  /** Deliveries after the first; then the message goes to `deadLetter`, or is lost. */
  retries?: number;
  deadLetter?: string;
};

export type QueueMessage<T = unknown> = {
  readonly id: string;
  readonly body: T;
  readonly attempts: number;
  ack(): void;
  retry(options?: { delaySeconds?: number }): void;
};

/** A Worker that consumes batches; a new invocation each, with no memory between them. */
export type Consumer = (batch: { queue: string; messages: QueueMessage[] }, env: Env) => void | Promise<void>;

type Stored = { id: string; body: unknown; attempts: number };
/** A batch whose consumer died is delivered again after this many milliseconds. */
const VISIBILITY = 5000;

export class SimQueue {
  faults: QueueFaults;
  readonly name: string;
  readonly dead: unknown[] = [];
  #ready: Stored[] = [];
  #scheduled = false;
  #ids = 0;
  #invocations = 0;
  readonly #host: ObjectHost;
  readonly #consumer: Consumer;
  readonly #options: QueueOptions;
  readonly #deadLetter: SimQueue | null;

  constructor(host: ObjectHost, name: string, consumer: Consumer, options: QueueOptions, deadLetter: SimQueue | null) {
    this.#host = host;
    this.name = name;
    this.#consumer = consumer;
    this.#options = options;
    this.#deadLetter = deadLetter;
    this.faults = { delay: [1, 10], drop: 0, duplicate: 0, sendFails: 0, crash: 0, ...options.faults };
  }

  /** Accepts a message from `process` and tells it so, or lies. */
  send(process: Process, body: unknown, delaySeconds: number): Promise<void> {
    return process.owe<void>("", (settle) =>
      process.emit(() => {
        this.put(body, delaySeconds);
        const fails = this.#host.random.chance(this.faults.sendFails);
        settle(fails ? { ok: false, error: new Error(`Queue ${this.name} is overloaded.`) } : { ok: true, value: undefined });
      }),
    );
  }

  put(body: unknown, delaySeconds = 0): void {
    const { random, kernel } = this.#host;
    const id = `${this.name}-${++this.#ids}`;
    const copies = random.chance(this.faults.duplicate) ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      if (random.chance(this.faults.drop)) kernel.log(`queue ${this.name} drops ${id}`);
      else this.#arrive({ id, body: structuredClone(body), attempts: 0 }, delaySeconds * 1000 + random.int(...this.faults.delay));
    }
  }

  #arrive(message: Stored, delay: number): void {
    this.#host.kernel.after(delay, "", null, () => {
      this.#ready.push(message);
      if (this.#scheduled) return;
      this.#scheduled = true;
      this.#host.kernel.after(this.#host.random.int(0, 3), "", null, () => this.#deliver());
    });
  }

  #deliver(): void {
    this.#scheduled = false;
    const { random, kernel } = this.#host;
    const ready = random.shuffle(this.#ready);
    this.#ready = [];
    const size = this.#options.batch ?? 10;
    for (let at = 0; at < ready.length; at += size) {
      const batch = ready.slice(at, at + size);
      kernel.log(`queue ${this.name} delivers ${batch.map((message) => message.id).join(" ")}`);
      new Invocation(this.#host, `${this.name}#${++this.#invocations}`, () => this.faults.crash).consume(
        this.#consumer,
        this.name,
        batch,
        (verdicts) => {
          for (const message of batch) this.#conclude(message, verdicts.get(message) ?? { retry: VISIBILITY });
        },
      );
    }
  }

  #conclude(message: Stored, verdict: Verdict): void {
    if (verdict === "ack") return;
    message.attempts++;
    if (message.attempts <= (this.#options.retries ?? 10)) {
      this.#arrive(message, verdict.retry + this.#host.random.int(...this.faults.delay));
      return;
    }
    this.#host.kernel.log(`queue ${this.name} gives up ${message.id}`);
    this.dead.push(message.body);
    this.#deadLetter?.put(message.body);
  }
}

type Verdict = "ack" | { retry: number };

/** One run of a Worker: it keeps nothing, and may die at any await. */
export class Invocation extends Process {
  readonly #host: ObjectHost;
  readonly #crash: () => number;
  #died: (() => void) | null = null;

  constructor(host: ObjectHost, label: string, crash: () => number) {
    super(host.kernel, label);
    this.#host = host;
    this.#crash = crash;
  }

  /** Runs `body` as this invocation; `done` hears its outcome, or null if it died. */
  start<T>(body: (env: Env) => T | Promise<T>, done: (outcome: Outcome<T> | null) => void): void {
    this.#died = () => done(null);
    const finish = (outcome: Outcome<T>) =>
      this.emit(() => {
        this.#died = null;
        done(outcome);
      });
    const env = this.#host.env(this, () => []);
    this.kernel.touch(this);
    void (async () => body(env))().then(
      (value) => finish({ ok: true, value }),
      (error) => finish({ ok: false, error }),
    );
  }

  /** A batch without an error acknowledges what it did not retry; one with an error retries what it did not acknowledge. */
  consume(consumer: Consumer, queue: string, batch: Stored[], done: (verdicts: Map<Stored, Verdict>) => void): void {
    const verdicts = new Map<Stored, Verdict>();
    const messages = batch.map(
      (message): QueueMessage => ({
        id: message.id,
        body: structuredClone(message.body),
        attempts: message.attempts + 1,
        ack: () => void (verdicts.has(message) || verdicts.set(message, "ack")),
        retry: (options) => void (verdicts.has(message) || verdicts.set(message, { retry: (options?.delaySeconds ?? 0) * 1000 })),
      }),
    );
    this.start(
      (env) => consumer({ queue, messages }, env),
      (outcome) => {
        if (outcome === null) return done(new Map());
        for (const message of batch) if (!verdicts.has(message)) verdicts.set(message, outcome.ok ? "ack" : { retry: 0 });
        done(verdicts);
      },
    );
  }

  /** A crash falls before what the turn said went out, or after it. */
  override endTurn(): void {
    if (!this.alive) return;
    const crashes = this.#host.random.chance(this.#crash());
    const silent = this.#host.random.chance(0.5);
    if (!crashes || !silent) this.flush();
    if (!crashes) return;
    this.kernel.log(`crash ${this.label}`);
    this.kill();
    this.#died?.();
  }
}

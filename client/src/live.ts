import { ERRORS, SkerryError } from "../../core/wire/errors.ts";
import {
  type ClientFrame,
  type DataItem,
  encode,
  MAX_CREDIT,
  type Mode,
  parseServerFrame,
  type ServerFrame,
  SUBPROTOCOL,
} from "../../core/wire/frames.ts";
import type { Http } from "./http.ts";
import { Link } from "./link.ts";

/** What a subscriber hears of target number `index`. After `subscribed` with mode `snapshot`, what was heard before is void. */
export type LiveEvent = { kind: "subscribed"; index: number; mode: Mode } | { kind: "data"; index: number; item: DataItem };

export type LiveOptions = {
  /** Path of the socket. */
  path: string;
  targets: readonly string[];
  /** Where to go on, by target; null or absent: from the start. */
  from?: readonly (string | null)[];
  /** Data frames a target that may be under way or waiting to be read. */
  credit: number;
  signal?: AbortSignal | undefined;
  /** Asked after a connection failed: throws what makes another attempt pointless. */
  probe: () => Promise<void>;
};

type Target = { name: string; received: string | null; read: string | null; queued: number; used: number; ended: boolean };

const SILENCE = 30_000;

/**
 * Subscriptions on one socket, as an async iterator that outlives its connections: after a break it connects again,
 * later each time, and resumes where it was. Reading grants credit, so a slow reader slows its server, not its memory.
 */
export class LiveFeed implements AsyncIterableIterator<LiveEvent> {
  readonly #options: LiveOptions;
  readonly #targets: Target[];
  readonly #queue: LiveEvent[] = [];
  readonly #link: Link;
  #done = false;
  #failure: unknown = null;
  #wake: (() => void) | null = null;

  constructor(http: Http, options: LiveOptions) {
    if (!Number.isInteger(options.credit) || options.credit < 1 || options.credit > MAX_CREDIT) {
      throw new SkerryError("bad_request", `"credit" is a whole number from 1 to ${MAX_CREDIT}.`);
    }
    this.#options = options;
    this.#targets = options.targets.map((name, i) => {
      const from = options.from?.[i] ?? null;
      return { name, received: from, read: from, queued: 0, used: 0, ended: false };
    });
    const { path, probe } = options;
    this.#link = new Link(
      http,
      { path: () => path, protocols: [SUBPROTOCOL], binary: false, silence: SILENCE, probe },
      {
        open: () => this.#subscribe(),
        message: (data) => this.#receive(data),
        ping: () => this.#send({ type: "ping" }),
        token: (token) => this.#send({ type: "token", token }),
        lost: () => {},
        failed: (error) => this.#fail(error),
      },
    );
    if (options.signal?.aborted) this.#fail(options.signal.reason);
    options.signal?.addEventListener("abort", this.#abort, { once: true });
  }

  readonly #abort = () => this.#fail(this.#options.signal?.reason);

  /** Where the reader is, by target: to be given as `from` to go on in another feed. */
  positions(): (string | null)[] {
    return this.#targets.map((target) => target.read);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<LiveEvent>> {
    for (;;) {
      const event = this.#queue.shift();
      if (event !== undefined) {
        this.#account(event);
        return { value: event, done: false };
      }
      if (this.#failure !== null) {
        const failure = this.#failure;
        this.#failure = null;
        this.#stop();
        throw failure;
      }
      if (this.#done) return { value: undefined, done: true };
      this.#link.start();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Ends the feed; called by `break` in a `for await`. */
  async return(): Promise<IteratorResult<LiveEvent>> {
    this.#queue.length = 0;
    this.#stop();
    this.#rouse();
    return { value: undefined, done: true };
  }

  /** What was read makes room: grants credit when half of it is used, so that few frames do. */
  #account(event: LiveEvent): void {
    const target = this.#targets[event.index] as Target;
    if (event.kind === "subscribed") {
      if (event.mode === "snapshot") target.read = null;
      return;
    }
    target.read = event.item.position;
    target.queued--;
    target.used++;
    if (target.used * 2 < this.#options.credit || !this.#link.isOpen) return;
    this.#send({ type: "credit", id: event.index + 1, n: target.used });
    target.used = 0;
  }

  #subscribe(): void {
    for (const [i, target] of this.#targets.entries()) {
      if (target.ended) continue;
      // What waits to be read keeps its share of the credit; where nothing is left, one frame is lent.
      const free = this.#options.credit - target.queued;
      const credit = Math.max(1, free);
      target.used = Math.min(0, free - 1);
      const from = target.received === null ? {} : { from: target.received };
      this.#send({ type: "subscribe", id: i + 1, target: target.name, credit, ...from });
    }
  }

  #receive(data: unknown): void {
    let frame: ServerFrame;
    try {
      frame = parseServerFrame(data as string);
    } catch (error) {
      this.#fail(error);
      return;
    }
    switch (frame.type) {
      case "hello":
      case "token_ok":
        this.#link.greeted(frame.expiresAt);
        break;
      case "subscribed":
        this.#begin(frame);
        break;
      case "data":
        this.#take(frame);
        break;
      case "error":
        this.#complain(frame);
        break;
      case "end":
        this.#end(frame.id);
        break;
      case "pong":
      case "result":
        break;
      default:
        frame satisfies never;
    }
  }

  #begin({ id, mode, position }: Extract<ServerFrame, { type: "subscribed" }>): void {
    const target = this.#targets[id - 1];
    if (target === undefined) return;
    // A snapshot of which nothing has come yet cannot be resumed.
    target.received = mode === "snapshot" ? null : position;
    if (mode === "snapshot") {
      for (let i = this.#queue.length - 1; i >= 0; i--) if (this.#queue[i]?.index === id - 1) this.#queue.splice(i, 1);
      // What was waiting is void now; not reading it must not cost its credit.
      target.used += target.queued;
      target.queued = 0;
    } else if (target.read === null) target.read = position;
    this.#push({ kind: "subscribed", index: id - 1, mode });
  }

  #take({ type: _, id, ...item }: Extract<ServerFrame, { type: "data" }>): void {
    const target = this.#targets[id - 1];
    if (target === undefined) return;
    this.#link.worked();
    target.received = item.position;
    target.queued++;
    this.#push({ kind: "data", index: id - 1, item });
  }

  #complain({ id, code, detail, retryAfter }: Extract<ServerFrame, { type: "error" }>): void {
    const error = new SkerryError(code, detail, retryAfter === undefined ? {} : { retryAfter });
    if (id === undefined) this.#link.complain(error);
    else if (!ERRORS[code].retryable) this.#fail(error);
    // One subscription ended, for now: all start again together.
    else this.#link.restart(error);
  }

  #end(id: number): void {
    const target = this.#targets[id - 1];
    if (target !== undefined) target.ended = true;
    if (!this.#targets.every((each) => each.ended)) return;
    this.#stop();
    this.#rouse();
  }

  #send(frame: ClientFrame): void {
    this.#link.send(encode(frame));
  }

  #push(event: LiveEvent): void {
    this.#queue.push(event);
    this.#rouse();
  }

  #rouse(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }

  #fail(error: unknown): void {
    if (this.#done) return;
    this.#failure ??= error;
    this.#link.end();
    this.#rouse();
  }

  #stop(): void {
    this.#done = true;
    this.#options.signal?.removeEventListener("abort", this.#abort);
    this.#link.end();
  }
}

import { ERRORS, type ErrorCode, SkerryError } from "../../core/wire/errors.ts";
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
import { backoff, type Socket } from "./runtime.ts";
import type { Tokens } from "./tokens.ts";

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

const PING_AFTER = 30_000;
/** A token is refreshed when this share of its time is over. */
const REFRESH_AT = 0.8;
const MAX_TIMER = 2 ** 31 - 1;
/** RFC 6455: what the client or the server did is against the protocol, or too large; again would be the same. */
const FINAL_CLOSES: readonly number[] = [1002, 1003, 1007, 1008, 1009, 1010];
/** Closes that another token may help against. */
const TOKEN_CLOSES: readonly number[] = [ERRORS.token_missing.close, ERRORS.token_expired.close];

/**
 * Subscriptions on one socket, as an async iterator that outlives its connections: after a break it connects again,
 * later each time, and resumes where it was. Reading grants credit, so a slow reader slows its server, not its memory.
 */
export class LiveFeed implements AsyncIterableIterator<LiveEvent> {
  readonly #http: Http;
  readonly #tokens: Tokens;
  readonly #options: LiveOptions;
  readonly #targets: Target[];
  readonly #queue: LiveEvent[] = [];
  #socket: Socket | null = null;
  #attempt = 0;
  #heard = false;
  #connecting = false;
  #done = false;
  #failure: unknown = null;
  #complaint: SkerryError | null = null;
  #wake: (() => void) | null = null;
  #cancels = new Map<"retry" | "ping" | "refresh", () => void>();

  constructor(http: Http, tokens: Tokens, options: LiveOptions) {
    if (!Number.isInteger(options.credit) || options.credit < 1 || options.credit > MAX_CREDIT) {
      throw new SkerryError("bad_request", `"credit" is a whole number from 1 to ${MAX_CREDIT}.`);
    }
    this.#http = http;
    this.#tokens = tokens;
    this.#options = options;
    this.#targets = options.targets.map((name, i) => {
      const from = options.from?.[i] ?? null;
      return { name, received: from, read: from, queued: 0, used: 0, ended: false };
    });
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
      if (this.#socket === null && !this.#connecting && !this.#cancels.has("retry")) this.#connect();
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
    if (target.used * 2 < this.#options.credit || this.#socket?.readyState !== 1) return;
    this.#send({ type: "credit", id: event.index + 1, n: target.used });
    target.used = 0;
  }

  #connect(): void {
    this.#connecting = true;
    void this.#open().then(
      () => {
        this.#connecting = false;
      },
      (error) => {
        this.#connecting = false;
        const retryable = error instanceof SkerryError && ERRORS[error.code].retryable;
        if (retryable) this.#retry((error.retryAfter ?? 0) * 1000);
        else this.#fail(error);
      },
    );
  }

  async #open(): Promise<void> {
    // A browser hides why an upgrade was refused, so the same question is asked by HTTP.
    if (this.#attempt > 0 && !this.#heard) await this.#options.probe();
    const token = await this.#http.token();
    const url = await this.#http.socketUrl(this.#options.path);
    if (this.#done || this.#failure !== null) return;
    const { runtime } = this.#http;
    this.#heard = false;
    this.#complaint = null;
    const socket = runtime.connect(url, [SUBPROTOCOL]);
    this.#socket = socket;
    const mine = () => this.#socket === socket;
    this.#watch(false);
    socket.onopen = () => mine() && this.#subscribe();
    socket.onmessage = (event: { data: unknown }) => mine() && this.#receive(event.data);
    socket.onclose = (event: { code: number; reason: string }) => mine() && this.#closed(event.code, event.reason, token);
    socket.onerror = () => {};
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
    this.#watch(false);
    let frame: ServerFrame;
    try {
      frame = parseServerFrame(data as string);
    } catch (error) {
      this.#fail(error);
      return;
    }
    switch (frame.type) {
      case "hello":
        this.#heard = true;
        this.#scheduleRefresh(frame.expiresAt);
        break;
      case "token_ok":
        this.#scheduleRefresh(frame.expiresAt);
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
    this.#attempt = 0;
    target.received = item.position;
    target.queued++;
    this.#push({ kind: "data", index: id - 1, item });
  }

  #complain({ id, code, detail, retryAfter }: Extract<ServerFrame, { type: "error" }>): void {
    const error = new SkerryError(code, detail, retryAfter === undefined ? {} : { retryAfter });
    if (id === undefined) this.#complaint = error;
    else if (!ERRORS[code].retryable) this.#fail(error);
    else {
      // One subscription ended, for now: all start again together.
      this.#drop();
      this.#retry((retryAfter ?? 0) * 1000);
    }
  }

  #end(id: number): void {
    const target = this.#targets[id - 1];
    if (target !== undefined) target.ended = true;
    if (!this.#targets.every((each) => each.ended)) return;
    this.#stop();
    this.#rouse();
  }

  #closed(code: number, reason: string, token: string | null): void {
    this.#drop();
    const named = reason.split(":")[0] as ErrorCode;
    const known = Object.hasOwn(ERRORS, named) ? new SkerryError(named, reason.slice(named.length + 2) || ERRORS[named].title) : null;
    const error = this.#complaint ?? known ?? new SkerryError("unavailable", `The socket closed with code ${code}.`);
    if (TOKEN_CLOSES.includes(code) && this.#http.canRenew) {
      this.#http.renew(token);
      this.#retry(0);
    } else if (code >= 4000 || FINAL_CLOSES.includes(code)) this.#fail(error);
    else this.#retry((error.retryAfter ?? 0) * 1000);
  }

  #retry(least: number): void {
    const wait = Math.max(least, backoff(this.#http.runtime, this.#attempt++, 250, 30_000));
    this.#timer("retry", wait, () => this.#connect());
  }

  /** After a time without a word from the server, asks for one; without an answer the connection is dead. */
  #watch(asked: boolean): void {
    this.#timer("ping", PING_AFTER, () => {
      if (asked) {
        this.#drop();
        this.#retry(0);
        return;
      }
      this.#watch(true);
      this.#send({ type: "ping" });
    });
  }

  #scheduleRefresh(expiresAt: number | null): void {
    this.#cancels.get("refresh")?.();
    if (expiresAt === null) return;
    const left = (expiresAt - this.#http.runtime.now()) * REFRESH_AT;
    this.#timer("refresh", Math.min(MAX_TIMER, Math.max(1000, left)), () => {
      // A token that cannot be refreshed ends the socket at its time, and the reconnection says why.
      void this.#tokens.refresh().then(
        ({ token }) => this.#send({ type: "token", token }),
        () => {},
      );
    });
  }

  #send(frame: ClientFrame): void {
    if (this.#socket?.readyState === 1) this.#socket.send(encode(frame));
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
    this.#drop();
    this.#rouse();
  }

  #timer(name: "retry" | "ping" | "refresh", ms: number, run: () => void): void {
    this.#cancels.get(name)?.();
    const cancel = this.#http.runtime.timer(ms, () => {
      this.#cancels.delete(name);
      run();
    });
    this.#cancels.set(name, cancel);
  }

  /** Lets go of the connection and its timers. */
  #drop(): void {
    for (const cancel of this.#cancels.values()) cancel();
    this.#cancels.clear();
    const socket = this.#socket;
    this.#socket = null;
    if (socket !== null && socket.readyState < 2) socket.close(1000, "");
  }

  #stop(): void {
    this.#done = true;
    this.#options.signal?.removeEventListener("abort", this.#abort);
    this.#drop();
  }
}

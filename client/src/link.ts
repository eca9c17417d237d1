import { ERRORS, SkerryError } from "../../core/wire/errors.ts";
import { type Http, isCode } from "./http.ts";
import { backoff, type Socket } from "./runtime.ts";

/** What a link tells its owner. After `failed` nothing follows. */
export type LinkEvents = {
  open(): void;
  message(data: unknown): void;
  /** The server was silent for long: send something that it answers. */
  ping(): void;
  /** Send this token in place of the one that is about to end. */
  token(token: string): void;
  /** The connection is gone; another attempt follows after `wait` ms. */
  lost(error: SkerryError, wait: number): void;
  /** No attempt will help. */
  failed(error: unknown): void;
};

export type LinkOptions = {
  /** Path and query of the socket, asked before each attempt. */
  path: () => string;
  protocols: string[];
  binary: boolean;
  /** Milliseconds without a word from the server after which it is asked for one; as long again, and the connection is dead. */
  silence: number;
  /** Milliseconds between attempts, at most; 30,000 unless given. */
  pause?: number;
  /** Asked after a connection failed: throws what makes another attempt pointless. */
  probe: () => Promise<void>;
};

/** A token is refreshed when this share of its time is over. */
const REFRESH_AT = 0.8;
const MAX_TIMER = 2 ** 31 - 1;
/** RFC 6455: what the client or the server did is against the protocol, or too large; again would be the same. */
const FINAL_CLOSES: readonly number[] = [1002, 1003, 1007, 1008, 1009, 1010];
/** Closes that another token may help against. */
const TOKEN_CLOSES: readonly number[] = [ERRORS.token_missing.close, ERRORS.token_expired.close];

/**
 * A socket that outlives its connections: after a break it connects again, later each time, unless the close code says
 * that this is pointless. It notices dead connections and has the token refreshed in time.
 */
export class Link {
  readonly #http: Http;
  readonly #options: LinkOptions;
  readonly #events: LinkEvents;
  readonly #cancels = new Map<"retry" | "ping" | "refresh", () => void>();
  #socket: Socket | null = null;
  #token: string | null = null;
  #attempt = 0;
  #heard = false;
  #connecting = false;
  #ended = false;
  #complaint: SkerryError | null = null;
  #forgetOnline: (() => void) | null = null;

  constructor(http: Http, options: LinkOptions, events: LinkEvents) {
    this.#http = http;
    this.#options = options;
    this.#events = events;
  }

  get isOpen(): boolean {
    return this.#socket?.readyState === 1;
  }

  /** The token of the connection. */
  get token(): string | null {
    return this.#token;
  }

  /** Bytes that wait to be sent, as far as the socket tells. */
  get buffered(): number {
    return this.#socket?.bufferedAmount ?? 0;
  }

  /** Connects, unless there is a connection, an attempt or a pause before one. */
  start(): void {
    if (this.#ended || this.#socket !== null || this.#connecting || this.#cancels.has("retry")) return;
    this.#forgetOnline ??= this.#http.runtime.online(() => this.hurry());
    this.#connecting = true;
    void this.#open().then(
      () => {
        this.#connecting = false;
      },
      (error) => {
        this.#connecting = false;
        if (error instanceof SkerryError && ERRORS[error.code].retryable) this.restart(error);
        else this.fail(error);
      },
    );
  }

  /** Ends a pause between attempts. */
  hurry(): void {
    const cancel = this.#cancels.get("retry");
    if (cancel === undefined) return;
    cancel();
    this.#cancels.delete("retry");
    this.start();
  }

  /** Sends, if there is a connection. */
  send(data: string | Uint8Array): void {
    if (this.isOpen) this.#socket?.send(data);
  }

  /** The server has greeted: it lets this token in, until `expiresAt` (Unix milliseconds; null: for good). */
  greeted(expiresAt: number | null): void {
    this.#heard = true;
    this.#scheduleRefresh(expiresAt);
  }

  /** The connection has done what it is for: the next break is answered at once. */
  worked(): void {
    this.#attempt = 0;
  }

  /** The server said why it is about to close. */
  complain(error: SkerryError): void {
    this.#complaint = error;
  }

  /** Leaves the connection and makes another, not before the time that the error names. */
  restart(error: SkerryError): void {
    this.#drop();
    if (this.#ended) return;
    const wait = Math.max((error.retryAfter ?? 0) * 1000, backoff(this.#http.runtime, this.#attempt++, 250, this.#options.pause ?? 30_000));
    this.#timer("retry", wait, () => this.start());
    this.#events.lost(error, wait);
  }

  /** Leaves the connection for another one, at once: what {@link LinkOptions.path} says now leads elsewhere. */
  move(): void {
    this.#drop();
    this.start();
  }

  fail(error: unknown): void {
    if (this.#ended) return;
    this.end();
    this.#events.failed(error);
  }

  end(): void {
    this.#ended = true;
    this.#forgetOnline?.();
    this.#drop();
  }

  async #open(): Promise<void> {
    // A browser hides why an upgrade was refused, so the same question is asked by HTTP.
    if (this.#attempt > 0 && !this.#heard) await this.#options.probe();
    const token = await this.#http.token();
    const url = this.#http.socketUrl(this.#options.path(), token);
    if (this.#ended) return;
    this.#heard = false;
    this.#complaint = null;
    this.#token = token;
    const socket = this.#http.runtime.connect(url, this.#options.protocols);
    if (this.#options.binary) socket.binaryType = "arraybuffer";
    this.#socket = socket;
    const mine = () => this.#socket === socket;
    this.#watch(false);
    socket.onopen = () => mine() && this.#events.open();
    socket.onmessage = (event: { data: unknown }) => {
      if (!mine()) return;
      this.#watch(false);
      this.#events.message(event.data);
    };
    socket.onclose = (event: { code: number; reason: string }) => mine() && this.#closed(event.code, event.reason);
    socket.onerror = () => {};
  }

  #closed(code: number, reason: string): void {
    const named = reason.split(":")[0];
    const known = isCode(named) ? new SkerryError(named, reason.slice(named.length + 2) || ERRORS[named].title) : null;
    const error = this.#complaint ?? known ?? new SkerryError("unavailable", `The socket closed with code ${code}.`);
    if (TOKEN_CLOSES.includes(code) && this.#http.canRenew) {
      this.#http.renew(this.#token);
      this.restart(error);
    } else if (code >= 4000 || FINAL_CLOSES.includes(code)) this.fail(error);
    else this.restart(error);
  }

  /** After a time without a word from the server, asks for one; without an answer the connection is dead. */
  #watch(asked: boolean): void {
    this.#timer("ping", this.#options.silence, () => {
      if (asked) {
        this.restart(new SkerryError("unavailable", "The server fell silent."));
        return;
      }
      this.#watch(true);
      this.#events.ping();
    });
  }

  #scheduleRefresh(expiresAt: number | null): void {
    this.#cancels.get("refresh")?.();
    const held = this.#token;
    if (expiresAt === null || held === null) return;
    const left = (expiresAt - this.#http.runtime.now()) * REFRESH_AT;
    this.#timer("refresh", Math.min(MAX_TIMER, Math.max(1000, left)), () => {
      // A token that cannot be refreshed ends the socket at its time, and the reconnection says why.
      void this.#http.successor(held).then(
        (token) => {
          if (this.#token !== held || !this.isOpen) return;
          this.#token = token;
          this.#events.token(token);
        },
        () => {},
      );
    });
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
}

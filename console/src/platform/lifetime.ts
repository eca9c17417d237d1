import type { MintedToken } from "@skerry/client";
import { ERRORS, errorOf, type SkerryError } from "../../../core/wire/errors.ts";

/** How long a session lasts: Unix milliseconds, null for good. `ending` says, once that is near, why it will not last longer. */
export type Lifetime = { expiresAt: number | null; ending: string | null };

export type LifetimeEvents = {
  changed(lifetime: Lifetime): void;
  /** By this clock the token has ended; the server's decides. */
  ended(): void;
  /** The server no longer accepts the token at all. */
  refused(error: SkerryError): void;
};

/** A token is refreshed when this share of its time is over: before its sockets do so by themselves (0.8 of theirs). */
const REFRESH_AT = 0.7;
/** No earlier than this before the end, in ms, is it said that there is one. */
const NOTICE = 600_000;
const RETRY = 5_000;
/** By a clock that is wrong a token may seem to have ended: it is not refreshed more often than this. */
const SLOWEST = 60_000;
/** The server is asked whether a token has ended when it must have. */
const AFTER = 1_000;
const MAX_TIMER = 2 ** 31 - 1;

type Timer = "refresh" | "notice" | "end";

/**
 * Refreshes a token while it can be, and says so in time where it cannot: because it has reached its longest lifetime,
 * or because the server does not answer.
 */
export class LifetimeKeeper {
  readonly #refresh: () => Promise<MintedToken>;
  readonly #events: LifetimeEvents;
  readonly #timers = new Map<Timer, ReturnType<typeof setTimeout>>();
  #expiresAt: number;
  /** Why there will be no successor; null while there may be one. */
  #why: string | null = null;
  #noticed = false;
  #asking = false;
  #stopped = false;

  constructor(expiresAt: number, refresh: () => Promise<MintedToken>, events: LifetimeEvents) {
    this.#expiresAt = expiresAt;
    this.#refresh = refresh;
    this.#events = events;
    document.addEventListener("visibilitychange", this.#seen);
    this.#plan();
  }

  stop(): void {
    this.#stopped = true;
    document.removeEventListener("visibilitychange", this.#seen);
    for (const timer of this.#timers.values()) clearTimeout(timer);
  }

  get #left(): number {
    return this.#expiresAt - Date.now();
  }

  /** A tab that nobody sees has slow timers, and a machine that slept has none. */
  readonly #seen = () => {
    if (!document.hidden && this.#why === null && this.#left < NOTICE) void this.#next();
  };

  #plan(): void {
    const refreshIn = this.#left > 0 ? this.#left * REFRESH_AT : SLOWEST;
    if (this.#why === null) this.#timer("refresh", refreshIn, () => void this.#next());
    else clearTimeout(this.#timers.get("refresh"));
    // Where a successor is expected, it is given time to come.
    this.#timer("notice", Math.max(this.#why === null ? refreshIn + this.#left / 10 : 0, this.#left - NOTICE), () => {
      this.#noticed = true;
      this.#tell();
    });
    this.#timer("end", this.#left + AFTER, this.#events.ended);
  }

  async #next(): Promise<void> {
    if (this.#asking || this.#stopped) return;
    this.#asking = true;
    try {
      const { expiresAt, refreshableUntil } = await this.#refresh();
      if (this.#stopped) return;
      this.#expiresAt = expiresAt;
      this.#why = expiresAt >= refreshableUntil ? "the token has reached its longest lifetime and cannot be refreshed." : null;
      this.#noticed = false;
      this.#plan();
      this.#tell();
    } catch (thrown) {
      if (!this.#stopped) this.#failed(errorOf(thrown));
    } finally {
      this.#asking = false;
    }
  }

  #failed(error: SkerryError): void {
    if (error.code === "token_invalid" || error.code === "token_revoked") {
      this.#events.refused(error);
      return;
    }
    if (ERRORS[error.code].retryable) {
      this.#noticed ||= this.#left < NOTICE;
      this.#timer("refresh", Math.max(RETRY, (error.retryAfter ?? 0) * 1000), () => void this.#next());
    } else {
      this.#why = error.message.slice(0, 1).toLowerCase() + error.message.slice(1);
      this.#plan();
    }
    this.#tell();
  }

  #tell(): void {
    const ending = this.#why ?? "the server has not given a successor of the token yet. Trying again.";
    this.#events.changed({ expiresAt: this.#expiresAt, ending: this.#noticed ? ending : null });
  }

  #timer(name: Timer, ms: number, run: () => void): void {
    clearTimeout(this.#timers.get(name));
    // A browser's timers end at 24 days; what is later is waited for in parts.
    const part = Math.max(0, Math.min(MAX_TIMER, ms));
    this.#timers.set(
      name,
      setTimeout(() => (ms > MAX_TIMER ? this.#timer(name, ms - MAX_TIMER, run) : run()), part),
    );
  }
}

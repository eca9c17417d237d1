import { SkerryError } from "../../../core/wire/errors.ts";
import type { Runtime } from "../runtime.ts";

/** What a lease needs of its group. */
export type LeaseHost = {
  readonly runtime: Runtime;
  /** @returns seconds that the lease lives from now on; 0: it has ended. `hold`: seconds that it may outlive the connection. */
  renew(id: string, timeout: number, hold: number | null): Promise<number>;
  revoke(id: string): Promise<void>;
  ended(lease: Lease): void;
};

/** A third of the time to live, so that two renewals may fail. */
const RENEW_AT = 1 / 3;

/**
 * Keys that live as long as their holder: renewed until it is revoked, or the holder is gone for `ttl` seconds, or for `hold` seconds
 * where the end of its connection is noticed.
 */
export class Lease {
  /** In digits: 64 bits are more than a number holds. */
  readonly id: string;
  /** Seconds. */
  readonly ttl: number;
  /** Seconds that it outlives the connection of its holder; null: its whole `ttl`. */
  readonly hold: number | null;
  readonly #host: LeaseHost;
  readonly #keepAlive: boolean;
  readonly #lost = new AbortController();
  #cancel: (() => void) | null = null;
  /** Runtime clock: until then no one else can have seen it end. */
  #until: number;
  #ended = false;

  /** @param granted when it was asked for: it may have begun to run then. */
  constructor(host: LeaseHost, id: string, ttl: number, granted: number, keepAlive: boolean, hold: number | null = null) {
    this.#host = host;
    this.id = id;
    this.ttl = ttl;
    this.hold = hold;
    this.#until = granted + ttl * 1000;
    this.#keepAlive = keepAlive;
    this.#rest(keepAlive ? this.#period : this.#left);
  }

  /**
   * Aborted, with `lease_not_found` as the reason, once the lease has ended or may have. With `hold` the others may know before: the
   * group notices the end of a connection that this end still believes in.
   */
  get signal(): AbortSignal {
    return this.#lost.signal;
  }

  /** Ends it, and the keys that hang on it, now. */
  async revoke(): Promise<void> {
    if (this.#ended) return;
    this.#end(new SkerryError("lease_not_found", "The lease was revoked."));
    await this.#host.revoke(this.id);
  }

  /** Renews it no more, and leaves it to end by itself. */
  abandon(reason: SkerryError): void {
    this.#end(reason);
  }

  /** Renews it once; while it is kept alive there is no need to. Throws `lease_not_found`. */
  async renew(): Promise<void> {
    const sent = this.#host.runtime.now();
    if (this.#ended || (await this.#host.renew(this.id, this.#left, this.hold)) <= 0) {
      this.#lose();
      throw this.#lost.signal.reason;
    }
    this.#until = Math.max(this.#until, sent + this.ttl * 1000);
  }

  /** On another connection: whoever holds it there has to say so. */
  reconnected(): void {
    if (this.hold !== null && this.#keepAlive && !this.#ended) this.#rest(0);
  }

  get #period(): number {
    return this.ttl * 1000 * RENEW_AT;
  }

  get #left(): number {
    return Math.max(0, this.#until - this.#host.runtime.now());
  }

  #rest(ms: number): void {
    this.#cancel?.();
    this.#cancel = this.#host.runtime.timer(Math.max(0, ms), () => void this.#work());
  }

  async #work(): Promise<void> {
    if (this.#ended) return;
    if (this.#left === 0) {
      this.#lose();
      return;
    }
    if (!this.#keepAlive) {
      this.#rest(this.#left);
      return;
    }
    try {
      await this.renew();
      this.#rest(this.#period);
    } catch {
      // Whatever it was: there is no more to lose by trying until the time is over.
      if (!this.#ended) this.#rest(Math.min(this.#left, 250));
    }
  }

  #lose(): void {
    this.#end(new SkerryError("lease_not_found", "The lease has ended: its holder was not heard for too long."));
  }

  #end(reason: SkerryError): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#cancel?.();
    this.#host.ended(this);
    this.#lost.abort(reason);
  }
}

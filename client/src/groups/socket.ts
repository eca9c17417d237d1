import { ERRORS, SkerryError } from "../../../core/wire/errors.ts";
import { type ClientFrame, encode, parseServerFrame, type ServerFrame, SUBPROTOCOL } from "../../../core/wire/frames.ts";
import { hasRoom } from "../../../core/wire/session.ts";
import type { Http } from "../http.ts";
import { Link } from "../link.ts";
import { backoff } from "../runtime.ts";
import { type CallRequest, Calls } from "./calls.ts";
import { Scout } from "./scout.ts";
import { Subscription } from "./subscription.ts";

const SILENCE = 30_000;
/** Who coordinates cannot wait long; a group has few sockets a client. */
const PAUSE = 3_000;
/** Milliseconds without a word after which a replica that owes an answer is taken for silent; doubled by each false alarm. */
const PATIENCE = 500;
const MAX_PATIENCE = 8_000;
/** A socket that nobody uses is closed, so that a program can end. Milliseconds. */
const IDLE = 2_000;
/** Before a replica that knows no leader, or names one that is silent, is asked again. */
const AGAIN_MS = 100;
/** How often it is, before it is believed. */
const DOUBTS = 5;
/** Milliseconds that an attempt to connect may take. */
const CONNECTING = 3_000;
/** A connection on which nothing came for so long is given up, although the replica lives. */
const DEAD = 5_000;

/** What a socket has to do with its group. */
export type GroupSocketHost = {
  /** Asked after a connection failed: throws what makes another attempt pointless. */
  probe(): Promise<void>;
  /** For each connection, once it is there. `object`: the group's name in a context, where the server says it. */
  greeted(object: string | null): void;
};

/** Which replica a socket is for: the leader, who alone writes, or the nearest, who tells what happens. */
export type Place = "leader" | "near";

/** One socket to a replica of a group: calls and watches, through reconnections and from leader to leader. */
export class GroupSocket {
  readonly #http: Http;
  readonly #path: string;
  readonly #place: Place;
  readonly #host: GroupSocketHost;
  readonly #calls: Calls;
  readonly #subscriptions = new Map<number, Subscription>();
  readonly #timers = new Set<() => void>();
  #link: Link | null = null;
  #cancelIdle: (() => void) | null = null;
  #nextSubscription = 1;
  /** The replica at the other end; null: not known. */
  #member: number | null = null;
  /** The last one that was, or was wanted there. */
  #last: number | null = null;
  /** Where to connect: a replica, or any but one. */
  #to: number | null = null;
  #not: number | null = null;
  #silent = 0;
  /** It connects again to the replica that it just lost. */
  #returning = false;
  #doubts = 0;
  /** False ones, and the time of the last. */
  #alarms = 0;
  #alarmedAt = 0;
  #hops = 0;
  #going = false;
  #scout: Scout | null = null;
  #rtt = 0;
  /** What needs the connection although nothing is said on it. */
  #pins = 0;

  constructor(http: Http, path: string, place: Place, host: GroupSocketHost) {
    this.#http = http;
    this.#host = host;
    this.#path = path;
    this.#place = place;
    const self = this;
    this.#calls = new Calls(http.runtime, {
      get ready() {
        return self.#link?.isOpen === true;
      },
      get silent() {
        return self.#silent;
      },
      start: () => this.#start(),
      send: (text) => this.#link?.send(text),
      notLeader: (leader) => this.#notLeader(leader),
      answered: () => this.#answered(),
      measured: (ms) => {
        this.#rtt = this.#rtt === 0 ? ms : this.#rtt * 0.8 + ms * 0.2;
      },
      patience: (waited) => this.#suspect(waited),
      idle: () => this.#restIdle(),
    });
  }

  /** Whether it has room for another subscription. */
  takes(target: string): boolean {
    return hasRoom(
      [...this.#subscriptions.values()].map((each) => each.target),
      target,
    );
  }

  /** Keeps a connection, until {@link unpin}. */
  pin(): void {
    this.#pins++;
    this.#busy();
  }

  unpin(): void {
    this.#pins--;
    this.#restIdle();
  }

  call(request: CallRequest): Promise<unknown> {
    this.#busy();
    return this.#calls.add(request);
  }

  subscribe(target: string, from: string | null, credit: number): Subscription {
    this.#busy();
    const host = {
      send: (frame: ClientFrame) => this.#link?.send(encode(frame)),
      again: (subscription: Subscription, error: SkerryError) => this.#again(subscription, error),
      closed: (subscription: Subscription) => {
        this.#subscriptions.delete(subscription.id);
        this.#restIdle();
      },
    };
    const subscription = new Subscription(host, this.#nextSubscription++, target, from, credit);
    this.#subscriptions.set(subscription.id, subscription);
    if (this.#link?.isOpen) this.#link.send(encode(subscription.frame()));
    else this.#start();
    return subscription;
  }

  /** Ends everything; what waits is refused with `error`. */
  close(error: unknown): void {
    this.#drop();
    this.#calls.fail(error);
    for (const subscription of [...this.#subscriptions.values()]) subscription.fail(error);
    this.#cancelIdle?.();
    this.#cancelIdle = null;
  }

  #start(): void {
    this.#link ??= new Link(
      this.#http,
      { path: () => this.#url(), protocols: [SUBPROTOCOL], binary: false, silence: SILENCE, pause: PAUSE, probe: this.#host.probe },
      {
        open: () => {
          this.#calls.connected();
          for (const subscription of this.#subscriptions.values()) this.#link?.send(encode(subscription.frame()));
        },
        message: (data) => this.#receive(data),
        ping: () => this.#link?.send(encode({ type: "ping" })),
        token: (token) => this.#link?.send(encode({ type: "token", token })),
        lost: (error) => this.#lost(error),
        failed: (error) => this.close(error),
      },
    );
    this.#link.start();
  }

  #url(): string {
    this.#calls.connecting();
    const query = new URLSearchParams({ to: this.#to === null ? (this.#not === null ? this.#place : "other") : String(this.#to) });
    if (this.#to === null && this.#not !== null && this.#not > 0) query.set("not", String(this.#not));
    return `${this.#path}?${query}`;
  }

  #receive(data: unknown): void {
    let frame: ServerFrame;
    try {
      frame = parseServerFrame(data as string);
    } catch (error) {
      this.close(error);
      return;
    }
    switch (frame.type) {
      case "hello":
        this.#member = frame.member ?? null;
        this.#not = null;
        this.#returning = false;
        this.#link?.greeted(frame.expiresAt);
        this.#host.greeted(frame.object ?? null);
        return;
      case "token_ok":
        this.#link?.greeted(frame.expiresAt);
        return;
      case "result":
        this.#calls.results(frame.results);
        return;
      case "error":
        if (frame.id === undefined) this.#link?.complain(new SkerryError(frame.code, frame.detail));
        else this.#subscriptions.get(frame.id)?.receive(frame);
        return;
      case "subscribed":
      case "data":
      case "end":
        this.#link?.worked();
        this.#subscriptions.get(frame.id)?.receive(frame);
        return;
      case "pong":
        return;
      default:
        frame satisfies never;
    }
  }

  #answered(): void {
    this.#link?.worked();
    this.#leaveScout();
    this.#hops = 0;
    this.#doubts = 0;
    this.#silent = 0;
  }

  /** The connection broke: most often the object restarts, and is there again. If it is not, any other replica is asked. */
  #lost(error: SkerryError): void {
    const met = this.#member !== null;
    this.#leaveScout();
    this.#last = this.#member ?? this.#to ?? this.#last;
    this.#calls.lost();
    this.#member = null;
    // A token is a matter of ours, not of the replica.
    if (ERRORS[error.code].status === 401) return;
    if (met && this.#place === "leader") {
      this.#to = this.#last;
      this.#returning = true;
      return;
    }
    // It is not there again: no need to wait before another one is asked.
    if (this.#returning) queueMicrotask(() => this.#link?.hurry());
    this.#returning = false;
    this.#to = null;
    this.#not = met ? null : (this.#last ?? 0);
    if (this.#place === "leader" && this.#last !== null) this.#silent = this.#last;
  }

  /** Too long without a word from a replica that owes one: has others asked whether they lead now. */
  #suspect(waited: number): void {
    if (this.#link?.isOpen !== true) {
      // The attempt hangs: another replica may be nearer.
      if (waited > CONNECTING) this.#go(null, this.#to ?? this.#last ?? 0);
      return;
    }
    const patience = Math.min(MAX_PATIENCE, Math.max(PATIENCE, 6 * this.#rtt) * 2 ** this.#alarms);
    if (Math.min(waited, this.#http.runtime.now() - this.#alarmedAt) < patience || this.#scout !== null) return;
    const silent = this.#member ?? 0;
    this.#scout = new Scout(this.#http, this.#path, silent, {
      found: (leader) => {
        this.#scout = null;
        this.#alarms = 0;
        this.#silent = silent;
        if (leader !== this.#member) this.#go(leader, null);
      },
      over: () => {
        this.#scout = null;
        this.#alarms++;
        this.#alarmedAt = this.#http.runtime.now();
        if (waited + DOUBTS * AGAIN_MS > DEAD) this.#go(this.#member, null);
      },
    });
  }

  #leaveScout(): void {
    this.#scout?.end();
    this.#scout = null;
  }

  /** @returns milliseconds to wait before the call is sent again. */
  #notLeader(leader: number): number {
    if (leader === 0 || leader === this.#member) return AGAIN_MS;
    if (leader === this.#silent && this.#doubts < DOUBTS) {
      this.#doubts++;
      return AGAIN_MS;
    }
    if (leader !== this.#silent) this.#alarms = 0;
    // Already on the way there, by the answer to another call of the same frame.
    if (this.#to === leader && this.#member === null) return 0;
    this.#silent = 0;
    // Replicas that send a caller in circles are asked slower and slower.
    const wait = this.#hops++ < 3 ? 0 : backoff(this.#http.runtime, this.#hops, 20, 1000);
    if (wait === 0) this.#go(leader, null);
    else this.#later(wait, () => this.#go(leader, null));
    return wait;
  }

  #go(to: number | null, not: number | null): void {
    this.#to = to;
    this.#not = not;
    this.#member = null;
    if (this.#going) return;
    this.#going = true;
    // After the frame at hand is read to its end: what it answers must not be sent again.
    queueMicrotask(() => {
      this.#going = false;
      this.#calls.lost();
      this.#link?.move();
    });
  }

  #again(subscription: Subscription, error: SkerryError): void {
    this.#later(Math.max((error.retryAfter ?? 0) * 1000, backoff(this.#http.runtime, 2, 100, 1000)), () => {
      if (!subscription.done && this.#link?.isOpen) this.#link.send(encode(subscription.frame()));
    });
  }

  #later(ms: number, run: () => void): void {
    const cancel = this.#http.runtime.timer(ms, () => {
      this.#timers.delete(cancel);
      run();
    });
    this.#timers.add(cancel);
  }

  #busy(): void {
    this.#cancelIdle?.();
    this.#cancelIdle = null;
  }

  #restIdle(): void {
    if (this.#calls.size > 0 || this.#subscriptions.size > 0 || this.#pins > 0 || this.#link === null) return;
    this.#cancelIdle?.();
    this.#cancelIdle = this.#http.runtime.timer(IDLE, () => {
      this.#cancelIdle = null;
      if (this.#calls.size === 0 && this.#subscriptions.size === 0 && this.#pins === 0) this.#drop();
    });
  }

  #drop(): void {
    this.#leaveScout();
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
    this.#link?.end();
    this.#link = null;
    this.#member = null;
  }
}

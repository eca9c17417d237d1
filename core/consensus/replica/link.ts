import type { Message, NodeId } from "../raft/types.ts";
import type { Barrier } from "./envelope.ts";
import type { ReplicaTiming } from "./options.ts";
import type { Outgoing } from "./transfer.ts";

/** Calls that timed out and are still under way: beyond so many, a peer that hangs gets no more until some of them end. */
const MAX_ABANDONED = 8;
const ABANDONED_MS = 30_000;

/**
 * What one replica has to say to another, and when: messages travel in calls, a few at a time. A message that cannot be sent now
 * is dropped, as a network may: Raft sends it again.
 */
export class Link {
  readonly id: NodeId;
  readonly #timing: ReplicaTiming;
  readonly #maxCalls: number;
  /** Calls under way by number, and when they began; abandoned ones apart. */
  readonly #calls = new Map<number, number>();
  readonly #abandoned = new Map<number, number>();
  #queue: Message[] = [];
  /** When what only tells of a commit has waited long enough. */
  #lazyAt: number | null = null;
  asks: number[] = [];
  answers: Barrier[] = [];
  transfer: Outgoing | null = null;
  /** Something else is to be told at once: the head of an envelope is enough. */
  nudge = false;
  heardAt = Number.NEGATIVE_INFINITY;
  watching = false;
  /** The last entry it acknowledged to this leader, in this term. */
  acked = 0;
  failures = 0;
  /** How long calls take, smoothed. */
  roundTrip = 0;
  #retryAt = 0;

  constructor(id: NodeId, timing: ReplicaTiming, maxCalls: number) {
    this.id = id;
    this.#timing = timing;
    this.#maxCalls = maxCalls;
  }

  /** The last word was a failure, or there has been none for as long as a call may take. */
  isDown(now: number): boolean {
    if (this.failures > 0) return true;
    const oldest = this.#calls.values().next().value;
    return oldest !== undefined && now - oldest > this.#timing.call / 2 && this.heardAt < oldest;
  }

  get busy(): boolean {
    return this.#calls.size > 0;
  }

  /** Forgets what it knew of a leadership that is over. */
  reset(): void {
    this.acked = 0;
    this.transfer = null;
    this.#queue = [];
    this.#lazyAt = null;
  }

  push(message: Message, now: number): void {
    if (now < this.#retryAt) return;
    if (this.#isNews(message)) {
      this.#queue = this.#queue.filter((queued) => !this.#isNews(queued));
      this.#lazyAt ??= now + this.#timing.linger;
    } else if (message.type === "append") {
      // It carries the commit index too.
      this.#queue = this.#queue.filter((queued) => !this.#isNews(queued));
      this.#lazyAt = null;
    }
    this.#queue.push(message);
  }

  /** It tells a follower that has the whole log, and nobody who waits for events, how far it is committed. */
  #isNews(message: Message): boolean {
    return !this.watching && message.type === "append" && message.entries.length === 0 && message.index <= this.acked;
  }

  /** Whether a call should be made now. */
  ready(now: number): boolean {
    if (this.#calls.size >= this.#maxCalls || this.#abandoned.size >= MAX_ABANDONED || now < this.#retryAt) return false;
    if (this.nudge || this.asks.length > 0 || this.answers.length > 0) return true;
    if (this.transfer?.due === true) return true;
    if (this.#queue.length === 0) return false;
    return this.#lazyAt === null || now >= this.#lazyAt || this.#queue.some((message) => !this.#isNews(message));
  }

  /** Takes the messages out, for a call or for the answer to one. */
  take(): Message[] {
    const messages = this.#queue;
    this.#queue = [];
    this.#lazyAt = null;
    this.nudge = false;
    return messages;
  }

  called(call: number, now: number): void {
    this.#calls.set(call, now);
  }

  /** A call came back. False if it was not one of this link's. */
  ended(call: number, now: number): boolean {
    const at = this.#calls.get(call);
    if (at === undefined) return this.#abandoned.delete(call);
    this.roundTrip += (now - at - this.roundTrip) / (this.roundTrip === 0 ? 1 : 4);
    return this.#calls.delete(call);
  }

  /** It answered. */
  heard(now: number): void {
    this.heardAt = now;
    this.failures = 0;
    this.#retryAt = 0;
  }

  /** What was said is lost, and for a while nothing more is said. */
  failed(now: number): void {
    this.failures++;
    const { backoff, maxBackoff } = this.#timing;
    this.#retryAt = now + Math.min(maxBackoff, backoff * 2 ** Math.min(this.failures - 1, 16));
    this.#queue = [];
    this.#lazyAt = null;
    this.asks = [];
    this.answers = [];
    this.transfer = null;
    this.nudge = false;
  }

  /** Gives up on calls that take too long. True if there were any. */
  expire(now: number): boolean {
    let any = false;
    for (const [call, at] of this.#calls) {
      if (now - at < this.#timing.call) break;
      this.#calls.delete(call);
      this.#abandoned.set(call, now);
      any = true;
    }
    for (const [call, at] of this.#abandoned) if (now - at >= ABANDONED_MS) this.#abandoned.delete(call);
    return any;
  }

  /** When {@link ready} or {@link expire} may next have something; null: not by time alone. */
  deadline(): number | null {
    const oldest = this.#calls.values().next().value;
    const expiry = oldest === undefined ? null : oldest + this.#timing.call;
    if (this.#lazyAt === null || this.#queue.length === 0) return expiry;
    return expiry === null ? this.#lazyAt : Math.min(expiry, this.#lazyAt);
  }
}

import type { Message, NodeId } from "../raft/types.ts";
import type { Barrier } from "./envelope.ts";
import type { ReplicaTiming } from "./options.ts";
import type { Outgoing } from "./transfer.ts";

/** Calls that timed out: what they bring late still counts, of so many of them. */
const MAX_ABANDONED = 64;
/** After so many failures in a row a peer is called less and less often. */
const PATIENT_FAILURES = 16;
const MAX_PATIENT_BACKOFF = 10_000;

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
  readonly #abandoned = new Set<number>();
  #queue: Message[] = [];
  /** How far the peer knows the log to be committed, and how far it was told in calls that are under way. */
  #committed = 0;
  #told = 0;
  /** An append without entries behind ones that are under way: mostly no more than news too, but it may show that they were lost. */
  #lazy: { message: Message; at: number } | null = null;
  /** When news of a commit has waited long enough for something to travel with; null: there is none. */
  #newsAt: number | null = null;
  asks: number[] = [];
  answers: Barrier[] = [];
  transfer: Outgoing | null = null;
  /** Something else is to be told at once: the head of an envelope is enough. */
  nudge = false;
  heardAt = Number.NEGATIVE_INFINITY;
  watching = false;
  /** The highest version of entries that it said it can apply. */
  format = 1;
  /** The last entry it acknowledged to this leader, in this term. */
  acked = 0;
  failures = 0;
  /** Raft sends it nothing until it answers a heartbeat. */
  unreachable = false;
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

  /** A leadership begins or is over: nothing of the one before counts. */
  reset(): void {
    this.acked = 0;
    this.transfer = null;
    this.#lazy = null;
    this.#newsAt = null;
  }

  push(message: Message, now: number): void {
    if (now < this.#retryAt) return;
    if (message.type === "append" && message.entries.length === 0) {
      // It tells a follower that has the whole log how far that is committed: {@link Link.news} sees to it.
      if (message.index <= this.acked) return;
      if (!this.watching) {
        this.#lazy = { message, at: this.#lazy?.at ?? now + this.#timing.linger };
        return;
      }
    }
    this.#send(message);
  }

  #send(message: Message): void {
    this.#queue.push(message);
    if (message.type === "append" || message.type === "heartbeat") this.#told = Math.max(this.#told, message.commit);
  }

  /** What has waited long enough, or can travel with something else, goes too. */
  #flushLazy(now: number): void {
    const lazy = this.#lazy;
    if (lazy === null || now < lazy.at) return;
    this.#lazy = null;
    if (lazy.message.index > this.acked) this.#send(lazy.message);
  }

  /** The leader's log is committed up to `commit`: whether the peer is to be told so, with nothing else to say, now. */
  news(commit: number, now: number): number | null {
    const index = Math.min(commit, this.acked);
    if (index <= this.#committed || index <= this.#told || this.failures > 0) {
      this.#newsAt = null;
      return null;
    }
    this.#newsAt ??= this.watching ? now : now + this.#timing.linger;
    return now >= this.#newsAt || this.#queue.length > 0 ? index : null;
  }

  /** It is no member any more: there is no news for it. */
  dismiss(): void {
    this.#newsAt = null;
  }

  /** Whether a call should be made now. */
  ready(now: number): boolean {
    if (this.#calls.size >= this.#maxCalls || now < this.#retryAt) return false;
    this.#flushLazy(this.#queue.length > 0 ? Number.POSITIVE_INFINITY : now);
    return this.#queue.length > 0 || this.nudge || this.asks.length > 0 || this.answers.length > 0 || this.transfer?.due === true;
  }

  /** Takes the messages out, for a call or for the answer to one. */
  take(): Message[] {
    this.#flushLazy(Number.POSITIVE_INFINITY);
    const messages = this.#queue;
    this.#queue = [];
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

  /** It answered, and knows the log to be committed so far. */
  heard(now: number, committed: number): void {
    this.#committed = committed;
    if (this.#calls.size === 0) this.#told = committed;
    this.heardAt = now;
    this.failures = 0;
    this.#retryAt = 0;
  }

  /** What was said is lost, and for a while nothing more is said. */
  failed(now: number): void {
    this.failures++;
    const { backoff, maxBackoff } = this.#timing;
    const most = Math.min(MAX_PATIENT_BACKOFF, maxBackoff * Math.max(1, this.failures - PATIENT_FAILURES));
    this.#retryAt = now + Math.min(most, backoff * 2 ** Math.min(this.failures - 1, 16));
    this.#queue = [];
    this.#told = this.#committed;
    this.#lazy = null;
    this.#newsAt = null;
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
      this.#abandoned.add(call);
      if (this.#abandoned.size > MAX_ABANDONED) this.#abandoned.delete(this.#abandoned.values().next().value!);
      any = true;
    }
    return any;
  }

  /** When {@link ready} or {@link expire} may next have something; null: not by time alone. */
  deadline(): number | null {
    const oldest = this.#calls.values().next().value;
    return earliest([oldest === undefined ? null : oldest + this.#timing.call, this.#newsAt, this.#lazy?.at ?? null]);
  }
}

/** The first of some times; null for one that never comes. */
export function earliest(times: Iterable<number | null>): number | null {
  let first: number | null = null;
  for (const at of times) if (at !== null && (first === null || at < first)) first = at;
  return first;
}

import { ERRORS, type ErrorCode, SkerryError } from "./errors.ts";
import {
  type CallFrame,
  type ClientFrame,
  type DataItem,
  dataFrame,
  dataTail,
  type EndReason,
  encode,
  isPosition,
  MAX_CREDIT,
  MAX_POSITION_LENGTH,
  type Mode,
  parseClientFrame,
  type StreamPosition,
  WIRE_VERSION,
} from "./frames.ts";

export const MAX_SUBSCRIPTIONS = 16;
/** UTF-8 bytes of {@link Session.save}: half of what a socket's attachment may have; the actor takes the rest. */
export const MAX_STATE_BYTES = 8192;
/** What a subscription costs in the state beside its target and position: brackets, id, credit, flags. */
const SUBSCRIPTION_OVERHEAD = 48;
const STATE_OVERHEAD = 96;

/** What the session wants of a target: what follows `from` (null: from the start of a new subscription), at most `limit` items. */
export type Ask = { ticket: number; id: number; target: string; from: StreamPosition | null; limit: number; first: boolean };

/**
 * A target's answer to an {@link Ask}.
 * - `resume`: the items follow `from`, which may lie within a snapshot. With `from` null, `position` says where the
 *   subscription starts.
 * - `snapshot`: the items, at least one, begin a snapshot anew; what the client has is void.
 * - `more`: the items do not reach the target's head. There is then at least one item.
 * - `most`: bytes that an item's frame may have, where that is more than others have.
 */
export type Reply = { mode: Mode; position: StreamPosition; items: DataItem[]; more: boolean; most?: number };

/**
 * A change of a target, serialised once for all its subscribers. Make it with {@link publication}. `relation`, where it is given,
 * decides in place of `previous` what the change is to a live subscriber whose last frame was at `sent`: `known`, the `next`, or
 * not to be had without what came before (`gap`).
 */
export type Publication = {
  target: string;
  previous: StreamPosition;
  position: StreamPosition;
  tail: string;
  relation?: (sent: StreamPosition) => "known" | "next" | "gap";
};

export type Effect =
  | { kind: "send"; text: string }
  /** Read from the target, then {@link Session.answer} or {@link Session.refuse} with the ask's ticket. Authorise it if `first`. */
  | { kind: "ask"; ask: Ask }
  /** Check the token, then {@link Session.tokenAccepted} or {@link Session.tokenRefused}. */
  | { kind: "verify"; token: string }
  /** Answer them one by one, in any order, with `result` frames of your own. */
  | { kind: "call"; frame: CallFrame }
  | { kind: "acked"; id: number; target: string; position: StreamPosition }
  | { kind: "close"; code: number; reason: string };

/** `asking`: an ask is out. `behind`: out of credit, changes not sent are not kept. `live`: has all up to the head. */
type Phase = "asking" | "behind" | "live";

type Subscription = {
  id: number;
  target: string;
  phase: Phase;
  credit: number;
  /** The position of the last frame sent; null before the first. */
  sent: StreamPosition | null;
  /** Whether the client was told `subscribed`. */
  begun: boolean;
  /** The ask that is out, and whether the target changed since. */
  ticket: number;
  missed: boolean;
};

/**
 * Prepares a change for {@link Session.publish}. `previous` is the target's position before it: a subscriber that is
 * not exactly there asks the target instead of skipping a change. Throws `too_large` past the size of a frame, or `most` bytes.
 */
export function publication(
  target: string,
  previous: StreamPosition,
  position: StreamPosition,
  payload: unknown,
  most?: number,
): Publication {
  return { target, previous, position, tail: dataTail({ position, kind: "delta", payload }, most) };
}

/**
 * The server's side of one socket, without I/O. Every input returns effects, in order; the shell stores
 * {@link Session.save} before it performs them, also when there are none (`perform` does both). `now` is Unix milliseconds. See SPEC.md, rules WS.
 */
export class Session {
  #expiresAt: number | null;
  #tickets: number;
  #closed: boolean;
  #subscriptions: Map<number, Subscription>;

  private constructor(expiresAt: number | null, tickets: number, closed: boolean, subscriptions: Subscription[]) {
    this.#expiresAt = expiresAt;
    this.#tickets = tickets;
    this.#closed = closed;
    this.#subscriptions = new Map(subscriptions.map((subscription) => [subscription.id, subscription]));
  }

  /** A session for a socket just accepted; `expiresAt` is when its token ends, null for never. `about`: as the greeting tells it. */
  static open(expiresAt: number | null, about: { member?: number; object?: string } = {}): { session: Session; effects: Effect[] } {
    const hello = encode({ type: "hello", version: WIRE_VERSION, expiresAt, ...about });
    return { session: new Session(expiresAt, 0, false, []), effects: [{ kind: "send", text: hello }] };
  }

  /**
   * A session as {@link Session.save} left it. Asks that were out are forgotten; call {@link Session.wake} if they may
   * have been lost. Throws `corrupt` for what `save` did not write.
   */
  static restore(json: string): Session {
    try {
      const [version, expiresAt, tickets, closed, rows] = JSON.parse(json);
      if (version !== 1) throw new Error(`format ${version}`);
      const subscriptions = (rows as [number, string, number, number, StreamPosition | null, number][]).map(
        ([id, target, live, credit, sent, begun]): Subscription => ({
          id,
          target,
          phase: live === 1 ? "live" : "behind",
          credit,
          sent,
          begun: begun === 1,
          ticket: 0,
          missed: false,
        }),
      );
      return new Session(expiresAt, tickets, closed === 1, subscriptions);
    } catch (cause) {
      throw new SkerryError("corrupt", "The stored state of a socket cannot be read.", { cause });
    }
  }

  /** The state as JSON, at most {@link MAX_STATE_BYTES}: it must survive hibernation in the socket's attachment. */
  save(): string {
    const rows = this.#all().map((s) => [s.id, s.target, s.phase === "live" ? 1 : 0, s.credit, s.sent, s.begun ? 1 : 0]);
    return JSON.stringify([1, this.#expiresAt, this.#tickets, this.#closed ? 1 : 0, rows]);
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** When the token ends; the shell may schedule {@link Session.expire} for then. Nothing is sent after it in any case. */
  get expiresAt(): number | null {
    return this.#expiresAt;
  }

  /** The targets with a subscription, for the shell's index of whom to publish to. */
  targets(): Set<string> {
    return new Set(this.#all().map((subscription) => subscription.target));
  }

  /** A message of the client. A frame that breaks the protocol closes the socket. `takes`: whether it answers calls. */
  onFrame(text: string, now: number, takes: "subscriptions" | "calls" = "subscriptions"): Effect[] {
    const expired = this.expire(now);
    if (this.#closed) return expired;
    try {
      return this.#handle(parseClientFrame(text, takes));
    } catch (error) {
      if (error instanceof SkerryError) return this.close(error);
      throw error;
    }
  }

  /** A target has changed. Sends it where there is credit; elsewhere the subscription falls behind and nothing is kept. */
  publish(change: Publication, now: number): Effect[] {
    const effects = this.expire(now);
    if (this.#closed) return effects;
    for (const subscription of this.#all()) {
      const { phase, sent } = subscription;
      if (subscription.target !== change.target || sent === change.position) continue;
      const relation = sent === null ? "gap" : (change.relation?.(sent) ?? (sent === change.previous ? "next" : "gap"));
      if (relation === "known") continue;
      if (phase === "asking") subscription.missed = true;
      else if (subscription.credit === 0) subscription.phase = "behind";
      else if (phase === "live" && relation === "next") {
        effects.push(this.#send(subscription, change.position, change.tail));
      } else effects.push(this.#ask(subscription));
    }
    return effects;
  }

  /** The target's answer to the ask with `ticket`; one that is no longer wanted is ignored. */
  answer(ticket: number, reply: Reply, now: number): Effect[] {
    const effects = this.expire(now);
    const subscription = this.#asking(ticket);
    if (this.#closed || subscription === undefined) return effects;
    try {
      this.#deliver(subscription, reply, effects);
    } catch (error) {
      if (!(error instanceof SkerryError)) throw error;
      effects.push(...this.#fail(subscription, error));
    }
    return effects;
  }

  /** The target cannot serve the ask with `ticket`: the subscription ends with `error`. */
  refuse(ticket: number, error: SkerryError): Effect[] {
    const subscription = this.#asking(ticket);
    return this.#closed || subscription === undefined ? [] : this.#fail(subscription, error);
  }

  /** Ends every subscription to `target` with an error, for example when a new token no longer grants it. */
  fail(target: string, error: SkerryError): Effect[] {
    if (this.#closed) return [];
    return this.#all().flatMap((subscription) => (subscription.target === target ? this.#fail(subscription, error) : []));
  }

  /** Ends every subscription to `target` for a reason that is no error. */
  end(target: string, reason: EndReason): Effect[] {
    if (this.#closed) return [];
    return this.#all().flatMap((subscription) => (subscription.target === target ? [this.#end(subscription, reason)] : []));
  }

  /**
   * After {@link Session.restore} where asks may have been lost or changes missed: asks again for all that is behind
   * with credit, and for what is live but not at its target's `head` (null: unknown, so ask).
   */
  wake(head: (target: string) => StreamPosition | null, now: number): Effect[] {
    const effects = this.expire(now);
    if (this.#closed) return effects;
    for (const subscription of this.#all()) {
      if (subscription.phase === "live" && subscription.sent !== null && head(subscription.target) === subscription.sent) continue;
      if (subscription.phase !== "asking") subscription.phase = "behind";
      if (subscription.phase === "behind" && subscription.credit > 0) effects.push(this.#ask(subscription));
    }
    return effects;
  }

  /** The token of a `verify` effect is good until `expiresAt`. */
  tokenAccepted(expiresAt: number | null): Effect[] {
    if (this.#closed) return [];
    this.#expiresAt = expiresAt;
    return [{ kind: "send", text: encode({ type: "token_ok", expiresAt }) }];
  }

  /** The token of a `verify` effect is no good: says so and goes on under the old one. */
  tokenRefused(error: SkerryError): Effect[] {
    return this.#closed ? [] : [errorFrame(error)];
  }

  /** Closes the socket if its token has ended. */
  expire(now: number): Effect[] {
    if (this.#expiresAt === null || now < this.#expiresAt) return [];
    return this.close(new SkerryError("token_expired", "The token of this socket has ended; connect with a new one."));
  }

  /** Says why, then closes. The close code is the error's; the reason is its code, so that a client needs no frame to know. */
  close(error: SkerryError): Effect[] {
    if (this.#closed) return [];
    this.#closed = true;
    this.#subscriptions.clear();
    return [errorFrame(error), { kind: "close", code: ERRORS[error.code].close, reason: error.code satisfies ErrorCode }];
  }

  #handle(frame: ClientFrame): Effect[] {
    switch (frame.type) {
      case "subscribe":
        return this.#subscribe(frame);
      case "credit": {
        const subscription = this.#subscriptions.get(frame.id);
        if (subscription === undefined) return [];
        if (subscription.credit + frame.n > MAX_CREDIT) {
          return this.close(new SkerryError("bad_frame", `Unused credit may not pass ${MAX_CREDIT}.`));
        }
        subscription.credit += frame.n;
        return subscription.phase === "behind" ? [this.#ask(subscription)] : [];
      }
      case "unsubscribe": {
        const subscription = this.#subscriptions.get(frame.id);
        return subscription === undefined ? [] : [this.#end(subscription, "unsubscribed")];
      }
      case "ack": {
        const subscription = this.#subscriptions.get(frame.id);
        return subscription === undefined ? [] : [{ kind: "acked", id: frame.id, target: subscription.target, position: frame.position }];
      }
      case "token":
        return [{ kind: "verify", token: frame.token }];
      case "call":
        return [{ kind: "call", frame }];
      case "ping":
        return [{ kind: "send", text: encode({ type: "pong" }) }];
      default:
        return frame satisfies never;
    }
  }

  #subscribe(frame: Extract<ClientFrame, { type: "subscribe" }>): Effect[] {
    if (this.#subscriptions.has(frame.id)) {
      return this.close(new SkerryError("bad_frame", `Subscription ${frame.id} exists; wait for its "end" or choose another id.`));
    }
    const targets = this.#all().map(({ target }) => target);
    if (!hasRoom(targets, frame.target)) {
      return [errorFrame(new SkerryError("too_large", "This socket has as many subscriptions as it can; open another socket."), frame.id)];
    }
    const subscription: Subscription = {
      id: frame.id,
      target: frame.target,
      phase: "behind",
      credit: frame.credit,
      sent: frame.from ?? null,
      begun: false,
      ticket: 0,
      missed: false,
    };
    this.#subscriptions.set(frame.id, subscription);
    return [this.#ask(subscription)];
  }

  #ask(subscription: Subscription): Effect {
    const { id, target, sent, credit, begun } = subscription;
    subscription.phase = "asking";
    subscription.ticket = ++this.#tickets;
    subscription.missed = false;
    return { kind: "ask", ask: { ticket: subscription.ticket, id, target, from: sent, limit: credit, first: !begun } };
  }

  #asking(ticket: number): Subscription | undefined {
    return this.#all().find((subscription) => subscription.phase === "asking" && subscription.ticket === ticket);
  }

  #deliver(subscription: Subscription, reply: Reply, effects: Effect[]): void {
    if (!isPosition(reply.position)) throw new SkerryError("internal", "The target gave a position that is not valid.");
    if (reply.items.length === 0 && (reply.more || reply.mode === "snapshot")) {
      throw new SkerryError("internal", "The target owes items but sent none.");
    }
    if (reply.mode === "snapshot" || !subscription.begun) {
      // A client resumes from this frame's position too: one that it gave itself comes back as it was, cursor and all.
      if (reply.mode === "resume") subscription.sent ??= reply.position;
      const position = (reply.mode === "resume" ? subscription.sent : null) ?? reply.position;
      effects.push({ kind: "send", text: encode({ type: "subscribed", id: subscription.id, position, mode: reply.mode }) });
      subscription.begun = true;
    }
    for (const item of reply.items) {
      if (subscription.credit === 0) break;
      effects.push(this.#send(subscription, item.position, dataTail(item, reply.most)));
    }
    const last = reply.items.at(-1);
    const reachedHead = !reply.more && !subscription.missed && (last === undefined || last.position === subscription.sent);
    if (reachedHead) subscription.phase = "live";
    else if (subscription.credit > 0) effects.push(this.#ask(subscription));
    else subscription.phase = "behind";
  }

  #send(subscription: Subscription, position: StreamPosition, tail: string): Effect {
    subscription.credit--;
    subscription.sent = position;
    return { kind: "send", text: dataFrame(subscription.id, tail) };
  }

  #end(subscription: Subscription, reason: EndReason): Effect {
    this.#subscriptions.delete(subscription.id);
    return { kind: "send", text: encode({ type: "end", id: subscription.id, reason }) };
  }

  #fail(subscription: Subscription, error: SkerryError): Effect[] {
    this.#subscriptions.delete(subscription.id);
    return [errorFrame(error, subscription.id)];
  }

  #all(): Subscription[] {
    return [...this.#subscriptions.values()];
  }
}

function errorFrame(error: SkerryError, id?: number): Effect {
  const { code, message, retryAfter } = error;
  return {
    kind: "send",
    text: encode({
      type: "error",
      ...(id !== undefined && { id }),
      code,
      detail: message,
      ...(retryAfter !== undefined && { retryAfter }),
    }),
  };
}

/** Whether a socket with subscriptions to `targets` takes one more, to `target`. */
export function hasRoom(targets: readonly string[], target: string): boolean {
  const bytes = [...targets, target].reduce((sum, each) => sum + stateBytes(each), STATE_OVERHEAD);
  return targets.length < MAX_SUBSCRIPTIONS && bytes <= MAX_STATE_BYTES;
}

/** The most that a subscription to `target` can come to take in the state. */
function stateBytes(target: string): number {
  return new TextEncoder().encode(JSON.stringify(target)).length + MAX_POSITION_LENGTH + SUBSCRIPTION_OVERHEAD;
}

import type { Ask, Hint } from "../../core/consensus/replica/types.ts";
import { errorOf, type SkerryError } from "../../core/wire/errors.ts";
import type { Asker, Replied, Send } from "../../durable-objects/group/ask.ts";
import type { ReplicaStub } from "../../durable-objects/group/replicas.ts";

// A call of an object costs more than what a replica does to answer it, in time and, deployed, in money. So requests of this
// isolate that ask the same replica at the same time travel together: while a call is under way, what comes gathers for the
// next one. Where nobody else asks, a request is a call of its own, at once.

/** What the platform does for requests. `waitUntil` keeps the request that is being served alive, when it is answered too. */
export type Platform = { now(): number; wait(ms: number): Promise<unknown>; waitUntil(work: Promise<unknown>): void };

/** `takeOver`: has the request that waits send what waits. */
type Waiting = {
  asker: Asker;
  ask: Ask;
  hint: Hint;
  done(replied: Replied): void;
  failed(error: SkerryError): void;
  takeOver(): void;
};
/** A call that is under way, and when it was sent. */
type Flight = { since: number };
/** The calls that one request has sent. */
type Budget = { turns: number };
type Lane = { waiting: Waiting[]; flights: Set<Flight> };

/** So long the next call waits for one that is under way, in milliseconds; a replica that is far has several on their way. */
const GAP_MS = 40;
const MAX_FLIGHTS = 32;
const MAX_BATCH = 128;
/** Of keys and values in the requests of a call. */
const MAX_BATCH_BYTES = 4 * 2 ** 20;
/** A request sends no more calls than this for others: its budget of them is limited, and once it is answered so is its time. */
const MAX_TURNS = 100;
/** A replica answers within two seconds, if only that it cannot: a call that is older was lost with the request that sent it. */
const LOST_MS = 5_000;
const MAX_LANES = 4_096;

/** The ways to replicas that the requests of an isolate share. */
export class Lanes {
  readonly #lanes = new Map<string, Lane>();
  readonly #platform: Platform;

  constructor(platform: Platform) {
    this.#platform = platform;
  }

  /** As {@link Send}, with what others ask. */
  readonly send: Send = (name, stub, asker, ask, hint) => {
    const { promise, resolve, reject } = Promise.withResolvers<Replied>();
    const turn = Promise.withResolvers<void>();
    const key = `${name} ${paceOf(ask)}`;
    const lane = this.#lane(key);
    lane.waiting.push({ asker, ask, hint, done: resolve, failed: reject, takeOver: turn.resolve });
    // Others may wait for what this request sends: it goes on when its own client has left.
    const start = () => this.#platform.waitUntil(this.#fly(key, lane, stub, { turns: 0 }));
    if (this.#mayFly(lane)) start();
    // In the context of this request, whichever one it was that said so.
    else void turn.promise.then(start);
    return promise;
  };

  #mayFly({ flights }: Lane): boolean {
    const now = this.#platform.now();
    for (const flight of flights) {
      if (now - flight.since > LOST_MS) flights.delete(flight);
      else if (now - flight.since < GAP_MS) return false;
    }
    return flights.size < MAX_FLIGHTS;
  }

  /** Sends what waits, call after call, until nothing does, or until somebody who waits has taken over. */
  async #fly(key: string, lane: Lane, stub: () => ReplicaStub, budget: Budget): Promise<void> {
    const { now, wait, waitUntil } = this.#platform;
    const flight = { since: now() };
    lane.flights.add(flight);
    const spent = () => budget.turns >= MAX_TURNS;
    while (lane.waiting.length > 0) {
      if (spent() && (await this.#handedOver(lane))) break;
      budget.turns++;
      flight.since = now();
      const batch = take(lane);
      if (batch.length === 0) continue;
      const call = this.#call(stub, batch);
      const slow = await Promise.race([call, wait(GAP_MS).then(() => true)]);
      if (slow === true && lane.waiting.length > 0 && this.#mayFly(lane)) {
        if (spent()) tell(lane);
        else waitUntil(this.#fly(key, lane, stub, budget));
      }
      await call;
      if (batch.length > 1) await this.#gathered(lane);
    }
    lane.flights.delete(flight);
    if (lane.flights.size === 0 && lane.waiting.length === 0) this.#lanes.delete(key);
  }

  /** Whether somebody who waits goes on. Whoever is told may have left: then this one sends once more, and tells the next. */
  async #handedOver(lane: Lane): Promise<boolean> {
    const before = lane.flights.size;
    tell(lane);
    await this.#platform.wait(1);
    return lane.flights.size > before;
  }

  async #call(stub: () => ReplicaStub, batch: readonly Waiting[]): Promise<void> {
    try {
      const { value, rows = 0 } = await stub().asks(batch.map(({ ask, hint }) => ({ ask, hint })));
      for (const [i, waiting] of batch.entries()) {
        if (waiting.asker.over) continue;
        const reply = value[i];
        // What they cost together is told once.
        if (reply) waiting.done({ reply, rows: i === 0 ? rows : 0 });
        else this.#platform.waitUntil(this.#call(stub, [waiting]));
      }
    } catch (thrown) {
      const error = errorOf(thrown);
      for (const { asker, failed } of batch) if (!asker.over) failed(error);
    }
  }

  /** Where many ask, more of them arrive while the first of them are looked at: waits until no more come, for a moment. */
  async #gathered(lane: Lane): Promise<void> {
    for (let before = -1, rounds = 0; lane.waiting.length > before && rounds < 8; rounds++) {
      before = lane.waiting.length;
      await this.#platform.wait(1);
    }
  }

  #lane(key: string): Lane {
    let lane = this.#lanes.get(key);
    if (lane === undefined) {
      if (this.#lanes.size >= MAX_LANES) this.#lanes.delete(this.#lanes.keys().next().value!);
      lane = { waiting: [], flights: new Set() };
      this.#lanes.set(key, lane);
    }
    return lane;
  }
}

/**
 * Whether neither the request nor its answer can be in the way of others. A read of one key whose value is says so itself: the
 * object answers it with null.
 */
export function isSmall(ask: Ask): boolean {
  switch (ask.ask) {
    case "range":
      return ask.request.rangeEnd === "";
    case "write": {
      const { operation } = ask;
      if (operation.op === "put" || operation.op === "deleteRange") return !operation.request.prevKv;
      return operation.op !== "txn";
    }
    case "leaseTimeToLive":
      return !ask.keys;
    default:
      return ask.ask === "leaseKeepAlive";
  }
}

/** What travels together is answered together: a read that needs nobody else does not wait for one that does. */
function paceOf(ask: Ask): string {
  return ask.ask === "range" ? ask.read.level : "linearizable";
}

/** Has one of those who wait send what waits. */
function tell({ waiting }: Lane): void {
  waiting.find(({ asker }) => !asker.over)?.takeOver();
}

function take(lane: Lane): Waiting[] {
  let bytes = 0;
  let count = 0;
  while (count < lane.waiting.length && count < MAX_BATCH && bytes <= MAX_BATCH_BYTES) bytes += bytesOf(lane.waiting[count++]!.ask);
  return lane.waiting.splice(0, count).filter(({ asker }) => !asker.over);
}

function bytesOf(ask: Ask): number {
  return ask.ask === "write" && ask.operation.op === "put" ? ask.operation.request.key.length + ask.operation.request.value.length : 0;
}

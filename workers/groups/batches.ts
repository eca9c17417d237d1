import { waitUntil } from "cloudflare:workers";
import type { Ask, Hint } from "../../core/consensus/replica/types.ts";
import { errorOf, type SkerryError } from "../../core/wire/errors.ts";
import { type Asker, type Replied, type Send, sendAlone } from "../../durable-objects/group/ask.ts";
import type { ReplicaStub } from "../../durable-objects/group/replicas.ts";

// A call of an object costs more than what a replica does to answer it, in time and, deployed, in money. So requests of this
// isolate that ask the same replica at the same time travel together: while a call is under way, what comes gathers for the
// next one. Where nobody else asks, a request is a call of its own, at once. Requests of a Worker only: an object that another waits
// for may be reset at any time.

type Waiting = { asker: Asker; ask: Ask; hint: Hint; done(replied: Replied): void; failed(error: SkerryError): void };
/** A call that is under way, and when it was sent. */
type Flight = { since: number };
type Lane = { waiting: Waiting[]; flights: Set<Flight> };

/** So long the next call waits for one that is under way, in milliseconds; a replica that is far has several on their way. */
const GAP_MS = 40;
const MAX_FLIGHTS = 32;
const MAX_BATCH = 128;
/** Of keys and values in the requests of a call. */
const MAX_BATCH_BYTES = 4 * 2 ** 20;
/** A request sends no more calls than this for others while somebody else does: its own budget of them is limited. */
const MAX_TURNS = 100;
/** A replica answers within two seconds, if only that it cannot: a call that is older was lost with the request that sent it. */
const LOST_MS = 5_000;
const MAX_LANES = 4_096;

const lanes = new Map<string, Lane>();

/** Whether the platform sees to it that a request that waits for another goes on in its own context. */
const together = Cloudflare.compatibilityFlags.handle_cross_request_promise_resolution === true;

/** As {@link Send}, with what others ask. */
export const sendTogether: Send = (name, stub, asker, ask, hint) => {
  if (!together || !isSmall(ask)) return sendAlone(name, stub, asker, ask, hint);
  const { promise, resolve, reject } = Promise.withResolvers<Replied>();
  const lane = laneOf(name);
  lane.waiting.push({ asker, ask, hint, done: resolve, failed: reject });
  // Others may wait for what this request sends: it goes on when its own client has left.
  if (mayFly(lane)) waitUntil(fly(name, lane, stub));
  return promise;
};

function mayFly({ flights }: Lane): boolean {
  const now = Date.now();
  for (const flight of flights) {
    if (now - flight.since > LOST_MS) flights.delete(flight);
    else if (now - flight.since < GAP_MS) return false;
  }
  return flights.size < MAX_FLIGHTS;
}

/** Sends what waits, call after call, until nothing does. */
async function fly(name: string, lane: Lane, stub: () => ReplicaStub): Promise<void> {
  const flight = { since: 0 };
  lane.flights.add(flight);
  for (let turn = 0; lane.waiting.length > 0 && (turn < MAX_TURNS || lane.flights.size === 1); turn++) {
    flight.since = Date.now();
    const batch = take(lane);
    if (batch.length === 0) continue;
    const call = send(stub(), batch);
    const slow = await Promise.race([call, scheduler.wait(GAP_MS).then(() => true)]);
    if (slow === true && lane.waiting.length > 0 && mayFly(lane)) waitUntil(fly(name, lane, stub));
    await call;
    if (batch.length > 1) await gathered(lane);
  }
  lane.flights.delete(flight);
  if (lane.flights.size === 0 && lane.waiting.length === 0) lanes.delete(name);
}

async function send(stub: ReplicaStub, batch: readonly Waiting[]): Promise<void> {
  try {
    const { value, rows = 0 } = await stub.asks(batch.map(({ ask, hint }) => ({ ask, hint })));
    for (const [i, waiting] of batch.entries()) {
      if (waiting.asker.over) continue;
      const reply = value[i];
      // What they cost together is told once.
      if (reply) waiting.done({ reply, rows: i === 0 ? rows : 0 });
      else waitUntil(send(stub, [waiting]));
    }
  } catch (thrown) {
    const error = errorOf(thrown);
    for (const { asker, failed } of batch) if (!asker.over) failed(error);
  }
}

function take(lane: Lane): Waiting[] {
  let bytes = 0;
  let count = 0;
  while (count < lane.waiting.length && count < MAX_BATCH && bytes <= MAX_BATCH_BYTES) bytes += bytesOf(lane.waiting[count++]!.ask);
  return lane.waiting.splice(0, count).filter(({ asker }) => !asker.over);
}

/** Whether neither the request nor its answer can be in the way of others. A read that is says so itself: the object answers it with null. */
function isSmall(ask: Ask): boolean {
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

function bytesOf(ask: Ask): number {
  return ask.ask === "write" && ask.operation.op === "put" ? ask.operation.request.key.length + ask.operation.request.value.length : 0;
}

/** Where many ask, more of them arrive while the first of them are looked at: waits until no more come, for a moment. */
async function gathered(lane: Lane): Promise<void> {
  for (let before = -1, rounds = 0; lane.waiting.length > before && rounds < 8; rounds++) {
    before = lane.waiting.length;
    await scheduler.wait(1);
  }
}

function laneOf(name: string): Lane {
  let lane = lanes.get(name);
  if (lane === undefined) {
    if (lanes.size >= MAX_LANES) lanes.delete(lanes.keys().next().value!);
    lane = { waiting: [], flights: new Set() };
    lanes.set(name, lane);
  }
  return lane;
}

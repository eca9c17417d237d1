import {
  readCampaign,
  readElectionName,
  readLock,
  readProclaim,
  readResign,
  readUnlock,
  writeCampaign,
  writeLeader,
  writeLock,
  writeObserved,
} from "../../core/consensus/etcd/concurrency.ts";
import { concurrencyError, errorBody, GATEWAY_CODES } from "../../core/consensus/etcd/errors.ts";
import type { Message } from "../../core/consensus/etcd/fields.ts";
import { readBody } from "../../core/consensus/etcd/gateway.ts";
import { type Facts, writeHeaderOnly } from "../../core/consensus/etcd/kv-responses.ts";
import {
  campaign,
  type LeaderKey,
  leader,
  lock,
  observe,
  type Procedure,
  proclaim,
  resign,
  unlock,
} from "../../core/consensus/kv/concurrency.ts";
import { KvError } from "../../core/consensus/kv/types.ts";
import { errorOf } from "../../core/wire/errors.ts";
import { Driver } from "./etcd-driver.ts";
import type { EtcdGate } from "./etcd-gate.ts";
import { Lines } from "./etcd-lines.ts";
import { etcdError } from "./etcd-shape.ts";
import { lastLine, streamed } from "./etcd-watch.ts";

/** Of the lease that a lock or candidate gets who brings none; nobody keeps it alive. Seconds, as etcd has it. */
const OWN_LEASE_TTL = 60;
/** How often a client who waits for a lock is looked after. White space before JSON means nothing. */
const WAITING_MS = 1_000;

type Printed = (facts: Facts) => string;
/** What a path asks for: steps to take, and how the outcome is printed. */
type Begin = (of: Message, driver: Driver) => Promise<Procedure<Printed>> | Procedure<Printed>;

export const PROCEDURES = {
  "lock/lock": async (of, driver) => {
    const { name, lease } = readLock(of);
    return printed(lock(name, await given(lease, driver)), (facts, { header, key }) => writeLock(facts, header.revision, key));
  },
  "lock/unlock": (of) => printed(unlock(readUnlock(of).key), headerOnly),
  "election/campaign": async (of, driver) => {
    const { name, lease, value } = readCampaign(of);
    const steps = campaign(name, await given(lease, driver), value);
    return printed(steps, (facts, { header, leader: key }) => writeCampaign(facts, header.revision, key));
  },
  "election/proclaim": (of) => {
    const { leader: key, value } = readProclaim(of);
    return printed(proclaim(named(key), value), headerOnly);
  },
  "election/resign": (of) => printed(resign(named(readResign(of).leader)), headerOnly),
  "election/leader": (of) => printed(leader(readElectionName(of).name), (facts, { header, kv }) => writeLeader(facts, header.revision, kv)),
} as const satisfies Record<string, Begin>;

/**
 * Takes a lock or stands for election. Who gets it at once is answered at once; who has to wait gets the beginning of an answer,
 * and the rest when it is his turn. If he goes away, his key goes too.
 */
export async function runProcedure(gate: EtcdGate, path: keyof typeof PROCEDURES): Promise<Response> {
  gate.authorize(path === "election/leader" ? "read" : "write");
  const driver = new Driver(gate);
  const steps = await PROCEDURES[path](readBody(await gate.c.req.text()), driver);
  const outcome = driver.run(steps, () => {});
  // Whatever becomes of the client, what was begun is finished or taken back.
  gate.c.executionCtx.waitUntil(outcome.then(ignore, ignore));
  const first = await Promise.race([outcome.catch(asConcurrency), driver.waiting]);
  if (first !== null) return gate.json(first(gate.facts(driver.last)));

  const lines = new Lines(
    () => " ",
    () => driver.abort(),
    WAITING_MS,
  );
  void outcome.then(
    (print) => lines.end(print(gate.facts(driver.last))),
    (thrown) => lines.end(lateError(thrown)),
  );
  return streamed(gate, lines);
}

/** Follows an election: a line for each leader and each value he proclaims. */
export async function runObserve(gate: EtcdGate): Promise<Response> {
  gate.authorize("read");
  const { name } = readElectionName(readBody(await gate.c.req.text()));
  const driver = new Driver(gate);
  const lines = new Lines(
    () => "\n",
    () => driver.abort(),
  );
  const ended = driver.run(observe(name), ({ header, kv }) => lines.write(writeObserved(gate.facts(driver.last), header.revision, kv)));
  void ended.catch((thrown) => lines.end(lastLine(errorOf(thrown))));
  return streamed(gate, lines);
}

const ignore = () => {};
const headerOnly = (facts: Facts, { header }: { header: { revision: number } }) => writeHeaderOnly(facts, header.revision);

function printed<R>(steps: Procedure<R>, print: (facts: Facts, result: R) => string): Procedure<Printed> {
  return (function* () {
    const result = yield* steps;
    return (facts: Facts) => print(facts, result);
  })();
}

async function given(lease: bigint, driver: Driver): Promise<bigint> {
  if (lease !== 0n) return lease;
  const granted = await driver.write({ op: "leaseGrant", request: { id: 0n, ttl: OWN_LEASE_TTL } }).catch(asConcurrency);
  return granted.op === "leaseGrant" ? granted.response.id : 0n;
}

function named(key: LeaderKey | null): LeaderKey {
  if (key === null) throw new KvError(GATEWAY_CODES.unknown, '"leader" field must be provided');
  return key;
}

function asConcurrency(thrown: unknown): never {
  throw thrown instanceof KvError ? concurrencyError(thrown) : thrown;
}

/** An error after the status was sent: its body all the same. */
function lateError(thrown: unknown): string {
  if (thrown instanceof KvError) return errorBody(concurrencyError(thrown).grpc, thrown.message);
  const { grpc, message } = etcdError(errorOf(thrown));
  return errorBody(grpc, message);
}

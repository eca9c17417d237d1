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
} from "../../../core/consensus/etcd/concurrency.ts";
import { errorBody, GATEWAY_CODES, httpStatus, readError } from "../../../core/consensus/etcd/errors.ts";
import { message } from "../../../core/consensus/etcd/fields.ts";
import { readBody, UNARY, writeTold } from "../../../core/consensus/etcd/gateway.ts";
import { parseStream } from "../../../core/consensus/etcd/json.ts";
import { type Facts, writeHeaderOnly } from "../../../core/consensus/etcd/kv-responses.ts";
import { readLeaseKeepAlive, writeLeaseKeepAlive } from "../../../core/consensus/etcd/lease.ts";
import * as concurrency from "../../../core/consensus/kv/concurrency.ts";
import { LeaseBook } from "../../../core/consensus/kv/leases.ts";
import { isReadOnly, KvStore } from "../../../core/consensus/kv/store.ts";
import { KvError, type Operation, type OperationResult } from "../../../core/consensus/kv/types.ts";
import type { Ask, Told } from "../../../core/consensus/replica/types.ts";
import { LocalProcedure, type ProcedureHost } from "./local-procedure.ts";
import { LocalWatch } from "./local-watch.ts";
import type { Answer, Stream, Target } from "./target.ts";

const FACTS: Facts = { cluster: 1n, member: 1n, term: 2 };
/** Where the leases begin whose ids the server chooses. */
const FIRST_ID = 7_587_000_000_000_000_000n;

/** Our codec over our store in this process: the gateway without replicas, network or time. */
export class LocalTarget implements Target, ProcedureHost {
  readonly name = "Skerry's core";
  readonly store = new KvStore();
  readonly #book = LeaseBook.promote([], 0);
  readonly #running = new Set<LocalProcedure>();
  readonly #watches = new Set<LocalWatch>();
  #ids = FIRST_ID;

  async call(path: string, body: string): Promise<Answer> {
    try {
      if (path in UNARY) return { status: 200, body: writeTold(FACTS, this.#ask(UNARY[path as keyof typeof UNARY].ask(readBody(body)))) };
      if (path === "lease/keepalive") return this.#keepAlive(body);
      const stream = this.open(path, body);
      stream.close();
      return { status: stream.status(), body: stream.text() };
    } catch (thrown) {
      return refused(readError(thrown));
    }
  }

  open(path: string, body: string): Stream {
    if (path === "watch") {
      const watch = new LocalWatch(this.store, FACTS, body, () => this.#watches.delete(watch));
      this.#watches.add(watch);
      return watch;
    }
    const procedure = new LocalProcedure(this, () => this.#procedure(path, body), this.#running);
    procedure.proceed();
    return procedure;
  }

  async close(): Promise<void> {}

  /** Applies an operation and lets everyone hear of it who waits. Throws KvError. */
  write(operation: Operation): OperationResult {
    let chosen = operation;
    if (operation.op === "leaseGrant" && operation.request.id === 0n)
      chosen = { op: "leaseGrant", request: { ...operation.request, id: this.#ids++ } };
    this.store.check(chosen);
    if (chosen.op === "txn" && isReadOnly(chosen.request)) return { op: "txn", response: this.store.readTxn(chosen.request) };
    const applied = this.store.apply({ operation: chosen, at: 0, session: null });
    if (applied.error !== undefined) throw applied.error;
    const { result } = applied;
    if (result.op === "leaseGrant") this.#book.granted(this.store.lease(result.response.id)!, 0);
    if (chosen.op === "leaseRevoke") this.#book.revoked(chosen.request.id);
    for (const watch of this.#watches) watch.applied(applied.revision, applied.events);
    for (const procedure of this.#running) procedure.applied(applied.revision, applied.events);
    // Those who wait go on after this write is answered, as they would elsewhere.
    queueMicrotask(() => {
      for (const procedure of this.#running) procedure.proceed();
    });
    return result;
  }

  #ask(ask: Ask): Told {
    const header = { revision: this.store.revision };
    switch (ask.ask) {
      case "range":
        this.store.checkRange(ask.request);
        return { told: "range", response: this.store.range(ask.request) };
      case "write":
        return { told: "write", result: this.write(ask.operation) };
      case "leaseTimeToLive": {
        const lease = this.store.lease(ask.id);
        const keys = lease !== undefined && ask.keys ? this.store.leaseKeys(ask.id) : [];
        return { told: "leaseTimeToLive", response: { header, id: ask.id, ttl: lease?.ttl ?? -1, grantedTtl: lease?.ttl ?? 0, keys } };
      }
      case "leases":
        return { told: "leases", response: { header, ids: this.store.leases().map(({ id }) => id) } };
      case "leaseKeepAlive":
      case "status":
      case "transfer":
      case "reconfigure":
        throw new TypeError(`${ask.ask} is no unary call of the gateway`);
    }
  }

  #keepAlive(body: string): Answer {
    let text = "";
    try {
      for (const value of parseStream(body)) {
        const { id } = readLeaseKeepAlive(message(value));
        const ttl = this.#book.renew(id, 0)?.ttl ?? 0;
        text += writeLeaseKeepAlive(FACTS, { header: { revision: this.store.revision }, id, ttl });
      }
    } catch (thrown) {
      // A request that does not read ends the stream, quietly where it had begun.
      if (text === "") return refused(readError(thrown, GATEWAY_CODES.unknown));
      readError(thrown);
    }
    return { status: 200, body: text };
  }

  /** The locks and elections, each a procedure and how its result is printed. */
  #procedure(path: string, body: string): { steps: concurrency.Procedure<string, string>; streams: boolean } {
    const of = readBody(body);
    const lease = (id: bigint): bigint => {
      if (id !== 0n) return id;
      const granted = this.write({ op: "leaseGrant", request: { id: 0n, ttl: 60 } });
      return granted.op === "leaseGrant" ? granted.response.id : 0n;
    };
    switch (path) {
      case "lock/lock": {
        const request = readLock(of);
        const steps = concurrency.lock(request.name, lease(request.lease));
        return once(steps, ({ header, key }) => writeLock(FACTS, header.revision, key));
      }
      case "lock/unlock":
        return once(concurrency.unlock(readUnlock(of).key), ({ header }) => writeHeaderOnly(FACTS, header.revision));
      case "election/campaign": {
        const { name, lease: id, value } = readCampaign(of);
        const steps = concurrency.campaign(name, lease(id), value);
        return once(steps, ({ header, leader }) => writeCampaign(FACTS, header.revision, leader));
      }
      case "election/proclaim": {
        const { leader, value } = readProclaim(of);
        return once(concurrency.proclaim(given(leader), value), ({ header }) => writeHeaderOnly(FACTS, header.revision));
      }
      case "election/resign":
        return once(concurrency.resign(given(readResign(of).leader)), ({ header }) => writeHeaderOnly(FACTS, header.revision));
      case "election/leader":
        return once(concurrency.leader(readElectionName(of).name), ({ header, kv }) => writeLeader(FACTS, header.revision, kv));
      case "election/observe":
        return { steps: lines(concurrency.observe(readElectionName(of).name)), streams: true };
      default:
        throw new KvError(GATEWAY_CODES.unimplemented, "Not Found");
    }
  }
}

function refused(error: KvError): Answer {
  return { status: httpStatus(error.grpc), body: errorBody(error.grpc, error.message) };
}

function given(leader: concurrency.LeaderKey | null): concurrency.LeaderKey {
  if (leader === null) throw new KvError(GATEWAY_CODES.unknown, '"leader" field must be provided');
  return leader;
}

function once<R>(
  steps: concurrency.Procedure<R>,
  print: (result: R) => string,
): { steps: concurrency.Procedure<string, string>; streams: false } {
  return {
    streams: false,
    steps: (function* () {
      return print(yield* steps);
    })(),
  };
}

function* lines(steps: concurrency.Procedure<never, concurrency.Leader>): concurrency.Procedure<string, string> {
  let answer: concurrency.StepAnswer = null;
  for (;;) {
    const { value, done } = steps.next(answer);
    if (done === true) return "";
    if (value.step === "emit") {
      const { header, kv } = value.value;
      answer = yield { step: "emit", value: writeObserved(FACTS, header.revision, kv) };
    } else answer = yield value;
  }
}

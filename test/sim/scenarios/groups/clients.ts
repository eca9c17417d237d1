import type { Operation, OperationResult, RangeRequest, RequestOp, ResponseOp, Session } from "../../../../core/consensus/kv/types.ts";
import type { Ask, Reply } from "../../../../core/consensus/replica/types.ts";
import type { Random } from "../../kit/index.ts";
import { History } from "../../linearizability/history.ts";
import type { KvCell, KvInput, KvOutput, KvStep, KvStepOutput } from "../../linearizability/kv-model.ts";
import { Violation } from "./probe.ts";
import type { World } from "./world.ts";

/** An answer's own word on where in the order it belongs. */
export type Seen = { revision: number; session: string | null };

const REQUEST_TIMEOUT = 8_000;

/** What all clients of a run did, and what they saw. */
export class Clients {
  readonly history = new History<KvInput, KvOutput>();
  /** By operation of the history. */
  readonly seen = new Map<number, Seen>();
  /** Revisions that somebody was told of, with the time of it, ascending by time. */
  readonly acknowledged: { at: number; revision: number }[] = [];
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  /** One client: one operation after the other. */
  async run(name: string): Promise<void> {
    const { sim, plan } = this.#world;
    const { random } = sim;
    const keys = Array.from({ length: plan.keys }, (_, i) => `k${i}`);
    let seq = 0;
    let latest: { key: string; cell: KvCell | null } = { key: keys[0]!, cell: null };
    for (let i = 0; i < plan.operations && !this.#world.stopping; i++) {
      if (random.chance(0.15)) await this.#weakRead(name, random.pick(keys));
      else {
        const input = drawInput(random, keys, `${name}.${i}`, latest);
        const isRead = input.op === "get" || (input.op === "txn" && [...input.success, ...input.failure].every(({ op }) => op === "get"));
        // A client that says it has the answers of what went before gives up on those that it has not.
        const session =
          isRead || (input.op === "put" && random.chance(0.2)) ? null : { client: name, seq: ++seq, ack: random.chance(0.3) ? seq - 1 : 0 };
        const output = await this.#perform(name, input, isRead, session);
        if (output?.op === "get") latest = { key: (input as { key: string }).key, cell: output.cell };
      }
      await sim.sleep(random.int(0, plan.think));
    }
  }

  async #perform(name: string, input: KvInput, isRead: boolean, session: Session | null): Promise<KvOutput | null> {
    const { sim } = this.#world;
    const id = this.history.call(name, input);
    if (session !== null) this.seen.set(id, { revision: 0, session: `${session.client}/${session.seq}` });
    const ask: Ask =
      input.op === "get"
        ? { ask: "range", request: rangeOf(input.key), read: { level: "linearizable" }, after: 0 }
        : { ask: "write", operation: operationOf(input), session };
    const answer = await this.#world.ask(name, ask, sim.now() + REQUEST_TIMEOUT, !isRead && session === null);
    if (answer === null) return null;
    const { reply } = answer;
    if (reply.reply === "refused") {
      // Only what a session says of its own past is a refusal that these requests can meet.
      if (session === null || !reply.message.startsWith("skerry: "))
        throw new Violation("refusals", `${JSON.stringify(input)}: ${reply.message}`);
      return null;
    }
    const output = outputOf(input, reply);
    this.history.answer(id, output);
    this.seen.set(id, { revision: headerOf(reply), session: session === null ? null : `${session.client}/${session.seq}` });
    this.acknowledged.push({ at: sim.now(), revision: headerOf(reply) });
    return output;
  }

  /** A read of a weaker level, at any replica: checked by what the level promises. */
  async #weakRead(name: string, key: string): Promise<void> {
    const { sim, directory, probe } = this.#world;
    const { random } = sim;
    const after = this.acknowledged.at(-1)?.revision ?? 0;
    const read = random.pick([
      { level: "stale" } as const,
      { level: "session" } as const,
      { level: "bounded", ms: random.pick([0, 50, 500]) } as const,
    ]);
    const began = sim.now();
    const request = { ask: "range", request: rangeOf(key), read, after } as const;
    const reply = await this.#world.attempt(name, random.pick(directory), request, 3_000);
    if (reply === null || reply.reply === "notLeader" || reply.reply === "unavailable") return;
    if (reply.reply === "refused" || reply.value.told !== "range") throw new Violation("refusals", JSON.stringify(reply));
    const { revision } = reply.value.response.header;
    const say = `${name} read ${key} at level ${read.level} and was shown revision ${revision}`;
    if (read.level === "session" && revision < after) throw new Violation("reads", `${say} after ${after}`);
    if (read.level === "bounded" && this.#clocksAreRight) {
      const committed = this.#acknowledgedBy(began - read.ms);
      if (revision < committed) throw new Violation("reads", `${say}; ${committed} was committed ${read.ms} ms before it asked`);
    }
    const shown = cellOf(reply.value.response.kvs[0]);
    const then = cellOf(probe.contentAt(key, revision) ?? undefined);
    if (shown?.value !== then?.value || shown?.version !== then?.version)
      throw new Violation("reads", `${say}, with ${JSON.stringify(shown)}; that revision has ${JSON.stringify(then)}`);
  }

  get #clocksAreRight(): boolean {
    const { faults } = this.#world.plan;
    return !faults.has("clockFreeze") && !faults.has("clockJump");
  }

  #acknowledgedBy(time: number): number {
    let highest = 0;
    for (const { at, revision } of this.acknowledged) {
      if (at > time) break;
      if (revision > highest) highest = revision;
    }
    return highest;
  }
}

function drawInput(random: Random, keys: readonly string[], value: string, latest: { key: string; cell: KvCell | null }): KvInput {
  const key = random.pick(keys);
  const other = random.pick(keys);
  const get = { op: "get", key } as const;
  const put = { op: "put", key, value } as const;
  switch (random.int(0, 9)) {
    case 0:
    case 1:
    case 2:
      return get;
    case 3:
    case 4:
    case 5:
      return put;
    case 6:
      return { op: "delete", key };
    case 7: {
      // A compare-and-swap against what the client last saw.
      const { cell } = latest;
      const compare = cell === null ? { key: latest.key, version: 0 } : { key: latest.key, value: cell.value };
      return { op: "txn", compare: [compare], success: [{ ...put, key: latest.key }], failure: [{ op: "get", key: latest.key }] };
    }
    case 8:
      return { op: "txn", compare: [], success: keys.map((each) => ({ op: "get", key: each })), failure: [] };
    default: {
      const steps: KvStep[] = other === key ? [put] : [put, { op: "get", key: other }];
      return { op: "txn", compare: [{ key: other, version: random.int(0, 2) }], success: steps, failure: [{ op: "delete", key: other }] };
    }
  }
}

export function rangeOf(key: string, rangeEnd = ""): RangeRequest {
  return {
    ...{
      key,
      rangeEnd,
      limit: 0,
      revision: 0,
      sortOrder: "none",
      sortTarget: "key",
      serializable: false,
      keysOnly: false,
      countOnly: false,
    },
    ...{ minModRevision: 0, maxModRevision: 0, minCreateRevision: 0, maxCreateRevision: 0 },
  };
}

function stepOf(step: KvStep): RequestOp {
  if (step.op === "get") return { op: "range", request: rangeOf(step.key) };
  if (step.op === "put") return { op: "put", request: putOf(step.key, step.value) };
  return { op: "deleteRange", request: { key: step.key, rangeEnd: "", prevKv: true } };
}

export function putOf(key: string, value: string, lease = 0n) {
  return { key, value, lease, prevKv: true, ignoreValue: false, ignoreLease: false };
}

function operationOf(input: Exclude<KvInput, { op: "get" }>): Operation {
  if (input.op !== "txn") return stepOf(input) as Operation;
  const compare = input.compare.map((each) =>
    "value" in each
      ? ({ result: "equal", key: each.key, rangeEnd: "", target: "value", value: each.value } as const)
      : ({ result: "equal", key: each.key, rangeEnd: "", target: "version", value: each.version } as const),
  );
  return { op: "txn", request: { compare, success: input.success.map(stepOf), failure: input.failure.map(stepOf) } };
}

function cellOf(kv: { value: string; version: number } | undefined): KvCell | null {
  return kv === undefined ? null : { value: kv.value, version: kv.version };
}

function outputOf(input: KvInput, reply: Extract<Reply, { reply: "ok" }>): KvOutput {
  const { value } = reply;
  if (value.told === "range") return { op: "get", cell: cellOf(value.response.kvs[0]) };
  if (value.told !== "write") throw new Violation("answers", `${input.op} was answered with ${value.told}`);
  const { result } = value;
  if (result.op === "txn") return { op: "txn", succeeded: result.response.succeeded, results: result.response.responses.map(stepOutput) };
  return stepOutput(result);
}

function stepOutput(result: ResponseOp | OperationResult): KvStepOutput {
  if (result.op === "range") return { op: "get", cell: cellOf(result.response.kvs[0]) };
  if (result.op === "put") return { op: "put", previous: cellOf(result.response.prevKv ?? undefined) };
  if (result.op !== "deleteRange") throw new Violation("answers", `an operation was answered with ${result.op}`);
  return { op: "delete", deleted: result.response.deleted, previous: cellOf(result.response.prevKvs[0]) };
}

function headerOf({ value }: Extract<Reply, { reply: "ok" }>): number {
  if (value.told === "range") return value.response.header.revision;
  if (value.told === "write") return value.result.response.header.revision;
  throw new Violation("answers", `no header in ${value.told}`);
}

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  campaign,
  leader,
  lock,
  observe,
  type Procedure,
  prefixEnd,
  proclaim,
  resign,
  type Step,
  type StepAnswer,
  unlock,
} from "./concurrency.ts";
import { KvStore } from "./store.ts";
import { KvError, type Operation } from "./types.ts";
import { WatchHub, type WatchResponse } from "./watch.ts";

/** One procedure under way. A waiting one has a watch; whatever it is told comes at a later turn of the cluster. */
type Task<R = unknown> = {
  procedure: Procedure<R, unknown>;
  step: Step<unknown> | null;
  watch: number | null;
  inbox: WatchResponse[];
  emitted: unknown[];
  result: R | null;
  error: unknown;
  cancelled: boolean;
};

/** A store with clients that run procedures a step at a time, in an order that the test chooses. */
class Cluster {
  readonly store = new KvStore();
  readonly hub = new WatchHub(this.store);
  readonly tasks: Task[] = [];
  #watches = 0;

  write(operation: Operation) {
    const applied = this.store.apply({ operation, at: 0, session: null });
    if (applied.events.length > 0) for (const response of this.hub.apply(applied.revision, applied.events)) this.#route(response);
    if (applied.error !== undefined) throw applied.error;
    return applied.result;
  }

  grant(id: bigint): void {
    this.write({ op: "leaseGrant", request: { id, ttl: 60 } });
  }

  revoke(id: bigint): void {
    this.write({ op: "leaseRevoke", request: { id } });
  }

  compact(): void {
    this.write({ op: "compact", request: { revision: this.store.revision } });
  }

  start<R>(procedure: Procedure<R, never> | Procedure<R, unknown>): Task<R> {
    const task: Task<R> = {
      procedure: procedure as Procedure<R, unknown>,
      step: null,
      watch: null,
      inbox: [],
      emitted: [],
      result: null,
      error: null,
      cancelled: false,
    };
    this.tasks.push(task as Task);
    this.#advance(task as Task, (generator) => generator.next());
    return task;
  }

  /** Its caller goes away. */
  cancel(task: Task): void {
    task.cancelled = true;
    this.#advance(task, (generator) => generator.throw(new Error("gone")));
  }

  /** Does the task's next step, if it can be done. */
  turn(task: Task): boolean {
    const { step } = task;
    if (step === null) return false;
    if (step.step === "watch") return this.#watch(task, step);
    let answer: StepAnswer;
    try {
      answer = step.step === "write" ? this.write(step.operation) : step.step === "read" ? this.store.range(step.request) : undefined;
    } catch (error) {
      this.#advance(task, (generator) => generator.throw(error));
      return true;
    }
    if (step.step === "emit") task.emitted.push(step.value);
    this.#advance(task, (generator) => generator.next(answer));
    return true;
  }

  /** Until nobody can do anything. */
  settle(): void {
    while (this.tasks.some((task) => this.turn(task)));
  }

  #watch(task: Task, step: Step & { step: "watch" }): boolean {
    if (task.watch === null) {
      task.watch = this.#watches++;
      expect(this.hub.create(task.watch, step.create).canceled).toBe(false);
    }
    if (this.hub.behind().includes(task.watch)) for (const response of this.hub.read(task.watch)) this.#route(response);
    const response = task.inbox.shift();
    if (response === undefined) return false;
    const answer = response.canceled ? null : { events: response.events, revision: response.revision };
    this.#advance(task, (generator) => generator.next(answer));
    return true;
  }

  #route(response: WatchResponse): void {
    this.tasks.find(({ watch }) => watch === response.id)?.inbox.push(response);
  }

  #advance(task: Task, advance: (generator: Procedure<unknown, unknown>) => IteratorResult<Step<unknown>, unknown>): void {
    try {
      const { done, value } = advance(task.procedure);
      task.step = done ? null : value;
      if (done) task.result = value;
    } catch (error) {
      task.step = null;
      task.error = error;
    }
    const goesOn = task.step?.step === "watch" && task.step.resume;
    if (!goesOn && task.step?.step !== "emit" && task.watch !== null) {
      this.hub.cancel(task.watch);
      task.watch = null;
      task.inbox = [];
    }
  }
}

const message = ({ error }: { error: unknown }) => (error instanceof KvError ? [error.grpc, error.message] : error);

describe("a lock", () => {
  it("[KE1] is taken by a key of the lease under the name, whose create revision fences", () => {
    const cluster = new Cluster();
    cluster.grant(0xabcn);
    const task = cluster.start(lock("L", 0xabcn));
    cluster.settle();
    expect(task.result).toEqual({ header: { revision: 2 }, key: "L/abc", fence: 2 });
    const again = cluster.start(lock("L", 0xabcn));
    cluster.settle();
    expect(again.result).toEqual({ header: { revision: 2 }, key: "L/abc", fence: 2 });
    expect(cluster.store.leaseKeys(0xabcn)).toEqual(["L/abc"]);
  });

  it("[KE1] prints a lease as etcd does, whatever its sign", () => {
    const cluster = new Cluster();
    cluster.grant(-255n);
    const task = cluster.start(lock("L", -255n));
    cluster.settle();
    expect(task.result?.key).toBe("L/-ff");
  });

  it("[KE2] is waited for in the order of arrival; each release wakes the next alone", () => {
    const cluster = new Cluster();
    for (const id of [1n, 2n, 3n]) cluster.grant(id);
    const tasks = [1n, 2n, 3n].map((id) => {
      const task = cluster.start(lock("L", id));
      cluster.settle();
      return task;
    });
    const holders = () => tasks.map(({ result }) => result?.fence ?? null);
    expect(holders()).toEqual([2, null, null]);
    cluster.start(unlock("L/1"));
    cluster.settle();
    expect(holders()).toEqual([2, 3, null]);
    expect(tasks[1]?.result?.header.revision).toBe(5);
    cluster.revoke(2n);
    cluster.settle();
    expect(holders()).toEqual([2, 3, 4]);
  });

  it("[KE3] gives the place up of one who goes away, and refuses one whose lease ended while it waited", () => {
    const cluster = new Cluster();
    for (const id of [1n, 2n, 3n]) cluster.grant(id);
    const [, second, third] = [1n, 2n, 3n].map((id) => {
      const task = cluster.start(lock("L", id));
      cluster.settle();
      return task as Task;
    });
    cluster.cancel(second!);
    cluster.settle();
    expect(message(second!)).toEqual(new Error("gone"));
    expect(cluster.store.leaseKeys(2n)).toEqual([]);
    cluster.revoke(3n);
    cluster.start(unlock("L/1"));
    cluster.settle();
    expect(message(third!)).toEqual([2, "mutex: session is expired"]);
    expect(message(startAndSettle(cluster, lock("L", 9n)))).toEqual([5, "etcdserver: requested lease not found"]);
    expect(message(startAndSettle(cluster, unlock("nobody's")))).toBeNull();
  });
});

function startAndSettle<R>(cluster: Cluster, procedure: Procedure<R>): Task<R> {
  const task = cluster.start(procedure);
  cluster.settle();
  return task;
}

describe("an election", () => {
  it("[KE4] has one leader, who proclaims and resigns, and whom others see", () => {
    const cluster = new Cluster();
    for (const id of [1n, 2n]) cluster.grant(id);
    const seen = cluster.start(observe("E"));
    expect(message(startAndSettle(cluster, leader("E")))).toEqual([2, "election: no leader"]);
    const first = startAndSettle(cluster, campaign("E", 1n, "one"));
    expect(first.result).toEqual({ header: { revision: 2 }, leader: { name: "E", key: "E/1", rev: 2, lease: 1n } });
    const second = startAndSettle(cluster, campaign("E", 2n, "two"));
    expect(second.result).toBeNull();
    expect(startAndSettle(cluster, leader("E")).result).toMatchObject({ header: { revision: 3 }, kv: { key: "E/1", value: "one" } });
    expect(startAndSettle(cluster, proclaim(first.result!.leader, "uno")).result).toEqual({ header: { revision: 4 } });
    startAndSettle(cluster, resign(first.result!.leader));
    expect(second.result).toMatchObject({ header: { revision: 3 }, leader: { key: "E/2", rev: 3 } });
    expect(message(startAndSettle(cluster, proclaim(first.result!.leader, "late")))).toEqual([2, "election: not leader"]);
    expect(startAndSettle(cluster, resign(first.result!.leader)).result).toEqual({ header: { revision: 5 } });
    cluster.revoke(2n);
    cluster.settle();
    expect(seen.emitted.map((each) => (each as { kv: { value: string } }).kv.value)).toEqual(["one", "uno", "two"]);
    expect(seen.step?.step).toBe("watch");
  });

  it("[KE4] a candidate who comes again proclaims its new value, and keeps its place", () => {
    const cluster = new Cluster();
    cluster.grant(1n);
    startAndSettle(cluster, campaign("E", 1n, "one"));
    const again = startAndSettle(cluster, campaign("E", 1n, "uno"));
    expect(again.result?.leader.rev).toBe(2);
    expect(startAndSettle(cluster, leader("E")).result?.kv).toMatchObject({ value: "uno", version: 2 });
    startAndSettle(cluster, campaign("E", 1n, "uno"));
    expect(cluster.store.revision).toBe(3);
  });

  it("[KE5] goes on when the history that it waits in is compacted", () => {
    const cluster = new Cluster();
    for (const id of [1n, 2n]) cluster.grant(id);
    startAndSettle(cluster, campaign("E", 1n, "one"));
    const second = cluster.start(campaign("E", 2n, "two"));
    const seen = cluster.start(observe("E"));
    // Both stop right before they watch; then the leader goes, and its deletion is compacted away.
    for (const task of [second, seen] as Task[]) while (task.step?.step !== "watch") cluster.turn(task);
    cluster.revoke(1n);
    cluster.write({ op: "deleteRange", request: { key: "x", rangeEnd: "", prevKv: false } });
    cluster.grant(3n);
    cluster.write({ op: "put", request: { key: "x", value: "", lease: 0n, prevKv: false, ignoreValue: false, ignoreLease: false } });
    cluster.compact();
    cluster.settle();
    expect(second.result?.leader.key).toBe("E/2");
    expect(seen.emitted.map((each) => (each as { kv: { value: string } }).kv.value)).toEqual(["one", "two"]);
  });
});

it("[KE6] at most one holds a lock, fences rise, and nobody waits for ever, in any order of steps", () => {
  const act = fc.record({
    do: fc.constantFrom("turn", "turn", "turn", "turn", "start", "unlock", "cancel", "revoke", "compact"),
    who: fc.nat(20),
  });
  fc.assert(
    fc.property(fc.array(act, { maxLength: 120, size: "max" }), (acts) => {
      const cluster = new Cluster();
      const locks: { task: Task<{ key: string; fence: number }>; lease: bigint; over: boolean }[] = [];
      let leases = 0n;
      let fence = 0;
      const look = () => {
        const holding = locks.filter(({ task, over }) => task.result !== null && !over);
        expect(holding.length).toBeLessThanOrEqual(1);
        for (const { task } of holding) {
          expect(task.result!.fence).toBeGreaterThanOrEqual(fence);
          fence = task.result!.fence;
        }
      };
      for (const { do: what, who } of acts) {
        const each = locks[who % Math.max(1, locks.length)];
        if (what === "start" && locks.length < 6) {
          cluster.grant(++leases);
          locks.push({ task: cluster.start(lock("L", leases)), lease: leases, over: false });
        } else if (each === undefined || each.over) {
          if (what === "compact" && cluster.store.revision > cluster.store.compactRevision) cluster.compact();
        } else if (what === "turn") {
          cluster.turn(each.task as Task);
        } else if (what === "unlock" && each.task.result !== null) {
          each.over = true;
          startAndSettleOnly(cluster, unlock(each.task.result.key));
        } else if (what === "revoke") {
          each.over = true;
          cluster.revoke(each.lease);
        } else if (what === "cancel" && each.task.step !== null) {
          each.over = true;
          cluster.cancel(each.task as Task);
        }
        look();
      }
      // Everyone lets go in turn; whoever was not turned away gets the lock.
      for (let round = 0; round <= locks.length; round++) {
        cluster.settle();
        look();
        for (const each of locks) {
          if (each.over || each.task.result === null) continue;
          each.over = true;
          startAndSettleOnly(cluster, unlock(each.task.result.key));
        }
      }
      for (const { task, over } of locks) if (!over) expect(task.error).not.toBeNull();
      for (const { task } of locks) expect(task.step).toBeNull();
      expect(cluster.store.range({ ...RANGE, key: "L/", rangeEnd: "L0" }).count).toBe(0);
    }),
    { numRuns: 300 },
  );
});

const FILTERS = { minModRevision: 0, maxModRevision: 0, minCreateRevision: 0, maxCreateRevision: 0 };
const RANGE = {
  ...FILTERS,
  limit: 0,
  revision: 0,
  sortOrder: "none" as const,
  sortTarget: "key" as const,
  serializable: false,
  keysOnly: false,
  countOnly: false,
};

/** Runs one procedure to its end and leaves the others where they are. */
function startAndSettleOnly(cluster: Cluster, procedure: Procedure<unknown>): void {
  const task = cluster.start(procedure);
  while (cluster.turn(task as Task));
}

it("[KE1] the end of a prefix is the first key after all that begin with it", () => {
  expect(prefixEnd("a/")).toBe("a0");
  expect(prefixEnd("a\xff\xff")).toBe("b");
  expect(prefixEnd("\xff")).toBe("\0");
  expect(prefixEnd("\xfe\xff")).toBe("\xff");
});

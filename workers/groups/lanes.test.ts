import { describe, expect, it } from "vitest";
import { get, put } from "../../core/consensus/replica/cluster.fixture.ts";
import { type Ask, NO_HINT, type Reply } from "../../core/consensus/replica/types.ts";
import { SkerryError } from "../../core/wire/errors.ts";
import type { ReplicaStub } from "../../durable-objects/group/replicas.ts";
import { Lanes } from "./lanes.ts";

type Call = { by: string; asks: Ask[] };

/** A replica that answers a call after `ms`, as `answer` says; requests are known by who sends their calls. */
function world(ms: (call: Call) => number = () => 1, answer: (ask: Ask) => Reply | null = () => ok) {
  let now = 0;
  const sleepers: { at: number; wake: () => void }[] = [];
  const wait = (pause: number) => new Promise<void>((wake) => sleepers.push({ at: now + pause, wake }));
  const calls: Call[] = [];
  const background: Promise<unknown>[] = [];
  const lanes = new Lanes({ now: () => now, wait, waitUntil: (work) => void background.push(work) });
  const stub = (by: string) => ({
    async asks(requests: { ask: Ask }[]) {
      const call = { by, asks: requests.map(({ ask }) => ask) };
      calls.push(call);
      await wait(ms(call));
      return { value: call.asks.map(answer), position: null, level: "eventual", rows: 1 };
    },
  });
  const ask = (by: string, what: Ask, stubOf = () => stub(by) as unknown as ReplicaStub) =>
    lanes.send("replica", stubOf, { over: false }, what, NO_HINT);
  const settled = async () => {
    for (let i = 0; i < 50; i++) await Promise.resolve();
  };
  /** Lets time pass until nobody waits for it, or `until`. */
  const run = async (until = Number.POSITIVE_INFINITY) => {
    for (await settled(); sleepers.length > 0; await settled()) {
      sleepers.sort((a, b) => a.at - b.at);
      if (sleepers[0]!.at > until) break;
      const { at, wake } = sleepers.shift()!;
      now = Math.max(now, at);
      wake();
    }
    now = Math.max(now, Number.isFinite(until) ? until : now);
    await settled();
  };
  return { calls, background, ask, run, now: () => now, wait };
}

const ok: Reply = {
  reply: "ok",
  value: { told: "transfer" },
  ...{ term: 1, revision: 1, index: 1, placement: "simulated", achieved: "linearizable" },
};
const read = (level: "linearizable" | "stale"): Ask => ({ ...(get("k") as Extract<Ask, { ask: "range" }>), read: { level } });
const write = (value: string): Ask => ({ ask: "write", operation: put("k", value), session: null });

describe("lanes", () => {
  it("what is asked while a call is under way goes in the next one", async () => {
    const { ask, run, calls } = world();
    const all = Array.from({ length: 200 }, (_, i) => ask(`r${i}`, write(`${i}`)));
    await run();
    expect((await Promise.all(all)).map(({ reply }) => reply)).toEqual(all.map(() => ok));
    expect(calls.map(({ asks }) => asks.length)).toEqual([1, 128, 71]);
  });

  it("what travels together has a size", async () => {
    const { ask, run, calls } = world();
    const all = Array.from({ length: 60 }, (_, i) => ask(`r${i}`, write("v".repeat(1_000_000))));
    await run();
    await Promise.all(all);
    expect(Math.max(...calls.map(({ asks }) => asks.length))).toBe(5);
  });

  it("a request sends no more than its share for others, and somebody else goes on, however steadily more comes", async () => {
    const { ask, run, calls, wait, now } = world();
    let answers = 0;
    const client = async (name: string) => {
      for (let n = 0; n < 400; n++) {
        await ask(`${name}-${n}`, write("v"));
        answers++;
        await wait(1);
      }
    };
    const clients = Promise.all(["a", "b", "c", "d"].map(client));
    await run();
    await clients;
    expect(answers).toBe(1_600);
    const sent = new Map<string, number>();
    for (const { by } of calls) sent.set(by, (sent.get(by) ?? 0) + 1);
    // Two while the next one begins.
    expect(Math.max(...sent.values())).toBeLessThanOrEqual(102);
    expect(now()).toBeGreaterThan(500);
  });

  it("a read that needs nobody else does not wait for those that do", async () => {
    const { ask, run } = world(({ asks }) => (asks.some((each) => each.ask === "range" && each.read.level === "stale") ? 1 : 2_000));
    const order: string[] = [];
    const all = ["linearizable", "linearizable", "stale", "linearizable", "stale"] as const;
    const asked = all.map((level, i) => ask(`r${i}`, read(level)).then(() => order.push(level)));
    await run(20);
    expect(order).toEqual(["stale", "stale"]);
    await run();
    await Promise.all(asked);
  });

  it("what is too much for the others is asked for alone", async () => {
    const { ask, run, calls } = world(
      () => 1,
      () => (calls.at(-1)!.asks.length > 1 ? null : ok),
    );
    const all = Array.from({ length: 4 }, (_, i) => ask(`r${i}`, read("linearizable")));
    await run();
    expect((await Promise.all(all)).map(({ reply }) => reply)).toEqual([ok, ok, ok, ok]);
  });

  it("a replica that cannot be called fails what was to be sent, and nothing after it", async () => {
    const { ask, run, background } = world();
    const refused = ask("r0", read("linearizable"), () => {
      throw new SkerryError("unavailable", "no stub");
    });
    await expect(refused).rejects.toMatchObject({ code: "unavailable" });
    const next = ask("r1", read("linearizable"));
    await run();
    expect((await next).reply).toEqual(ok);
    await expect(Promise.all(background)).resolves.toBeDefined();
  });
});

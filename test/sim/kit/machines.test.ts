import { describe, expect, it } from "vitest";
import { MemoryJournalStorage } from "../../../core/journal/memory.ts";
import { type Machine, type MachineEnv, runSeed, type Sim, scenario } from "./index.ts";

async function simulate<T>(body: (sim: Sim) => Promise<T>, seed = 1): Promise<T> {
  const results: T[] = [];
  await runSeed(
    scenario("test", async (sim) => void results.push(await body(sim))),
    seed,
  );
  return results[0] as T;
}

/** Counts in memory and on its disk, and tells a peer of each count. */
function counter(medium: MemoryJournalStorage, env: MachineEnv, peer: string | null = null): Machine {
  const stored = medium.getBlob("n");
  let n = stored === null ? 0 : (stored[0] as number);
  return {
    call(_, method, argument, answer) {
      if (method === "write") {
        n++;
        medium.putBlob("n", Uint8Array.of(n));
        if (peer !== null) env.call(peer, "heard", n, () => {});
        if (argument === "durable") env.whenDurable(() => answer({ ok: true, value: n }));
        else answer({ ok: true, value: n });
      } else if (method === "hold") env.wakeIn(argument as number);
      else if (method === "arm") {
        env.setAlarm(env.now() + (argument as number));
        answer({ ok: true, value: null });
      } else if (method === "read") answer({ ok: true, value: n });
      else if (method === "now") answer({ ok: true, value: env.now() });
      else throw new Error(`no method ${method}`);
    },
    wake: () => env.log("woken"),
    alarm: () => {
      n += 100;
      medium.putBlob("n", Uint8Array.of(n));
    },
  };
}

const define = (sim: Sim, name = "m", peer: string | null = null) =>
  sim.machine(
    name,
    () => new MemoryJournalStorage(),
    (medium, env) => counter(medium, env, peer),
  );
const failure = (promise: Promise<unknown>) => promise.then(String, (error: Error & { retryable?: boolean }) => error.retryable);

describe("machines", () => {
  it("keep what is durable through a crash, and lose memory", () =>
    simulate(async (sim) => {
      const m = define(sim);
      expect(await sim.ask("c", "m", "write", null)).toBe(1);
      sim.machines.get("m").crash("by order");
      expect(await sim.ask("c", "m", "write", null)).toBe(2);
      expect(m.starts).toBe(2);
    }));

  it("say nothing before it is durable, however slow the disk is, and lose the end of what is not", async () => {
    const seen = { kept: 0, lost: 0 };
    for (let seed = 1; seed <= 40; seed++) {
      await simulate(async (sim) => {
        const heard: number[] = [];
        sim.machine(
          "peer",
          () => new MemoryJournalStorage(),
          () => ({
            call: (_, __, argument, answer) => {
              heard.push(argument as number);
              answer({ ok: true, value: null });
            },
          }),
        );
        const m = define(sim, "m", "peer");
        sim.faults({ disk: [100, 100], delay: [1, 1] });
        const calls = [failure(sim.ask("c", "m", "write", null)), failure(sim.ask("c", "m", "write", null))];
        await sim.sleep(50);
        expect(heard).toEqual([]);
        // A read is held back too: it may show what is not durable.
        let read: number | null = null;
        void sim.ask<number>("c", "m", "read", null).then(
          (n) => {
            read = n;
          },
          () => {},
        );
        await sim.sleep(20);
        expect(read).toBeNull();
        m.crash("by order");
        expect(await Promise.all(calls)).toEqual([true, true]);
        await sim.quiet();
        expect(heard).toEqual([]);
        const stored = await sim.ask<number>("c", "m", "read", null);
        expect(stored).toBeLessThanOrEqual(2);
        seen[stored > 0 ? "kept" : "lost"]++;
      }, seed);
    }
    expect(Math.min(seen.kept, seen.lost)).toBeGreaterThan(3);
  });

  it("send what they said once it is durable, in order, and are told so", () =>
    simulate(async (sim) => {
      define(sim);
      sim.faults({ disk: [30, 60], delay: [1, 1] });
      const answers = await Promise.all([1, 2, 3].map(() => sim.ask("c", "m", "write", "durable")));
      expect(answers).toEqual([3, 3, 3]);
      expect(sim.elapsed).toBeGreaterThanOrEqual(31);
    }));

  it("crash before a write, during it or after it, as drawn", async () => {
    const seen = new Set<string>();
    for (let seed = 1; seed <= 60; seed++) {
      await simulate(async (sim) => {
        const m = define(sim);
        m.faults = { crash: 1, evict: 0, alarmLate: 0, disk: [0, 0] };
        const told = await failure(sim.ask("c", "m", "write", null));
        sim.calm();
        seen.add(`${told} ${await sim.ask("c", "m", "read", null)}`);
      }, seed);
    }
    expect([...seen].sort()).toEqual(["1 1", "true 0", "true 1"]);
  });

  it("superseded, answer from old memory beside their successor, and end with their first write", () =>
    simulate(async (sim) => {
      const m = define(sim);
      await sim.ask("c", "m", "write", null);
      expect(m.supersede(10_000)).toBe(true);
      m.turn("", (machine) => machine.call("", "write", null, () => {}));
      await sim.sleep(1);
      const reads = new Set<number>();
      for (let i = 0; i < 40; i++) reads.add(await sim.ask<number>("c", "m", "read", null));
      expect([...reads].sort()).toEqual([1, 2]);
      const writes = [];
      for (let i = 0; i < 20; i++) writes.push(await failure(sim.ask("c", "m", "write", null)));
      expect(writes.filter((each) => each === true)).toHaveLength(1);
      expect(m.ghost).toBeNull();
      expect(await sim.ask("c", "m", "read", null)).toBe(2 + 19);
    }));

  it("are rolled back to what was once durable", () =>
    simulate(async (sim) => {
      const m = define(sim);
      for (let i = 0; i < 20; i++) await sim.ask("c", "m", "write", null);
      const image = m.images[1]!;
      m.rollBack(image);
      const n = await sim.ask<number>("c", "m", "read", null);
      expect(n).toBeLessThan(20);
      expect(m.images.at(-1)).toBe(image);
    }));

  it("have a timer that ends with their memory, and an alarm that does not", () =>
    simulate(async (sim) => {
      const m = define(sim);
      await sim.ask("c", "m", "arm", 500);
      void failure(sim.ask("c", "m", "hold", 200));
      await sim.sleep(100);
      sim.machines.get("m").crash("by order");
      await sim.sleep(300);
      expect(m.machine).toBeNull();
      await sim.sleep(300);
      expect(await sim.ask("c", "m", "read", null)).toBe(100);
    }));

  it("are evicted only when they wait for nothing", () =>
    simulate(async (sim) => {
      const m = define(sim);
      await sim.ask("c", "m", "read", null);
      const held = failure(sim.ask("c", "m", "hold", 200));
      await sim.sleep(50);
      expect(m.evict()).toBe(false);
      m.crash("by order");
      expect(await held).toBe(true);
      await sim.ask("c", "m", "read", null);
      expect(m.evict()).toBe(true);
      expect(m.evict()).toBe(false);
    }));

  it("read their own clock: off, standing still, leaping", () =>
    simulate(async (sim) => {
      define(sim);
      const shows = () => sim.ask<number>("c", "m", "now", null);
      sim.faults({ delay: [0, 0] });
      const clock = sim.clock("m");
      expect(await shows()).toBe(sim.now());
      clock.jump(-5_000);
      expect(await shows()).toBe(sim.now() - 5_000);
      clock.freeze(sim.now());
      const frozen = await shows();
      await sim.sleep(1_000);
      expect(await shows()).toBe(frozen);
      clock.thaw();
      expect(await shows()).toBe(sim.now() - 5_000);
      clock.freeze(sim.now());
      sim.calm();
      sim.faults({ delay: [0, 0] });
      await sim.sleep(10);
      expect(await shows()).toBe(sim.now() - 5_000);
    }));

  it("take what is thrown in a turn for a mistake", async () => {
    const run = simulate(async (sim) => {
      define(sim);
      await sim.ask("c", "m", "nonsense", null);
    });
    await expect(run).rejects.toThrow("no method nonsense");
  });
});

describe("links", () => {
  it("are cut one way: what is asked arrives, the answer does not", () =>
    simulate(async (sim) => {
      define(sim);
      sim.network.cut("m", "c");
      let answered = false;
      void failure(sim.ask("c", "m", "write", null)).then((told) => {
        answered = told !== true;
      });
      await sim.sleep(5_000);
      expect(answered).toBe(false);
      expect(await sim.ask("d", "m", "read", null)).toBe(1);
      sim.network.heal();
      expect(await sim.ask("c", "m", "read", null)).toBe(1);
    }));
});

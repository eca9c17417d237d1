import { describe, expect, it } from "vitest";
import { MemoryJournalStorage } from "../../../core/journal/memory.ts";
import { type Consumer, Random, runSeed, type Sim, SimFailure, scenario } from "./index.ts";

/** Runs one simulation and returns what its body returned. */
async function simulate<T>(body: (sim: Sim) => Promise<T>, seed = 1): Promise<T> {
  const results: T[] = [];
  const run = async (sim: Sim) => {
    results.push(await body(sim));
  };
  await runSeed(scenario("test", run), seed);
  return results[0] as T;
}

const outcome = <T>(promise: Promise<T>) =>
  promise.then(
    (value) => ({ value }),
    (error: Error & { retryable?: boolean }) => ({ error: error.message, retryable: error.retryable }),
  );

describe("random", () => {
  it("is sfc32: the same seed gives the same stream, spread evenly", () => {
    const [a, b, c] = [new Random(1), new Random(1), new Random(2)];
    const stream = Array.from({ length: 10_000 }, () => a.next());
    expect(stream.slice(0, 5)).toEqual(Array.from({ length: 5 }, () => b.next()));
    expect(stream[0]).not.toBe(c.next());
    const buckets = new Array<number>(10).fill(0);
    for (const value of stream) buckets[Math.floor(value * 10)]!++;
    for (const count of buckets) expect(Math.abs(count - 1000)).toBeLessThan(150);
  });

  it("draws whole numbers within both bounds, and shuffles without loss", () => {
    const random = new Random(3);
    const drawn = new Set(Array.from({ length: 500 }, () => random.int(-2, 2)));
    expect([...drawn].sort((x, y) => x - y)).toEqual([-2, -1, 0, 1, 2]);
    expect(random.shuffle([1, 2, 3, 4]).sort()).toEqual([1, 2, 3, 4]);
    expect(() => random.pick([])).toThrow(RangeError);
  });
});

describe("objects", () => {
  it("commit a turn's writes together, keep them through a crash, and lose memory", async () => {
    await simulate(async (sim) => {
      sim.object("o", (storage) => {
        let memory = 0;
        return {
          async write() {
            memory++;
            storage.put("a", memory);
          },
          async read() {
            return [memory, storage.get("a")];
          },
        };
      });
      await sim.call("o", "write");
      expect(await sim.call("o", "read")).toEqual([1, 1]);
      sim.crash("o");
      expect(await sim.call("o", "read")).toEqual([0, 1]);
    });
  });

  it("undo a turn's writes, and send nothing of it, when they crash before its commit", async () => {
    const seen = { lost: 0, unheard: 0 };
    for (let seed = 1; seed <= 60; seed++) {
      await simulate(async (sim) => {
        const heard: number[] = [];
        sim.object("listener", () => ({ hear: async (n: number) => void heard.push(n) }));
        sim.object("o", (storage, env) => ({
          async write() {
            storage.put("a", 1);
            void env.call("listener", "hear", 1).catch(() => {});
            return "done";
          },
          read: async () => storage.get("a") ?? 0,
        })).faults = { crash: 1, evict: 0, alarmLate: 0 };
        const told = await outcome(sim.call("o", "write"));
        sim.calm();
        await sim.quiet();
        const stored = await sim.call("o", "read");
        // What anyone has heard is stored; what is stored may not have been heard.
        if (heard.length > 0 || "value" in told) expect(stored).toBe(1);
        if (stored === 0) seen.lost++;
        else if (heard.length === 0) seen.unheard++;
        if ("error" in told) expect(told.retryable).toBe(true);
      }, seed);
    }
    expect(seen.lost).toBeGreaterThan(5);
    expect(seen.unheard).toBeGreaterThan(5);
  });

  it("freeze where they await when they crash: nothing after it runs, and the caller learns of it", async () => {
    await simulate(async (sim) => {
      let ranOn = false;
      sim.object("o", (storage, env) => ({
        async slow() {
          storage.put("before", true);
          await env.sleep(100);
          ranOn = true;
          storage.put("after", true);
        },
        keys: async () => storage.list(),
      }));
      const call = outcome(sim.call("o", "slow"));
      await sim.sleep(50);
      sim.crash("o");
      expect(await call).toMatchObject({ retryable: true });
      await sim.quiet();
      expect(ranOn).toBe(false);
      expect(await sim.call("o", "keys")).toEqual(["before"]);
    });
  });

  it("are evicted only when idle, and start again with what they stored", async () => {
    await simulate(async (sim) => {
      const object = sim.object("o", (_, env) => ({ nap: () => env.sleep(50), hello: async () => 1 }));
      await sim.call("o", "hello");
      const nap = sim.call("o", "nap");
      await sim.sleep(20);
      expect(sim.evict("o")).toBe(false);
      await nap;
      expect(sim.evict("o")).toBe(true);
      expect(sim.evict("o")).toBe(false);
      await sim.call("o", "hello");
      expect(object.starts).toBe(2);
    });
  });

  it("bring any storage that can be copied back to its last commit", async () => {
    await simulate(async (sim) => {
      sim.object("o", (storage, env) => {
        const journal = storage.open("journal", () => new MemoryJournalStorage());
        return {
          async put(key: string) {
            journal.putBlob(key, new Uint8Array([1]));
            await env.sleep(1);
          },
          keys: async () => journal.listBlobs(""),
          async erase() {
            storage.deleteAll();
            storage.put("later", 1);
            return storage.open("journal", () => new MemoryJournalStorage()).listBlobs("").length;
          },
        };
      });
      await sim.call("o", "put", "a");
      const cut = outcome(sim.call("o", "put", "b"));
      sim.crash("o");
      expect(await cut).toEqual({ value: undefined });
      sim.crash("o");
      expect(await sim.call("o", "keys")).toEqual(["a", "b"]);
      expect(await sim.call("o", "erase")).toBe(0);
      sim.crash("o");
      expect(await sim.call("o", "keys")).toEqual([]);
    });
  });

  it("pass errors with their code and message, never by class, and copy what they pass", async () => {
    await simulate(async (sim) => {
      const shared = { list: [1] };
      sim.object("o", () => ({
        fail: async () => {
          throw Object.assign(new TypeError("no"), { code: "bad_request" });
        },
        share: async () => shared,
      }));
      const error = await sim.call("o", "fail").catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ name: "TypeError", message: "no", code: "bad_request", remote: true });
      expect(error).not.toBeInstanceOf(TypeError);
      expect(await sim.call("o", "share")).not.toBe(shared);
      expect(await outcome(sim.call("o", "absent"))).toMatchObject({ error: expect.stringContaining("no method") });
    });
  });
});

describe("alarms", () => {
  it("fire once, at or after their time, and again with growing pauses when they fail", async () => {
    await simulate(async (sim) => {
      const times: number[] = [];
      sim.object("o", (storage, env) => ({
        set: async (ms: number) => storage.setAlarm(env.now() + ms),
        async alarm({ retryCount }: { retryCount: number }) {
          times.push(sim.elapsed);
          if (retryCount < 2) throw new Error("not yet");
        },
      }));
      await sim.call("o", "set", 100);
      expect(sim.alarm("o")).not.toBeNull();
      sim.crash("o");
      await sim.quiet();
      expect(times.length).toBe(3);
      expect(times[0]).toBeGreaterThanOrEqual(100);
      expect(times[1]! - times[0]!).toBeGreaterThanOrEqual(2000);
      expect(times[2]! - times[1]!).toBeGreaterThanOrEqual(4000);
      expect(sim.alarm("o")).toBeNull();
    });
  });

  it("can set themselves anew", async () => {
    await simulate(async (sim) => {
      sim.object("o", (storage, env) => ({
        set: async () => storage.setAlarm(env.now()),
        async alarm() {
          const left = (storage.get<number>("left") ?? 3) - 1;
          storage.put("left", left);
          if (left > 0) storage.setAlarm(env.now() + 10);
        },
        left: async () => storage.get("left"),
      }));
      await sim.call("o", "set");
      await sim.quiet();
      expect(await sim.call("o", "left")).toBe(0);
    });
  });
});

describe("network", () => {
  it("loses calls in a partition, and none after it healed", async () => {
    await simulate(async (sim) => {
      sim.object("a", (_, env) => ({ ask: () => env.call("b", "answer") }));
      sim.object("b", () => ({ answer: async () => 42 }));
      sim.network.partition(["a"], ["b"]);
      expect(await outcome(sim.call("a", "ask"))).toMatchObject({ error: expect.stringContaining("lost"), retryable: true });
      sim.network.heal();
      expect(await sim.call("a", "ask")).toBe(42);
    });
  });

  it("loses, doubles and reorders what is posted", async () => {
    await simulate(async (sim) => {
      const got: number[] = [];
      sim.object("to", () => ({ onPost: async (_: string, n: number) => void got.push(n) }));
      sim.object("from", (_, env) => ({
        async go() {
          for (let n = 0; n < 200; n++) env.post("to", n);
        },
      }));
      sim.network.link("from", "to", { delay: [0, 50], drop: 0.2, duplicate: 0.2 });
      await sim.call("from", "go");
      await sim.quiet();
      const distinct = new Set(got);
      expect(distinct.size).toBeLessThan(200);
      expect(got.length).toBeGreaterThan(distinct.size);
      expect(got).not.toEqual([...got].sort((a, b) => a - b));
    });
  });
});

describe("sockets", () => {
  const echo = (sim: Sim) =>
    sim.object("echo", (_, env) => ({
      async onConnect(socket: { serializeAttachment(v: unknown): void }, who: string) {
        socket.serializeAttachment(who);
      },
      async onMessage(
        socket: { send(t: string): void; deserializeAttachment(): unknown; close(c: number, r: string): void },
        text: string,
      ) {
        if (text === "bye") socket.close(4000, "bye");
        else socket.send(`${socket.deserializeAttachment()}:${text}:${env.sockets().length}`);
      },
    }));

  it("keep order, and live through an eviction with their attachment", async () => {
    await simulate(async (sim) => {
      echo(sim);
      sim.faults({ delay: [1, 40] });
      const socket = sim.connect("me", "echo", "anna");
      const got: string[] = [];
      socket.onmessage = ({ data }) => got.push(data);
      socket.onopen = () => {
        for (let i = 0; i < 9; i++) socket.send(String(i));
      };
      await sim.quiet();
      expect(sim.evict("echo")).toBe(true);
      socket.send("9");
      await sim.quiet();
      expect(got).toEqual(Array.from({ length: 10 }, (_, i) => `anna:${i}:1`));
    });
  });

  it("break when the object crashes, close with its code, and refuse in a partition", async () => {
    await simulate(async (sim) => {
      echo(sim);
      const closes: string[] = [];
      const open = () => {
        const socket = sim.connect("me", "echo", "anna");
        socket.onclose = ({ code, reason }) => closes.push(`${code} ${reason}`);
        return socket;
      };
      const first = open();
      await sim.quiet();
      sim.crash("echo");
      await sim.quiet();
      expect(first.readyState).toBe(3);
      const second = open();
      await sim.quiet();
      second.send("bye");
      await sim.quiet();
      sim.network.partition(["me"], ["echo"]);
      open();
      await sim.quiet();
      expect(closes).toEqual(["1006 ", "4000 bye", "1006 "]);
    });
  });
});

describe("queues", () => {
  it("deliver at least once although consumers die, and give up to the dead letter queue", async () => {
    await simulate(async (sim) => {
      const got = new Map<number, number>();
      const dead: unknown[] = [];
      sim.queue("dead", async ({ messages }) => void dead.push(...messages.map((message) => message.body)));
      sim.queue(
        "q",
        async ({ messages }, env) => {
          for (const message of messages) {
            await env.sleep(1);
            if (message.body === 13) message.retry();
            else got.set(message.body as number, (got.get(message.body as number) ?? 0) + 1);
          }
        },
        { faults: { duplicate: 0.2, crash: 0.1 }, retries: 60, deadLetter: "dead" },
      );
      for (let n = 0; n < 50; n++) sim.send("q", n);
      await sim.quiet();
      expect(got.size).toBe(49);
      expect([...got.values()].some((count) => count > 1)).toBe(true);
      expect(new Set(dead)).toEqual(new Set([13]));
    });
  });

  it("may refuse a message that they accepted, and lose one on request", async () => {
    await simulate(async (sim) => {
      const got: unknown[] = [];
      const consume: Consumer = ({ queue, messages }) => void got.push(...messages.map(() => queue));
      sim.queue("q", consume, { faults: { sendFails: 1 } });
      sim.queue("hole", consume, { faults: { drop: 1 } });
      sim.object("o", (_, env) => ({ send: (queue: string) => env.send(queue, 1) }));
      expect(await outcome(sim.call("o", "send", "q"))).toMatchObject({ error: expect.stringContaining("overloaded") });
      await sim.call("o", "send", "hole");
      await sim.quiet();
      expect(got).toEqual(["q"]);
    });
  });
});

describe("failures", () => {
  it("a scenario that waits for what never comes, or never ends, says so", async () => {
    const stuck = scenario("stuck", () => new Promise<void>(() => {}));
    await expect(runSeed(stuck, 1)).rejects.toThrow(/never comes/);
    const endless = scenario(
      "endless",
      async (sim) => {
        for (;;) await sim.sleep(1);
      },
      { maxEvents: 100 },
    );
    await expect(runSeed(endless, 1)).rejects.toThrow(/100 events/);
    await expect(runSeed(endless, 1)).rejects.toBeInstanceOf(SimFailure);
  });

  it("workers die with a retryable error", async () => {
    await simulate(async (sim) => {
      expect(await sim.worker(async (env) => env.sleep(1).then(() => 7))).toBe(7);
      expect(await outcome(sim.worker((env) => env.sleep(1), 1))).toMatchObject({ retryable: true });
    });
  });
});

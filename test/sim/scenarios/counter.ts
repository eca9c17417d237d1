import { type Scenario, type SimStorage, scenario } from "../kit/index.ts";

/** Mistakes that this kind of code is known for, each planted on demand to show that the kit finds it. */
export type CounterBug =
  /** None. */
  | "none"
  /** A replica adds every delivery, also the second of the same message. */
  | "no-dedupe"
  /** It remembers what it has seen, but in memory only. */
  | "memory-dedupe"
  /** It counts in one commit and remembers in the next. */
  | "torn-commit"
  /** It acknowledges to the client first and commits after. */
  | "early-ack"
  /** It replicates once and does not ask whether that arrived. */
  | "no-outbox";

type Op = { id: string; amount: number };

const REPLICAS = ["replica-1", "replica-2"];

/**
 * A primary that counts operations of at-least-once clients, and replicas that it feeds through a queue that loses,
 * doubles and reorders. When all is calm, every copy has each operation once.
 */
export function counter(bug: CounterBug): Scenario {
  return scenario(bug === "none" ? "counter" : `counter-${bug}`, async (sim) => {
    sim.object("primary", (storage, env) => ({
      async add(op: Op): Promise<number> {
        if (storage.get(`seen/${op.id}`) === undefined) {
          if (bug === "early-ack") {
            void env.sleep(5).then(() => count(storage, op));
            return -1;
          }
          count(storage, op);
          for (const replica of REPLICAS) storage.put(`outbox/${replica}/${op.id}`, op);
          storage.setAlarm(env.now() + 100);
          if (bug === "no-outbox") for (const key of storage.list("outbox/")) storage.delete(key);
        }
        for (const replica of REPLICAS) void env.send("replicate", { replica, op }).catch(() => env.log("queue refused"));
        return storage.get<number>("value") ?? 0;
      },
      async confirm(replica: string, id: string): Promise<void> {
        storage.delete(`outbox/${replica}/${id}`);
      },
      /** Repeats what no replica has confirmed: a queue's promise is not enough. */
      async alarm(): Promise<void> {
        for (const key of storage.list("outbox/")) {
          const replica = key.split("/")[1] as string;
          void env.send("replicate", { replica, op: storage.get(key) }).catch(() => env.log("queue refused"));
        }
        if (storage.list("outbox/").length > 0) storage.setAlarm(env.now() + 500);
      },
      async value(): Promise<number> {
        return storage.get<number>("value") ?? 0;
      },
    }));

    for (const name of REPLICAS) {
      sim.object(name, (storage, env) => {
        const seen = new Set<string>();
        return {
          async apply(op: Op): Promise<void> {
            if (bug === "memory-dedupe") {
              if (!seen.has(op.id)) storage.put("value", (storage.get<number>("value") ?? 0) + op.amount);
              seen.add(op.id);
            } else if (bug === "no-dedupe") storage.put("value", (storage.get<number>("value") ?? 0) + op.amount);
            else if (storage.get(`seen/${op.id}`) === undefined) {
              if (bug === "torn-commit") {
                storage.put("value", (storage.get<number>("value") ?? 0) + op.amount);
                await env.sleep(1);
                storage.put(`seen/${op.id}`, true);
              } else count(storage, op);
            }
          },
          async value(): Promise<number> {
            return storage.get<number>("value") ?? 0;
          },
        };
      });
    }

    sim.queue(
      "replicate",
      async ({ messages }, env) => {
        for (const message of messages) {
          const { replica, op } = message.body as { replica: string; op: Op };
          await env.call(replica, "apply", op);
          await env.call("primary", "confirm", replica, op.id);
          message.ack();
        }
      },
      { faults: { delay: [1, 200], drop: 0.05, duplicate: 0.1, sendFails: 0.05, crash: 0.02 } },
    );

    sim.faults({ crash: 0.02, evict: 0.1, drop: 0.02, delay: [1, 30], alarmLate: 50 });
    let acknowledged = 0;
    const clients = Array.from({ length: 3 }, async (_, client) => {
      for (let i = 0; i < 5; i++) {
        const amount = sim.random.int(1, 9);
        await sim.retry(() => sim.callAs(`client-${client}`, "primary", "add", { id: `${client}.${i}`, amount }));
        acknowledged += amount;
        await sim.sleep(sim.random.int(0, 50));
      }
    });
    await Promise.all(clients);
    sim.calm();
    await sim.quiet();
    for (const name of ["primary", ...REPLICAS]) {
      const value = await sim.call<number>(name, "value");
      if (value !== acknowledged) throw new Error(`${name} counts ${value}, the clients ${acknowledged}`);
    }
  });
}

function count(storage: SimStorage, op: Op): void {
  storage.put("value", (storage.get<number>("value") ?? 0) + op.amount);
  storage.put(`seen/${op.id}`, true);
}

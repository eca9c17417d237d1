import { Journal } from "../../../core/journal/journal.ts";
import { MemoryJournalStorage } from "../../../core/journal/memory.ts";
import { count, sum } from "../../../core/streams/aggregators.ts";
import { decodeBatch } from "../../../core/streams/batch.ts";
import { TaskEngine } from "../../../core/streams/engine.ts";
import { type LogRead, PartitionLog, type Producer, recordsFrom } from "../../../core/streams/log.ts";
import { partitionRecords, type SubBatch } from "../../../core/streams/records.ts";
import { mapRange } from "../../../core/streams/stateless.ts";
import type { Output, TaskMachine } from "../../../core/streams/task.ts";
import { type TableRow, topology } from "../../../core/streams/topology.ts";
import { hopping } from "../../../core/streams/windows.ts";
import type { TopicMeta } from "../../../core/wire/directory.ts";
import { type Env, type Scenario, type Sim, type SimStorage, scenario } from "../kit/index.ts";

type Sale = { shop: string; at: number; price: number };

const PARTITIONS = 2;
const sales = topology("sales", { version: 1, partitions: PARTITIONS }, (t) => {
  const stream = t.stream<Sale>("sales");
  stream
    .groupByKey()
    .windowedBy(hopping({ size: 20, advance: 10, grace: 30, retention: 100_000 }))
    .aggregate("takings", { n: count(), total: sum("price") })
    .toStream({ when: "final" })
    .to("final");
  stream.filter(({ price }) => price > 80).to("dear", { every: 20 });
});

const TOPIC: TopicMeta = {
  name: "sales",
  version: 1,
  generation: 1,
  createdAt: 0,
  partitions: PARTITIONS,
  contentType: "application/json",
  key: "/shop",
  timestamp: "/at",
  maxFutureMs: 0,
};

type Ring = { partition: number; from: number; to: number; batch: string };

/** Mistakes that lose or double records, planted to show that this scenario would find them. */
export type StreamsBug =
  | "none"
  /** The partition rings once and never again: a lost doorbell strands its records. */
  | "no-second-bell"
  /** The receiver of a task's outputs does not know the task as a producer. */
  | "no-output-claims"
  /** The task forgets to pull what lies before a range that came early. */
  | "gap-ignored";

/** The thread in small: partitions, a queue of doorbells, tasks, a sink; clients that retry; everything may crash. */
export function streams(bug: StreamsBug): Scenario {
  return scenario(bug === "none" ? "streams" : `streams-${bug}`, async (sim) => {
    for (let p = 0; p < PARTITIONS; p++) {
      sim.object(`sales/${p}`, (storage, env) => partition(storage, env, p, bug));
      sim.object(`task/${p}`, (storage, env) => task(storage, env, p, bug));
    }
    for (const sink of ["dear", "final"]) sim.object(sink, (storage, env) => partition(storage, env, null, bug));
    sim.queue(
      "ring",
      async ({ messages }, env) => {
        for (const message of messages) {
          const ring = message.body as Ring;
          const range = await mapRange(
            sales,
            { topic: "sales", partition: ring.partition, from: ring.from },
            decodeBatch(ring.batch),
            async () => [],
          );
          await env.call(`task/${ring.partition}`, "apply", range);
          message.ack();
        }
      },
      { batch: 4, retries: 3, faults: { delay: [1, 300], drop: 0.2, duplicate: 0.2, sendFails: 0.1, crash: 0.05 } },
    );

    sim.faults({ crash: 0.01, evict: 0.1, drop: 0.02, delay: [1, 30], alarmLate: 40 });
    const sent: Sale[][] = await Promise.all([0, 1].map((client) => produce(sim, client)));
    sim.calm();
    await sim.quiet();
    await check(sim, sent.flat());
  });
}

function partition(storage: SimStorage, env: Env, number: number | null, bug: StreamsBug) {
  const log = new PartitionLog(Journal.open(storage.open("journal", () => new MemoryJournalStorage())), {
    get: (id) => storage.get<{ epoch: number; seq: number }>(`producer/${id}`) ?? null,
    put: (id, epoch, seq) => storage.put(`producer/${id}`, { epoch, seq }),
  });
  return {
    async append(share: SubBatch, producer: Producer): Promise<number> {
      const claim = number === null && bug === "no-output-claims" ? null : producer;
      const { appended, from, next } = log.append(share, claim);
      if (appended && next > from && number !== null) {
        if (bug !== "no-second-bell" && storage.getAlarm() === null) storage.setAlarm(env.now() + 300);
        void env
          .send("ring", { partition: number, from, to: next, batch: share.batch } satisfies Ring)
          .catch(() => env.log("queue refused"));
      }
      return next;
    },
    async read(offset: number, maxBytes: number): Promise<LogRead> {
      return log.read(offset, maxBytes);
    },
    async alarm(): Promise<void> {
      const applied = await env.call<number>(`task/${number}`, "catchUp", log.head);
      if (applied < log.head) storage.setAlarm(env.now() + 300);
    },
  };
}

function task(storage: SimStorage, env: Env, number: number, bug: StreamsBug) {
  const engine = new TaskEngine(
    storage.open("journal", () => new MemoryJournalStorage()),
    sales,
    number,
    {
      readLog: (_topic, _generation, offset, maxBytes) => env.call<LogRead>(`sales/${number}`, "read", offset, maxBytes),
      score: async () => [],
      now: () => env.now(),
    },
  );
  let sending = false;
  const drain = async (machine: TaskMachine) => {
    if (sending) return;
    sending = true;
    try {
      for (let output = machine.outbox[0]; output !== undefined; output = machine.outbox[0]) {
        await deliver(env, number, output);
        machine.delivered(output);
      }
    } finally {
      sending = false;
    }
  };
  const stayAwake = (machine: TaskMachine) => {
    if ((machine.outbox.length > 0 || machine.pending().length > 0 || engine.replayCost.entries > 0) && storage.getAlarm() === null) {
      storage.setAlarm(env.now() + 200);
    }
  };
  const after = async () => {
    const machine = await engine.ready();
    stayAwake(machine);
    void drain(machine).catch(() => env.log("an output waits"));
    return machine.applied("sales").offset;
  };
  return {
    async apply(range: Parameters<TaskEngine["ingest"]>[0]): Promise<number> {
      const machine = await engine.ready();
      const early = range.from > machine.applied("sales").offset;
      if (!(bug === "gap-ignored" && early)) await engine.ingest(range, 1);
      else await engine.ingest({ ...range, from: machine.applied("sales").offset, to: range.to }, 1);
      return after();
    },
    async catchUp(head: number): Promise<number> {
      await engine.catchUp("sales", 1, head);
      return after();
    },
    async alarm(): Promise<void> {
      await engine.emit(true);
      const machine = await engine.ready();
      await drain(machine);
      await engine.checkpoint();
      stayAwake(machine);
    },
    async rows(): Promise<{ rows: TableRow[]; late: number; records: number }> {
      const machine = await engine.ready();
      const table = machine.tables.get("takings");
      return { rows: table?.query({ limit: 1e6 }) ?? [], late: table?.late ?? 0, records: machine.records };
    },
  };
}

async function deliver(env: Env, number: number, output: Output): Promise<void> {
  if (output.kind !== "topic") return;
  const { seq, values } = output;
  const batch = JSON.stringify({ k: values.map(() => null), t: values.map(() => 0), v: values });
  const sink = output.sink === "1" ? "dear" : "final";
  await env.call(sink, "append", { count: values.length, maxTime: 0, batch }, { id: `t/${number}`, epoch: 0, seq, gapless: false });
}

async function produce(sim: Sim, client: number): Promise<Sale[]> {
  const sent: Sale[] = [];
  for (let seq = 0; seq < 6; seq++) {
    const batch = Array.from({ length: sim.random.int(1, 6) }, () => ({
      shop: `shop-${sim.random.int(0, 4)}`,
      at: sim.random.int(0, 20) + seq * 15,
      price: sim.random.int(0, 100),
    }));
    const shares = partitionRecords(batch, TOPIC, 1e12, 0);
    await sim.retry(() =>
      Promise.all(
        shares.map((share, p) =>
          sim.callAs(`client-${client}`, `sales/${p}`, "append", share, { id: `c/${client}`, epoch: 0, seq, gapless: true }),
        ),
      ),
    );
    sent.push(...batch);
    await sim.sleep(sim.random.int(0, 80));
  }
  return sent;
}

/** What the logs hold is what was sent, each record once; tables and sinks are what the rules make of the logs, read plainly. */
async function check(sim: Sim, sent: Sale[]): Promise<void> {
  const logged: Sale[] = [];
  const dear: Sale[] = [];
  for (let p = 0; p < PARTITIONS; p++) {
    const records = await readAll(sim, `sales/${p}`);
    logged.push(...(records as Sale[]));
    dear.push(...(records as Sale[]).filter(({ price }) => price > 80));
    const expected = plainly(records as Sale[]);
    const { rows, late, records: applied } = await sim.call<{ rows: TableRow[]; late: number; records: number }>(`task/${p}`, "rows");
    same(`partition ${p}: records applied`, applied, records.length);
    same(`partition ${p}: late`, late, expected.late);
    same(
      `partition ${p}: table`,
      rows.map(({ key, window, value }) => `${window.start}/${key} ${value.n} ${value.total}`),
      expected.rows,
    );
  }
  same("records in the logs", sorted(logged), sorted(sent));
  same("dear sales", sorted(await readAll(sim, "dear")), sorted(dear));
  const finals = (await readAll(sim, "final")) as TableRow[];
  same("final rows come once", new Set(finals.map(({ key, window }) => `${window.start}/${key}`)).size, finals.length);
}

async function readAll(sim: Sim, name: string): Promise<unknown[]> {
  const { batches } = await sim.call<LogRead>(name, "read", 0, 1e9);
  return recordsFrom(0, batches).flatMap(({ records }) => records.v);
}

function plainly(records: Sale[]): { rows: string[]; late: number } {
  const rows = new Map<string, { start: number; shop: string; n: number; total: number }>();
  let streamTime = -1;
  let late = 0;
  for (const { shop, at, price } of records) {
    streamTime = Math.max(streamTime, at);
    for (const start of [Math.floor(at / 10) * 10 - 10, Math.floor(at / 10) * 10]) {
      if (start < 0) continue;
      if (start + 20 + 30 <= streamTime) {
        late++;
        continue;
      }
      const row = rows.get(`${start}/${shop}`) ?? { start, shop, n: 0, total: 0 };
      rows.set(`${start}/${shop}`, { ...row, n: row.n + 1, total: row.total + price });
    }
  }
  const order = [...rows.values()].sort((a, b) => a.start - b.start || (a.shop < b.shop ? -1 : 1));
  return { rows: order.map(({ start, shop, n, total }) => `${start}/${shop} ${n} ${total}`), late };
}

function sorted(values: unknown[]): string[] {
  return values.map((value) => JSON.stringify(value)).sort();
}

function same(what: string, found: unknown, expected: unknown): void {
  const [a, b] = [JSON.stringify(found), JSON.stringify(expected)];
  if (a !== b) throw new Error(`${what}: found ${a}, expected ${b}`);
}

import { expect, it } from "vitest";
import { Journal } from "../journal/journal.ts";
import { MemoryJournalStorage } from "../journal/memory.ts";
import { encodeBatch } from "./batch.ts";
import { type Ports, TaskEngine } from "./engine.ts";
import { PartitionLog } from "./log.ts";
import { mapRange } from "./stateless.ts";
import { topology } from "./topology.ts";

const parse = (text: string | null) => (text === null ? { from: 10 } : (JSON.parse(text) as { from: number }));
const desk = topology("desk", { version: 1, partitions: 1 }, (t) => {
  const limit = t.setting("desk", "limit", parse);
  t.stream<number>("numbers")
    .filter((value, context) => value >= limit(context).from)
    .to("large", { every: 1 });
});
const numbers = Array.from({ length: 40 }, (_, at) => at % 20);
const columns = (from: number, to: number) => {
  const v = numbers.slice(from, to);
  return { k: v.map(() => null), t: v.map(() => 0), v };
};

/** A task over a log that is filled bit by bit, whose setting can be changed at any time. */
function world(filled = 0) {
  const log = new PartitionLog(Journal.open(new MemoryJournalStorage()), { get: () => null, put: () => {} });
  const fill = (to: number) => {
    if (to > log.head) log.append({ count: to - log.head, maxTime: 0, batch: encodeBatch(columns(log.head, to)) }, null);
  };
  fill(filled);
  const storage = new MemoryJournalStorage();
  const now = { text: null as string | null, asked: 0, clock: 0 };
  const ports: Ports = {
    readLog: async (_topic, _generation, offset, bytes) => log.read(offset, bytes),
    score: async () => [],
    now: () => ++now.clock * 1_000,
    setting: async () => {
      now.asked++;
      return now.text;
    },
  };
  const open = () => new TaskEngine(storage, desk, 0, ports);
  const large = async (engine: TaskEngine) => {
    await engine.emit(true);
    return (await engine.ready()).outbox.flatMap((output) => (output.kind === "topic" ? (output.values as number[]) : []));
  };
  /** A range as the consumer hands it over, mapped by what it knew. */
  const mapped = (from: number, to: number, text: string | null) => {
    fill(to);
    return mapRange(desk, { topic: "numbers", partition: 0, from }, columns(from, to), ports.score, parse(text));
  };
  return { now, ports, open, large, mapped, fill, storage };
}

const above = (values: number[], from: number) => values.filter((value) => value >= from);

it("[ST13] a range is judged by the setting it was taken with, wherever it was mapped; a replay by the same", async () => {
  const { now, open, large, mapped, fill } = world();
  let engine = open();
  await engine.ingest(await mapped(0, 10, null), 1);
  await engine.ingest(await mapped(10, 15, '{"from":18}'), 1);
  now.text = '{"from":5}';
  fill(20);
  await engine.catchUp("numbers", 1, 20);
  await engine.ingest(await mapped(20, 30, '{"from":1}'), 1);
  const wanted = [
    ...above(numbers.slice(0, 10), 10),
    ...above(numbers.slice(10, 15), 18),
    ...above(numbers.slice(15, 20), 5),
    ...above(numbers.slice(20, 30), 1),
  ];
  // Before anything was delivered or kept, the process dies, and the setting is another one when it comes back.
  const outputs = (await engine.ready()).outbox.map(({ sink, seq }) => [sink, seq]);
  now.text = '{"from":0}';
  now.asked = 0;
  engine = open();
  expect((await engine.ready()).outbox.map(({ sink, seq }) => [sink, seq])).toEqual(outputs);
  expect(now.asked).toBe(0);
  expect(await large(engine)).toEqual(wanted);
  fill(40);
  await engine.catchUp("numbers", 1, 40);
  expect(await large(engine)).toEqual([...wanted, ...numbers.slice(30)]);
  expect(await large(open())).toEqual([...wanted, ...numbers.slice(30)]);
});

it("[ST13] an entry of before there was a setting is judged by what stands in for one", async () => {
  const { now, open, large, mapped } = world();
  const { setting: _, ...old } = await mapped(0, 20, null);
  let engine = open();
  await engine.ingest(old, 1);
  now.text = '{"from":0}';
  engine = open();
  expect(await large(engine)).toEqual(above(numbers.slice(0, 20), 10));
});

it("[ST13] who cannot find out what the setting is takes nothing, and goes on when it can", async () => {
  const { ports, large, storage } = world(40);
  let within = false;
  const setting = async () => {
    if (!within) throw new Error("out of reach");
    return null;
  };
  const engine = new TaskEngine(storage, desk, 0, { ...ports, setting });
  await expect(engine.catchUp("numbers", 1, 40)).rejects.toThrow("out of reach");
  expect((await engine.ready()).records).toBe(0);
  within = true;
  await engine.catchUp("numbers", 1, 40);
  expect(await large(engine)).toEqual(above(numbers, 10));
});

it("has one setting", () => {
  const twice = () =>
    topology("twice", { version: 1, partitions: 1 }, (t) => {
      t.setting("a", "b", () => 1);
      t.setting("a", "c", () => 2);
    });
  expect(twice).toThrow(/has a setting already/);
});

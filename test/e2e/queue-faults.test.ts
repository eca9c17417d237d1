import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { misbehave, seeded } from "./queue-faults.mjs";

type Message = { id: string; attempts: number; body: number; settled: string[]; ack(): void; retry(): void };

function batchOf(bodies: number[]): { queue: string; messages: Message[] } {
  const messages = bodies.map((body) => {
    const settled: string[] = [];
    return { id: `m${body}`, attempts: 1, body, settled, ack: () => void settled.push("ack"), retry: () => void settled.push("retry") };
  });
  return { queue: "skerry-ring", messages };
}

const none = { duplicate: false, shuffle: null, dropRate: 0 };
const bodies = fc.uniqueArray(fc.nat(), { minLength: 1, maxLength: 20 });

describe("the faulty queue", () => {
  it("settles every message exactly once, whatever the faults", async () => {
    const faults = fc.record({
      duplicate: fc.boolean(),
      shuffle: fc.option(fc.nat()),
      dropRate: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    await fc.assert(
      fc.asyncProperty(bodies, faults, fc.nat(), async (list, given, seed) => {
        const batch = batchOf(list);
        await misbehave(batch, given, seeded(seed), async (part: { ackAll(): void }) => part.ackAll());
        expect(batch.messages.filter((message) => message.settled.length !== 1)).toEqual([]);
      }),
    );
  });

  it("delivers each message twice when it duplicates, and keeps the order unless it shuffles", async () => {
    await fc.assert(
      fc.asyncProperty(bodies, async (list) => {
        const seen: number[] = [];
        const deliver = async (part: { messages: Message[]; ackAll(): void }) => {
          seen.push(...part.messages.map((message) => message.body));
          part.ackAll();
        };
        await misbehave(batchOf(list), { ...none, duplicate: true }, seeded(1), deliver);
        expect(seen).toEqual(list.flatMap((body) => [body, body]));
      }),
    );
  });

  it("retries a duplicated message when either delivery asks for it", async () => {
    const batch = batchOf([1]);
    let call = 0;
    await misbehave(batch, { ...none, duplicate: true }, seeded(1), async (part: { ackAll(): void; retryAll(): void }) => {
      call += 1;
      if (call === 1) part.ackAll();
      else part.retryAll();
    });
    expect(batch.messages[0]!.settled).toEqual(["retry"]);
  });

  it("delivers nothing and acknowledges all when it loses everything", async () => {
    const batch = batchOf([1, 2, 3]);
    await misbehave(batch, { ...none, dropRate: 1 }, seeded(1), () => Promise.reject(new Error("delivered")));
    expect(batch.messages.map((message) => message.settled)).toEqual([["ack"], ["ack"], ["ack"]]);
  });

  it("brings messages out of order, the same way for the same seed", async () => {
    const list = Array.from({ length: 20 }, (_, index) => index);
    const run = async (seed: number) => {
      const seen: number[] = [];
      await misbehave(batchOf(list), { ...none, shuffle: seed }, seeded(seed), async (part: { messages: Message[]; ackAll(): void }) => {
        seen.push(...part.messages.map((message) => message.body));
        part.ackAll();
      });
      return seen;
    };
    const first = await run(7);
    expect(first).not.toEqual([...first].sort((a, b) => a - b));
    expect(await run(7)).toEqual(first);
  });
});

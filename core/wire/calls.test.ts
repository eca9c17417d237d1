import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CallDesk, CallLoad, MAX_UNDER_WAY, MAX_UNREAD_BYTES } from "./calls.ts";
import { SkerryError } from "./errors.ts";
import { type CallFrame, type CallResult, parseServerFrame } from "./frames.ts";

const frame = (id: number, calls: unknown[], read?: number): CallFrame => ({
  type: "call",
  id,
  calls,
  ...(read !== undefined && { read }),
});

function results(texts: string[]): CallResult[] {
  return texts.flatMap((text) => {
    const parsed = parseServerFrame(text);
    if (parsed.type !== "result") throw new Error(parsed.type);
    return parsed.results;
  });
}

const codes = (outcomes: CallResult[]) => outcomes.map((outcome) => ("error" in outcome ? outcome.error.code : "ok"));

describe("a desk of calls", () => {
  it("[WC1] answers in the order of settling, several in one frame", () => {
    const desk = new CallDesk(new CallLoad());
    expect(desk.admit(frame(7, ["a", "b", "c"]), 30)).toEqual([
      { id: 7, payload: "a" },
      { id: 8, payload: "b" },
      { id: 9, payload: "c" },
    ]);
    desk.settle({ id: 9, value: "C" });
    desk.settle({ id: 7, error: { code: "forbidden", detail: "No." } });
    const frames = desk.drain();
    expect(frames.length).toBe(1);
    expect(results(frames)).toEqual([
      { id: 9, value: "C" },
      { id: 7, error: { code: "forbidden", detail: "No." } },
    ]);
    expect(desk.drain()).toEqual([]);
    expect(desk.size).toBe(1);
  });

  it("[WC2] an id under way may not come again, a settled one may", () => {
    const desk = new CallDesk(new CallLoad());
    desk.admit(frame(5, [1]), 10);
    expect(() => desk.admit(frame(4, [1, 2]), 10)).toThrow(expect.objectContaining({ code: "bad_frame" }));
    desk.settle({ id: 5, value: 0 });
    expect(desk.admit(frame(5, [1]), 10).length).toBe(1);
  });

  it("[WC3] calls beyond the socket's limit are overloaded, one by one; those under way go on", () => {
    const desk = new CallDesk(new CallLoad());
    expect(desk.admit(frame(1, Array(MAX_UNDER_WAY - 1).fill(0)), 10).length).toBe(MAX_UNDER_WAY - 1);
    expect(desk.admit(frame(5000, [1, 2, 3]), 10).map(({ id }) => id)).toEqual([5000]);
    const refused = results(desk.drain());
    expect(codes(refused)).toEqual(["overloaded", "overloaded"]);
    expect(refused[0]).toMatchObject({ id: 5001, error: { retryAfter: 1 } });
    desk.settle({ id: 1, value: 0 });
    expect(desk.admit(frame(6000, [1]), 10).length).toBe(1);
  });

  it("[WC3] the object's limits hold over all its sockets, and a socket that goes gives its share back", () => {
    const load = new CallLoad({ calls: 3, characters: 100 });
    const [one, two] = [new CallDesk(load), new CallDesk(load)];
    expect(one.admit(frame(1, [1, 2]), 10).length).toBe(2);
    expect(two.admit(frame(1, [1, 2]), 10).length).toBe(1);
    expect(codes(results(two.drain()))).toEqual(["overloaded"]);
    one.close();
    expect(load).toMatchObject({ calls: 1, characters: 5 });
    expect(two.admit(frame(9, [1]), 1000).length).toBe(1);
    expect(two.admit(frame(10, [1]), 1).length).toBe(0);
    two.close();
    expect(load).toMatchObject({ calls: 0, characters: 0 });
  });

  it("[WC4] a client that reads nothing is refused before it costs much memory, and let in again as it reads", () => {
    const desk = new CallDesk(new CallLoad());
    const big = "x".repeat(1024 * 1024);
    let id = 1;
    let frames = 0;
    for (; desk.admit(frame(id, [0], 3), 10).length === 1; id++) {
      desk.settle({ id, value: big });
      frames += desk.drain().length;
    }
    expect(codes(results(desk.drain()))).toEqual(["slow_consumer"]);
    expect(frames * big.length).toBeLessThan(MAX_UNREAD_BYTES + 2 * big.length);
    // It says nothing: it has read nothing more. It had read 3 frames before this desk was made.
    expect(desk.admit(frame(++id, [0]), 10)).toEqual([]);
    expect(desk.admit(frame(++id, [0], 3 + frames), 10).length).toBe(1);
  });

  it("[WC1] [WC3] every admitted call is answered once or not at all, and the load returns to nothing", () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant("call" as const), n: fc.integer({ min: 1, max: 6 }) }),
      fc.record({ do: fc.constant("settle" as const), at: fc.nat(40) }),
      fc.constant({ do: "drain" as const }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const load = new CallLoad({ calls: 12, characters: 500 });
        const desk = new CallDesk(load);
        let next = 1;
        let read = 0;
        const asked: number[] = [];
        const open: number[] = [];
        const answered: CallResult[] = [];
        const drain = () => {
          const frames = desk.drain();
          read += frames.length;
          answered.push(...results(frames));
        };
        for (const each of steps) {
          if (each.do === "call") {
            const ids = Array.from({ length: each.n }, () => next++);
            asked.push(...ids);
            open.push(...desk.admit(frame(ids[0] as number, ids, read), 40).map((call) => call.id));
            expect(load.calls).toBe(open.length);
            expect(load.calls).toBeLessThanOrEqual(12);
          } else if (each.do === "settle") {
            const id = open.splice(each.at % (open.length + 1), 1)[0] ?? -1;
            desk.settle({ id, value: id });
            desk.settle({ id, value: "again" });
          } else drain();
        }
        for (const id of open) desk.settle({ id, value: id });
        drain();
        expect(answered.map(({ id }) => id).sort((a, b) => a - b)).toEqual(asked);
        for (const outcome of answered) if ("value" in outcome) expect(outcome.value).toBe(outcome.id);
        expect({ ...load }).toMatchObject({ calls: 0, characters: 0 });
      }),
    );
  });

  it("[WC2] nothing but bad_frame is thrown", () => {
    const desk = new CallDesk(new CallLoad());
    desk.admit(frame(1, [1]), 1);
    try {
      desk.admit(frame(1, [1]), 1);
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(SkerryError);
    }
  });
});

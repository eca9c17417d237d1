import { describe, expect, it } from "vitest";
import { message } from "../raft/messages.ts";
import { Link } from "./link.ts";
import { TIMING } from "./options.ts";

const heartbeat = () => message("heartbeat", 1, 2, 5);
const append = (index: number, count: number, commit = 0) => {
  const entries = Array.from({ length: count }, (_, i) => ({
    term: 5,
    index: index + 1 + i,
    kind: "data" as const,
    data: new Uint8Array(),
  }));
  return { ...message("append", 1, 2, 5), index, commit, entries };
};
const linked = () => new Link(2, TIMING, 2);

describe("a link to a peer", () => {
  it("[GR3] tells of a commit no further than the peer acknowledged to this leader: beyond that it may hold other entries", () => {
    const link = linked();
    link.acked = 10;
    expect(link.news(12, 0)).toBeNull();
    expect(link.news(12, TIMING.linger)).toBe(10);
    // Another leadership, perhaps of the same replica: what was acknowledged to the one before counts for nothing.
    link.reset();
    expect([link.news(12, 1_000), link.news(12, 10_000)]).toEqual([null, null]);
    link.watching = true;
    link.acked = 11;
    expect(link.news(12, 10_000)).toBe(11);
    link.heard(10_000, 11);
    expect(link.news(12, 20_000)).toBeNull();
  });

  it("[GR3] an append without entries waits, is forgotten if it was only news, and goes with whatever goes", () => {
    const link = linked();
    link.push(append(5, 0, 5), 0);
    expect(link.ready(0)).toBe(false);
    expect(link.ready(TIMING.linger)).toBe(true);
    expect(link.take()).toHaveLength(1);
    link.push(append(5, 0, 5), 200);
    link.acked = 5;
    expect(link.ready(200 + TIMING.linger)).toBe(false);
    link.push(append(6, 0, 5), 400);
    link.push(append(5, 1, 5), 400);
    expect(link.ready(400)).toBe(true);
    expect(link.take().map(({ entries }) => entries.length)).toEqual([1, 0]);
  });

  it("[GR3] a peer that fails is called again later and later, and at once when it speaks", () => {
    const link = linked();
    link.push(heartbeat(), 0);
    link.called(1, 0);
    link.failed(10);
    expect(link.take()).toEqual([]);
    link.push(heartbeat(), 10 + TIMING.backoff - 1);
    expect([link.ready(10 + TIMING.backoff - 1), link.isDown(1_000)]).toEqual([false, true]);
    link.push(heartbeat(), 10 + TIMING.backoff);
    expect(link.ready(10 + TIMING.backoff)).toBe(true);
    link.failed(100);
    link.heard(110, 0);
    link.push(heartbeat(), 110);
    expect([link.ready(110), link.isDown(110)]).toEqual([true, false]);
  });

  it("[GR3] only so many calls at a time; one that takes too long is given up, and its answer still taken", () => {
    const link = linked();
    for (const call of [1, 2]) {
      link.push(heartbeat(), 0);
      expect(link.ready(0)).toBe(true);
      link.take();
      link.called(call, 0);
    }
    link.push(heartbeat(), 0);
    expect(link.ready(0)).toBe(false);
    expect([link.expire(TIMING.call - 1), link.expire(TIMING.call)]).toEqual([false, true]);
    expect([link.ended(1, 2_000), link.ended(1, 2_000), link.ended(7, 2_000)]).toEqual([true, false, false]);
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  checkGroupConfig,
  checkMembers,
  checkTopicConfig,
  DIRECTORY_SHARDS,
  directoryShard,
  firstMembers,
  mergePage,
  sameGroupConfig,
  sameTopicConfig,
} from "./directory.ts";

const wrong = expect.objectContaining({ code: "bad_request" });

describe("the directory's entries", () => {
  it("[WD1] a name's shard is for ever", () => {
    // FNV-1a's published test vectors: "" 0x811c9dc5, "a" 0xe40c292c, "foobar" 0xbf9cf968.
    expect(["", "a", "foobar"].map(directoryShard)).toEqual([0x811c9dc5 % 16, 0xe40c292c % 16, 0xbf9cf968 % 16]);
    expect(DIRECTORY_SHARDS).toBe(16);
  });

  it("[WD1] names spread over all shards", () => {
    const counts = Array<number>(DIRECTORY_SHARDS).fill(0);
    for (let i = 0; i < 16_000; i++) counts[directoryShard(`topic-${i}`)]!++;
    expect(Math.min(...counts)).toBeGreaterThan(800);
    expect(Math.max(...counts)).toBeLessThan(1_200);
  });

  it("[WD2] what is left out has its default, and a full configuration is itself", () => {
    const full = checkTopicConfig({});
    expect(full).toEqual({ partitions: 1, contentType: "application/json", key: null, timestamp: null, maxFutureMs: 300_000 });
    expect(sameTopicConfig(checkTopicConfig(full), full)).toBe(true);
    expect(sameTopicConfig(full, checkTopicConfig({ key: "/a" }))).toBe(false);
    expect(checkTopicConfig({ key: "", timestamp: "/a~1b/0/~0" })).toMatchObject({ key: "", timestamp: "/a~1b/0/~0" });
  });

  it.each([
    { partitions: 0 },
    { partitions: 65 },
    { partitions: 1.5 },
    { partitions: "4" },
    { contentType: "json" },
    { contentType: "text/html\r\nx: y" },
    { key: "origin" },
    { key: "/a~2" },
    { key: 7 },
    { timestamp: `/${"a".repeat(256)}` },
    { maxFutureMs: -1 },
    { maxFutureMs: Number.POSITIVE_INFINITY },
  ])("[WD3] %j is refused", (config) => {
    expect(() => checkTopicConfig(config as never)).toThrow(wrong);
  });

  it("[WD3] no values make it throw anything else", () => {
    const config = fc.record(
      {
        partitions: fc.jsonValue(),
        contentType: fc.jsonValue(),
        key: fc.jsonValue(),
        timestamp: fc.jsonValue(),
        maxFutureMs: fc.jsonValue(),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(config, (value) => {
        try {
          checkTopicConfig(value as never);
        } catch (thrown) {
          expect(thrown).toEqual(wrong);
        }
      }),
    );
  });

  it("[WD6] pages over the shards give every name once, in the order of UTF-8, whatever the names and the page", () => {
    const name = fc.oneof(fc.string({ minLength: 1, maxLength: 3 }), fc.string({ unit: "binary", minLength: 1, maxLength: 3 }));
    const names = fc.uniqueArray(
      name.filter((each) => each.isWellFormed()),
      { maxLength: 30 },
    );
    fc.assert(
      fc.property(names, fc.integer({ min: 1, max: 7 }), (wanted, limit) => {
        const sorted = wanted.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
        const shards = Array.from({ length: DIRECTORY_SHARDS }, (_, index) => sorted.filter((each) => directoryShard(each) === index));
        const seen: string[] = [];
        let after: string | null = null;
        do {
          const from = after === null ? 0 : sorted.indexOf(after) + 1;
          const lists = shards.map((shard) =>
            shard
              .filter((each) => sorted.indexOf(each) >= from)
              .slice(0, limit + 1)
              .map((each) => ({ name: each })),
          );
          const page: { items: { name: string }[]; next: string | null } = mergePage(lists, limit);
          expect(page.items.length).toBeLessThanOrEqual(limit);
          seen.push(...page.items.map((item) => item.name));
          after = page.next;
        } while (after !== null);
        expect(seen).toEqual(sorted);
      }),
    );
  });

  it("[WD7] a group that names nothing has three replicas in three regions; one alone lives where it is asked for", () => {
    const three = checkGroupConfig({});
    expect(three.replicas).toBe(3);
    expect(new Set(three.regions).size).toBe(3);
    expect(checkGroupConfig({ replicas: 1 })).toEqual({ replicas: 1, regions: [] });
    expect(checkGroupConfig({ regions: ["weur", "weur", "eeur"] })).toEqual({ replicas: 3, regions: ["weur", "weur", "eeur"] });
    expect(checkGroupConfig(checkGroupConfig({ replicas: 5 }))).toEqual(checkGroupConfig({ replicas: 5 }));
    expect(sameGroupConfig(three, checkGroupConfig(three))).toBe(true);
    expect(sameGroupConfig(three, checkGroupConfig({ regions: ["weur", "weur", "eeur"] }))).toBe(false);
    expect(firstMembers(checkGroupConfig({ regions: ["me"] }))).toEqual({ members: [{ id: 1, region: "me", learner: false }], nextId: 2 });
  });

  it.each([
    { replicas: 0 },
    { replicas: 2 },
    { replicas: 7 },
    { replicas: "3" },
    { replicas: 3, regions: ["weur"] },
    { regions: ["weur", "weur"] },
    { regions: ["mars"] },
    { regions: "weur" },
    { replicas: null, regions: 7 },
  ])("[WD7] a group of %j is refused", (config) => {
    expect(() => checkGroupConfig(config as never)).toThrow(wrong);
  });

  it("[WD8] members have ids of their own, none that is still to be given", () => {
    const member = (id: number) => ({ id, region: null, learner: false });
    checkMembers({ members: [member(1), member(7)], nextId: 8 });
    for (const members of [[], [member(1), member(1)], [member(8)], [member(0)], [{ ...member(1), region: "x" as never }]]) {
      expect(() => checkMembers({ members, nextId: 8 })).toThrow(wrong);
    }
    expect(() => checkMembers({ members: Array.from({ length: 10 }, (_, i) => member(i + 1)), nextId: 99 })).toThrow(wrong);
  });
});

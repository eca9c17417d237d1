import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkTopicConfig, DIRECTORY_SHARDS, directoryShard, mergePage, sameTopicConfig } from "./directory.ts";

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
});

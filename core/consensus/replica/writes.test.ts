import { describe, expect, it } from "vitest";
import { decodeCommands, encodeCommands } from "../kv/codec.ts";
import type { Applied } from "../kv/store.ts";
import { RaftError } from "../raft/types.ts";
import { put } from "./cluster.fixture.ts";
import { WriteQueue } from "./writes.ts";

/** A node that keeps what it is given; `full` makes it refuse. */
function fakeNode() {
  const entries: Uint8Array[] = [];
  const state = { full: false };
  const node = {
    propose: (data: Uint8Array) => node.proposeMany([data]),
    proposeMany: (datas: Uint8Array[]) => {
      if (state.full) throw new RaftError("proposalDropped", "full");
      entries.push(...datas);
    },
    status: () => ({ lastIndex: entries.length, term: 5 }),
  };
  return { entries, state, node: node as never };
}

const outcome = (revision: number) =>
  ({ events: [], revision, duplicate: false, result: { op: "compact", response: { header: { revision } } } }) as Applied;

describe("a queue of writes", () => {
  function queue(entryBytes = 1_000) {
    const writes = new WriteQueue(entryBytes, encodeCommands);
    const told: string[] = [];
    const add = (key: string, size = 1) =>
      writes.add({
        command: { operation: put(key, "v".repeat(size)), at: 0, session: null },
        done: ({ revision }) => told.push(`${key} did ${revision}`),
        lost: () => told.push(`${key} is lost`),
      });
    return { writes, told, add };
  }

  it("[GR2] packs what waits into as few entries as their size allows, in order", () => {
    const { writes, add } = queue(300);
    const { node, entries } = fakeNode();
    for (const [key, size] of [["a", 10], ["b", 10], ["c", 250], ["d", 10], ["e", 900], ["f", 10]] as const) add(key, size); // biome-ignore format: pairs
    expect(writes.flush(node, 0)).toBe(entries.length);
    const keys = entries.map((entry) =>
      decodeCommands(entry)
        .map(({ operation }) => (operation.op === "put" ? operation.request.key : ""))
        .join(""),
    );
    expect(keys.join("")).toBe("abcdef");
    expect(keys.length).toBe(5);
    expect(writes.waiting).toBe(false);
    expect(writes.flush(node, 0)).toBe(6);
    expect(entries.at(-1)).toHaveLength(0);
  });

  it("[GR1] answers each with its own result; one whose place in the log another term took never happened", () => {
    const { writes, told, add } = queue();
    const { node } = fakeNode();
    add("a");
    add("b");
    writes.flush(node, 0);
    add("c");
    writes.flush(node, 0);
    writes.applied(1, 5, [outcome(2), outcome(3)]);
    writes.applied(2, 6, [outcome(9)]);
    writes.applied(3, 6, [outcome(9)]);
    expect(told).toEqual(["a did 2", "b did 3", "c is lost"]);
    expect([writes.bytes, writes.cost]).toEqual([0, 0]);
  });

  it("[GR8] a leader that is deposed gives up what is in no log, and waits for the rest", () => {
    const { writes, told, add } = queue();
    const { node, state } = fakeNode();
    add("logged");
    writes.flush(node, 0);
    state.full = true;
    add("waits");
    expect(writes.flush(node, 0)).toBeNull();
    expect(writes.waiting).toBe(true);
    writes.abandon();
    expect(told).toEqual(["waits is lost"]);
    writes.applied(1, 5, [outcome(2)]);
    expect(told).toEqual(["waits is lost", "logged did 2"]);
    add("unknown");
    state.full = false;
    writes.flush(node, 0);
    writes.forget(2);
    expect([told.length, writes.bytes, writes.cost]).toEqual([2, 0, 0]);
  });

  it("[GR2] a round is under way until it is committed, or takes too long", () => {
    const { writes, add } = queue();
    const { node } = fakeNode();
    add("a");
    writes.flush(node, 100);
    add("b");
    expect([writes.underWay(0, 105, 10), writes.underWay(1, 105, 10), writes.underWay(0, 110, 10)]).toEqual([true, false, false]);
    expect([writes.deadline(0, 10), writes.deadline(1, 10)]).toEqual([110, null]);
  });
});

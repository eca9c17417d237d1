import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { WatchCreate } from "../kv/types.ts";
import { type Watcher, WatchSession } from "./watch-session.ts";

const create = (key = "a", rangeEnd = ""): WatchCreate => ({
  ...{ key, rangeEnd, startRevision: 0, progressNotify: false, filters: [], prevKv: false, fragment: false },
});
const at = (revision: number) => ({ cluster: 1n, member: 2n, term: 3, revision });

type Result = { watch_id?: string; created?: boolean; canceled?: boolean; cancel_reason?: string; header: { revision?: string } };

function begin() {
  const asked: string[] = [];
  const said: Result[] = [];
  const watcher: Watcher = {
    create: (id, watch) => void asked.push(`create ${id} ${JSON.stringify(watch.key)}`),
    cancel: (id) => void asked.push(`cancel ${id}`),
    progress: () => void asked.push("progress"),
  };
  const session = new WatchSession(watcher, (line) => said.push(JSON.parse(line).result), at(5));
  return { asked, said, session };
}

describe("a stream of watches", () => {
  it("[EW1] an id that the client leaves open is the next that is free, from 0 on", () => {
    const { session, said } = begin();
    for (const id of [0n, 1n, 0n, 0n, -5n]) session.request({ ask: "create", id, create: create() });
    for (let ours = 1; ours <= 5; ours++) session.created(ours, at(6), "");
    expect(said.map(({ watch_id }) => watch_id ?? "0")).toEqual(["0", "1", "2", "3", "-5"]);
    expect(session.size).toBe(5);
  });

  it("[EW2] an id in use and an empty range are refused, in the order of the requests", () => {
    const { session, said, asked } = begin();
    session.request({ ask: "create", id: 7n, create: create() });
    session.request({ ask: "create", id: 7n, create: create() });
    session.request({ ask: "create", id: 0n, create: create("b", "a") });
    session.request({ ask: "create", id: 8n, create: create("b", "\0") });
    expect(said).toEqual([]);
    session.created(1, at(9), "");
    session.created(2, at(9), "");
    expect(said.map(({ watch_id, canceled, cancel_reason }) => [watch_id, canceled, cancel_reason])).toEqual([
      ["7", undefined, undefined],
      ["-1", true, "mvcc: duplicate watch ID provided on the WatchStream"],
      ["-1", true, "mvcc: watcher range is empty"],
      ["8", undefined, undefined],
    ]);
    expect(said.every(({ created, header }) => created === true && header.revision === "9")).toBe(true);
    expect(asked).toEqual(['create 1 "a"', 'create 2 "b"']);
  });

  it("[EW2] what is refused first is answered at once", () => {
    const { session, said } = begin();
    session.request({ ask: "create", id: 0n, create: create("b", "b") });
    expect(said).toMatchObject([{ watch_id: "-1", created: true, canceled: true, header: { revision: "5" } }]);
  });

  it("[EW3] a cancelled id is free at once, and what comes of the old watch is not taken for the new one's", () => {
    const { session, said, asked } = begin();
    session.request({ ask: "create", id: 7n, create: create() });
    session.created(1, at(5), "");
    session.request({ ask: "cancel", id: 7n });
    session.request({ ask: "cancel", id: 7n });
    const kv = { key: "a", createRevision: 2, modRevision: 2, version: 1, value: "", lease: 0n };
    session.events(1, at(6), [{ type: "put", kv, prevKv: null }], false);
    session.request({ ask: "create", id: 7n, create: create() });
    session.events(1, at(6), [{ type: "put", kv, prevKv: null }], false);
    session.canceled(1, at(6), "", 0);
    session.created(2, at(6), "");
    expect(asked).toEqual(['create 1 "a"', "cancel 1", 'create 2 "a"']);
    expect(said.map(({ created, canceled }) => (canceled ? "canceled" : created ? "created" : ""))).toEqual([
      "created",
      "canceled",
      "created",
    ]);
    session.request({ ask: "cancel", id: 7n });
    expect(asked.at(-1)).toBe("cancel 2");
  });

  it("[EW4] no key is the first key; an answer to progress is of no watch", () => {
    const { session, said, asked } = begin();
    session.request({ ask: "create", id: 0n, create: create("", "\0") });
    session.request({ ask: "progress" });
    session.progress(null, at(8));
    expect(asked).toEqual(['create 1 "\\u0000"', "progress"]);
    expect(said).toEqual([{ header: expect.objectContaining({ revision: "8" }), watch_id: "-1" }]);
  });

  it("[EW5] whatever is asked, every create is answered once, and only open watches are heard", () => {
    const request = fc.oneof(
      fc.record({ ask: fc.constant("create" as const), id: fc.bigInt({ min: 0n, max: 4n }), empty: fc.boolean() }),
      fc.record({ ask: fc.constant("cancel" as const), id: fc.bigInt({ min: 0n, max: 4n }), empty: fc.constant(false) }),
    );
    fc.assert(
      fc.property(fc.array(request, { maxLength: 30 }), (requests) => {
        const said: Result[] = [];
        const open = new Map<number, boolean>();
        const watcher: Watcher = {
          create: (id) => void open.set(id, true),
          cancel: (id) => void open.set(id, false),
          progress: () => {},
        };
        const session = new WatchSession(watcher, (line) => said.push(JSON.parse(line).result), at(1));
        for (const { ask, id, empty } of requests)
          session.request(ask === "create" ? { ask, id, create: empty ? create("b", "a") : create() } : { ask, id });
        for (const id of open.keys()) session.created(id, at(2), "");
        for (const [id, still] of open) if (!still) session.canceled(id, at(2), "", 0);
        expect(said.filter(({ created }) => created === true).length).toBe(requests.filter(({ ask }) => ask === "create").length);
        const before = said.length;
        const event = {
          type: "put" as const,
          kv: { key: "a", createRevision: 2, modRevision: 2, version: 1, value: "", lease: 0n },
          prevKv: null,
        };
        for (const id of open.keys()) session.events(id, at(2), [event], false);
        expect(said.length - before).toBe(session.size);
        expect(new Set(said.slice(before).map(({ watch_id }) => watch_id ?? "0")).size).toBe(session.size);
      }),
    );
  });
});

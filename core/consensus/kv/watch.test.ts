import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { KEYS, operation } from "../../../test/contract/kv-arbitrary.ts";
import { KvModel, within } from "../../../test/contract/kv-model.ts";
import { eventBytes } from "./size.ts";
import { SpanIndex } from "./spans.ts";
import { KvStore } from "./store.ts";
import type { Operation, WatchCreate, WatchEvent } from "./types.ts";
import { WatchHub, type WatchResponse } from "./watch.ts";

const watchOf = (more: Partial<WatchCreate> = {}): WatchCreate => ({
  key: "a",
  rangeEnd: "",
  startRevision: 0,
  progressNotify: false,
  filters: [],
  prevKv: false,
  fragment: false,
  ...more,
});
const ALL = { key: "\0", rangeEnd: "\0" };

/** A store and its hub, as a host has them. */
class Host {
  store = new KvStore();
  hub: WatchHub;
  constructor(options = {}) {
    this.hub = new WatchHub(this.store, options);
  }
  apply(operation: Operation): WatchResponse[] {
    const { events, revision } = this.store.apply({ operation, at: 0, session: null });
    return events.length > 0 ? this.hub.apply(revision, events) : [];
  }
  put(key: string, value = ""): WatchResponse[] {
    return this.apply({ op: "put", request: { key, value, lease: 0n, prevKv: false, ignoreValue: false, ignoreLease: false } });
  }
  delete(key: string, rangeEnd = ""): WatchResponse[] {
    return this.apply({ op: "deleteRange", request: { key, rangeEnd, prevKv: false } });
  }
  compact(revision: number): void {
    this.apply({ op: "compact", request: { revision } });
  }
}

const shown = ({ events }: WatchResponse) => events.map(({ type, kv }) => `${type} ${kv.key}@${kv.modRevision}`);

describe("a watch", () => {
  it("[KW1] is created at the present, tells what happens after, and ends when cancelled", () => {
    const host = new Host();
    host.put("a");
    expect(host.hub.create(7, watchOf())).toEqual({
      id: 7,
      revision: 2,
      created: true,
      canceled: false,
      compactRevision: 0,
      cancelReason: "",
      fragment: false,
      events: [],
      next: 3,
    });
    expect(host.put("b")).toEqual([]);
    expect(host.put("a", "v")).toMatchObject([
      { id: 7, revision: 4, next: 5, events: [{ type: "put", kv: { value: "v" }, prevKv: null }] },
    ]);
    expect(host.delete("a", "b")).toMatchObject([
      { events: [{ type: "delete", kv: { key: "a", modRevision: 5, version: 0 }, prevKv: null }] },
    ]);
    expect(host.hub.cancel(7)).toMatchObject({ id: 7, canceled: true, revision: 5, next: 6 });
    expect(host.hub.cancel(7)).toBeNull();
    expect(host.put("a")).toEqual([]);
    expect(host.hub.size).toBe(0);
  });

  it("[KW1] of an empty range, or with an id that is taken, is refused as etcd does", () => {
    const { hub } = new Host();
    const refused = { id: -1, created: true, canceled: true, revision: 1 };
    expect(hub.create(1, watchOf({ key: "b", rangeEnd: "a" }))).toMatchObject({ ...refused, cancelReason: "mvcc: watcher range is empty" });
    expect(hub.create(1, watchOf({ key: "b", rangeEnd: "b" }))).toMatchObject(refused);
    expect(hub.create(1, watchOf({ key: "b", rangeEnd: "\0" }))).toMatchObject({ id: 1, created: true, canceled: false });
    expect(hub.create(1, watchOf())).toMatchObject({ ...refused, cancelReason: "mvcc: duplicate watch ID provided on the WatchStream" });
    expect(hub.size).toBe(1);
  });

  it("[KW1] without a key is of the first key, and with an end of all below it", () => {
    const host = new Host();
    host.hub.create(1, watchOf({ key: "" }));
    host.hub.create(2, watchOf({ key: "", rangeEnd: "b" }));
    expect(host.put("a").map(({ id }) => id)).toEqual([2]);
    expect(host.put("\0").map(({ id }) => id)).toEqual([1, 2]);
    expect(host.put("b")).toEqual([]);
  });

  it("[KW2] from the past gets history in order, then the present; from the future nothing before it", () => {
    const host = new Host();
    for (const key of ["a", "b", "a"]) host.put(key);
    expect(host.hub.create(1, watchOf({ ...ALL, startRevision: 3 }))).toMatchObject({ created: true, revision: 4, next: 3 });
    host.hub.create(2, watchOf({ ...ALL, startRevision: 6 }));
    expect(host.hub.behind()).toEqual([1]);
    expect(host.put("c")).toEqual([]);
    const [page] = host.hub.read(1);
    expect(page).toMatchObject({ revision: 5, next: 6 });
    expect(shown(page!)).toEqual(["put b@3", "put a@4", "put c@5"]);
    expect(host.hub.behind()).toEqual([]);
    expect(host.hub.read(1)).toEqual([]);
    expect(host.put("d").map(({ id }) => id)).toEqual([1, 2]);
  });

  it("[KW3] from what is compacted is cancelled, and told where to start again", () => {
    const host = new Host();
    for (const key of ["a", "a", "a"]) host.put(key);
    host.delete("a");
    host.hub.create(1, watchOf({ startRevision: 2 }));
    host.hub.create(2, watchOf({ startRevision: 5 }));
    host.compact(5);
    expect(host.hub.read(1)).toMatchObject([{ id: 1, revision: 0, canceled: true, compactRevision: 5, next: 5, cancelReason: "" }]);
    expect(host.hub.behind()).toEqual([2]);
    // A deletion made exactly at the compaction is still told.
    expect(host.hub.read(2).map(shown)).toEqual([["delete a@5"]]);
    expect(host.hub.create(3, watchOf({ startRevision: -1 }))).toMatchObject({ created: true });
    expect(host.hub.read(3)).toMatchObject([{ canceled: true, compactRevision: 5 }]);
    expect(new Host().hub.create(1, watchOf({ startRevision: -1 }))).toMatchObject({ created: true, next: 2 });
  });

  it("[KW4] shows what was before where it is asked for and known, and leaves out what is filtered", () => {
    const host = new Host();
    host.put("a", "old");
    host.hub.create(1, watchOf({ prevKv: true, filters: ["noDelete"] }));
    host.hub.create(2, watchOf({ filters: ["noPut"] }));
    expect(host.put("a", "new")).toMatchObject([{ id: 1, events: [{ prevKv: { value: "old", modRevision: 2 } }] }]);
    expect(host.delete("a")).toMatchObject([{ id: 2, events: [{ type: "delete", prevKv: null }] }]);
    host.put("a");
    host.compact(4);
    host.hub.create(3, watchOf({ prevKv: true, startRevision: 4 }));
    expect(host.hub.read(3)).toMatchObject([
      {
        events: [
          { type: "delete", prevKv: null },
          { type: "put", prevKv: null },
        ],
      },
    ]);
    host.hub.create(4, watchOf({ prevKv: true, startRevision: 5 }));
    host.put("a", "again");
    expect(host.hub.read(4)).toMatchObject([{ events: [{ prevKv: null }, { kv: { value: "again" }, prevKv: { modRevision: 5 } }] }]);
    host.hub.create(5, watchOf({ filters: ["noPut", "noDelete"], startRevision: 4 }));
    expect(host.hub.read(5)).toEqual([]);
    expect(host.hub.behind()).toEqual([]);
  });

  it("[KW5] that is paused loses nothing and keeps nothing", () => {
    const host = new Host();
    host.hub.create(1, watchOf(ALL));
    host.hub.pause(1);
    expect(host.put("a")).toEqual([]);
    expect(host.put("b")).toEqual([]);
    expect(host.hub.behind()).toEqual([]);
    expect(host.hub.read(1)).toEqual([]);
    expect(host.hub.cancel(1)).toMatchObject({ next: 2 });
    host.hub.create(1, watchOf({ ...ALL, startRevision: 2 }));
    host.hub.pause(1);
    expect(host.hub.resume(1)).toEqual([]);
    expect(host.hub.read(1).map(shown)).toEqual([["put a@2", "put b@3"]]);
  });

  it("[KW6] answers a progress request only after all events up to its revision", () => {
    const host = new Host();
    host.hub.create(1, watchOf());
    host.put("b");
    expect(host.hub.progress(1)).toMatchObject({ id: 1, revision: 2, next: 3, events: [] });
    host.hub.pause(1);
    expect(host.hub.progress(1)).toBeNull();
    host.put("a");
    expect(host.hub.resume(1)).toEqual([]);
    host.put("b");
    expect(host.hub.read(1)).toMatchObject([
      { events: [{}], next: 5 },
      { events: [], revision: 4, next: 5 },
    ]);
    expect(host.hub.progress(2)).toBeNull();
    host.hub.pause(1);
    host.hub.progress(1);
    expect(host.hub.resume(1)).toMatchObject([{ revision: 4, events: [] }]);
  });

  it("[KW6] gets periodic progress when it asked for it and had no event since the last", () => {
    const host = new Host();
    host.hub.create(1, watchOf({ progressNotify: true }));
    host.hub.create(2, watchOf());
    expect(host.hub.tick()).toMatchObject([{ id: 1, revision: 1, events: [] }]);
    host.put("a");
    expect(host.hub.tick()).toEqual([]);
    host.put("b");
    expect(host.hub.tick()).toMatchObject([{ id: 1, revision: 3, next: 4 }]);
    host.hub.pause(1);
    expect(host.hub.tick()).toEqual([]);
  });

  it("[KW7] that may be cut gets large answers in parts, each below the limit, that together are one", () => {
    const host = new Host({ maxResponseBytes: 1000 });
    host.hub.create(1, watchOf({ ...ALL, fragment: true }));
    host.hub.create(2, watchOf(ALL));
    const put = (key: string): Operation & { op: "put" } => ({
      op: "put",
      request: { key, value: "v".repeat(300), lease: 0n, prevKv: false, ignoreValue: false, ignoreLease: false },
    });
    const keys = ["a", "b", "c", "d", "e"];
    const responses = host.apply({ op: "txn", request: { compare: [], success: keys.map(put), failure: [] } });
    const parts = responses.filter(({ id }) => id === 1);
    expect(parts.map(({ fragment, next, events }) => [fragment, next, events.length])).toEqual([
      [true, 2, 2],
      [true, 2, 2],
      [false, 3, 1],
    ]);
    expect(parts.flatMap(shown)).toEqual(keys.map((key) => `put ${key}@2`));
    for (const { events } of parts) expect(events.reduce((sum, event) => sum + eventBytes(event), 0)).toBeLessThan(1000);
    expect(responses.filter(({ id }) => id === 2)).toMatchObject([{ fragment: false, events: { length: 5 } }]);
  });

  it("[KW2] reads long history in pages of whole revisions", () => {
    const host = new Host();
    for (let i = 0; i < 2500; i++) host.put("a", String(i));
    host.hub.create(1, watchOf({ startRevision: 1 }));
    const pages = [];
    while (host.hub.behind().length > 0) pages.push(...host.hub.read(1));
    expect(pages.map(({ events }) => events.length)).toEqual([1000, 1000, 500]);
    expect(pages.map(({ next }) => next)).toEqual([1002, 2002, 2502]);
  });
});

it("[KW8] finds whom a change concerns, among ranges that lie within, beside and across each other", () => {
  const ends = fc.constantFrom("", "\0", "b", "c", "b0", "\xff");
  const span = fc.record({ key: fc.constantFrom(...KEYS), rangeEnd: ends, remove: fc.nat(3).map((n) => n === 0) });
  fc.assert(
    fc.property(fc.array(span, { maxLength: 30 }), (spans) => {
      const index = new SpanIndex<number>();
      const model: ({ key: string; rangeEnd: string } | null)[] = [];
      for (const [i, { key, rangeEnd, remove }] of spans.entries()) {
        model.push({ key, rangeEnd });
        index.add(key, rangeEnd, i);
        const gone = remove ? model[Math.floor(i / 2)] : null;
        if (!gone) continue;
        model[Math.floor(i / 2)] = null;
        index.delete(gone.key, gone.rangeEnd, Math.floor(i / 2));
        index.delete(gone.key, gone.rangeEnd, 99);
      }
      for (const key of KEYS) {
        const found: number[] = [];
        index.visit(key, (item) => found.push(item));
        const wanted = model.flatMap((each, i) => (each !== null && within(key, each.key, each.rangeEnd) ? [i] : []));
        expect(found.sort((a, b) => a - b)).toEqual(wanted);
      }
    }),
    { numRuns: 300 },
  );
});

/** What happens to a watch with a consumer: it is slow, goes away, comes back where it was. */
const act = fc.oneof(
  { arbitrary: fc.record({ do: fc.constant("apply" as const), operation }), weight: 12 },
  {
    arbitrary: fc.record({
      do: fc.constantFrom("pause" as const, "resume" as const, "read" as const, "progress" as const),
      who: fc.nat(3),
    }),
    weight: 10,
  },
  { arbitrary: fc.record({ do: fc.constantFrom("leave" as const), who: fc.nat(3) }), weight: 2 },
  { arbitrary: fc.record({ do: fc.constantFrom("tick" as const, "restore" as const), who: fc.constant(0) }), weight: 1 },
);
const request: fc.Arbitrary<WatchCreate> = fc.record({
  key: fc.constantFrom("a", "\0", "aa", "b"),
  rangeEnd: fc.constantFrom("", "\0", "\0", "c"),
  startRevision: fc.constantFrom(0, 0, 1, 2, 5, 9),
  progressNotify: fc.boolean(),
  filters: fc.constantFrom([], [], ["noPut" as const], ["noDelete" as const]),
  prevKv: fc.boolean(),
  fragment: fc.boolean(),
});

/** What one consumer saw, held against all that happened: etcd's guarantees, one by one. */
class Consumer {
  readonly request: WatchCreate;
  readonly seen: WatchEvent[] = [];
  start = 0;
  next = 0;
  over = false;
  inFragment = false;
  readonly #model: KvModel;

  constructor(request: WatchCreate, model: KvModel) {
    this.request = request;
    this.#model = model;
  }

  wanted(before = Number.POSITIVE_INFINITY): WatchEvent[] {
    const { key, rangeEnd, filters } = this.request;
    return this.#model.events.filter(
      ({ type, kv }) =>
        kv.modRevision >= this.start &&
        kv.modRevision < before &&
        within(kv.key, key, rangeEnd) &&
        !filters.includes(type === "put" ? "noPut" : "noDelete"),
    );
  }

  take(response: WatchResponse): void {
    if (response.created) {
      this.next = response.next;
      return;
    }
    if (response.compactRevision !== 0) {
      // Reliable: it ends only where history that it has not seen is gone.
      expect(this.next).toBeLessThan(response.compactRevision);
      expect(response.compactRevision).toBe(this.#model.compacted);
      this.over = true;
      return;
    }
    for (const event of response.events) {
      const last = this.seen.at(-1);
      // Ordered, and at or after where it was promised to go on.
      expect(event.kv.modRevision).toBeGreaterThanOrEqual(last?.kv.modRevision ?? 0);
      expect(event.kv.modRevision).toBeGreaterThanOrEqual(this.next);
      if (event.prevKv !== null) expect(this.request.prevKv).toBe(true);
      this.seen.push(event);
    }
    this.inFragment = response.fragment;
    this.next = response.next;
    if (response.fragment) return;
    // Atomic, unique, reliable, bookmarkable: all of every revision below `next`, once, and nothing of those from it on.
    const wanted = this.wanted(this.next);
    const [seen, due] = [this.seen, wanted].map((events) => events.map(({ type, kv }) => ({ type, kv })));
    if (!isDeepStrictEqual(seen, due)) expect(seen).toEqual(due);
    if (response.events.length === 0) expect(this.next).toBeGreaterThan(response.revision);
    for (const [i, { prevKv, kv }] of this.seen.entries()) {
      if (!this.request.prevKv || isDeepStrictEqual(prevKv, wanted[i]!.prevKv)) continue;
      // Nothing is shown where what was before is compacted.
      expect(prevKv).toBeNull();
      expect(kv.modRevision - 1).toBeLessThan(this.#model.compacted);
    }
  }
}

it("[KW9] ordered, unique, reliable, atomic, resumable, bookmarkable, however slow the consumer", () => {
  fc.assert(
    fc.property(fc.array(act, { maxLength: 60, size: "max" }), fc.array(request, { minLength: 1, maxLength: 4 }), (acts, requests) => {
      let store = new KvStore();
      const hub = new WatchHub(store, { maxResponseBytes: 120 });
      const model = new KvModel();
      const consumers = requests.map((each) => new Consumer(each, model));
      const deliver = (responses: WatchResponse[]) => {
        for (const response of responses) consumers[response.id]!.take(response);
      };
      const create = (who: number, startRevision: number) => {
        const response = hub.create(who, { ...consumers[who]!.request, startRevision });
        deliver([response]);
      };
      for (const [who, consumer] of consumers.entries()) {
        create(who, consumer.request.startRevision);
        consumer.start = consumer.next;
      }
      for (const each of acts) {
        if (each.do === "apply") {
          const command = { operation: each.operation, at: 0, session: null };
          model.apply(command);
          const { events, revision } = store.apply(command);
          if (events.length > 0) deliver(hub.apply(revision, events));
        } else if (each.do === "tick") {
          deliver(hub.tick());
        } else if (each.do === "restore") {
          store = KvStore.restore(store.snapshot());
          hub.replace(store);
        } else {
          const who = each.who % consumers.length;
          const consumer = consumers[who]!;
          if (consumer.over) continue;
          if (each.do === "pause") hub.pause(who);
          else if (each.do === "resume") deliver(hub.resume(who));
          else if (each.do === "read") deliver(hub.read(who));
          else if (each.do === "progress") deliver([hub.progress(who)].filter((response) => response !== null));
          else {
            // Away, and back with what it was told to resume from.
            hub.cancel(who);
            create(who, consumer.next);
          }
        }
      }
      for (const [who, consumer] of consumers.entries()) {
        if (consumer.over) continue;
        deliver(hub.resume(who));
        while (hub.behind().includes(who)) deliver(hub.read(who));
        if (consumer.over) continue;
        expect(consumer.inFragment).toBe(false);
        deliver([hub.progress(who)!]);
        expect(consumer.seen.length).toBe(consumer.wanted().length);
      }
    }),
    { numRuns: 500 },
  );
});

it("[KW10] a hub that is given a store further on, or of less history, goes on there", () => {
  const host = new Host();
  const ahead = new Host();
  for (const key of ["a", "b"]) {
    host.put(key);
    ahead.put(key);
  }
  host.hub.create(1, watchOf(ALL));
  host.hub.create(2, watchOf({ ...ALL, startRevision: 9 }));
  host.hub.create(3, watchOf({ ...ALL, startRevision: 2 }));
  for (const key of ["c", "d"]) ahead.put(key);
  host.hub.replace(ahead.store);
  expect(host.hub.behind()).toEqual([1, 3]);
  expect(host.hub.read(1).map(shown)).toEqual([["put c@4", "put d@5"]]);
  ahead.compact(5);
  expect(host.hub.read(3)).toMatchObject([{ canceled: true, compactRevision: 5 }]);
  expect(host.hub.size).toBe(2);
});

it("[KW10] a watch that had nothing to be told of what the new store has compacted is not cancelled", () => {
  const host = new Host();
  host.hub.create(1, watchOf({ key: "z" }));
  for (const key of ["a", "b"]) host.put(key);
  const ahead = new Host();
  for (const key of ["a", "b", "z"]) ahead.put(key);
  ahead.compact(4);
  host.hub.replace(ahead.store);
  expect(host.hub.read(1).map(shown)).toEqual([["put z@4"]]);
});

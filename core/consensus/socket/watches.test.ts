import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encode, MAX_SERVER_FRAME_BYTES, parseServerFrame, type ServerFrame } from "../../wire/frames.ts";
import { type Publication, Session } from "../../wire/session.ts";
import { perform } from "../../wire/session-drive.ts";
import { KV_DEFAULTS, KvStore } from "../kv/store.ts";
import type { Operation, RequestOp, WatchEvent } from "../kv/types.ts";
import { readEvent } from "./answers.ts";
import { writeTarget } from "./spec.ts";
import { WatchTargets } from "./watches.ts";

const prefix = (key: string, prevKv = false) =>
  writeTarget({ key, rangeEnd: `${key.slice(0, -1)}${String.fromCharCode(key.charCodeAt(key.length - 1) + 1)}`, prevKv, filters: [] });
const put = (key: string, value: string): RequestOp => ({
  op: "put",
  request: { key, value, lease: 0n, prevKv: false, ignoreValue: false, ignoreLease: false },
});
const del = (key: string, rangeEnd = ""): RequestOp => ({ op: "deleteRange", request: { key, rangeEnd, prevKv: false } });
const txn = (...success: RequestOp[]): Operation => ({ op: "txn", request: { compare: [], success, failure: [] } });

/** One replica with one socket, which may break or sleep, and what its client has. */
class World {
  store = new KvStore(KV_DEFAULTS);
  targets = new WatchTargets(() => this.store, 1);
  session = Session.open(null).session;
  frames: ServerFrame[] = [];
  /** By revision, as they happened. */
  readonly history: WatchEvent[] = [];

  apply(operation: Operation): void {
    if (operation.op === "compact") this.publish(this.targets.compacted(operation.request.revision));
    const { events, revision } = this.store.apply({ operation, at: 0, session: null });
    this.history.push(...events);
    if (events.length > 0) this.publish(this.targets.apply(revision, events));
  }

  publish(changes: Publication[]): void {
    for (const change of changes) this.perform(this.session.publish(change, 0));
  }

  subscribe(id: number, target: string, credit: number, from?: string): void {
    this.send(encode({ type: "subscribe", id, target, credit, ...(from !== undefined && { from }) }));
  }

  send(text: string): void {
    this.perform(this.session.onFrame(text, 0, "calls"));
  }

  /** The object sleeps and wakes: memory is lost, the socket stays. */
  sleep(): void {
    this.session = Session.restore(this.session.save());
    this.targets = new WatchTargets(() => this.store, 1);
    for (const target of this.session.targets()) this.targets.open(target);
    this.perform(this.session.wake(() => null, 0));
  }

  perform(effects: ReturnType<Session["onFrame"]>): void {
    const shell = {
      save: () => {},
      send: (text: string) => void this.frames.push(parseServerFrame(text)),
      close: () => {},
      ask: (ask: Parameters<WatchTargets["read"]>[0]) => this.targets.read(ask),
      verify: () => {},
      acked: () => {},
    };
    perform(this.session, effects, shell, 0);
  }

  data(id: number) {
    return this.frames.flatMap((frame) => (frame.type === "data" && frame.id === id ? [frame] : []));
  }

  events(id: number): WatchEvent[] {
    return this.data(id).flatMap(({ payload }) => (payload as { events: unknown[] }).events.map(readEvent));
  }

  error(id: number): string | undefined {
    return this.frames.flatMap((frame) => (frame.type === "error" && frame.id === id ? [frame.code] : []))[0];
  }
}

const seen = (events: readonly WatchEvent[]) => events.map(({ type, kv }) => `${type} ${kv.key}=${kv.value} @${kv.modRevision}`);

describe("watches over a socket", () => {
  it("[GW1] tell what happens from now on, each revision as one whole, and nothing of other keys", () => {
    const world = new World();
    world.apply(txn(put("a/1", "old")));
    world.subscribe(1, prefix("a/"), 9);
    world.apply(txn(put("a/1", "x"), put("b/1", "y"), put("a/2", "z")));
    world.apply(txn(put("b/1", "q")));
    world.apply(txn(del("a/", "a0")));
    expect(world.data(1).map(({ position }) => position)).toEqual(["g1.3", "g1.5"]);
    expect(seen(world.events(1))).toEqual(["put a/1=x @3", "put a/2=z @3", "delete a/1= @5", "delete a/2= @5"]);
  });

  it("[GW2] go on after a revision, or after a position, from history", () => {
    const world = new World();
    for (let i = 1; i <= 5; i++) world.apply(txn(put("k", `${i}`)));
    world.subscribe(1, '{"key":"k"}', 9, "3");
    expect(seen(world.events(1))).toEqual(["put k=3 @4", "put k=4 @5", "put k=5 @6"]);
    world.subscribe(2, '{"key":"k"}', 9, "g1.5");
    expect(seen(world.events(2))).toEqual(["put k=5 @6"]);
    world.apply(txn(put("k", "6")));
    expect(seen(world.events(2)).at(-1)).toBe("put k=6 @7");
  });

  it("[GW2] a replica that is behind the client's position says nothing twice", () => {
    const world = new World();
    world.apply(txn(put("k", "1")));
    world.subscribe(1, '{"key":"k"}', 9, "g1.4");
    world.apply(txn(put("k", "2")));
    world.apply(txn(put("k", "3")));
    expect(world.events(1)).toEqual([]);
    world.apply(txn(put("k", "4")));
    expect(seen(world.events(1))).toEqual(["put k=4 @5"]);
  });

  it("[GW3] what is compacted, or of another group of that name, cannot be gone on from", () => {
    const world = new World();
    for (let i = 1; i <= 5; i++) world.apply(txn(put("k", `${i}`)));
    world.apply({ op: "compact", request: { revision: 5 } });
    world.subscribe(1, '{"key":"k"}', 9, "g1.2");
    world.subscribe(2, '{"key":"k"}', 9, "g2.5");
    world.subscribe(3, '{"key":"k"}', 9, "nonsense");
    world.subscribe(4, '{"key":""}', 9);
    world.subscribe(5, '{"key":"k"}', 9, "g1.5");
    expect([1, 2, 3, 4, 5].map((id) => world.error(id))).toEqual([
      ...["revision_compacted", "revision_compacted", "bad_request", "bad_request", undefined],
    ]);
  });

  it("[GW4] a silent watcher is told how far nothing happened before that is compacted", () => {
    const world = new World();
    world.subscribe(1, '{"key":"quiet"}', 9);
    for (let i = 0; i < 20; i++) world.apply(txn(put("loud", `${i}`)));
    expect(world.data(1)).toEqual([]);
    world.apply({ op: "compact", request: { revision: 15 } });
    expect(world.data(1)).toMatchObject([{ position: "g1.21", payload: { events: [] } }]);
    world.subscribe(2, '{"key":"quiet"}', 9, world.data(1)[0]!.position);
    expect(world.error(2)).toBeUndefined();
  });

  it("[GW4] a long silence in history is told of, once", () => {
    const world = new World();
    for (let i = 0; i < 1500; i++) world.apply(txn(put("loud", "x")));
    world.subscribe(1, '{"key":"quiet"}', 9, "1");
    expect(world.data(1)).toMatchObject([{ position: "g1.1501", payload: { events: [] } }]);
  });

  it("[GW5] a revision too large for a frame comes in parts, all but the last marked, also live and across credit", () => {
    const world = new World();
    world.subscribe(1, prefix("big/", true), 1);
    const large = (n: number) => "x".repeat(200_000) + n;
    world.apply(txn(...[1, 2, 3, 4].map((n) => put(`big/${n}`, large(n)))));
    expect(world.data(1).map(({ position, payload }) => [position, (payload as { more?: true }).more])).toEqual([["g1.2~MQ", true]]);
    world.sleep();
    world.send(encode({ type: "credit", id: 1, n: 2 }));
    world.send(encode({ type: "credit", id: 1, n: 7 }));
    expect(world.data(1).map(({ payload }) => (payload as { more?: true }).more)).toEqual([true, true, true, undefined]);
    expect(world.events(1).map(({ kv }) => kv.key)).toEqual(["big/1", "big/2", "big/3", "big/4"]);
    world.apply(txn(put("big/5", "small")));
    expect(world.events(1).at(-1)?.kv.key).toBe("big/5");
  });

  it("[GW5] an event that alone is larger than other frames may be is sent all the same", () => {
    const world = new World();
    world.subscribe(1, prefix("k", true), 9);
    world.apply(txn(put("k", "\xff".repeat(1_400_000))));
    world.apply(txn(put("k", "\xfe".repeat(1_400_000))));
    const [, second] = world.events(1);
    expect(second?.prevKv?.value.length).toBe(1_400_000);
    expect(JSON.stringify(world.data(1)[1]!.payload).length).toBeGreaterThan(MAX_SERVER_FRAME_BYTES);
  });

  it("[GW1] filters leave kinds of events out, and prevKv tells what was there before", () => {
    const world = new World();
    world.subscribe(1, '{"key":"k","only":"deletes","prevKv":true}', 9);
    world.subscribe(2, '{"key":"k","only":"puts"}', 9);
    world.apply(txn(put("k", "1")));
    world.apply(txn(del("k")));
    expect(world.events(1)).toMatchObject([{ type: "delete", prevKv: { value: "1" } }]);
    expect(world.events(2)).toMatchObject([{ type: "put", prevKv: null }]);
  });

  it("[GW6] targets without subscribers cost nothing", () => {
    const world = new World();
    world.subscribe(1, '{"key":"k"}', 9);
    world.subscribe(2, prefix("a/"), 9);
    expect(world.targets.size).toBe(2);
    world.send(encode({ type: "unsubscribe", id: 1 }));
    world.targets.keep(world.session.targets());
    expect(world.targets.size).toBe(1);
    world.apply(txn(put("k", "1"), put("a/", "2")));
    expect(world.events(2).length).toBe(1);
  });

  const key = fc.constantFrom("a/1", "a/2", "b/1", "c");
  const value = fc.oneof(fc.constantFrom("1", "2", ""), fc.constant("y".repeat(150_000)));
  const write = fc
    .uniqueArray(fc.record({ key, value, gone: fc.boolean() }), { minLength: 1, maxLength: 3, selector: ({ key }) => key })
    .map((ops) => txn(...ops.map(({ key, value, gone }) => (gone ? del(key) : put(key, value)))));
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ do: fc.constant("write" as const), operation: write }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant("credit" as const), n: fc.integer({ min: 1, max: 3 }) }) },
    { weight: 1, arbitrary: fc.constant({ do: "sleep" as const }) },
    { weight: 1, arbitrary: fc.constant({ do: "reconnect" as const }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("compact" as const), keep: fc.nat(3) }) },
  );

  it("[GW7] whatever happens, a client has every event once and in order, or is told that it cannot", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 50 }), fc.boolean(), (steps, prevKv) => {
        const world = new World();
        const target = prefix("a/", prevKv);
        world.apply(txn(put("a/1", "before")));
        let id = 1;
        const began = world.store.revision;
        let from = `${began}`;
        let credit = 2;
        const got: WatchEvent[] = [];
        world.subscribe(id, target, credit, from);
        let lost = false;
        const collect = () => {
          for (const frame of world.data(id)) {
            credit--;
            expect(credit).toBeGreaterThanOrEqual(0);
            from = frame.position;
            got.push(...(frame.payload as { events: unknown[] }).events.map(readEvent));
          }
          lost ||= world.error(id) !== undefined;
          if (world.error(id) !== undefined) expect(world.error(id)).toBe("revision_compacted");
          world.frames = [];
        };
        for (const each of steps) {
          if (each.do === "write") world.apply(each.operation);
          else if (each.do === "credit") {
            credit += each.n;
            world.send(encode({ type: "credit", id, n: each.n }));
          } else if (each.do === "sleep") world.sleep();
          else if (each.do === "reconnect") {
            collect();
            world.session = Session.open(null).session;
            credit = 2;
            world.subscribe(++id, target, credit, from);
          } else {
            const revision = world.store.revision - each.keep;
            if (revision > world.store.compactRevision) world.apply({ op: "compact", request: { revision } });
          }
          collect();
          if (lost) break;
        }
        const wanted = seen(world.history.filter(({ kv }) => kv.key.startsWith("a/") && kv.modRevision > began));
        expect(seen(got)).toEqual(wanted.slice(0, got.length));
        for (let i = 0; i < 60 && !lost; i++) {
          credit++;
          world.send(encode({ type: "credit", id, n: 1 }));
          collect();
        }
        if (!lost) expect(seen(got)).toEqual(wanted);
      }),
      { numRuns: 300 },
    );
  });
});

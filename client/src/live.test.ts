import { describe, expect, it } from "vitest";
import { type ClientFrame, encode, parseClientFrame, type ServerFrame } from "../../core/wire/frames.ts";
import { Http, type TokenSource } from "./http.ts";
import { createClient } from "./index.ts";
import { LiveFeed, type LiveOptions } from "./live.ts";
import type { Socket } from "./runtime.ts";

/** One connection as the server sees it. */
class FakeSocket implements Socket {
  readyState = 0;
  onopen: ((event: never) => void) | null = null;
  onmessage: ((event: never) => void) | null = null;
  onclose: ((event: never) => void) | null = null;
  onerror: ((event: never) => void) | null = null;
  readonly sent: ClientFrame[] = [];
  readonly url: string;
  readonly protocols: string[];

  constructor(url: string, protocols: string[]) {
    this.url = url;
    this.protocols = protocols;
  }

  send(text: string): void {
    this.sent.push(parseClientFrame(text));
  }

  close(): void {
    this.readyState = 3;
  }

  open(expiresAt: number | null = null): void {
    this.readyState = 1;
    this.onopen?.(undefined as never);
    this.say({ type: "hello", version: 1, expiresAt });
  }

  say(...frames: ServerFrame[]): void {
    for (const frame of frames) this.onmessage?.({ data: encode(frame) } as never);
  }

  drop(code = 1006, reason = ""): void {
    this.readyState = 3;
    this.onclose?.({ code, reason } as never);
  }
}

/** A feed whose connections and time the test makes; `elapse` runs what falls due. */
function setup(options: Partial<LiveOptions> = {}, token?: TokenSource) {
  const sockets: FakeSocket[] = [];
  const timers: { at: number; run: () => void }[] = [];
  const requests: string[] = [];
  let now = 1_000_000;
  const http = new Http({
    url: "https://skerry.test",
    token,
    project: undefined,
    attempts: 1,
    timeout: 1e9,
    runtime: {
      now: () => now,
      random: () => 1,
      uuid: () => "u",
      online: () => () => {},
      timer: (ms, run) => {
        const timer = { at: now + ms, run };
        timers.push(timer);
        return () => void timers.splice(timers.indexOf(timer) >>> 0, timers.includes(timer) ? 1 : 0);
      },
      connect: (url, protocols) => {
        const socket = new FakeSocket(url, protocols);
        sockets.push(socket);
        return socket;
      },
      fetch: async (url, init) => {
        requests.push(`${init.method} ${url}`);
        return Response.json({ token: `refreshed-${requests.length}`, id: "i", expiresAt: now + 100_000, refreshableUntil: now });
      },
    },
  });
  const feed = new LiveFeed(http, { path: "/live", targets: ["t/0"], credit: 4, probe: async () => {}, ...options });
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  const elapse = async (ms: number) => {
    const end = now + ms;
    for (;;) {
      await settle();
      const due = timers.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      timers.splice(timers.indexOf(due), 1);
      now = due.at;
      due.run();
    }
    now = end;
  };
  /** Begins to read and returns the connection that this makes. */
  const begin = async () => {
    const first = feed.next();
    first.catch(() => {});
    await settle();
    return { first, socket: sockets.at(-1) as FakeSocket };
  };
  return { feed, sockets, requests, elapse, settle, begin, time: () => now };
}

const data = (n: number, more: object = {}): ServerFrame => ({
  type: "data",
  id: 1,
  position: `g.${n}`,
  kind: "delta",
  payload: n,
  ...more,
});
const subscribed = (mode: "snapshot" | "resume", n = 0): ServerFrame => ({ type: "subscribed", id: 1, position: `g.${n}`, mode });
const credits = (socket: FakeSocket) => socket.sent.flatMap((frame) => (frame.type === "credit" ? [frame.n] : []));
const subscribes = (socket: FakeSocket) => socket.sent.flatMap((frame) => (frame.type === "subscribe" ? [frame] : []));

describe("a feed", () => {
  it("connects when it is first read, with the subprotocol and the token, and subscribes to each target", async () => {
    const { begin, sockets } = setup({ targets: ["t/0", "t/1"], from: [null, "g.7"] }, "secret token");
    expect(sockets.length).toBe(0);
    const { socket } = await begin();
    expect(socket.url).toBe("wss://skerry.test/live?token=secret+token");
    expect(socket.protocols).toEqual(["skerry.v1"]);
    socket.open();
    expect(socket.sent).toEqual([
      { type: "subscribe", id: 1, target: "t/0", credit: 4 },
      { type: "subscribe", id: 2, target: "t/1", credit: 4, from: "g.7" },
    ]);
  });

  it("grants credit as it is read, not as frames arrive", async () => {
    const { begin, feed } = setup();
    const { socket, first } = await begin();
    socket.open();
    socket.say(subscribed("resume"), data(1), data(2), data(3), data(4));
    expect(await first).toMatchObject({ value: { kind: "subscribed", mode: "resume" } });
    expect(credits(socket)).toEqual([]);
    await feed.next();
    expect(credits(socket)).toEqual([]);
    await feed.next();
    expect(credits(socket)).toEqual([2]);
    expect(feed.positions()).toEqual(["g.2"]);
  });

  it("resumes after the last frame that arrived, read or not, and pauses longer after each failure", async () => {
    const { begin, feed, sockets, elapse } = setup();
    const { socket, first } = await begin();
    socket.open();
    socket.say(subscribed("resume"), data(1), data(2), data(3));
    await first;
    expect(await feed.next()).toMatchObject({ value: { item: { payload: 1 } } });
    socket.drop();
    await elapse(249);
    expect(sockets.length).toBe(1);
    await elapse(1);
    sockets[1]!.drop();
    await elapse(499);
    expect(sockets.length).toBe(2);
    await elapse(1);
    sockets[2]!.open();
    // Two frames still wait to be read: they keep their share.
    expect(subscribes(sockets[2]!)).toEqual([{ type: "subscribe", id: 1, target: "t/0", credit: 2, from: "g.3" }]);
    sockets[2]!.say(subscribed("resume", 3), data(4));
    const rest = [await feed.next(), await feed.next(), await feed.next(), await feed.next()].map(
      ({ value }) => value.item?.payload ?? value.kind,
    );
    expect(rest).toEqual([2, 3, "subscribed", 4]);
  });

  it("never has more credit out than the protocol allows, although every frame of it waits when it reconnects", async () => {
    const { begin, feed, sockets, elapse } = setup({ credit: 256 });
    const { socket, first } = await begin();
    socket.open();
    socket.say(subscribed("resume"), ...Array.from({ length: 256 }, (_, i) => data(i + 1)));
    await first;
    socket.drop();
    await elapse(250);
    sockets[1]!.open();
    for (let i = 0; i < 256; i++) await feed.next();
    const out = subscribes(sockets[1]!)[0]!.credit + credits(sockets[1]!).reduce((sum, n) => sum + n, 0);
    expect(out).toBeGreaterThan(128);
    expect(out).toBeLessThanOrEqual(256);
  });

  it("throws away what waits when the server starts over, returns its credit, and does not resume within nothing", async () => {
    const { begin, feed, sockets, elapse } = setup();
    const { socket, first } = await begin();
    socket.open();
    socket.say(subscribed("resume"), data(1), data(2));
    await first;
    socket.say(subscribed("snapshot", 9));
    expect(await feed.next()).toMatchObject({ value: { kind: "subscribed", mode: "snapshot" } });
    expect(feed.positions()).toEqual([null]);
    socket.drop();
    await elapse(250);
    sockets[1]!.open();
    expect(subscribes(sockets[1]!)).toEqual([{ type: "subscribe", id: 1, target: "t/0", credit: 4 }]);
    sockets[1]!.say(subscribed("snapshot", 9), data(9, { kind: "snapshot", last: true }));
    await feed.next();
    expect(await feed.next()).toMatchObject({ value: { item: { kind: "snapshot", last: true } } });
    expect(feed.positions()).toEqual(["g.9"]);
  });

  it("refreshes its token in-band before it ends", async () => {
    const { begin, requests, elapse, time } = setup({}, "old");
    const { socket } = await begin();
    socket.open(time() + 10_000);
    await elapse(7999);
    expect(requests).toEqual([]);
    await elapse(2);
    expect(requests).toEqual(["POST https://skerry.test/v1/tokens/refresh"]);
    expect(socket.sent.at(-1)).toEqual({ type: "token", token: "refreshed-1" });
    socket.say({ type: "token_ok", expiresAt: time() + 20_000 });
    await elapse(16_001);
    expect(socket.sent.at(-1)).toEqual({ type: "token", token: "refreshed-2" });
  });

  it("comes back with a new token where it can make one, and ends with the reason where it cannot", async () => {
    let made = 0;
    const renewing = setup({}, () => `t${++made}`);
    const { socket } = await renewing.begin();
    socket.open();
    socket.say({ type: "error", code: "token_expired", detail: "It has ended." });
    socket.drop(4408, "token_expired");
    await renewing.elapse(250);
    expect(renewing.sockets[1]!.url).toContain("token=t2");
    const fixed = setup({}, "t1");
    const { socket: other, first } = await fixed.begin();
    other.open();
    other.drop(4408, "token_expired: The token has ended.");
    await expect(first).rejects.toMatchObject({ code: "token_expired", message: "The token has ended." });
    expect(await fixed.feed.next()).toEqual({ value: undefined, done: true });
    expect(fixed.sockets.length).toBe(1);
  });

  it.each([
    [4403, "forbidden", "forbidden"],
    [4409, "token_revoked: It was revoked.", "token_revoked"],
    [4999, "from the future", "unavailable"],
    [1009, "", "unavailable"],
  ])("ends at close code %i %s", async (code, reason, expected) => {
    const { begin, sockets, elapse } = setup();
    const { socket, first } = await begin();
    socket.open();
    socket.drop(code, reason);
    await expect(first).rejects.toMatchObject({ code: expected });
    await elapse(60_000);
    expect(sockets.length).toBe(1);
  });

  it("ends when its subscription is refused, and starts again when that was for now", async () => {
    const refused = setup();
    const one = await refused.begin();
    one.socket.open();
    one.socket.say({ type: "error", id: 1, code: "table_not_found", detail: "No such table." });
    await expect(one.first).rejects.toMatchObject({ code: "table_not_found", message: "No such table." });
    const busy = setup();
    const other = await busy.begin();
    other.socket.open();
    other.socket.say({ type: "error", id: 1, code: "overloaded", detail: "Later.", retryAfter: 3 });
    await busy.elapse(2999);
    expect(busy.sockets.length).toBe(1);
    await busy.elapse(1);
    expect(busy.sockets.length).toBe(2);
  });

  it("asks why when a connection is refused, since a browser does not tell", async () => {
    const probes: number[] = [];
    const { begin, sockets, elapse } = setup({
      probe: async () => {
        probes.push(sockets.length);
        if (probes.length === 2) throw Object.assign(new Error("No such table."), { code: "table_not_found" });
      },
    });
    const { socket, first } = await begin();
    expect(probes).toEqual([]);
    socket.drop();
    await elapse(250);
    sockets[1]!.drop();
    await elapse(500);
    await expect(first).rejects.toMatchObject({ code: "table_not_found" });
    expect(probes).toEqual([1, 2]);
  });

  it("asks a silent server for a word, and leaves a dead one", async () => {
    const { begin, sockets, elapse } = setup();
    const { socket } = await begin();
    socket.open();
    await elapse(30_000);
    expect(socket.sent.at(-1)).toEqual({ type: "ping" });
    socket.say({ type: "pong" });
    await elapse(59_000);
    expect(sockets.length).toBe(1);
    await elapse(2000);
    expect(sockets.length).toBe(2);
    expect(socket.readyState).toBe(3);
  });

  it("is over when all of its targets are, when its reader leaves, and when it is aborted", async () => {
    const ended = setup({ targets: ["t/0", "t/1"] });
    const one = await ended.begin();
    one.socket.open();
    one.socket.say(subscribed("resume"), { type: "end", id: 1, reason: "complete" });
    await one.first;
    const last = ended.feed.next();
    one.socket.say({ type: "end", id: 2, reason: "complete" });
    expect(await last).toEqual({ value: undefined, done: true });
    expect(one.socket.readyState).toBe(3);

    const left = setup();
    const two = await left.begin();
    two.socket.open();
    await left.feed.return();
    expect(await two.first).toEqual({ value: undefined, done: true });
    expect(two.socket.readyState).toBe(3);

    const stop = new AbortController();
    const aborted = setup({ signal: stop.signal });
    const three = await aborted.begin();
    stop.abort(new Error("enough"));
    await expect(three.first).rejects.toThrow("enough");
    three.socket.drop();
    await aborted.elapse(60_000);
    expect(aborted.sockets.length).toBe(1);
    await expect(setup({ signal: stop.signal }).feed.next()).rejects.toThrow("enough");
  });

  it("ends with bad_frame when the server does not speak the protocol", async () => {
    const { begin } = setup();
    const { socket, first } = await begin();
    socket.open();
    socket.onmessage?.({ data: "<html>" } as never);
    await expect(first).rejects.toMatchObject({ code: "bad_frame" });
  });

  it("refuses a credit that the protocol has not", () => {
    for (const credit of [0, 257, 1.5]) expect(() => setup({ credit })).toThrow(/credit/);
  });
});

describe("a table", () => {
  it("is followed over all of its partitions: a reset, its rows, and what changes", async () => {
    const sockets: FakeSocket[] = [];
    const client = createClient({
      url: "http://skerry.test",
      runtime: {
        connect: (url, protocols) => {
          const socket = new FakeSocket(url, protocols);
          sockets.push(socket);
          return socket;
        },
        fetch: async () => Response.json({ rows: [], cursor: null, partitions: [{ partition: 0 }, { partition: 1 }] }),
      },
    });
    const row = { key: "ATL", window: { start: 0, end: 1 }, value: { count: 1 }, final: false, revision: 1 };
    const payload = { rows: [row], streamTime: 5, closedBefore: 3, late: 0 };
    const subscription = await client.streams.table("delays").subscribe();
    const events: unknown[] = [];
    const reading = (async () => {
      for await (const event of subscription) {
        events.push(event);
        if (events.length === 4) break;
      }
    })();
    await expect.poll(() => sockets.length).toBe(1);
    const [socket] = sockets as [FakeSocket];
    expect(socket.url).toBe("ws://skerry.test/v1/tables/delays/live");
    socket.open();
    expect(subscribes(socket).map(({ target }) => target)).toEqual(["delays/0", "delays/1"]);
    socket.say(
      { type: "subscribed", id: 2, position: "g.4", mode: "snapshot" },
      { type: "data", id: 2, position: "g.4~QQ", kind: "snapshot", payload },
      { type: "data", id: 2, position: "g.4", kind: "snapshot", last: true, payload },
      { type: "subscribed", id: 1, position: "g.4", mode: "resume" },
      { type: "data", id: 2, position: "g.5", kind: "delta", payload },
    );
    await reading;
    expect(events).toEqual([
      { kind: "reset", partition: 1 },
      { kind: "rows", partition: 1, complete: false, ...payload },
      { kind: "rows", partition: 1, complete: true, ...payload },
      { kind: "rows", partition: 1, complete: true, ...payload },
    ]);
    expect(subscription.positions()).toEqual(["g.4", "g.5"]);
    expect(socket.readyState).toBe(3);
  });
});

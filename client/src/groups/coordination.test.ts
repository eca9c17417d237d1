import { describe, expect, it } from "vitest";
import { FakeGroup } from "../testing/group.fixture.ts";
import { type Change, type Follow, openGroup, put } from "./index.ts";

function setup(clients = 1) {
  const fake = new FakeGroup();
  const groups = Array.from({ length: clients }, () => openGroup(fake.client(), "desk"));
  return { fake, time: fake.time, groups, group: groups[0]! };
}

/** Lets time pass until the promise is settled; the group's leases run with it. */
async function settled<T>(fake: FakeGroup, work: Promise<T>, within = 120_000): Promise<T> {
  let open = true;
  const done = work.finally(() => {
    open = false;
  });
  done.catch(() => {});
  for (let ms = 0; open && ms < within; ms += 50) {
    fake.expire();
    await fake.time.elapse(50);
  }
  if (open) throw new Error("It never ended.");
  return done;
}

async function pass(fake: FakeGroup, ms: number): Promise<void> {
  for (let gone = 0; gone < ms; gone += 50) {
    fake.expire();
    await fake.time.elapse(50);
  }
}

describe("a watch", () => {
  it("begins when it is ready, tells whole revisions, and says where it is", async () => {
    const { fake, group } = setup();
    const watch = group.watch({ prefix: "a/" }, { previous: true });
    expect(watch.position).toBeNull();
    await settled(fake, watch.ready());
    expect(watch.position).toBe("g1.1");
    await settled(fake, group.txn().do(put("a/1", "x"), put("b", "y"), put("a/2", "z")).commit());
    const { value } = await settled(fake, watch.next());
    expect(value.events.map(({ key, entry }: Change["events"][number]) => `${key}=${entry.text}`)).toEqual(["a/1=x", "a/2=z"]);
    expect(watch.position).toBe("g1.2");
    await watch.return?.();
    expect(await watch.next()).toEqual({ value: undefined, done: true });
  });

  it("goes on through broken connections and other replicas, telling everything once", async () => {
    const { fake, group } = setup();
    const seen: number[] = [];
    const end = new AbortController();
    const watching = (async () => {
      for await (const { revision } of group.watch("k", { from: 1, signal: end.signal, credit: 3 })) seen.push(revision);
    })();
    watching.catch(() => {});
    for (let i = 0; i < 40; i++) {
      await settled(fake, group.put("k", `${i}`));
      if (i % 7 === 3) fake.connections.findLast(({ url }) => /to=(near|other)/.test(url))?.break();
    }
    await pass(fake, 5000);
    expect(seen).toEqual(Array.from({ length: 40 }, (_, i) => i + 2));
    end.abort(new Error("enough"));
    await expect(watching).rejects.toThrow("enough");
  });

  it("keeps many on one socket, and takes another when that is full", async () => {
    const { fake, group } = setup();
    const watches = Array.from({ length: 20 }, (_, i) => group.watch(`k${i}`));
    await settled(fake, Promise.all(watches.map((watch) => watch.ready())));
    expect(fake.connections.length).toBe(2);
    await settled(fake, group.put("k19", "v"));
    expect((await settled(fake, watches[19]!.next())).value.events[0].key).toBe("k19");
    for (const watch of watches) await watch.return?.();
    await pass(fake, 3000);
    expect(fake.connections.filter(({ readyState }) => readyState === 1)).toEqual([]);
  });

  it("from what is compacted is refused; following reads anew instead", async () => {
    const { fake, group } = setup();
    for (let i = 0; i < 5; i++) await settled(fake, group.put("k", `${i}`));
    await settled(fake, group.compact(5));
    await expect(settled(fake, group.watch("k", { from: 2 }).next())).rejects.toMatchObject({ code: "revision_compacted" });
    const told: Follow[] = [];
    const follow = group.follow("k");
    told.push((await settled(fake, follow.next())).value as Follow);
    expect(told[0]).toMatchObject({ kind: "snapshot", revision: 6, entries: [{ text: "4" }] });
    await settled(fake, group.put("k", "5"));
    await settled(fake, group.compact(7));
    const next = (await settled(fake, follow.next())).value as Follow;
    expect(next.kind === "snapshot" ? next.entries[0]?.text : next.events[0]?.entry.text).toBe("5");
    await follow.return();
  });
});

describe("a lease", () => {
  it("is kept alive for as long as it is held, and ends with what hangs on it when it is revoked", async () => {
    const { fake, group } = setup();
    const lease = await settled(fake, group.lease(3));
    await settled(fake, group.put("k", "v", { lease }));
    await pass(fake, 20_000);
    expect(lease.signal.aborted).toBe(false);
    expect((await settled(fake, group.get("k")))?.lease).toBe(lease.id);
    await settled(fake, lease.revoke());
    expect(await settled(fake, group.get("k"))).toBeNull();
    expect(lease.signal.reason).toMatchObject({ code: "lease_not_found" });
    await settled(fake, lease.revoke());
  });

  it("is lost here no later than the group lets it end, however the group is cut off", async () => {
    const { fake, group } = setup();
    const lease = await settled(fake, group.lease(3));
    await pass(fake, 2000);
    for (const member of [1, 2, 3]) fake.hung.add(member);
    let lostAt = 0;
    let goneAt = 0;
    lease.signal.addEventListener("abort", () => {
      lostAt = fake.time.now;
    });
    for (let i = 0; i < 200; i++) {
      await pass(fake, 50);
      if (goneAt === 0 && fake.store.leases().length === 0) goneAt = fake.time.now;
    }
    expect(lostAt).toBeGreaterThan(0);
    expect(goneAt).toBeGreaterThanOrEqual(lostAt - 50);
  });

  it("of a time that is shorter than any is granted the shortest one", async () => {
    for (const ttl of [-1, 0, 1]) {
      const { fake, group } = setup();
      const lease = await settled(fake, group.lease(ttl), 5_000);
      expect(lease.ttl).toBe(2);
      await pass(fake, 5_000);
      expect(lease.signal.aborted).toBe(false);
      await settled(fake, lease.revoke());
    }
  });

  it("that was granted long before its answer came is renewed before anybody relies on it", async () => {
    const { fake, group } = setup();
    await settled(fake, group.put("warm", "up"));
    for (const after of [2000, 9000]) {
      // The grant happens, and its answer is lost with the connection; nobody can be reached for a while.
      fake.loseNextAnswer = true;
      const granting = group.lease(3);
      await fake.time.elapse(20);
      for (const member of [1, 2, 3]) fake.hung.add(member);
      await pass(fake, after);
      fake.heal();
      const lease = await settled(fake, granting);
      await pass(fake, 10_000);
      expect(lease.signal.aborted).toBe(false);
      expect(fake.store.leases().map(({ id }) => String(id))).toEqual([lease.id]);
      await settled(fake, lease.revoke());
    }
  });

  describe("that the connection holds", () => {
    const open = (fake: FakeGroup) => fake.connections.filter(({ readyState }) => readyState === 1);

    it("ends soon after its holder's connection, long before its time to live, and keeps that connection open", async () => {
      const { fake, groups } = setup(2);
      const [ada, bob] = groups as [(typeof groups)[0], (typeof groups)[0]];
      const lease = await settled(fake, ada.lease(60, { hold: 2 }));
      await settled(fake, ada.put("here", "ada", { lease }));
      await pass(fake, 15_000);
      expect(open(fake).length).toBe(1);
      // The process dies: nobody comes back.
      ada.close();
      await pass(fake, 1900);
      expect((await settled(fake, bob.get("here")))?.text).toBe("ada");
      await pass(fake, 500);
      expect(await settled(fake, bob.get("here"))).toBeNull();
    });

    it("outlives connections that break, replicas that are left, and a leader that is lost, as long as its holder comes back", async () => {
      const { fake, group } = setup();
      const lease = await settled(fake, group.lease(60, { hold: 2 }));
      for (let i = 0; i < 10; i++) {
        open(fake)[0]?.break();
        await pass(fake, 3000);
        expect(open(fake).length).toBe(1);
      }
      fake.leased = false;
      fake.kill(1);
      await settled(fake, group.put("a", "b"));
      expect(fake.leader).not.toBe(1);
      await pass(fake, 30_000);
      expect(lease.signal.aborted).toBe(false);
      expect(fake.store.leases().length).toBe(1);
      await settled(fake, lease.revoke());
      await pass(fake, 5000);
      expect(open(fake)).toEqual([]);
    });

    it("is known to be lost when its holder comes back too late", async () => {
      const { fake, group } = setup();
      const lease = await settled(fake, group.lease(60, { hold: 1 }));
      for (const member of [1, 2, 3]) fake.hung.add(member);
      open(fake)[0]?.break();
      await pass(fake, 3000);
      expect(fake.store.leases()).toEqual([]);
      fake.heal();
      await pass(fake, 10_000);
      expect(lease.signal.reason).toMatchObject({ code: "lease_not_found" });
    });
  });

  it("that is not kept alive ends by itself, unless it is renewed by hand", async () => {
    const { fake, group } = setup();
    const lease = await settled(fake, group.lease(3, { keepAlive: false }));
    await pass(fake, 2000);
    await settled(fake, lease.renew());
    await pass(fake, 2000);
    expect(lease.signal.aborted).toBe(false);
    await pass(fake, 2000);
    expect(lease.signal.aborted).toBe(true);
    await expect(settled(fake, lease.renew())).rejects.toMatchObject({ code: "lease_not_found" });
  });
});

describe("a lock", () => {
  it("has one holder at a time, in the order of asking, with growing fences", async () => {
    const { fake, groups } = setup(4);
    let inside = 0;
    const order: [number, number][] = [];
    const work = groups.map((group, n) =>
      group.withLock("l", async (lock) => {
        expect(++inside).toBe(1);
        order.push([n, lock.fence]);
        await group.put("state", `${n}`);
        inside--;
        return n;
      }),
    );
    expect(await settled(fake, Promise.all(work))).toEqual([0, 1, 2, 3]);
    expect(order.map(([n]) => n)).toEqual([0, 1, 2, 3]);
    const fences = order.map(([, fence]) => fence);
    expect(fences).toEqual([...new Set(fences)].sort((a, b) => a - b));
    expect(fake.store.leases()).toEqual([]);
  });

  it("tells a holder that lost it, whose guarded writes are refused from then on", async () => {
    const { fake, groups } = setup(2);
    const [ada, bob] = groups as [(typeof groups)[0], (typeof groups)[0]];
    const guards: boolean[] = [];
    const working = ada.withLock(
      "l",
      async (lock) => {
        guards.push((await ada.txn().if(lock.guard).do(put("s", "ada")).commit()).succeeded);
        for (const member of [1, 2, 3]) fake.hung.add(member);
        await new Promise((resolve) => lock.signal.addEventListener("abort", resolve));
        fake.heal();
        await new Promise((resolve) => fake.runtime.timer(1000, () => resolve(null)));
        // Late, as if it had noticed nothing.
        await bob.put("s", "bob");
        guards.push((await ada.txn().if(lock.guard).do(put("s", "ada")).commit()).succeeded);
      },
      { ttl: 3 },
    );
    await expect(settled(fake, working)).rejects.toMatchObject({ code: "not_held" });
    expect(guards).toEqual([true, false]);
    expect((await settled(fake, bob.get("s")))?.text).toBe("bob");
  });

  it("is not waited for longer than one likes, and a waiter that gives up leaves nothing behind", async () => {
    const { fake, groups } = setup(3);
    const held = await settled(fake, groups[0]!.lock("l"));
    const from = fake.time.now;
    await expect(settled(fake, groups[1]!.lock("l", { wait: 1000 }))).rejects.toMatchObject({ code: "timed_out" });
    expect(fake.time.now - from).toBeLessThan(1200);
    const stop = new AbortController();
    const waiting = groups[2]!.lock("l", { signal: stop.signal });
    await pass(fake, 500);
    stop.abort(new Error("no more"));
    await expect(settled(fake, waiting)).rejects.toThrow("no more");
    await pass(fake, 500);
    expect((await settled(fake, groups[0]!.range({ prefix: "l/" }))).entries.map(({ key }) => key)).toEqual([held.key]);
    await settled(fake, held.release());
    await settled(fake, groups[1]!.lock("l", { wait: 1000 }));
  });

  it("throws what the work throws, and is free then", async () => {
    const { fake, group } = setup();
    await expect(
      settled(
        fake,
        group.withLock("l", () => {
          throw new Error("mine");
        }),
      ),
    ).rejects.toThrow("mine");
    await settled(fake, group.lock("l", { wait: 100 }));
  });
});

describe("an election", () => {
  it("is won by one, observed by all, and goes to the next when that one resigns or dies", async () => {
    const { fake, groups } = setup(4);
    const [ada, bob, eve, watcher] = groups as typeof groups & { 3: (typeof groups)[0] };
    const seen: string[] = [];
    const stop = new AbortController();
    const observing = (async () => {
      for await (const { entry, fence } of watcher!.observe("duty", { signal: stop.signal })) seen.push(`${entry.text} ${fence > 0}`);
    })();
    observing.catch(() => {});
    expect(await settled(fake, watcher!.leader("duty"))).toBeNull();
    const first = await settled(fake, ada!.campaign("duty", "ada", { ttl: 3 }));
    const second = bob!.campaign("duty", "bob", { ttl: 3 });
    const third = eve!.campaign("duty", "eve", { ttl: 3 });
    await settled(fake, first.proclaim("ada, still"));
    await pass(fake, 500);
    expect((await settled(fake, watcher!.leader("duty")))?.entry.text).toBe("ada, still");
    await settled(fake, first.resign());
    const won = await settled(fake, second);
    expect(won.fence).toBeGreaterThan(first.fence);
    await expect(settled(fake, first.proclaim("again"))).rejects.toMatchObject({ code: "not_held" });
    // Bob's process is gone without a word.
    bob!.close();
    const last = await settled(fake, third);
    expect(won.signal.aborted).toBe(true);
    expect(last.fence).toBeGreaterThan(won.fence);
    await pass(fake, 500);
    expect(seen).toEqual(["ada true", "ada, still true", "bob true", "eve true"]);
    stop.abort(new Error("enough"));
    await expect(observing).rejects.toThrow("enough");
    await settled(fake, last.resign());
  });
});

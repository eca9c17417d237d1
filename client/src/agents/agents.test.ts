import { describe, expect, it } from "vitest";
import { type Group, openGroup, put, when } from "../groups/index.ts";
import { FakeGroup } from "../testing/group.fixture.ts";
import { barrier, type Claim, jobQueue, joinFleet, type Member } from "./index.ts";

function setup(clients = 1) {
  const fake = new FakeGroup();
  const groups = Array.from({ length: clients }, () => openGroup(fake.client(), "desk"));
  return { fake, groups: groups as [Group, Group, Group, ...Group[]] };
}

async function settled<T>(fake: FakeGroup, work: Promise<T>, within = 120_000): Promise<T> {
  let open = true;
  const done = work.finally(() => {
    open = false;
  });
  done.catch(() => {});
  for (let ms = 0; open && ms < within; ms += 50) await pass(fake, 50);
  if (open) throw new Error("It never ended.");
  return done;
}

async function pass(fake: FakeGroup, ms: number): Promise<void> {
  for (let gone = 0; gone < ms; gone += 50) {
    fake.expire();
    await fake.time.elapse(50);
  }
}

describe("a fleet", () => {
  it("knows who is there, and notices who dies", async () => {
    const { fake, groups } = setup(3);
    const [ada, bob] = await settled(
      fake,
      Promise.all([
        joinFleet<{ city: string }>(groups[0], "couriers", { id: "ada/1", about: { city: "oslo" }, ttl: 3 }),
        joinFleet<{ city: string }>(groups[1], "couriers", { id: "bob", about: { city: "rome" }, ttl: 3 }),
      ]),
    );
    const seen: string[] = [];
    const stop = new AbortController();
    const watching = (async () => {
      for await (const members of ada.watch({ signal: stop.signal }))
        seen.push(members.map(({ id, about }: Member<{ city: string }>) => `${id} ${about.city}`).join(", "));
    })();
    watching.catch(() => {});
    expect((await settled(fake, ada.members())).map(({ id }) => id)).toEqual(["ada/1", "bob"]);
    await expect(settled(fake, joinFleet(groups[2], "couriers", { id: "bob" }))).rejects.toMatchObject({ code: "conflict" });
    await settled(fake, bob.update({ city: "bern" }));
    groups[1].close();
    expect(bob.signal.aborted).toBe(true);
    await pass(fake, 5000);
    expect(seen.slice(-3)).toEqual(["ada/1 oslo, bob rome", "ada/1 oslo, bob bern", "ada/1 oslo"]);
    await expect(settled(fake, bob.update({ city: "x" }))).rejects.toMatchObject({ code: "not_held" });
    await settled(fake, ada.leave());
    expect((await settled(fake, groups[2].range({ prefix: "fleets/couriers/members/" }))).count).toBe(0);
    stop.abort(new Error("enough"));
    await expect(watching).rejects.toThrow("enough");
  });

  it("by its sockets notices within seconds who is gone, a coordinator too, however long the time to live", async () => {
    const { fake, groups } = setup(3);
    const join = (n: number) => joinFleet(groups[n]!, "f", { id: `${n}`, liveness: "socket" });
    const fleets = await settled(fake, Promise.all([join(0), join(1), join(2)]));
    expect(fleets[0]?.lease).toMatchObject({ ttl: 60, hold: 2 });
    const inOffice = (fleet: (typeof fleets)[number]) =>
      fleet.coordinate((term) => new Promise((resolve) => term.signal.addEventListener("abort", resolve)));
    for (const fleet of fleets) {
      inOffice(fleet).catch(() => {});
      await pass(fake, 500);
    }
    expect(await settled(fake, fleets[2]!.coordinator())).toMatchObject({ id: "0" });
    groups[0].close();
    await pass(fake, 3000);
    expect((await settled(fake, fleets[2]!.members())).map(({ id }) => id)).toEqual(["1", "2"]);
    expect(await settled(fake, fleets[2]!.coordinator())).toMatchObject({ id: "1" });
  });

  it("has one coordinator at a time; another takes over when it dies, and its late words are refused", async () => {
    const { fake, groups } = setup(3);
    const fleets = await settled(fake, Promise.all(groups.map((group, n) => joinFleet(group, "f", { id: `${n}`, ttl: 3 }))));
    const terms: string[] = [];
    const late: boolean[] = [];
    const work = fleets.map((fleet, n) =>
      fleet.coordinate(
        async (term) => {
          terms.push(`${n} begins`);
          if (n === 0) {
            await new Promise((resolve) => term.signal.addEventListener("abort", resolve));
            await new Promise((resolve) => fake.runtime.timer(4000, () => resolve(null)));
            late.push((await groups[1].txn().if(term.guard).do(put("plan", "of the dead")).commit()).succeeded);
            return "lost";
          }
          await groups[n]!.txn()
            .if(term.guard)
            .do(put("plan", `${n}`))
            .commit();
          return `${n} is done`;
        },
        { ttl: 3 },
      ),
    );
    for (const each of work) each.catch(() => {});
    await pass(fake, 1000);
    expect(await settled(fake, fleets[2]!.coordinator())).toMatchObject({ id: "0" });
    groups[0].close();
    expect(await settled(fake, Promise.all(work.slice(1)))).toEqual(["1 is done", "2 is done"]);
    expect(terms).toEqual(["0 begins", "1 begins", "2 begins"]);
    await expect(settled(fake, work[0]!)).rejects.toMatchObject({ code: "unavailable" });
    expect(late).toEqual([false]);
    expect((await settled(fake, groups[1].get("plan")))?.text).toBe("2");
  });
});

describe("a queue of jobs", () => {
  it("gives each job to one at a time and takes each result once, whoever dies", async () => {
    const { fake, groups } = setup(6);
    const jobs = groups.map((group) => jobQueue<number, number>(group, "q"));
    await settled(fake, Promise.all(Array.from({ length: 40 }, (_, i) => jobs[0]!.add(`job ${i}`, i))));
    expect(await settled(fake, jobs[0]!.add("job 3", 3))).toBe(false);
    const holders = new Map<string, number>();
    const fences = new Map<string, number[]>();
    const worker = async (n: number) => {
      const fleet = await joinFleet(groups[n]!, "f", { ttl: 3 });
      for (let i = 0; ; i++) {
        const claim = await jobs[n]!.claim({ lease: fleet.lease, by: `${n}`, wait: 8000 });
        if (claim === null) return;
        if (!claim.signal.aborted) {
          expect(holders.has(claim.id), "two hold one job").toBe(false);
          holders.set(claim.id, n);
          fences.set(claim.id, [...(fences.get(claim.id) ?? []), claim.fence]);
        }
        // Two of six die in mid-job.
        if (n < 2 && i === 2) {
          groups[n]!.close();
          await new Promise((resolve) => fake.runtime.timer(2500, () => resolve(null)));
          holders.delete(claim.id);
          await new Promise((resolve) => fake.runtime.timer(3000, () => resolve(null)));
          // It comes to itself late: what it did counts for nothing.
          await expect(claim.complete(-1)).rejects.toMatchObject({ code: "not_held" });
          return;
        }
        await new Promise((resolve) => fake.runtime.timer(100, () => resolve(null)));
        holders.delete(claim.id);
        await claim.complete(claim.payload * 2, put(`effect/${claim.id}`, "done"));
      }
    };
    await settled(fake, Promise.all(groups.map((_, n) => worker(n))));
    const done: [string, number][] = [];
    const collect = async () => {
      for await (const { id, result } of jobs[0]!.done()) done.push([id, result]);
    };
    await settled(fake, collect());
    expect(new Map(done)).toEqual(new Map(Array.from({ length: 40 }, (_, i) => [`job ${i}`, i * 2])));
    expect(await settled(fake, jobs[0]!.counts())).toEqual({ open: 0, claimed: 0, done: 40 });
    const effects = await settled(fake, groups[3]!.range({ prefix: "effect/" }));
    expect(effects.entries.every(({ version }) => version === 1)).toBe(true);
    const again = [...fences.values()].filter((each) => each.length > 1);
    expect(again.length).toBe(2);
    for (const each of again) expect(each).toEqual([...each].sort((a, b) => a - b));
  });

  it("lets a job be given back, waits for one to come, and forgets what is done", async () => {
    const { fake, groups } = setup(2);
    const [a, b] = [jobQueue<string, string>(groups[0], "q"), jobQueue<string, string>(groups[1], "q")];
    expect(await settled(fake, a.claim())).toBeNull();
    const waiting = b.claim({ wait: 10_000, by: "b" });
    await pass(fake, 1000);
    await settled(fake, a.add("x", "payload"));
    const first = (await settled(fake, waiting)) as Claim<string, string>;
    expect(first).toMatchObject({ id: "x", payload: "payload" });
    const next = a.claim({ wait: 10_000 });
    await pass(fake, 500);
    await settled(fake, first.release());
    await expect(settled(fake, first.release())).rejects.toMatchObject({ code: "not_held" });
    const second = (await settled(fake, next)) as Claim<string, string>;
    expect(second.fence).toBeGreaterThan(first.fence);
    await settled(fake, second.complete("ok"));
    expect(await settled(fake, a.add("x", "again"))).toBe(false);
    await settled(fake, a.forget("x"));
    expect(await settled(fake, a.add("x", "again"))).toBe(true);
    const from = fake.time.now;
    expect(await settled(fake, jobQueue(groups[0], "none").claim({ wait: 1000 }))).toBeNull();
    expect(fake.time.now - from).toBeLessThan(1200);
    // No lease of a claim is left behind.
    expect(fake.store.leases()).toEqual([]);
  });

  it("a claim that is given up while its answer is under way leaves no job behind that nobody works on", async () => {
    const { fake, groups } = setup(2);
    const [a, b] = [jobQueue<string>(groups[0], "q"), jobQueue<string>(groups[1], "q")];
    await settled(fake, a.add("x", "payload"));
    const fleet = await settled(fake, joinFleet(groups[0], "f", { ttl: 30 }));
    // From the moment at which it is sent to the one at which it is answered.
    for (let ms = 1; ms <= 8; ms++) {
      const stop = new AbortController();
      const claiming = a.claim({ lease: fleet.lease, signal: stop.signal });
      claiming.catch(() => {});
      await fake.time.elapse(ms);
      stop.abort(new Error("no more"));
      const claim = await settled(
        fake,
        claiming.catch(() => null),
      );
      await pass(fake, 500);
      if (claim !== null) await settled(fake, claim.release());
      const other = await settled(fake, b.claim());
      expect(other?.id, `given up after ${ms} ms`).toBe("x");
      await settled(fake, other!.release());
    }
  });

  it("a short wait does not cut a claim off that has begun", async () => {
    const { fake, groups } = setup(1);
    const jobs = jobQueue<string>(groups[0], "q");
    await settled(fake, jobs.add("x", "payload"));
    expect((await settled(fake, jobs.claim({ wait: 1 })))?.id).toBe("x");
  });

  it("finds a free job behind many that are held", async () => {
    const { fake, groups } = setup(1);
    const jobs = jobQueue<number>(groups[0], "q");
    await settled(fake, Promise.all(Array.from({ length: 450 }, (_, i) => jobs.add(`${1000 + i}`, i))));
    for (let i = 0; i < 449; i++) fake.apply(held(`${1000 + i}`), null);
    expect((await settled(fake, jobs.claim()))?.id).toBe("1449");
    expect(await settled(fake, jobs.claim())).toBeNull();
  });
});

const held = (id: string) => ({
  op: "put" as const,
  request: { key: `jobs/q/held/${id}`, value: "", lease: 0n, prevKv: false, ignoreValue: false, ignoreLease: false },
});

describe("a barrier", () => {
  it("lets all go once all are there, late comers too", async () => {
    const { fake, groups } = setup(5);
    let through = 0;
    const wait = (group: Group) => barrier(group, "start", 4).then(() => void through++);
    const first = groups.slice(0, 3).map(wait);
    await pass(fake, 2000);
    expect(through).toBe(0);
    await settled(fake, Promise.all([...first, wait(groups[3]!)]));
    expect(through).toBe(4);
    await settled(fake, wait(groups[4]!));
    expect(fake.store.leases()).toEqual([]);
  });

  it("is not passed by those who gave up, and says when too few came", async () => {
    const { fake, groups } = setup(3);
    await expect(settled(fake, barrier(groups[0], "b", 2, { id: "a", timeout: 1000 }))).rejects.toMatchObject({ code: "timed_out" });
    let through = false;
    const waiting = barrier(groups[1], "b", 2, { id: "b" }).then(() => {
      through = true;
    });
    await pass(fake, 1000);
    expect(through).toBe(false);
    // A name counts once.
    await expect(settled(fake, barrier(groups[2], "b", 2, { id: "b" }))).rejects.toMatchObject({ code: "conflict" });
    await settled(fake, Promise.all([waiting, barrier(groups[0], "b", 2, { id: "c" })]));
    expect((await settled(fake, groups[0].txn().if(when("barriers/b/open").exists()).commit())).succeeded).toBe(true);
  });
});

import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { decodeContext } from "../../../core/wire/context.ts";
import { SkerryError } from "../../../core/wire/errors.ts";
import { FakeGroup } from "../testing/group.fixture.ts";
import { del, type Group, get, json, openGroup, put, range, when } from "./index.ts";

function setup() {
  const fake = new FakeGroup();
  return { fake, time: fake.time, group: openGroup(fake.client(), "desk") };
}

/** Lets time pass until the promise is settled. */
async function settled<T>(fake: FakeGroup, work: Promise<T>, within = 60_000): Promise<T> {
  let open = true;
  const done = work.finally(() => {
    open = false;
  });
  done.catch(() => {});
  for (let ms = 0; open && ms < within; ms += 50) {
    fake.expire();
    await fake.time.elapse(50);
  }
  return done;
}

describe("a group's keys", () => {
  it("are written, read, ranged over and deleted, as text, bytes and JSON", async () => {
    const { fake, group } = setup();
    const run = async () => {
      expect(await group.put("größe", "fünf")).toMatchObject({ revision: 2, level: "quorum; placement=simulated", previous: null });
      const entry = await group.get("größe");
      expect(entry).toMatchObject({ key: "größe", text: "fünf", version: 1, createRevision: 2, modRevision: 2, lease: null });
      const shown = { key: "größe", text: "fünf", createRevision: 2, modRevision: 2, version: 1, lease: null };
      expect(JSON.parse(JSON.stringify(entry))).toEqual(shown);
      expect(inspect(entry)).toBe(inspect(shown));
      expect((await group.put("größe", "sechs", { previous: true })).previous?.text).toBe("fünf");
      await group.put(Uint8Array.of(0xff, 0), Uint8Array.of(1, 2, 0xfe));
      expect((await group.get(Uint8Array.of(0xff, 0)))?.bytes).toEqual(Uint8Array.of(1, 2, 0xfe));
      await group.put("j", json({ a: [1] }));
      expect((await group.get("j"))?.json()).toEqual({ a: [1] });
      expect((await group.range({ prefix: "" })).entries.map(({ key }) => key)).toEqual(["größe", "j", "\ufffd\0"]);
      expect(await group.range({ from: "h" }, { limit: 1 })).toMatchObject({ more: true, count: 2 });
      expect((await group.get("größe", { revision: 2 }))?.text).toBe("fünf");
      expect(await group.delete({ prefix: "g" }, { previous: true })).toMatchObject({ deleted: 1, previous: [{ text: "sechs" }] });
      expect(await group.get("größe")).toBeNull();
      expect(group.revision).toBe(fake.store.revision);
    };
    await settled(fake, run());
  });

  it("are seen by whoever is handed the context of who wrote them, or watched them", async () => {
    const { fake } = setup();
    const clients = [1, 2, 3].map(() => fake.client());
    const [ada, bob, eve] = clients.map((client) => openGroup(client, "desk")) as [Group, Group, Group];
    const run = async () => {
      expect(clients[0]!.context).toBeNull();
      await ada.put("a", "1");
      await ada.put("a", "2");
      const context = clients[0]!.context!;
      const scope = { project: "main", jurisdiction: "global" } as const;
      expect([...decodeContext(context, scope)]).toEqual([["v1/main/global/groups/group/desk", 3]]);
      // One that does not know yet how the group is called hands the token on; then it knows.
      clients[1]!.see(context);
      await bob.get("a", { level: "session" });
      expect(fake.sessionReads).toEqual([{ after: 0, context }]);
      const watch = bob.watch("a", { from: 3 });
      await ada.put("a", "3");
      await watch.next();
      expect(bob.revision).toBe(4);
      await watch.return?.();
      await eve.get("a");
      await ada.put("a", "4");
      clients[2]!.see(clients[0]!.context!);
      await eve.get("a", { level: "session" });
      expect(fake.sessionReads.at(-1)).toEqual({ after: 5, context: null });
    };
    await settled(fake, run());
  });

  it("are gone through page by page as of one revision", async () => {
    const { fake, group } = setup();
    const run = async () => {
      await Promise.all(Array.from({ length: 25 }, (_, i) => group.put(`k${String(i).padStart(2, "0")}`, "v")));
      const keys: string[] = [];
      for await (const entry of group.entries({ prefix: "k" }, { page: 10 })) {
        keys.push(entry.key);
        if (keys.length === 1) await group.put("k99", "late");
      }
      expect(keys.length).toBe(25);
      expect(new Set(keys).size).toBe(25);
    };
    await settled(fake, run());
  });

  it("change under a condition, or not at all, and say what is there", async () => {
    const { fake, group } = setup();
    const run = async () => {
      const { revision } = await group.put("k", "1", { ifRevision: 0 });
      await expect(group.put("k", "2", { ifRevision: 0 })).rejects.toMatchObject({ code: "conflict", extra: { revision } });
      await group.put("k", "2", { ifRevision: revision });
      await expect(group.delete("k", { ifRevision: revision })).rejects.toMatchObject({ code: "conflict" });
      await expect(group.put("none", "x", { ifRevision: 7 })).rejects.toMatchObject({ code: "conflict", extra: { revision: 0 } });
    };
    await settled(fake, run());
  });

  it("take part in transactions, whose answers have the types of their steps", async () => {
    const { fake, group } = setup();
    const run = async () => {
      await group.put("a", "1");
      const first = await group
        .txn()
        .if(when("a").value.is("1"), when("b").absent())
        .do(put("b", "2"), get("a"), del("c"))
        .else(range({ prefix: "" }))
        .commit();
      expect(first.succeeded).toBe(true);
      if (!first.succeeded) return;
      const [, entry, gone] = first.answers;
      expect([entry?.text, gone.deleted]).toEqual(["1", 0]);
      const second = await group
        .txn()
        .if(when("b").version.above(1))
        .do(put("x", "y"))
        .else(range({ prefix: "" }))
        .commit();
      if (second.succeeded) throw new Error("it was not above");
      expect(second.answers[0].entries.map(({ key }) => key)).toEqual(["a", "b"]);
    };
    await settled(fake, run());
  });

  it("refuse with the store's own words under our codes", async () => {
    const { fake, group } = setup();
    await settled(
      fake,
      expect(group.put("k", "v", { lease: "77" })).rejects.toMatchObject({ code: "lease_not_found", extra: { grpc: 5 } }),
    );
    await settled(fake, expect(group.get("k", { revision: 9 })).rejects.toMatchObject({ code: "revision_in_future" }));
  });
});

describe("the pipeline", () => {
  it("packs what is asked in one turn into one frame, and again what is asked upon the answers", async () => {
    const { fake, group } = setup();
    const worker = async (n: number) => {
      for (let i = 0; i < 5; i++) await group.put(`w${n}`, `${i}`);
    };
    await settled(fake, Promise.all(Array.from({ length: 64 }, (_, n) => worker(n))));
    expect(fake.applied).toBe(320);
    expect(fake.frames).toBe(5);
  });

  it("cuts what is too large for a frame, and refuses a request that no frame can hold", async () => {
    const { fake, group } = setup();
    const value = "x".repeat(300_000);
    await settled(fake, Promise.all([1, 2, 3].map((n) => group.put(`${n}`, value))));
    expect(fake.frames).toBe(3);
    await expect(group.put("k", "x".repeat(5_000_000))).rejects.toMatchObject({ code: "too_large" });
  });

  it("a write whose answer was lost happens once", async () => {
    const { fake, group } = setup();
    fake.loseNextAnswer = true;
    const done = await settled(fake, Promise.all([group.put("a", "1"), group.txn().if(when("b").absent()).do(put("b", "1")).commit()]));
    expect(fake.applied).toBe(2);
    expect(done[1].succeeded).toBe(true);
    expect(fake.connections.length).toBeGreaterThan(1);
  });

  it("what is under way when the connection breaks is sent again, in its order, and answered", async () => {
    const { fake, group, time } = setup();
    await settled(fake, group.put("k", "0"));
    fake.hung.add(1);
    const writes = Promise.all(Array.from({ length: 10 }, (_, i) => group.put("k", `${i + 1}`)));
    await time.elapse(100);
    fake.heal();
    fake.connections[0]?.break();
    await settled(fake, writes);
    expect((await settled(fake, group.get("k")))?.text).toBe("10");
    expect(fake.applied).toBe(11);
  });

  it("a session that the group has forgotten is begun anew where the write surely did not happen", async () => {
    const { fake, group } = setup();
    await settled(fake, group.put("k", "1"));
    // As many other clients as the state remembers, and a few more.
    for (let i = 0; i < 1100; i++) {
      const request = { key: "o", value: "", lease: 0n, prevKv: false, ignoreValue: false, ignoreLease: false };
      fake.apply({ op: "put", request }, { client: `other-${i}`, seq: 1, ack: 0 });
    }
    await settled(fake, group.put("k", "2"));
    expect((await settled(fake, group.get("k")))?.version).toBe(2);
  });

  it("tells who waits that the time is over, and whether it may have happened", async () => {
    const { fake, group } = setup();
    for (const member of [1, 2, 3]) fake.hung.add(member);
    await settled(
      fake,
      expect(group.put("k", "v", { timeout: 3000 })).rejects.toMatchObject({ code: "unavailable", extra: { inDoubt: false } }),
    );
    fake.heal();
    await settled(fake, group.put("k", "v"));
    for (const member of [1, 2, 3]) fake.hung.add(member);
    await settled(
      fake,
      expect(group.put("k", "w", { timeout: 3000 })).rejects.toMatchObject({ code: "unavailable", extra: { inDoubt: true } }),
    );
  });

  it("ends a call with the reason of its signal", async () => {
    const { fake, group } = setup();
    const signal = AbortSignal.abort(new Error("no more"));
    await expect(group.get("k", { signal })).rejects.toThrow("no more");
    const later = new AbortController();
    const reading = group.get("k", { signal: later.signal });
    later.abort(new Error("enough"));
    await settled(fake, expect(reading).rejects.toThrow("enough"));
  });

  it("waits and tries again where the group is overloaded or has no quorum", async () => {
    const { fake, group, time } = setup();
    fake.refusals.push(
      new SkerryError("overloaded", "Later.", { retryAfter: 1 }),
      new SkerryError("no_quorum", "Not now.", { retryAfter: 0.5 }),
    );
    const from = time.now;
    await settled(fake, group.put("k", "v"));
    expect(time.now - from).toBeGreaterThanOrEqual(1500);
    expect(fake.applied).toBe(1);
  });

  it("lets its socket go when nothing is asked any more, and opens another when something is", async () => {
    const { fake, group, time } = setup();
    await settled(fake, group.put("k", "v"));
    await time.elapse(5000);
    expect(fake.connections.map(({ readyState }) => readyState)).toEqual([3]);
    await settled(fake, group.put("k", "w"));
    expect(fake.connections.length).toBe(2);
    group.close();
    expect(fake.connections[1]?.readyState).toBe(3);
  });
});

describe("the way to the leader", () => {
  it("goes to where another replica says that it is", async () => {
    const { fake, group } = setup();
    fake.leader = 3;
    await settled(fake, Promise.all([group.put("k", "v"), group.get("k")]));
    expect(fake.connections.map(({ member }) => member)).toEqual([1, 3]);
    expect(fake.applied).toBe(1);
  });

  it("follows a leader that moves under an open socket, and repeats nothing", async () => {
    const { fake, group } = setup();
    let stop = false;
    const worker = async (n: number) => {
      for (let i = 0; !stop; i++) await group.put(`w${n}`, `${i}`);
    };
    const workers = Promise.all([1, 2, 3, 4].map(worker));
    let writes = 0;
    for (const leader of [2, 3, 1, 2]) {
      await fake.time.elapse(100);
      expect(fake.applied).toBeGreaterThan(writes);
      writes = fake.applied;
      fake.leader = leader;
    }
    await fake.time.elapse(200);
    stop = true;
    await settled(fake, workers);
    const versions = await settled(fake, group.range({ prefix: "w" }));
    expect(versions.entries.reduce((sum, { version }) => sum + version, 0)).toBe(fake.applied);
    for (const { text, version } of versions.entries) expect(Number(text)).toBe(version - 1);
  });

  it("turns to another replica when the leader is silent, which then takes over, in little more than half a second", async () => {
    const { fake, group, time } = setup();
    await settled(fake, group.put("k", "1"));
    fake.hung.add(1);
    fake.leased = false;
    const from = time.now;
    await settled(fake, group.put("k", "2"));
    expect(time.now - from).toBeLessThan(900);
    expect(fake.leader).not.toBe(1);
    expect(fake.applied).toBe(2);
  });

  it("does not believe in a leader's death while others hear it, and is more patient after a false alarm", async () => {
    const { fake, group, time } = setup();
    await settled(fake, group.put("k", "1"));
    fake.hung.add(1);
    const writing = group.put("k", "2");
    await time.elapse(1200);
    fake.heal();
    await settled(fake, writing);
    expect(fake.leader).toBe(1);
    expect(fake.applied).toBe(2);
    // It asked another replica, and left its own connection alone.
    expect(fake.connections.map(({ member, readyState }) => `${member} ${readyState}`)).toEqual(["1 1", "2 3"]);
  });

  it("turns to another replica at once when the leader's connection breaks for good", async () => {
    const { fake, group, time } = setup();
    await settled(fake, group.put("k", "1"));
    fake.leased = false;
    fake.kill(1);
    const from = time.now;
    await settled(fake, group.put("k", "2"));
    expect(time.now - from).toBeLessThan(600);
    expect(fake.applied).toBe(2);
  });

  it("reads what may trail from the nearest replica", async () => {
    const { fake, group } = setup();
    await settled(fake, group.put("k", "1"));
    expect(await settled(fake, group.range("k", { level: "stale" }))).toMatchObject({ level: "stale", entries: [{ text: "1" }] });
    await settled(fake, group.get("k", { level: { bounded: 500 } }));
    await settled(fake, group.get("k", { level: "session" }));
    expect(fake.connections.map(({ member }) => member)).toEqual([1, 3]);
  });
});

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openGroup, put, when } from "../../../client/src/groups/index.ts";
import { type Client, createClient, type Grant } from "../../../client/src/index.ts";
import { type Server, startServer } from "../harness.ts";

let server: Server;
let admin: Client;

beforeAll(async () => {
  server = await startServer({ env: { SKERRY_FAULTS: "1" } });
  admin = createClient({ url: server.url, token: server.adminKey });
});
afterAll(() => server?.close());

async function user(grants: Grant[], expiresIn = 3600) {
  const minted = await admin.tokens.create({ grants, expiresIn, maxLifetime: 7200, subject: "ada" });
  return { minted, client: createClient({ url: server.url, token: minted.token }) };
}
const groups = (name: string, ...rights: Grant["rights"]): Grant[] => [{ capability: "groups", name, rights }];

describe("groups by REST", () => {
  it("are created once, listed, looked at and deleted", async () => {
    expect(await admin.groups.create("one", { replicas: 1 })).toMatchObject({
      name: "one",
      replicas: 1,
      members: [{ id: 1, learner: false }],
    });
    await admin.groups.create("one", { replicas: 1 });
    await expect(admin.groups.create("one", { replicas: 3 })).rejects.toMatchObject({ code: "conflict" });
    await expect(admin.groups.create("two", { replicas: 2 as never })).rejects.toMatchObject({ code: "bad_request" });
    expect((await admin.groups.list()).groups.map(({ name }) => name)).toContain("one");
    const group = openGroup(admin, "one");
    await group.put("k", "v");
    expect(await group.status()).toMatchObject({
      leader: 1,
      level: "single",
      quorum: true,
      revision: 2,
      status: [{ state: { role: "leader" } }],
    });
    group.close();
    await admin.groups.delete("one");
    await expect(admin.groups.status("one")).rejects.toMatchObject({ code: "group_not_found" });
    await expect(admin.groups.delete("one")).rejects.toMatchObject({ code: "group_not_found" });
  });

  it("are saved and restored into others", async () => {
    await admin.groups.create("source");
    const source = openGroup(admin, "source");
    await source.put("a", "1");
    await source.put("a", "2");
    const snapshot = await admin.groups.snapshot("source");
    await source.put("a", "3");
    await admin.groups.restore("copy", snapshot, { replicas: 3 });
    const copy = openGroup(admin, "copy");
    expect(await copy.get("a")).toMatchObject({ text: "2", version: 2 });
    expect((await copy.get("a", { revision: 2 }))?.text).toBe("1");
    await expect(admin.groups.restore("copy", snapshot)).rejects.toMatchObject({ code: "conflict" });
    await expect(admin.groups.restore("bad", snapshot.subarray(0, 20))).rejects.toMatchObject({ code: "bad_request" });
    await expect(admin.groups.status("bad")).rejects.toMatchObject({ code: "group_not_found" });
    source.close();
    copy.close();
  });

  it("change their members and their leader", async () => {
    await admin.groups.create("moving");
    const group = openGroup(admin, "moving");
    await group.put("k", "1");
    const grown = await admin.groups.addMember("moving", { region: "sam" });
    expect(grown.members.at(-1)).toEqual({ id: 4, region: "sam", learner: false });
    await admin.groups.transfer("moving", 4);
    expect((await group.status()).leader).toBe(4);
    await group.put("k", "2");
    expect((await admin.groups.removeMember("moving", 1)).members.map(({ id }) => id)).toEqual([2, 3, 4]);
    await group.put("k", "3");
    await admin.groups.removeMember("moving", 4);
    await group.put("k", "4");
    expect((await group.get("k"))?.version).toBe(4);
    await expect(admin.groups.transfer("moving", 9)).rejects.toMatchObject({ code: "bad_request" });
    group.close();
  });

  it("are for whoever was granted them", async () => {
    await admin.groups.create("guarded");
    const { client: reader } = await user(groups("guarded", "read"));
    const group = openGroup(reader, "guarded");
    expect(await group.get("k")).toBeNull();
    await expect(group.put("k", "v")).rejects.toMatchObject({ code: "forbidden" });
    await expect(reader.groups.snapshot("guarded")).rejects.toMatchObject({ code: "forbidden" });
    await expect(reader.groups.create("other")).rejects.toMatchObject({ code: "forbidden" });
    const { client: stranger } = await user(groups("elsewhere", "admin"));
    await expect(openGroup(stranger, "guarded").get("k")).rejects.toMatchObject({ code: "forbidden" });
    await expect(openGroup(admin, "absent").get("k")).rejects.toMatchObject({ code: "group_not_found" });
    group.close();
  });
});

describe("a group's socket", () => {
  it("carries thousands of writes of many callers, each once", async () => {
    await admin.groups.create("busy");
    const group = openGroup(admin, "busy");
    await group.put("warm", "up");
    const began = performance.now();
    const each = 50;
    await Promise.all(
      Array.from({ length: 64 }, async (_, n) => {
        for (let i = 0; i < each; i++) await group.put(`w${n}`, `${i}`);
      }),
    );
    console.log(`${Math.round((64 * each) / ((performance.now() - began) / 1000))} writes/s of 64 callers over one socket`);
    const { entries, level } = await group.range({ prefix: "w" });
    expect(level).toBe("linearizable");
    expect(entries.filter(({ key }) => key !== "warm").map(({ version }) => version)).toEqual(Array(64).fill(each));
    group.close();
  });

  it("tells what happens, from any revision, through a restart of the server", async () => {
    await admin.groups.create("watched");
    const group = openGroup(admin, "watched");
    const { revision } = await group.put("a/0", "0");
    const watch = group.watch({ prefix: "a/" }, { from: revision - 1, previous: true });
    expect((await watch.next()).value).toMatchObject({ revision, events: [{ type: "put", key: "a/0", previous: null }] });
    await group.txn().if(when("a/1").absent()).do(put("a/1", "1"), put("b", "x"), put("a/2", "2")).commit();
    expect((await watch.next()).value.events.map(({ key }: { key: string }) => key)).toEqual(["a/1", "a/2"]);
    await server.kill();
    server = await server.restart();
    await group.delete({ prefix: "a/" });
    const { value } = await watch.next();
    expect(value.events.map(({ type, previous }: { type: string; previous: { text: string } }) => `${type} ${previous.text}`)).toEqual([
      ...["delete 0", "delete 1", "delete 2"],
    ]);
    await watch.return?.();
    group.close();
  });

  it("ends with its token", async () => {
    await admin.groups.create("held");
    const { client, minted } = await user(groups("held", "write"));
    const group = openGroup(client, "held");
    await group.put("k", "v");
    await admin.tokens.revoke(minted.id);
    await expect
      .poll(
        () =>
          group.put("k", "w").then(
            () => "let in",
            ({ code }) => code,
          ),
        { timeout: 12_000 },
      )
      .toBe("token_revoked");
    const { client: short } = await user(groups("held", "write"), 4);
    const refreshed = openGroup(short, "held");
    for (const end = Date.now() + 7000; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 300)))
      await refreshed.put("k", "x");
    refreshed.close();
  });
});

describe("coordination", () => {
  it("at most one holds a lock, and each holder has a higher fence", async () => {
    await admin.groups.create("locks");
    const clients = [1, 2, 3].map(() => openGroup(admin, "locks"));
    let inside = 0;
    const fences: number[] = [];
    await Promise.all(
      Array.from({ length: 12 }, (_, i) =>
        clients[i % 3]!.withLock("locks/l", async (lock) => {
          expect(++inside).toBe(1);
          fences.push(lock.fence);
          await clients[i % 3]!.txn()
            .if(lock.guard)
            .do(put("state", `${i}`))
            .commit();
          inside--;
        }),
      ),
    );
    expect(fences).toEqual([...fences].sort((a, b) => a - b));
    expect((await clients[0]!.get("state"))?.version).toBe(12);
    await expect(clients[0]!.withLock("locks/l", () => clients[1]!.withLock("locks/l", () => {}, { wait: 300 }))).rejects.toMatchObject({
      code: "timed_out",
    });
    for (const each of clients) each.close();
  });

  it("a lock is lost with its holder, who is told, and goes to the next", async () => {
    await admin.groups.create("mortal");
    const [ada, bob] = [openGroup(admin, "mortal"), openGroup(admin, "mortal")];
    const lock = await ada.lock("l", { ttl: 2 });
    const lost = new Promise((resolve) => lock.signal.addEventListener("abort", resolve));
    ada.close();
    await lost;
    const began = performance.now();
    const next = await bob.lock("l", { ttl: 5 });
    expect(next.fence).toBeGreaterThan(lock.fence);
    // The group has not heard that it was let go, and gives it out once its time is over.
    expect(performance.now() - began).toBeGreaterThan(500);
    expect((await ada.txn().if(lock.guard).do(put("x", "stale")).commit()).succeeded).toBe(false);
    await next.release();
    for (const each of [ada, bob]) each.close();
  });

  it("an election has one leader, whom all observe", async () => {
    await admin.groups.create("polls");
    const [ada, bob, eve] = [1, 2, 3].map(() => openGroup(admin, "polls"));
    expect(await eve!.leader("duty")).toBeNull();
    const seen: string[] = [];
    const end = new AbortController();
    const watching = (async () => {
      for await (const { entry } of eve!.observe("duty", { signal: end.signal })) seen.push(entry.text);
    })();
    const first = await ada!.campaign("duty", "ada");
    await first.proclaim("ada!");
    await expect.poll(() => seen).toContain("ada!");
    const second = bob!.campaign("duty", "bob");
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect((await eve!.leader("duty"))?.entry.text).toBe("ada!");
    await first.resign();
    const won = await second;
    expect(won.fence).toBeGreaterThan(first.fence);
    await expect(first.proclaim("again")).rejects.toMatchObject({ code: "not_held" });
    await expect.poll(() => seen.at(-1)).toBe("bob");
    end.abort(new Error("enough"));
    await expect(watching).rejects.toThrow("enough");
    await won.resign();
    for (const each of [ada, bob, eve]) each!.close();
  });
});

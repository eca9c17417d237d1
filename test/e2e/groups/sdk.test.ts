import { spawn } from "node:child_process";
import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { joinFleet } from "../../../client/src/agents/index.ts";
import { openGroup, put, when } from "../../../client/src/groups/index.ts";
import { type Client, createClient, type Grant } from "../../../client/src/index.ts";
import type { Socket } from "../../../client/src/runtime.ts";
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

describe("what a client has seen", () => {
  it("over a socket another one sees too that is handed its context, over a socket and by HTTP, at a replica that trails", async () => {
    await admin.groups.create("seen");
    await admin.groups.transfer("seen", 1);
    const ada = openGroup(admin, "seen");
    await ada.put("k", "0");
    // All that this one does is done by a follower, which hears of commits a little later.
    const connect = (url: string, protocols: string[]) => new WebSocket(url.replace(/to=\w+/, "to=2"), protocols) as unknown as Socket;
    const reader = createClient({ url: server.url, token: server.adminKey, runtime: { connect } });
    const bob = openGroup(reader, "seen");
    let trailed = 0;
    for (let i = 1; i <= 20; i++) {
      await ada.put("k", `${i}`);
      if ((await bob.get("k", { level: "stale" }))?.text !== `${i}`) trailed++;
      reader.see(admin.context!);
      // The first read does not know yet under which name a context has the group.
      const each = i === 1 ? openGroup(reader, "seen") : bob;
      expect(await each.range("k", { level: "session" })).toMatchObject({ entries: [{ text: `${i}` }], level: "session" });
      if (each !== bob) each.close();
    }
    expect(trailed).toBeGreaterThan(0);
    // And by HTTP what was written by the socket.
    const { revision } = await ada.put("k", "last");
    const headers = { authorization: `Bearer ${server.adminKey}`, "skerry-context": admin.context!, "skerry-level": "session" };
    const body = JSON.stringify({ key: btoa("k") });
    const read = await fetch(`${server.url}/v1/groups/seen/v3/kv/range`, { method: "POST", headers, body });
    expect(read.headers.get("skerry-level")).toBe("session");
    expect(await read.json()).toMatchObject({ kvs: [{ value: btoa("last"), mod_revision: `${revision}` }] });
    for (const each of [ada, bob]) each.close();
  });
});

describe("coordination", () => {
  it("a member that is killed is gone within seconds where its socket is what keeps it there", async () => {
    await admin.groups.create("alive");
    const group = openGroup(admin, "alive");
    const code = `
      import { createClient } from ${JSON.stringify(new URL("../../../client/src/index.ts", import.meta.url).href)};
      import { joinFleet } from ${JSON.stringify(new URL("../../../client/src/agents/index.ts", import.meta.url).href)};
      import { openGroup } from ${JSON.stringify(new URL("../../../client/src/groups/index.ts", import.meta.url).href)};
      const group = openGroup(createClient({ url: process.env.URL, token: process.env.TOKEN }), "alive");
      await joinFleet(group, "f", { id: "mortal", liveness: "socket", ttl: 600, hold: 1 });
      console.log("there");`;
    const env = { ...process.env, URL: server.url, TOKEN: server.adminKey };
    const child = spawn(process.execPath, ["--input-type=module", "-e", code], { env, stdio: ["ignore", "pipe", "inherit"] });
    onTestFinished(() => void child.kill("SIGKILL"));
    await once(child.stdout, "data");
    const fleet = await joinFleet(group, "f", { id: "survivor", liveness: "socket", hold: 1 });
    const ids = async () => (await fleet.members()).map(({ id }) => id);
    await new Promise((resolve) => setTimeout(resolve, 3000));
    expect(await ids()).toEqual(["mortal", "survivor"]);
    child.kill("SIGKILL");
    await expect.poll(ids, { timeout: 30_000 }).toEqual(["survivor"]);
    group.close();
  });

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

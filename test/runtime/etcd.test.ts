import { describe, expect, it } from "vitest";
import { call, mint } from "./gate-kit.ts";

const b64 = (text: string) => btoa(text);
let groups = 0;

/** A group of one of its own, and how it is asked. */
async function fresh(replicas = 1) {
  const name = `etcd-${groups++}`;
  const made = await call(`/v1/groups/${name}`, { method: "PUT", json: { replicas } });
  if (!made.ok) throw new Error(await made.text());
  const post = (path: string, json: unknown, more: object = {}) => call(`/v1/groups/${name}/v3/${path}`, { json, ...more });
  const get = async (path: string, json: unknown, more: object = {}) => {
    const response = await post(path, json, more);
    return {
      response,
      status: response.status,
      body: (await response.json()) as Record<string, never> & { header: Record<string, string> },
    };
  };
  return { name, post, get };
}

/** Reads a stream line by line; white space between means nothing. */
function lines(response: Response) {
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  return {
    async next(): Promise<Record<string, never>> {
      for (;;) {
        const end = text.indexOf("\n");
        if (end >= 0 && text.slice(0, end).trim() !== "") {
          const line = text.slice(0, end);
          text = text.slice(end + 1);
          return JSON.parse(line).result;
        }
        const { done, value } = await reader.read();
        if (done) throw new Error(`the stream ended: ${text}`);
        text = (text + value).trimStart();
      }
    },
    stop: () => reader.cancel(),
  };
}

describe("the default group at /v3", () => {
  it("is not made by who asks about it, and is by who writes to it", async () => {
    const range = await call("/v3/kv/range", { json: { key: b64("a") } });
    expect(range.status).toBe(200);
    expect(await range.json()).toMatchObject({ header: { revision: "1" } });
    expect((await call("/v3/lease/leases", { json: {} })).status).toBe(200);
    expect((await call("/v3/maintenance/status", { json: {} })).status).toBe(200);
    expect(await (await call("/v3/cluster/member/list", { json: {} })).json()).toMatchObject({ members: [] });
    const compare = await call("/v3/kv/txn", { json: { compare: [{ key: b64("a"), target: "CREATE", create_revision: 0 }] } });
    expect(await compare.json()).toMatchObject({ succeeded: true });
    const future = await call("/v3/kv/range", { json: { key: b64("a"), revision: 9 } });
    expect([future.status, await future.json()]).toMatchObject([400, { code: 11 }]);
    const leader = await call("/v3/election/leader", { json: { name: b64("e") } });
    expect([leader.status, await leader.json()]).toMatchObject([500, { error: "election: no leader", code: 2 }]);
    expect((await call("/v1/groups/default")).status).toBe(404);

    const put = await call("/v3/kv/put", { json: { key: b64("a"), value: b64("1") } });
    expect(put.headers.get("skerry-level")).toBe("quorum; placement=simulated");
    expect(await put.json()).toMatchObject({ header: { revision: "2" } });
    expect((await call("/v1/groups/default")).status).toBe(200);
    const { members } = (await (await call("/v3/cluster/member/list", { json: {} })).json()) as { members: object[] };
    expect(members).toHaveLength(3);
    expect(members[0]).toMatchObject({ clientURLs: ["http://skerry.test"] });
  });

  it("says the version whose answers it gives, to anybody", async () => {
    expect(await (await call("/version", { token: null })).json()).toEqual({ etcdserver: "3.4.23", etcdcluster: "3.4.0" });
  });
});

describe("who may", () => {
  it("a token travels bare or as a bearer; a wrong one is refused in etcd's words", async () => {
    const { name } = await fresh();
    const path = `/v1/groups/${name}/v3/kv/range`;
    const { token } = await mint([{ capability: "groups", name, rights: ["read"] }]);
    for (const authorization of [token, `Bearer ${token}`])
      expect((await call(path, { token: null, headers: { authorization }, json: { key: b64("a") } })).status).toBe(200);
    for (const options of [{ token: null }, { token: null, headers: { authorization: "nonsense" } }, { token: "x.y.z" }]) {
      const refused = await call(path, { ...options, json: { key: b64("a") } });
      expect([refused.status, await refused.json()]).toMatchObject([
        401,
        { error: "etcdserver: invalid auth token", code: 16, detail: expect.any(String) },
      ]);
    }
    // Elsewhere the header keeps its form.
    expect((await call("/v1/topics", { token: null, headers: { authorization: token } })).status).toBe(401);
  });

  it("reading needs the right to read, everything else to write; what a transaction needs is seen in it", async () => {
    const { name, post } = await fresh();
    const { token } = await mint([{ capability: "groups", name, rights: ["read"] }]);
    const status = async (path: string, json: unknown) => (await post(path, json, { token })).status;
    expect(await status("kv/range", { key: b64("a") })).toBe(200);
    expect(await status("lease/leases", {})).toBe(200);
    expect(await status("kv/txn", { success: [{ request_range: { key: b64("a") } }] })).toBe(200);
    const writes: [string, unknown][] = [
      ["kv/put", { key: b64("a") }],
      ["kv/deleterange", { key: b64("a") }],
      ["kv/txn", { failure: [{ request_put: { key: b64("a") } }] }],
      ["kv/compaction", { revision: 1 }],
      ["lease/grant", { TTL: 60 }],
      ["lease/keepalive", { ID: 1 }],
      ["lock/lock", { name: b64("l") }],
      ["election/campaign", { name: b64("l") }],
    ];
    for (const [path, json] of writes) {
      const refused = await post(path, json, { token });
      expect([path, refused.status, await refused.json()]).toMatchObject([path, 403, { error: "etcdserver: permission denied", code: 7 }]);
    }
    expect((await call("/v1/groups/etcd-other/v3/kv/range", { token, json: {} })).status).toBe(403);
  });

  it("a user's password is a token", async () => {
    const { token } = await mint([{ capability: "groups", name: "*", rights: ["read"] }]);
    const good = await call("/v3/auth/authenticate", { token: null, json: { name: "ada", password: token } });
    expect(await good.json()).toMatchObject({ token });
    for (const password of ["", "wrong", `${token}x`]) {
      const bad = await call("/v3/auth/authenticate", { token: null, json: { name: "ada", password } });
      expect([bad.status, await bad.json()]).toMatchObject([400, { code: 3, error: expect.stringContaining("authentication failed") }]);
    }
  });
});

describe("answers and errors", () => {
  it("have etcd's shape: what is not there, what does not read, what is not valid, what groups do otherwise", async () => {
    const { get } = await fresh();
    const missing = await call("/v1/groups/etcd-none/v3/kv/put", { json: { key: b64("a") } });
    expect([missing.status, await missing.json()]).toMatchObject([404, { code: 5, error: expect.stringContaining("etcd-none") }]);
    expect(await get("kv/put", {})).toMatchObject({ status: 400, body: { error: "etcdserver: key is not provided", code: 3 } });
    expect(await get("kv/put", { key: b64("a"), lease: 9 })).toMatchObject({ status: 404, body: { code: 5 } });
    expect(await get("kv/range", { key: "*" })).toMatchObject({ status: 400, body: { error: "illegal base64 data at input byte 0" } });
    expect(await get("lock/lock", { name: b64("l"), lease: 9 })).toMatchObject({ status: 500, body: { code: 2 } });
    // Nothing to be said is read all the same.
    for (const path of ["maintenance/status", "cluster/member/list", "lease/leases"]) {
      expect(await get(path, [null])).toMatchObject({ status: 400, body: { code: 3, error: expect.stringContaining("array") } });
      expect(await get(path, null)).toMatchObject({ status: 200 });
    }
    expect(await get("auth/enable", {})).toMatchObject({ status: 501, body: { code: 12 } });
    expect(await get("kv/nothing", {})).toMatchObject({ status: 404, body: { code: 5 } });
    const big = await get("kv/put", { key: b64("a"), value: b64("x".repeat(1_600_000)) });
    expect(big).toMatchObject({ status: 400, body: { error: "etcdserver: request is too large", code: 3 } });
  });

  it("a serializable read has what the context names, and says so", async () => {
    const { get } = await fresh(3);
    const { response } = await get("kv/put", { key: b64("a"), value: b64("1") });
    const context = response.headers.get("skerry-context") as string;
    const read = { key: b64("a"), serializable: true };
    for (let i = 0; i < 5; i++) {
      const { response: answer, body } = await get("kv/range", read, { headers: { "skerry-context": context } });
      expect(answer.headers.get("skerry-level")).toBe("session");
      expect(body).toMatchObject({ count: "1" });
    }
    expect((await get("kv/range", read)).response.headers.get("skerry-level")).toBe("stale");
    const level = async (asked: string) => {
      const { response: answer, status } = await get("kv/range", { key: b64("a") }, { headers: { "skerry-level": asked } });
      return status === 200 ? answer.headers.get("skerry-level") : status;
    };
    expect(await level("linearizable")).toBe("linearizable");
    expect(await level("stale")).toBe("stale");
    // What is asked for is met, or something stronger.
    expect(["bounded", "linearizable"]).toContain(await level("bounded; ms=60000"));
    expect(await level("nonsense")).toBe(400);
  });

  it("a write in a session happens once, however often it is sent", async () => {
    const { get } = await fresh();
    const headers = { "skerry-session": "till-7; seq=1" };
    const first = await get("kv/put", { key: b64("a"), value: b64("1") }, { headers });
    const again = await get("kv/put", { key: b64("a"), value: b64("1") }, { headers });
    expect(again.body.header.revision).toBe(first.body.header.revision);
    expect((await get("kv/range", { key: b64("a") })).body).toMatchObject({ kvs: [{ version: "1" }] });
    for (const wrong of ["till-7", "; seq=1", "till-7; seq=0", "till-7; seq=1; ack=1"])
      expect((await get("kv/put", { key: b64("a") }, { headers: { "skerry-session": wrong } })).status).toBe(400);
  });
});

describe("what takes time", () => {
  it("a watch tells history, then what happens; several share one stream", async () => {
    const { post, get } = await fresh(3);
    await get("kv/put", { key: b64("a"), value: b64("1") });
    const body = [
      '{"create_request":{"key":"YQ==","start_revision":1,"prev_kv":true}}',
      '{"create_request":{"key":"Yg==","watch_id":"7"}}',
    ];
    const watch = lines(await post("watch", undefined, { body: body.join("") }));
    expect([await watch.next(), await watch.next(), await watch.next()]).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ created: true, header: expect.objectContaining({ revision: "2" }) }),
        expect.objectContaining({ created: true, watch_id: "7" }),
        expect.objectContaining({ events: [expect.objectContaining({ kv: expect.objectContaining({ value: b64("1") }) })] }),
      ]),
    );
    await get("kv/put", { key: b64("b"), value: b64("x") });
    expect(await watch.next()).toMatchObject({ watch_id: "7", events: [{ kv: { key: b64("b"), mod_revision: "3" } }] });
    await get("kv/deleterange", { key: b64("a") });
    expect(await watch.next()).toMatchObject({ events: [{ type: "DELETE", kv: { mod_revision: "4" }, prev_kv: { value: b64("1") } }] });
    await watch.stop();
  });

  it("a watch from a compacted revision is cancelled; one from now on does not tell of what was written before", async () => {
    const { post, get } = await fresh(3);
    for (let i = 0; i < 3; i++) await get("kv/put", { key: b64("a"), value: b64(String(i)) });
    await get("kv/compaction", { revision: 3 });
    const old = lines(await post("watch", { create_request: { key: b64("a"), start_revision: 1 } }));
    expect(await old.next()).toMatchObject({ created: true });
    expect(await old.next()).toMatchObject({ canceled: true, compact_revision: "3" });
    await old.stop();
    for (let i = 0; i < 5; i++) {
      await get("kv/put", { key: b64("a"), value: b64("before") });
      const fromNow = lines(await post("watch", { create_request: { key: b64("a") } }));
      expect(await fromNow.next()).toMatchObject({ created: true });
      await get("kv/put", { key: b64("a"), value: b64("after") });
      expect(await fromNow.next()).toMatchObject({ events: [{ kv: { value: b64("after") } }] });
      await fromNow.stop();
    }
  });

  it("a body that does not read as a stream's request is refused as etcd does", async () => {
    const { post } = await fresh();
    for (const path of ["watch", "lease/keepalive"]) {
      const refused = await post(path, undefined, { body: "x" });
      expect([refused.status, await refused.json()]).toMatchObject([500, { code: 2 }]);
    }
  });

  it("keep-alives: a line for each lease of the body", async () => {
    const { post, get } = await fresh();
    await get("lease/grant", { ID: 7, TTL: 60 });
    const told = await (await post("lease/keepalive", undefined, { body: '{"ID":7}{"ID":8}' })).text();
    expect(
      told
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line).result),
    ).toMatchObject([{ ID: "7", TTL: "60" }, { ID: "8" }]);
  });

  it("a lock goes to who waits for it when it is given up", async () => {
    const { post, get } = await fresh();
    for (const ID of [1, 2]) await get("lease/grant", { ID, TTL: 600 });
    const { body } = await get("lock/lock", { name: b64("l"), lease: 1 });
    const second = await post("lock/lock", { name: b64("l"), lease: 2 });
    expect((await get("kv/range", { key: b64("l/"), range_end: b64("l0"), count_only: true })).body).toMatchObject({ count: "2" });
    await get("lock/unlock", { key: body.key });
    expect(JSON.parse(await second.text())).toMatchObject({ key: b64("l/2") });
  });

  it("who waits for a lock and goes away waits no longer", async () => {
    const { post, get } = await fresh();
    for (const ID of [1, 2]) await get("lease/grant", { ID, TTL: 600 });
    await get("lock/lock", { name: b64("l"), lease: 1 });
    const second = await post("lock/lock", { name: b64("l"), lease: 2 });
    await second.body!.cancel();
    const count = async () => (await get("kv/range", { key: b64("l/"), range_end: b64("l0"), count_only: true })).body.count;
    for (let tries = 0; tries < 400 && (await count()) !== "1"; tries++) await scheduler.wait(25);
    expect(await count()).toBe("1");
  });

  it("an election is observed: who leads, what he proclaims, who follows him", async () => {
    const { post, get } = await fresh();
    for (const ID of [1, 2]) await get("lease/grant", { ID, TTL: 600 });
    const name = b64("e");
    const observed = lines(await post("election/observe", { name }));
    const first = await get("election/campaign", { name, lease: 1, value: b64("one") });
    expect(await observed.next()).toMatchObject({ kv: { value: b64("one") } });
    const { leader } = first.body;
    await get("election/proclaim", { leader, value: b64("two") });
    expect(await observed.next()).toMatchObject({ kv: { value: b64("two") } });
    const second = await post("election/campaign", { name, lease: 2, value: b64("three") });
    await get("election/resign", { leader });
    expect(JSON.parse(await second.text())).toMatchObject({ leader: { key: b64("e/2"), lease: "2" } });
    expect(await observed.next()).toMatchObject({ kv: { value: b64("three") } });
    expect((await get("election/leader", { name })).body).toMatchObject({ kv: { value: b64("three") } });
    const late = await get("election/proclaim", { leader, value: b64("four") });
    expect(late).toMatchObject({ status: 500, body: { error: "election: not leader", code: 2 } });
    await observed.stop();
  });
});

describe("the reference", () => {
  it("has every call of the gateway, for the default group and under each group's path", async () => {
    const { paths } = (await (await call("/openapi.json")).json()) as { paths: Record<string, object> };
    for (const path of ["kv/range", "kv/txn", "watch", "lease/keepalive", "lock/lock", "election/observe", "maintenance/status"]) {
      expect(paths).toHaveProperty([`/v3/${path}`]);
      expect(paths).toHaveProperty([`/v1/groups/{group}/v3/${path}`]);
    }
  });
});

import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { replicaName } from "../../durable-objects/group/names.ts";
import { AUTH_SETUP, REFUSED, SETUP } from "../../scripts/verify/etcd/refusals.ts";
import recorded from "../golden/etcd/refusals.golden.json";
import { call } from "./gate-kit.ts";

const b64 = (text: string) => btoa(text);
const answers = recorded.answers as Record<string, { status: number; body: string }>;
let groups = 0;

async function fresh(replicas: number): Promise<string> {
  const name = `refusals-${groups++}`;
  expect((await call(`/v1/groups/${name}`, { method: "PUT", json: { replicas } })).status).toBe(201);
  return name;
}

describe(`what etcd ${recorded.etcd} refuses`, () => {
  it("the recording has each case, and nothing else", () => {
    expect(Object.keys(answers).sort()).toEqual(REFUSED.map(({ name }) => name).sort());
    expect(AUTH_SETUP.length).toBeGreaterThan(0);
  });

  it("the gateway refuses with the same status, code and words", async () => {
    const group = await fresh(1);
    const post = (path: string, body: string, auth?: { authorization: string }) =>
      call(`/v1/groups/${group}/v3/${path}`, { body, ...(auth !== undefined && { token: null, headers: auth }) });
    for (const { path, body } of SETUP) expect((await post(path, body)).status).toBe(200);
    for (const { name, path, body, auth } of REFUSED) {
      const answer = await post(path, body(), auth);
      const text = await answer.text();
      // Where it is our own door that refuses, our own sentence stands beside etcd's.
      const { detail: _, ...said } = JSON.parse(text);
      expect([name, answer.status, said]).toEqual([name, answers[name]!.status, JSON.parse(answers[name]!.body)]);
    }
    // None of it has changed anything.
    const after = (await (await post("kv/range", JSON.stringify({ key: "AA==", range_end: "AA==" }))).json()) as object;
    expect(after).toMatchObject({ header: { revision: "5" }, count: "1" });
  });
});

describe("a minority", () => {
  it("refuses writes and linearizable reads with an error that may pass, and answers what may trail", async () => {
    const group = await fresh(3);
    const post = (path: string, json: object) => call(`/v1/groups/${group}/v3/${path}`, { json });
    const read = { key: b64("a") };
    expect((await post("kv/put", { ...read, value: b64("1") })).status).toBe(200);
    const { leader } = (await (await call(`/v1/groups/${group}`)).json()) as { leader: number };
    const stub = (id: number) => env.GROUP.getByName(replicaName({ project: "main", jurisdiction: "global" }, group, 1, id));
    // The leader alone is left, and then one that followed.
    for (const left of [leader, (leader % 3) + 1]) {
      for (const id of [1, 2, 3]) await stub(id).fault({ hang: id !== left });
      const refused: [string, object][] = [
        ["kv/put", { ...read, value: b64("2") }],
        ["kv/deleterange", read],
        ["kv/txn", { success: [{ request_put: { ...read, value: b64("3") } }] }],
        ["lease/grant", { TTL: 60 }],
        ["kv/range", read],
        ["kv/txn", { success: [{ request_range: read }] }],
        ["lease/leases", {}],
      ];
      const asked = refused.map(async ([path, json]) => {
        const answer = await post(path, json);
        expect([path, answer.status, await answer.json()]).toEqual([
          path,
          503,
          { error: "etcdserver: request timed out", message: "etcdserver: request timed out", code: 14, detail: expect.any(String) },
        ]);
        expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
      });
      await Promise.all(asked);
      const stale = await post("kv/range", { ...read, serializable: true });
      expect([stale.status, stale.headers.get("skerry-level")]).toEqual([200, "stale"]);
      expect(await stale.json()).toMatchObject({ kvs: [{ value: b64("1") }] });
    }
    for (const id of [1, 2, 3]) await stub(id).fault({ hang: false });
    // What was refused may have happened since, or not; what is read now says which.
    const healed = await post("kv/range", read);
    expect([healed.status, healed.headers.get("skerry-level")]).toEqual([200, "linearizable"]);
  });
});

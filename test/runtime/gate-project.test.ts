import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { decodeProtectedHeader } from "jose";
import { afterEach, describe, expect, it, vi } from "vitest";
import { MAX_LIFETIME } from "../../core/auth/claims.ts";
import { MAX_KEYS } from "../../core/auth/keyring.ts";
import { hourOf, totals } from "../../core/usage/usage.ts";
import type { Grant } from "../../core/wire/grant.ts";
import { objectName } from "../../core/wire/names.ts";
import type { KeyInfo, Project } from "../../durable-objects/project/project.ts";
import { KEYRING_TTL_MS, projectStub } from "../../workers/middleware/keyring.ts";
import { call, codeOf, mint, problem } from "./gate-kit.ts";

const rooms: Grant[] = [{ capability: "rooms", name: "team-*", rights: ["read"] }];
let count = 0;

/** How long a test waits for what it expects: vitest's own second is less than a pause of a loaded machine. */
const PATIENT = { timeout: 60_000, interval: 50 };

/** A project of its own for each test, and its stub. */
function fresh() {
  const scope = { project: `p${++count}`, jurisdiction: "global" as const };
  return { scope, headers: { "skerry-project": scope.project }, stub: () => projectStub(env, scope) };
}

async function refused(response: Response): Promise<[number, string]> {
  return [response.status, (await problem(response)).code];
}

const status = async (token: string) => (await call("/v1/session", { token })).status;
const at = (ms: number) => vi.useFakeTimers({ toFake: ["Date"], now: ms });

afterEach(() => {
  vi.useRealTimers();
});

describe("a project through evictions", () => {
  it("[TK1] mints, verifies, lists, refreshes, revokes and accounts, each time woken anew", async () => {
    const { stub, headers } = fresh();
    const hour = hourOf(Date.now());
    const { token, id } = await mint(rooms, {}, headers);
    await evictDurableObject(stub());
    expect((await stub().introspect(token)).value).toMatchObject({ tokenId: id, grants: rooms });
    await evictDurableObject(stub());
    expect((await stub().tokens(null, 10)).value.map((each) => each.id)).toEqual([id]);
    await evictDurableObject(stub());
    expect((await stub().refresh(token)).value.id).toBe(id);
    await evictDurableObject(stub());
    expect((await stub().keys()).value).toHaveLength(1);
    await evictDurableObject(stub());
    await stub().addUsage([{ hour, capability: "rooms", requests: 2, rows: 3, bytesIn: 4, bytesOut: 5 }]);
    await evictDurableObject(stub());
    await stub().addUsage([{ hour, capability: "rooms", requests: 1, rows: 0, bytesIn: 0, bytesOut: 1 }]);
    await evictDurableObject(stub());
    const used = (await stub().usage(hour, hour)).value.filter((bucket) => bucket.capability === "rooms");
    expect(used).toEqual([{ hour, capability: "rooms", requests: 3, rows: 3, bytesIn: 4, bytesOut: 6 }]);
    await evictDurableObject(stub());
    expect((await stub().revoke(id)).value).toEqual({ known: true });
    await evictDurableObject(stub());
    expect(await codeOf(stub().introspect(token))).toBe("token_revoked");
    expect((await stub().verification(0)).value.revoked).toEqual([id]);
  });

  it("[TK8] stores no token, and of a retired key only the public part", async () => {
    const { stub, headers } = fresh();
    const { token } = await mint(rooms, {}, headers);
    await stub().rotate();
    const dump = await runInDurableObject(stub() as unknown as DurableObjectStub<Project>, (_, state) =>
      ["keys", "tokens", "revoked", "attached"]
        .map((table) => JSON.stringify(state.storage.sql.exec(`SELECT * FROM ${table}`).toArray()))
        .join("\n"),
    );
    expect(dump).not.toContain(token.split(".")[2]);
    expect(dump.match(/\\"d\\":/g)).toHaveLength(1);
  });

  it("two first mints at once use one key", async () => {
    const { headers, stub } = fresh();
    const tokens = await Promise.all([1, 2, 3, 4].map(() => mint(rooms, {}, headers)));
    expect(new Set(tokens.map(({ token }) => decodeProtectedHeader(token).kid)).size).toBe(1);
    expect((await stub().keys()).value).toHaveLength(1);
  });
});

describe("keys", () => {
  it("[KR1] after a rotation new tokens have the new key, and old ones hold until they end", async () => {
    const { headers } = fresh();
    const old = await mint(rooms, {}, headers);
    const rotated = await call("/v1/keys/rotate", { method: "POST", headers });
    expect(rotated.status).toBe(201);
    const key = (await rotated.json()) as KeyInfo;
    const young = await mint(rooms, {}, headers);
    expect(decodeProtectedHeader(young.token).kid).toBe(key.id);
    // This isolate's copy of the keys is older than the key: it is read anew for it.
    expect([await status(old.token), await status(young.token)]).toEqual([200, 200]);
    const { keys } = (await (await call("/v1/keys", { headers })).json()) as { keys: KeyInfo[] };
    expect(keys.map((each) => [each.id, each.retiredAt === null])).toEqual([
      [key.id, true],
      [decodeProtectedHeader(old.token).kid, false],
    ]);
    expect(keys.every((each) => each.publicJwk.crv === "Ed25519" && !("d" in each.publicJwk))).toBe(true);
  });

  it("[KR1] a retired key is forgotten when its last token has ended", async () => {
    const { stub, headers } = fresh();
    await mint(rooms, {}, headers);
    const now = Date.now();
    await stub().rotate();
    at(now + MAX_LIFETIME * 1000 - 1_000);
    expect((await stub().keys()).value).toHaveLength(2);
    at(now + MAX_LIFETIME * 1000 + 10_000);
    expect((await stub().keys()).value).toHaveLength(1);
  });

  it("[KR2] a rotation beyond the bound is refused, and ends nothing", async () => {
    const { headers } = fresh();
    const { token } = await mint(rooms, {}, headers);
    for (let i = 1; i < MAX_KEYS; i++) expect((await call("/v1/keys/rotate", { method: "POST", headers })).status).toBe(201);
    expect(await refused(await call("/v1/keys/rotate", { method: "POST", headers }))).toEqual([409, "conflict"]);
    expect(await status(token)).toBe(200);
  });

  it("[KR3] after a leak the old keys end now, with every token they signed", async () => {
    const { headers, stub } = fresh();
    const old = await mint(rooms, {}, headers);
    expect(await status(old.token)).toBe(200);
    expect((await call("/v1/keys/rotate", { json: { endOld: true }, headers })).status).toBe(201);
    expect((await stub().keys()).value).toHaveLength(1);
    expect((await stub().verification(0)).value.revoked).toEqual([old.id]);
    at(Date.now() + KEYRING_TTL_MS);
    expect(await status(old.token)).toBe(401);
    expect(await status((await mint(rooms, {}, headers)).token)).toBe(200);
  });

  it.each([{ endOld: "yes" }, { endold: true }, 7])("%j is no rotation", async (json) => {
    expect(await refused(await call("/v1/keys/rotate", { json }))).toEqual([400, "bad_request"]);
  });
});

describe("revocation", () => {
  it("[TK5] holds for every copy within five seconds, by this isolate's own copy of the list", async () => {
    const { headers } = fresh();
    const first = await mint(rooms, {}, headers);
    const second = (await (await call("/v1/tokens/refresh", { method: "POST", token: first.token })).json()) as { token: string };
    const other = await mint(rooms, {}, headers);
    expect([await status(first.token), await status(second.token)]).toEqual([200, 200]);
    const gone = await call(`/v1/tokens/${first.id}`, { method: "DELETE", headers });
    expect([gone.status, await gone.text()]).toEqual([204, ""]);
    at(Date.now() + KEYRING_TTL_MS);
    for (const { token } of [first, second]) expect(await refused(await call("/v1/session", { token }))).toEqual([401, "token_revoked"]);
    expect(await refused(await call("/v1/tokens/refresh", { method: "POST", token: second.token }))).toEqual([401, "token_revoked"]);
    expect(await status(other.token)).toBe(200);
    // Again is no error: the caller wants it gone, and it is.
    expect((await call(`/v1/tokens/${first.id}`, { method: "DELETE", headers })).status).toBe(204);
    expect(await refused(await call("/v1/tokens/nobody", { method: "DELETE", headers }))).toEqual([404, "token_not_found"]);
  });

  /** Puts objects of our own behind the project's bindings, which answer as told. */
  async function withHolders(stub: DurableObjectStub<Project>, answers: (object: string, tokenId: string) => Promise<void>) {
    await runInDurableObject(stub, (instance) => {
      const holder = { getByName: (object: string) => ({ revoked: (tokenId: string) => answers(object, tokenId) }) };
      (instance as unknown as { env: object }).env = { ...env, ROOM: holder, TASK: holder, TOPIC: holder };
    });
  }

  it("[TK6] is told to each object that holds a socket of the token, twice, and to no other", async () => {
    const { stub, headers, scope } = fresh();
    const [mine, other] = [await mint(rooms, {}, headers), await mint(rooms, {}, headers)];
    const project = stub() as unknown as DurableObjectStub<Project>;
    const object = (name: string) => objectName(scope, "rooms", name);
    for (const name of ["a", "b", "a"]) await project.attach({ tokenId: mine.id, class: "ROOM", object: object(name) });
    await project.attach({ tokenId: other.id, class: "ROOM", object: object("c") });
    // In-band, with a new token of the same holder.
    await project.introspect(mine.token, { class: "TASK", object: object("d") });
    const told: string[] = [];
    await withHolders(project, async (name, tokenId) => void told.push(`${name.split("/").at(-1)} ${tokenId === mine.id}`));
    await project.revoke(mine.id);
    await vi.waitFor(() => expect(told.toSorted()).toEqual(["a true", "b true", "d true"]), PATIENT);
    await vi.waitFor(() => expect(told).toHaveLength(6), PATIENT);
    expect(await codeOf(project.attach({ tokenId: mine.id, class: "ROOM", object: object("a") }))).toBe("token_revoked");
    expect(await codeOf(project.attach({ tokenId: "unknown", class: "ROOM", object: object("a") }))).toBe("token_invalid");
  });

  it("[TK6] is told again by alarm until the object answers, also after the project was evicted", async () => {
    const { stub, headers, scope } = fresh();
    const { id } = await mint(rooms, {}, headers);
    const project = stub() as unknown as DurableObjectStub<Project>;
    await project.attach({ tokenId: id, class: "ROOM", object: objectName(scope, "rooms", "a") });
    let calls = 0;
    await withHolders(project, async () => {
      if (++calls <= 2) throw new Error("the object is being moved");
    });
    // What the revocation wrote, without its first round: as if the object died between the two.
    await runInDurableObject(project, (_, state) => {
      state.storage.sql.exec("INSERT INTO notices SELECT token_id, class, object, 0, 0, 0 FROM attached");
      state.storage.sql.exec("DELETE FROM attached");
    });
    const now = Date.now();
    for (let i = 0; i < 5; i++) {
      at(now + i * 10_000);
      await runInDurableObject(project, (instance) => instance.alarm());
    }
    // Two failures, then the first and the second round; the fifth alarm finds nothing.
    expect(calls).toBe(4);
    expect(await runInDurableObject(project, (_, state) => state.storage.sql.exec("SELECT * FROM notices").toArray())).toEqual([]);
  });

  it("[TK6] an object that never answers does not keep the project awake for ever", async () => {
    const { stub, headers, scope } = fresh();
    const { id } = await mint(rooms, {}, headers);
    const project = stub() as unknown as DurableObjectStub<Project>;
    await project.attach({ tokenId: id, class: "ROOM", object: objectName(scope, "rooms", "a") });
    let calls = 0;
    await withHolders(project, () => Promise.reject(new Error(`gone ${++calls}`)));
    await runInDurableObject(project, (_, state) => {
      state.storage.sql.exec("INSERT INTO notices SELECT token_id, class, object, 0, 98, 0 FROM attached");
    });
    const logged = vi.spyOn(console, "error").mockImplementation(() => {});
    const now = Date.now();
    for (let i = 0; i < 5; i++) {
      at(now + i * 61_000);
      await runInDurableObject(project, (instance) => instance.alarm());
    }
    expect(calls).toBe(3);
    expect(logged.mock.calls.map(([line]) => JSON.parse(line).tokenId)).toEqual([id]);
    logged.mockRestore();
  });

  it("[TK6] leaves an alarm behind while someone has not been told", async () => {
    const { stub, headers, scope } = fresh();
    const { id } = await mint(rooms, {}, headers);
    const project = stub() as unknown as DurableObjectStub<Project>;
    await project.attach({ tokenId: id, class: "ROOM", object: objectName(scope, "rooms", "a") });
    await withHolders(project, () => Promise.reject(new Error("gone")));
    await project.revoke(id);
    await vi.waitFor(async () => {
      const due = await runInDurableObject(project, (_, state) => state.storage.getAlarm());
      expect(due).not.toBeNull();
    }, PATIENT);
    expect(await runDurableObjectAlarm(project)).toBe(true);
  });
});

describe("the account", () => {
  it("[US4] counts what authenticated callers did, and nothing of others", async () => {
    const { headers, stub } = fresh();
    const { token } = await mint(rooms, {}, headers);
    await call("/v1/keys", { headers });
    await call("/v1/session", { token });
    await call("/v1/nope", { headers });
    expect((await call("/v1/usage", { token })).status).toBe(403);
    expect((await call("/v1/usage", { token: null, headers })).status).toBe(401);
    expect((await call("/v1/session", { token: "wrong", headers })).status).toBe(401);
    const hour = hourOf(Date.now());
    const account = async () => totals((await stub().usage(hour - 1, hour + 1)).value);
    await vi.waitFor(async () => expect((await account()).total.requests).toBe(5), PATIENT);
    await scheduler.wait(1_200);
    const { total, byCapability } = await account();
    expect(byCapability).toEqual({ platform: total });
    expect(total).toMatchObject({ requests: 5, rows: 1 });
    expect(total.bytesIn).toBeGreaterThan(50);
    expect(total.bytesOut).toBeGreaterThan(500);

    const told = (await (await call("/v1/usage", { headers })).json()) as { total: object; dollars: { total: number } };
    expect(told.total).toEqual(total);
    expect(told.dollars.total).toBeCloseTo((5 * 0.45 + 1) / 1e6, 12);
    const text = await (await call("/metrics", { headers })).text();
    expect(text).toContain(`skerry_project_rows_written_total{project="${headers["skerry-project"]}",capability="platform"} 1`);
    expect(text).toMatch(/skerry_requests_total\{method="GET",route="\/v1\/session",status="200"\} \d+/);
  });

  it("[US3] a range that makes no sense is bad_query", async () => {
    for (const query of ["from=5&to=1", `from=0&to=${Date.now()}`, "from=0&to=1000"])
      expect(await refused(await call(`/v1/usage?${query}`)), query).toEqual([400, "bad_query"]);
    for (const query of ["from=x", "from=-1", "to=1.5", "to=1e30"])
      expect(await refused(await call(`/v1/usage?${query}`)), query).toEqual([400, "bad_request"]);
  });
});

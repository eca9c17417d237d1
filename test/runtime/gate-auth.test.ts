import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it, vi } from "vitest";
import { DEFAULT_SCOPE } from "../../core/wire/names.ts";
import { projectStub } from "../../workers/middleware/keyring.ts";
import { limitAddress } from "../../workers/middleware/limits.ts";
import { ADMIN, call, callWith, mint, problem } from "./gate-kit.ts";

const rooms = [{ capability: "rooms", name: "team-*", rights: ["read"] }];
const usage = [{ capability: "platform", name: "usage", rights: ["read"] }];

async function refused(response: Response): Promise<[number, string]> {
  return [response.status, (await problem(response)).code];
}

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** Moves the clock that Worker and objects read, and nothing else: both run in this isolate. */
function at(ms: number): void {
  vi.useFakeTimers({ toFake: ["Date"], now: ms });
}

describe("credentials", () => {
  it("[TK1] a minted token is who it says, by header and by ?token=", async () => {
    const { token, id, expiresAt } = await mint(rooms, { subject: "ada" });
    const expected = { project: "main", subject: "ada", admin: false, tokenId: id, expiresAt, grants: rooms, anonymousGrants: [] };
    expect(await (await call("/v1/session", { token })).json()).toEqual(expected);
    expect(await (await call(`/v1/session?token=${token}`, { token: null })).json()).toEqual(expected);
    expect(expiresAt - Date.now()).toBeLessThanOrEqual(3_600_000);
    expect(await (await call("/v1/session")).json()).toMatchObject({ subject: "admin", admin: true, tokenId: null, expiresAt: null });
    expect(await (await call(`/v1/session?token=${ADMIN}`, { token: null })).json()).toMatchObject({ admin: true });
  });

  it.each(["wrong", "wrong-key-that-is-long-enough-1234", "a.b.c", "eyJhbGciOiJub25lIn0.eyJhdWQiOiJtYWluIn0.", "x".repeat(9_000)])(
    "[TK2] %s is token_invalid, with a challenge",
    async (token) => {
      const response = await call("/v1/session", { token });
      expect(response.headers.get("www-authenticate")).toContain('error="invalid_token"');
      expect(await refused(response)).toEqual([401, "token_invalid"]);
    },
  );

  it("[TK2] other schemes, an empty token, and two at once are token_invalid", async () => {
    for (const authorization of ["Basic YTpi", "Bearer", "Bearer a b", ADMIN])
      expect(await refused(await call("/v1/session", { token: null, headers: { authorization } })), authorization).toEqual([
        401,
        "token_invalid",
      ]);
    expect(await refused(await call("/v1/session?token=", { token: null }))).toEqual([401, "token_invalid"]);
    expect(await refused(await call(`/v1/session?token=${ADMIN}&token=${ADMIN}`, { token: null }))).toEqual([401, "token_invalid"]);
  });

  it("[AK4] a prefix or an extension of the admin key is not the key", async () => {
    for (const token of [ADMIN.slice(0, -1), `${ADMIN}x`, ADMIN.toUpperCase()])
      expect(await refused(await call("/v1/tokens", { token }))).toEqual([401, "token_invalid"]);
  });

  it("[TK2] a token with any character changed is refused at the gate", async () => {
    const { token } = await mint(rooms);
    for (let i = 0; i < token.length; i += 17) {
      const changed = token.slice(0, i) + (token[i] === "A" ? "B" : "A") + token.slice(i + 1);
      expect(await refused(await call("/v1/session", { token: changed })), `at ${i}`).toEqual([401, "token_invalid"]);
    }
  });

  it("[TK3] a token ends when it says, also one that was seen before", async () => {
    const { token, expiresAt } = await mint(rooms, { expiresIn: 60 });
    expect((await call("/v1/session", { token })).status).toBe(200);
    at(expiresAt - 1);
    expect((await call("/v1/session", { token })).status).toBe(200);
    at(expiresAt);
    expect(await refused(await call("/v1/session", { token }))).toEqual([401, "token_expired"]);
    expect(await refused(await call("/v1/tokens/refresh", { method: "POST", token }))).toEqual([401, "token_expired"]);
  });
});

describe("rights", () => {
  it("[GT3] an anonymous caller lacks a token, a token lacks the right, and the admin has it", async () => {
    const { token } = await mint(rooms);
    expect(await refused(await call("/v1/usage", { token: null }))).toEqual([401, "token_missing"]);
    expect(await refused(await call("/v1/usage", { token }))).toEqual([403, "forbidden"]);
    expect((await call("/v1/usage", { token: (await mint(usage)).token })).status).toBe(200);
    expect((await call("/v1/usage")).status).toBe(200);
    const missing = await problem(await call("/metrics", { token: null }));
    expect(missing.detail).toContain('"read" on platform "metrics"');
  });

  it("[GT3] no token is the admin, whatever it grants", async () => {
    const { token } = await mint([{ capability: "*", name: "*", rights: ["admin"] }]);
    for (const [path, method] of [
      ["/v1/tokens", "GET"],
      ["/v1/tokens", "POST"],
      ["/v1/keys", "GET"],
      ["/v1/keys/rotate", "POST"],
      ["/v1/tokens/x", "DELETE"],
    ] as const) {
      const json = method === "POST" ? { json: { grants: rooms, expiresIn: 60 } } : {};
      const options = path === "/v1/keys/rotate" ? { method } : { method, ...json };
      expect(await refused(await call(path, { ...options, token })), path).toEqual([403, "admin_only"]);
      expect(await refused(await call(path, { ...options, token: null })), path).toEqual([401, "token_missing"]);
    }
  });

  it("[GR5] anonymous has what the deployment names, in the project main only, and the session says so", async () => {
    const vars = { SKERRY_ANONYMOUS_GRANTS: JSON.stringify(usage) };
    expect((await callWith(vars, "/v1/usage", { token: null })).status).toBe(200);
    expect(await (await callWith(vars, "/v1/session", { token: null })).json()).toMatchObject({
      subject: "anonymous",
      grants: usage,
      anonymousGrants: usage,
    });
    expect(await refused(await callWith(vars, "/v1/usage", { token: null, headers: { "skerry-project": "other" } }))).toEqual([
      401,
      "token_missing",
    ]);
    expect(await refused(await callWith(vars, "/metrics", { token: null }))).toEqual([401, "token_missing"]);
    expect(await (await call("/v1/session", { token: null })).json()).toMatchObject({ grants: [], anonymousGrants: [] });
  });
});

describe("projects", () => {
  it("[GT2] the admin acts where it says, a token only at home", async () => {
    const there = { "skerry-project": "other" };
    const { token } = await mint(rooms, {}, there);
    expect(await (await call("/v1/session", { headers: there })).json()).toMatchObject({ project: "other", admin: true });
    expect(await (await call("/v1/session", { token })).json()).toMatchObject({ project: "other" });
    expect(await (await call("/v1/session", { token, headers: there })).json()).toMatchObject({ project: "other" });
    expect(await refused(await call("/v1/session", { token, headers: { "skerry-project": "main" } }))).toEqual([403, "project_mismatch"]);
    for (const name of ["", "Main", "a/b", "9a", "a".repeat(40)])
      expect(await refused(await call("/v1/session", { headers: { "skerry-project": name } })), name).toEqual([400, "bad_name"]);
  });

  it("[GT2] one project's tokens are not another's", async () => {
    const { id } = await mint(rooms, {}, { "skerry-project": "left" });
    const ids = async (project: string) =>
      ((await (await call("/v1/tokens", { headers: { "skerry-project": project } })).json()) as { tokens: { id: string }[] }).tokens.map(
        (token) => token.id,
      );
    expect(await ids("left")).toEqual([id]);
    expect(await ids("right")).toEqual([]);
    expect(await refused(await call(`/v1/tokens/${id}`, { method: "DELETE", headers: { "skerry-project": "right" } }))).toEqual([
      404,
      "token_not_found",
    ]);
  });

  it("[KR4] a token that names a project which does not exist makes none", async () => {
    const part = (value: object) => btoa(JSON.stringify(value)).replaceAll("=", "").replaceAll("+", "-").replaceAll("/", "_");
    const forged = `${part({ alg: "EdDSA", kid: "k", typ: "JWT" })}.${part({ aud: "ghost" })}.${"A".repeat(86)}`;
    expect(await refused(await call("/v1/session", { token: forged }))).toEqual([401, "token_invalid"]);
    const ghost = { project: "ghost", jurisdiction: DEFAULT_SCOPE.jurisdiction };
    const { value } = await projectStub(env, ghost).verification(0);
    expect(value).toEqual({ keys: [], revoked: [], seq: 0 });
  });
});

describe("refreshing and listing", () => {
  it("[TK4] a successor has the same id and grants, a later end, and never passes the longest lifetime", async () => {
    const now = Date.now();
    const first = await mint(rooms, { expiresIn: 60, maxLifetime: 100 });
    at(now + 30_000);
    const second = (await (await call("/v1/tokens/refresh", { method: "POST", token: first.token })).json()) as typeof first;
    expect(second.id).toBe(first.id);
    expect(second.expiresAt).toBeGreaterThan(first.expiresAt);
    at(now + 80_000);
    const third = (await (await call("/v1/tokens/refresh", { method: "POST", token: second.token })).json()) as typeof first;
    expect(third.expiresAt).toBe(first.refreshableUntil);
    expect(await (await call("/v1/session", { token: third.token })).json()).toMatchObject({ tokenId: first.id, grants: rooms });
    expect(await refused(await call("/v1/tokens/refresh", { method: "POST", token: third.token }))).toEqual([401, "token_expired"]);
  });

  it("[TK4] only a token can be refreshed, by header or by ?token=", async () => {
    expect(await refused(await call("/v1/tokens/refresh", { method: "POST" }))).toEqual([400, "bad_request"]);
    expect(await refused(await call("/v1/tokens/refresh", { method: "POST", token: null }))).toEqual([401, "token_missing"]);
    const { token, id } = await mint(rooms);
    expect(await (await call(`/v1/tokens/refresh?token=${token}`, { method: "POST", token: null })).json()).toMatchObject({ id });
  });

  it("[TK8] tokens are listed in pages, without their secrets", async () => {
    const headers = { "skerry-project": "pages" };
    const made = [];
    for (let i = 0; i < 5; i++) made.push(await mint(rooms, { subject: `s${i}` }, headers));
    const seen: string[] = [];
    let after: string | null = null;
    do {
      const response: Response = await call(`/v1/tokens?limit=2${after === null ? "" : `&after=${after}`}`, { headers });
      const page = (await response.json()) as { tokens: { id: string }[]; next: string | null };
      expect(JSON.stringify(page)).not.toContain("eyJ");
      seen.push(...page.tokens.map((token) => token.id));
      after = page.next;
    } while (after !== null);
    expect(seen).toEqual(made.map((token) => token.id).sort());
    for (const query of ["limit=0", "limit=1001", "limit=x", "limit=1&limit=2"])
      expect(await refused(await call(`/v1/tokens?${query}`))).toEqual([400, "bad_request"]);
  });
});

describe("limits", () => {
  /** A limiter that lets `budget` through and remembers what it counted. */
  function limiter(budget: number) {
    const keys: string[] = [];
    return { keys, limit: async ({ key }: { key: string }) => ({ success: keys.push(key) <= budget }) };
  }
  /** Makes the sample take every request, or none. */
  const sampling = (all: boolean) => vi.spyOn(Math, "random").mockReturnValue(all ? 0 : 0.99);
  const from = (ip: string) => ({ "cf-connecting-ip": ip });

  it("[GT4] what is not proven counts against its address, what is against its token, the admin against nothing", async () => {
    sampling(true);
    const [address, token] = [limiter(100), limiter(100)];
    const vars = { RATE_ADDRESS: address, RATE_TOKEN: token };
    const minted = await mint(rooms);
    await callWith(vars, "/v1/session", { token: null, headers: from("203.0.113.7") });
    await callWith(vars, "/v1/session", { token: "wrong", headers: from("203.0.113.8") });
    await callWith(vars, "/v1/session", { token: minted.token, headers: from("2001:db8:1:2:3:4:5:6") });
    await callWith(vars, "/v1/session", { token: minted.token, headers: from("2001:db8:1:2:3:4:5:6") });
    await callWith(vars, "/v1/session");
    expect(address.keys).toEqual(["address/203.0.113.7", "address/203.0.113.8", "address/2001:db8:1:2::/64"]);
    expect(token.keys).toEqual([`token/main/${minted.id}`, `token/main/${minted.id}`]);
  });

  it("[GT4] beyond the limit the answer is rate_limited, with Retry-After, until that has passed", async () => {
    const now = Date.now();
    for (const [which, options] of [
      ["RATE_ADDRESS", { token: null, headers: from("203.0.113.20") }],
      ["RATE_ADDRESS", { token: "guess", headers: from("203.0.113.21") }],
      ["RATE_TOKEN", { token: (await mint(rooms)).token }],
    ] as const) {
      at(now);
      const counted = limiter(0);
      const vars = { [which]: counted };
      sampling(false);
      expect((await callWith(vars, "/v1/session", options)).status).not.toBe(429);
      sampling(true);
      const response = await callWith(vars, "/v1/session", options);
      const wait = Number(response.headers.get("retry-after"));
      expect(wait).toBeGreaterThan(0);
      expect(await refused(response)).toEqual([429, "rate_limited"]);
      // Between two samples too, and without asking again.
      sampling(false);
      expect((await callWith(vars, "/v1/session", options)).status).toBe(429);
      expect(counted.keys).toHaveLength(1);
      at(now + wait * 1000);
      expect((await callWith(vars, "/v1/session", options)).status).not.toBe(429);
    }
  });

  it("[GT4] one request in ten is counted", async () => {
    const counted = limiter(1e6);
    for (let i = 0; i < 1_000; i++) await limitAddress({ env: { RATE_ADDRESS: counted }, req: { header: () => "203.0.113.30" } } as never);
    // 1,000 draws at a tenth: six standard deviations around 100.
    expect(counted.keys.length).toBeGreaterThan(43);
    expect(counted.keys.length).toBeLessThan(157);
  });
});

describe("the log", () => {
  it("[GT6] tells of each request in one line, without its secrets", async () => {
    const lines: string[] = [];
    const spy = vi.spyOn(console, "log").mockImplementation((line: string) => void lines.push(line));
    const { token, id } = await mint(rooms, { subject: "ada" });
    await call(`/v1/session?token=${token}&x=${ADMIN}`, { token: null });
    await call(`/v1/${token}/${ADMIN}`);
    await call("/v1/usage", { token });
    spy.mockRestore();
    expect(lines).toHaveLength(4);
    const text = lines.join("\n");
    for (const secret of [token, ADMIN, token.split(".")[2] as string]) expect(text).not.toContain(secret);
    expect(JSON.parse(lines[3] as string)).toMatchObject({
      level: "warn",
      route: "/v1/usage",
      status: 403,
      code: "forbidden",
      subject: "ada",
      tokenId: id,
    });
    expect(JSON.parse(lines[1] as string)).toMatchObject({ level: "info", path: "/v1/session?token=[redacted]&x=[redacted]" });
  });

  it("says as little as the deployment wants", async () => {
    const count = async (level: string, path: string) => {
      const spy = vi.spyOn(console, "log").mockImplementation(() => {});
      await callWith({ SKERRY_LOG: level }, path, { token: null });
      const calls = spy.mock.calls.length;
      spy.mockRestore();
      return calls;
    };
    expect([
      await count("info", "/v1/session"),
      await count("warn", "/v1/session"),
      await count("warn", "/v1/usage"),
      await count("off", "/v1/usage"),
    ]).toEqual([1, 0, 1, 0]);
  });
});

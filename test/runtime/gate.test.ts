import { createExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { answer } from "../../core/wire/answer.ts";
import { decodeContext } from "../../core/wire/context.ts";
import { ERRORS, SkerryError } from "../../core/wire/errors.ts";
import { DEFAULT_SCOPE, objectName } from "../../core/wire/names.ts";
import { createApp } from "../../workers/app.ts";
import { forward, forwardHeaders } from "../../workers/middleware/auth.ts";
import { note, seen } from "../../workers/middleware/context.ts";
import { shapeErrors } from "../../workers/middleware/problem.ts";
import { reply } from "../../workers/middleware/reply.ts";
import { ADMIN, call, callWith, mint, ORIGIN, problem } from "./gate-kit.ts";

describe("a deployment's settings", () => {
  it("[AK3] a fit deployment says so", async () => {
    const response = await call("/healthz", { token: null });
    expect([response.status, await response.json()]).toEqual([200, { status: "ok" }]);
  });

  it.each<[Record<string, string>, string]>([
    [{ SKERRY_ADMIN_KEY: "" }, "SKERRY_ADMIN_KEY is not set"],
    [{ SKERRY_ADMIN_KEY: "short" }, "shorter than 24"],
    [{ SKERRY_ADMIN_KEY: "changeme-changeme-changeme" }, "placeholder"],
    [{ SKERRY_ANONYMOUS_GRANTS: "[{" }, "not valid JSON"],
    [{ SKERRY_ANONYMOUS_GRANTS: '[{"capability":"rooms"}]' }, "grants[0]"],
    [{ SKERRY_CORS_ORIGINS: "https://a.example/path" }, "not an origin"],
    [{ SKERRY_LOG: "loud" }, "SKERRY_LOG is one of"],
  ])("[AK3] with %j everything is misconfigured but /healthz", async (vars, why) => {
    const health = await callWith(vars, "/healthz", { token: null });
    expect([health.status, await health.json()]).toEqual([503, { status: "misconfigured", detail: expect.stringContaining(why) }]);
    for (const path of ["/", "/docs", "/openapi.json", "/v1/session", "/v1/tokens", "/metrics", "/v1/rooms/a", "/nowhere"]) {
      const response = await callWith(vars, path, { token: vars.SKERRY_ADMIN_KEY ?? ADMIN });
      expect(response.status, path).toBe(500);
      expect(await problem(response)).toMatchObject({ code: "misconfigured", detail: expect.stringContaining(why) });
    }
  });
});

describe("every response", () => {
  it("[GT7] carries a request id: the caller's where it is harmless, else a new one", async () => {
    const id = async (given?: string) =>
      (await call("/healthz", { headers: given === undefined ? {} : { "x-request-id": given } })).headers.get("x-request-id");
    expect(await id("abc-123")).toBe("abc-123");
    for (const bad of ["a b", "x".repeat(129), "<script>", 'a"b']) expect(await id(bad)).toMatch(/^[0-9a-f-]{36}$/);
    expect(await id()).not.toBe(await id());
  });

  it("[GT7] carries its timing and trace", async () => {
    const trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    const response = await call("/v1/usage", { headers: { traceparent: `00-${trace}-00f067aa0ba902b7-01` } });
    expect(response.headers.get("server-timing")).toMatch(
      new RegExp(`project;dur=[\\d.]+, total;dur=[\\d.]+, traceparent;desc="00-${trace}-`),
    );
  });

  it("carries the headers that keep it where it belongs", async () => {
    const api = await call("/v1/session");
    expect(api.headers.get("x-content-type-options")).toBe("nosniff");
    expect(api.headers.get("referrer-policy")).toBe("no-referrer");
    expect(api.headers.get("cache-control")).toBe("no-store");
    const page = await call("/docs", { token: null });
    expect(page.headers.get("content-security-policy")).toContain("frame-ancestors 'none'");
    expect(await page.text()).not.toMatch(/https?:\/\//);
  });

  it("can be read by browsers of other origins, without credentials", async () => {
    const simple = await call("/v1/session", { headers: { origin: "https://app.example" } });
    expect(simple.headers.get("access-control-allow-origin")).toBe("*");
    expect(simple.headers.get("access-control-allow-credentials")).toBeNull();
    expect(simple.headers.get("access-control-expose-headers")).toContain("Skerry-Context");
    const failed = await call("/v1/session", { token: "nonsense", headers: { origin: "https://app.example" } });
    expect([failed.status, failed.headers.get("access-control-allow-origin")]).toEqual([401, "*"]);
    const preflight = await call("/v1/tokens", {
      method: "OPTIONS",
      token: null,
      headers: {
        origin: "https://app.example",
        "access-control-request-method": "DELETE",
        "access-control-request-headers": "authorization, skerry-context",
      },
    });
    expect([preflight.status, preflight.headers.get("access-control-allow-headers")]).toEqual([204, "authorization,skerry-context"]);
    expect(preflight.headers.get("access-control-allow-methods")).toContain("DELETE");
  });

  it("can be read only by the origins that the deployment names, if it names any", async () => {
    const vars = { SKERRY_CORS_ORIGINS: "https://app.example, https://other.example" };
    const from = async (origin: string) =>
      (await callWith(vars, "/v1/session", { headers: { origin } })).headers.get("access-control-allow-origin");
    expect(await from("https://other.example")).toBe("https://other.example");
    expect(await from("https://evil.example")).toBeNull();
  });
});

describe("what is not there", () => {
  it("is route_not_found under the API, whatever the method", async () => {
    for (const path of ["/v1/nope", "/v2/nope/at/all", "/v3/kv/nope", "/v1", "/v9/x", "/healthz/x"]) {
      for (const method of ["GET", "POST", "DELETE"]) {
        const response = await call(path, { method });
        const { code } = /^\/v[23]/.test(path) ? { code: "route_not_found" } : await problem(response);
        expect([response.status, code], `${method} ${path}`).toEqual([404, "route_not_found"]);
      }
    }
  });

  it("is method_not_allowed where another method would do, which Allow names", async () => {
    const response = await call("/v1/tokens", { method: "PUT" });
    expect([response.status, response.headers.get("allow")]).toEqual([405, "GET, POST, HEAD"]);
    expect((await problem(response)).code).toBe("method_not_allowed");
    expect((await call("/v1/tokens/some-id", { method: "GET" })).headers.get("allow")).toBe("DELETE");
    expect((await call("/docs", { method: "POST" })).status).toBe(405);
  });

  it("is a problem too where the console has no such file", async () => {
    const response = await call("/assets/none.js", { token: null });
    expect([response.status, (await problem(response)).code]).toEqual([404, "route_not_found"]);
  });

  it("is bad_name where the path is not percent-encoded UTF-8", async () => {
    for (const path of ["/v1/tokens/%zz", "/v1/tokens/%ff", "/v1/tokens/100%"]) {
      const response = await call(path, { method: "DELETE" });
      expect([response.status, (await problem(response)).code], path).toEqual([400, "bad_name"]);
    }
  });

  it("answers HEAD like GET, without the body", async () => {
    const response = await call("/v1/session", { method: "HEAD" });
    expect([response.status, await response.text()]).toEqual([200, ""]);
    expect((await call("/v1/nope", { method: "HEAD" })).status).toBe(404);
  });
});

describe("bodies", () => {
  const MB = 1024 * 1024;

  it("beyond the limit are too_large, by their length or while they are read", async () => {
    const declared = await call("/v1/tokens", { body: new Uint8Array(8 * MB + 1), headers: { "content-type": "application/json" } });
    expect([declared.status, (await problem(declared)).code]).toEqual([413, "too_large"]);
    let sent = 0;
    const endless = new ReadableStream({
      pull(controller) {
        sent += MB;
        controller.enqueue(new Uint8Array(MB));
      },
    });
    const streamed = await callWith({}, "/v1/tokens", { body: endless, headers: { "content-type": "application/json" } });
    expect([streamed.status, (await problem(streamed)).code]).toEqual([413, "too_large"]);
    expect(sent).toBeLessThan(16 * MB);
  });

  it("without a length are read like any other", async () => {
    const text = JSON.stringify({ grants: [{ capability: "rooms", name: "a", rights: ["read"] }], expiresIn: 60 });
    const body = new Response(text).body as ReadableStream;
    const pieces = body.pipeThrough(new TransformStream());
    const response = await callWith({}, "/v1/tokens", { body: pieces, headers: { "content-type": "application/json" } });
    expect(response.status).toBe(201);
  });

  it.each([
    ["{", "bad_json", "JSON"],
    ["", "bad_json", "JSON"],
    ["[]", "bad_request", "body"],
    ["{}", "bad_request", '"grants"'],
    ['{"grants":[],"expiresIn":60}', "bad_request", '"grants"'],
    ['{"grants":[{"capability":"rooms","name":"a","rights":["own"]}],"expiresIn":60}', "bad_request", '"grants[0].rights[0]"'],
    ['{"grants":[{"capability":"rooms","name":"a","rights":["read"],"x":1}],"expiresIn":60}', "bad_request", '"grants[0]"'],
    ['{"grants":[{"capability":"rooms","name":"a","rights":["read"]}],"expiresIn":"60"}', "bad_request", '"expiresIn"'],
    ['{"grants":[{"capability":"rooms","name":"a","rights":["read"]}],"expiresIn":0}', "bad_request", '"expiresIn"'],
    ['{"grants":[{"capability":"rooms","name":"a","rights":["read"]}],"expiresIn":60,"subject":"admin"}', "bad_request", '"subject"'],
    ['{"grants":[{"capability":"rooms","name":"a","rights":["read"]}],"expiresIn":60,"maxLifetime":5}', "bad_request", '"maxLifetime"'],
  ])("%s is %s, naming %s", async (body, code, named) => {
    const response = await call("/v1/tokens", { body, headers: { "content-type": "application/json" } });
    const found = await problem(response);
    expect([response.status, found.code]).toEqual([400, code]);
    expect(found.detail).toContain(named);
  });

  it("of another type are content_type", async () => {
    for (const type of ["text/plain", "application/xml", "application/x-www-form-urlencoded"]) {
      const response = await call("/v1/tokens", { body: "{}", headers: { "content-type": type } });
      expect([response.status, (await problem(response)).code], type).toEqual([415, "content_type"]);
    }
  });
});

describe("the documents", () => {
  it("describe every code, so that the type of each problem leads somewhere", async () => {
    const page = await (await call("/docs/errors", { token: null })).text();
    for (const code of Object.keys(ERRORS)) expect(page, code).toContain(`<tr id="${code}">`);
    const { type, code } = await problem(await call("/v1/nope"));
    expect(type).toBe(`/docs/errors#${code}`);
  });

  it("are OpenAPI 3.1, with an id-less operation's errors by status", async () => {
    const response = await call("/openapi.json", { token: null });
    const document = (await response.json()) as {
      openapi: string;
      paths: Record<string, Record<string, { responses: Record<string, { description: string }> }>>;
    };
    expect(document.openapi).toBe("3.1.0");
    const { responses } = document.paths["/v1/tokens"]!.post!;
    expect(responses["403"]!.description).toContain("admin_only");
    expect(responses["429"]!.description).toContain("rate_limited");
    // An operation that adds codes of its own to a list keeps those of the list.
    const appending = document.paths["/v1/stream/{topic}/{partition}"]!.post!.responses;
    for (const code of ["producer_headers", "bad_record"]) expect(appending["400"]!.description).toContain(code);
    for (const code of ["topic_not_found", "partition_not_found"]) expect(appending["404"]!.description).toContain(code);
    for (const [path, item] of Object.entries(document.paths))
      for (const [method, operation] of Object.entries(item))
        expect(Object.keys(operation.responses), `${method} ${path}`).toContain("500");
  });

  it.each(["/docs", "/docs/errors"])("%s loads files of ours only, and has no script of its own", async (path) => {
    const page = await call(path, { token: null });
    const html = await page.text();
    const scripts = [...html.matchAll(/<script([^>]*)>([^<]*)<\/script>/g)].map(([, attributes, inline]) => [attributes, inline]);
    expect(scripts.length).toBeGreaterThan(0);
    for (const [attributes, inline] of scripts) {
      expect(attributes).toMatch(/ src="\/\w/);
      expect(inline).toBe("");
    }
    expect(html).not.toMatch(/(?:src|href)="(?:\w+:)?\/\//);
    expect(page.headers.get("content-security-policy")).toContain("connect-src 'self';");
  });
});

describe("the seams that routes use", () => {
  const scope = DEFAULT_SCOPE;
  const [room, table] = [objectName(scope, "rooms", "a"), objectName(scope, "streams", "table", "t")];
  const app = createApp();
  app.get("/v1/test/reply", (c) => reply(c, answer({ saw: seen(c, room) }, { object: room, at: 7 }, "durable", 2)));
  app.get("/v1/test/two", (c) => {
    note(c, answer(null, { object: table, at: 3 }, "eventual"));
    return reply(c, answer("x", { object: room, at: 9 }, "durable"), (value) => c.text(value));
  });
  app.get("/v1/test/throw", () => {
    throw new SkerryError("sequence_gap", "Expected 5.", {
      headers: { "producer-expected-seq": "5" },
      retryAfter: 2.1,
      extra: { expected: 5 },
    });
  });
  app.get("/v1/test/bug", () => {
    throw new TypeError("secret detail of ours");
  });
  shapeErrors("/v1/test/shaped", (error) => ({ body: { error: error.message } }));
  app.get("/v1/test/shaped/x", () => {
    throw new SkerryError("model_not_found", "No such model.");
  });
  app.all("/v1/test/forward", (c) => c.json({ headers: Object.fromEntries(forwardHeaders(c)), url: forward(c).url }));
  app.get("/v1/test/socket", () => {
    const { 0: client, 1: server } = new WebSocketPair();
    server.accept();
    server.addEventListener("message", ({ data }) => server.send(`echo ${data}`));
    return new Response(null, { status: 101, webSocket: client, headers: { "sec-websocket-protocol": "skerry.v1" } });
  });
  const ask = (path: string, headers: Record<string, string> = {}, token = ADMIN) =>
    app.fetch(new Request(ORIGIN + path, { headers: { authorization: `Bearer ${token}`, ...headers } }), env, createExecutionContext());

  it("[WX1] reply emits the context and the level, and reads the caller's context back", async () => {
    const first = await ask("/v1/test/reply");
    expect(await first.json()).toEqual({ saw: null });
    expect(first.headers.get("skerry-level")).toBe("durable");
    const token = first.headers.get("skerry-context") as string;
    expect([...decodeContext(token, scope)]).toEqual([[room, 7]]);
    const second = await ask("/v1/test/two", { "skerry-context": token });
    // The weakest of two levels, and both positions; the greater one of the room.
    expect(second.headers.get("skerry-level")).toBe("eventual");
    const merged = second.headers.get("skerry-context") as string;
    expect([...decodeContext(merged, scope)].sort()).toEqual(
      [
        [room, 9],
        [table, 3],
      ].sort(),
    );
    expect(await (await ask("/v1/test/reply", { "skerry-context": merged })).json()).toEqual({ saw: 9 });
  });

  it("[WX4] a context that is damaged or of another project is bad_context", async () => {
    const token = (await ask("/v1/test/reply")).headers.get("skerry-context") as string;
    for (const [given, project] of [
      ["junk!", "main"],
      [token.slice(1), "main"],
      [token, "other"],
    ] as const) {
      const response = await ask("/v1/test/reply", { "skerry-context": given, "skerry-project": project });
      expect([response.status, (await problem(response)).code]).toEqual([400, "bad_context"]);
    }
  });

  it("[GT7] errors keep their headers, and bugs keep their details to themselves", async () => {
    const gap = await ask("/v1/test/throw");
    expect([gap.status, gap.headers.get("producer-expected-seq"), gap.headers.get("retry-after")]).toEqual([409, "5", "3"]);
    expect(await problem(gap)).toMatchObject({
      code: "sequence_gap",
      expected: 5,
      instance: `urn:request:${gap.headers.get("x-request-id")}`,
    });
    const bug = await ask("/v1/test/bug");
    expect(bug.status).toBe(500);
    expect(JSON.stringify(await problem(bug))).not.toContain("secret detail");
  });

  it("[GT7] a standard protocol keeps its own error shape, for its own errors and the gate's", async () => {
    for (const [path, token] of [
      ["/v1/test/shaped/x", ADMIN],
      ["/v1/test/shaped/none", ADMIN],
      ["/v1/test/shaped/x", "wrong"],
    ] as const) {
      const response = await ask(path, {}, token);
      expect(response.headers.get("content-type"), path).toBe("application/json");
      expect(Object.keys((await response.json()) as object)).toEqual(["error"]);
    }
    expect((await problem(await ask("/v1/test/shapedx"))).code).toBe("route_not_found");
  });

  it("[GT1] what a client says of the actor never reaches an object, nor does a credential", async () => {
    const { token, id } = await mint([{ capability: "rooms", name: "é*", rights: ["read"] }], { subject: "Ada é" });
    const forged = JSON.stringify({ project: "main", subject: "admin", grants: [] });
    for (const headers of [{ "x-skerry-actor": forged, "X-Skerry-Other": "1", cookie: "a=b" }]) {
      const seenByObject = (await (await ask("/v1/test/forward?x=1&token=zzz", headers, token)).json()) as {
        headers: Record<string, string>;
        url: string;
      };
      expect(JSON.parse(seenByObject.headers["x-skerry-actor"] as string)).toMatchObject({
        subject: "Ada é",
        tokenId: id,
        grants: [{ name: "é*" }],
      });
      expect(Object.keys(seenByObject.headers)).not.toEqual(expect.arrayContaining(["x-skerry-other"]));
      for (const gone of ["authorization", "cookie", "x-skerry-other"]) expect(seenByObject.headers[gone]).toBeUndefined();
      expect(seenByObject.headers["x-request-id"]).toBeTruthy();
      expect(seenByObject.headers.traceparent).toMatch(/^00-/);
      expect(seenByObject.url).toBe(`${ORIGIN}/v1/test/forward?x=1`);
    }
  });

  it("an upgrade passes through the whole gate", async () => {
    const response = await ask("/v1/test/socket", { upgrade: "websocket", origin: "https://app.example" });
    expect([response.status, response.headers.get("sec-websocket-protocol")]).toEqual([101, "skerry.v1"]);
    const socket = response.webSocket as WebSocket;
    socket.accept();
    const echoed = new Promise((resolve) => {
      socket.addEventListener("message", ({ data }) => resolve(data), { once: true });
    });
    socket.send("hello");
    expect(await echoed).toBe("echo hello");
    socket.close();
  });
});

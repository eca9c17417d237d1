import { describe, expect, it } from "vitest";
import { encodeContext } from "../../core/wire/context.ts";
import { DEFAULT_SCOPE, objectName } from "../../core/wire/names.ts";
import { joinContexts } from "./context.ts";
import { createClient, type SkerryError } from "./index.ts";

type Reply = { status?: number; body?: unknown; headers?: Record<string, string> } | Error;

/** A server that answers what it is told to, and notes what it was asked; time passes at once. */
function fake(replies: (Reply | ((request: Request) => Reply))[], token: string | (() => string) = "t1") {
  const requests: { method: string; url: string; headers: Headers; body: unknown }[] = [];
  const waits: number[] = [];
  const client = createClient({
    url: "https://skerry.test/",
    token,
    runtime: {
      random: () => 1,
      timer: (ms, run) => {
        // Only pauses between attempts run out; the limit of an attempt does not.
        if (ms >= 30_000) return () => {};
        waits.push(ms);
        queueMicrotask(run);
        return () => {};
      },
      fetch: async (url, init) => {
        const request = new Request(url, init);
        requests.push({
          method: request.method,
          url,
          headers: request.headers,
          body: init.body === undefined ? undefined : JSON.parse(String(init.body)),
        });
        const next = replies.shift();
        if (next === undefined) throw new Error("no more answers");
        const reply = typeof next === "function" ? next(request) : next;
        if (reply instanceof Error) throw reply;
        const { status = 200, body, headers = {} } = reply;
        return new Response(body === undefined ? null : typeof body === "string" ? body : JSON.stringify(body), { status, headers });
      },
    },
  });
  return { client, requests, waits };
}

const problem = (status: number, code: string, extra: object = {}) => ({
  status,
  body: { type: `/docs/errors#${code}`, title: "T", status, code, detail: `It is ${code}.`, retryable: false, ...extra },
});

describe("requests", () => {
  it("carry the token and the query, and decode the answer", async () => {
    const page = { rows: [], cursor: null, partitions: [] };
    const { client, requests } = fake([{ body: page }]);
    expect(await client.streams.table("a/b é").query({ key: "ATL & co", final: true, limit: 5 })).toEqual(page);
    expect(requests[0]!.url).toBe("https://skerry.test/v1/tables/a%2Fb%20%C3%A9?key=ATL+%26+co&final=true&limit=5");
    expect(requests[0]!.headers.get("authorization")).toBe("Bearer t1");
  });

  it("fail with the code, the sentence and the extra members of the problem", async () => {
    const { client } = fake([problem(422, "record_in_future", { index: 3 })]);
    const error = (await client.streams
      .topic("flights")
      .append([{}])
      .catch((e: unknown) => e)) as SkerryError;
    expect(error).toMatchObject({ name: "SkerryError", code: "record_in_future", message: "It is record_in_future.", extra: { index: 3 } });
  });

  it("repeat what is retryable, as late as the server asks, and give up in the end", async () => {
    const { client, waits } = fake([
      { ...problem(429, "overloaded"), headers: { "retry-after": "7" } },
      new TypeError("reset"),
      { body: { name: "t" } },
    ]);
    expect(await client.streams.topic("t").info()).toEqual({ name: "t" });
    expect(waits).toEqual([7000, 200]);
    const away = fake(Array.from({ length: 10 }, () => new TypeError("refused")));
    await expect(away.client.streams.topic("t").info()).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringContaining("refused"),
    });
    expect(away.requests.length).toBe(6);
  });

  it("do not repeat an append without a producer, nor the making of a token, nor what a repetition cannot mend", async () => {
    for (const run of [
      (c: ReturnType<typeof createClient>) => c.streams.topic("t").append([1]),
      (c: ReturnType<typeof createClient>) => c.tokens.create({ grants: [], expiresIn: 1 }),
    ]) {
      const { client, requests } = fake([problem(503, "unavailable"), { body: {} }]);
      await expect(run(client)).rejects.toMatchObject({ code: "unavailable" });
      expect(requests.length).toBe(1);
    }
    const { client, requests } = fake([problem(404, "topic_not_found"), {}]);
    await expect(client.streams.topic("t").info()).rejects.toMatchObject({ code: "topic_not_found" });
    expect(requests.length).toBe(1);
  });

  it("read an answer that is none of ours by its status", async () => {
    for (const [status, code] of [
      [502, "unavailable"],
      [429, "overloaded"],
      [418, "bad_request"],
    ] as const) {
      const { client } = fake(Array.from({ length: 6 }, () => ({ status, body: "<html>" })));
      await expect(client.streams.topic("t").info()).rejects.toMatchObject({ code });
    }
  });

  it("make a new token once when the old one has expired", async () => {
    let made = 0;
    const { client, requests } = fake([problem(401, "token_expired"), { body: {} }, { body: {} }], () => `t${++made}`);
    await client.streams.topic("a").info();
    await client.streams.topic("b").info();
    expect(requests.map(({ headers }) => headers.get("authorization"))).toEqual(["Bearer t1", "Bearer t2", "Bearer t2"]);
    const twice = fake([problem(401, "token_expired"), problem(401, "token_expired")], () => "same");
    await expect(twice.client.streams.topic("a").info()).rejects.toMatchObject({ code: "token_expired" });
  });

  it("use a refreshed token from then on", async () => {
    const { client, requests } = fake([{ body: { token: "t2", id: "i", expiresAt: 1, refreshableUntil: 2 } }, { body: {} }]);
    await client.tokens.refresh();
    await client.streams.topic("a").info();
    expect(requests[1]!.headers.get("authorization")).toBe("Bearer t2");
  });

  it("read errors that name no code: by the challenge, and by the status where a standard protocol has a shape of its own", async () => {
    const challenge = { "www-authenticate": 'Bearer realm="skerry", error="invalid_token", error_description="token_revoked"' };
    for (const [reply, code] of [
      [{ status: 401, body: { error: "It was revoked." }, headers: challenge }, "token_revoked"],
      [{ status: 401, body: { error: "Send one." } }, "token_missing"],
      [{ status: 404, body: { error: "None." } }, "model_not_found"],
      [{ status: 400, body: { error: "Bad." } }, "bad_request"],
      [{ status: 500, body: { error: "It trapped." } }, "model_failed"],
    ] as const) {
      const { client, requests } = fake([reply as Reply]);
      const failed = client.models.infer("m", { inputs: [] });
      await expect(failed).rejects.toMatchObject({ code, message: reply.body.error });
      expect(requests.length).toBe(1);
    }
  });

  it("take what is gone for deleted, if an attempt before may have done it", async () => {
    const { client } = fake([new TypeError("lost"), problem(404, "room_not_found")]);
    await client.rooms.delete("r");
    const never = fake([problem(404, "room_not_found")]);
    await expect(never.client.rooms.delete("r")).rejects.toMatchObject({ code: "room_not_found" });
  });

  it("repeat where the answer breaks off in its body", async () => {
    const { client, requests } = fake([{ body: '{"rows": [' }, { body: { rows: [], cursor: null, partitions: [] } }]);
    expect(await client.streams.table("t").query()).toMatchObject({ rows: [] });
    expect(requests.length).toBe(2);
  });

  it("refresh a token once for all who ask at the same time", async () => {
    const { client, requests } = fake([{ body: { token: "t2", id: "i", expiresAt: 1, refreshableUntil: 2 } }, { body: {} }]);
    await Promise.all([client.tokens.refresh(), client.tokens.refresh()]);
    await client.tokens.session();
    expect(requests.map(({ url }) => new URL(url).pathname)).toEqual(["/v1/tokens/refresh", "/v1/session"]);
  });

  it("say so when there is no token to be had, and ask again with the next request", async () => {
    let down = true;
    const { client } = fake([{ body: {} }], () => {
      if (down) throw new Error("backend away");
      return "t";
    });
    await expect(client.streams.topic("t").info()).rejects.toMatchObject({ code: "unavailable", message: "No token: backend away." });
    down = false;
    await client.streams.topic("t").info();
  });

  it("end at once when aborted", async () => {
    const { client, requests } = fake([]);
    const signal = AbortSignal.abort(new Error("enough"));
    await expect(client.streams.table("t").query({}, { signal })).rejects.toThrow("enough");
    expect(requests.length).toBe(0);
  });

  it("refuse a URL that is none", () => {
    expect(() => createClient({ url: "skerry.test" })).toThrow(TypeError);
    expect(() => createClient({ url: "ftp://skerry.test" })).toThrow(/http/);
  });
});

describe("the context", () => {
  const [a, b] = ["a", "b"].map((name) => objectName(DEFAULT_SCOPE, "streams", "topic", name)) as [string, string];
  const token = (...seen: [string, number][]) => encodeContext(new Map(seen), DEFAULT_SCOPE) as string;

  it("goes back with every request, and joins what answers under way at once have seen", async () => {
    const { client, requests } = fake([
      { headers: { "skerry-context": token([a, 5]) } },
      { headers: { "skerry-context": token([b, 3]) } },
      { headers: { "skerry-context": token([a, 4]) } },
    ]);
    await Promise.all([
      client.streams.topic("t").append([1]),
      client.streams.topic("t").append([2]),
      client.streams.topic("t").append([3]),
    ]);
    expect(requests.map(({ headers }) => headers.get("skerry-context"))).toEqual([null, null, null]);
    expect(client.context).toBe(token([b, 3], [a, 5]));
    const other = fake([{ body: {} }]);
    other.client.see(client.context as string);
    await other.client.streams.topic("t").info();
    expect(other.requests[0]!.headers.get("skerry-context")).toBe(client.context);
  });

  it("of another project, or one that cannot be read, stands in place of the older", () => {
    const foreign = encodeContext(new Map([[objectName({ project: "p", jurisdiction: "eu" }, "data", "x"), 1]]), {
      project: "p",
      jurisdiction: "eu",
    }) as string;
    expect(joinContexts(token([a, 1]), foreign)).toBe(foreign);
    expect(joinContexts(token([a, 1]), "???")).toBe("???");
    expect(joinContexts("???", token([a, 1]))).toBe(token([a, 1]));
  });
});

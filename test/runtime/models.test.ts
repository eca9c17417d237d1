import { env } from "cloudflare:workers";
import { OpenAPIHono } from "@hono/zod-openapi";
import { beforeAll, describe, expect, it } from "vitest";
import { Forest } from "../../core/inference/forest.ts";
import { ModelHost } from "../../core/inference/host.ts";
import type { InferenceExports, ModelsService } from "../../core/inference/port.ts";
import { errorOf } from "../../core/wire/errors.ts";
import type { Actor, Grant } from "../../core/wire/grant.ts";
import { asking } from "../../durable-objects/shared/refusals.ts";
import { flightRows, UNUSUAL_SCORE } from "../../topologies/flight-features.ts";
import flightForest from "../../wasm/artifacts/flight-forest.bin";
import module from "../../wasm/artifacts/skerry_inference.wasm";
import type { AppEnv } from "../../workers/env.ts";
import { onError } from "../../workers/middleware/problem.ts";
import { modelsRoutes } from "../../workers/routes/models.ts";
import golden from "../golden/forest.golden.json";

const models = asking(env).MODELS as unknown as ModelsService;
const rows = new Float32Array(golden.rows.flat());
const n = golden.rows.length;
const worst = (scores: Float32Array) => Math.max(...golden.scores.map((score, i) => Math.abs(score - (scores[i] as number))));

async function codeOf(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => "none",
    (error: unknown) => errorOf(error).code,
  );
}

describe("the forest in workerd", () => {
  const instantiate = () => new WebAssembly.Instance(module).exports as unknown as InferenceExports;

  it("[IF1] [IM1] scores as scikit-learn does, from a module without imports", () => {
    expect(WebAssembly.Module.imports(module)).toEqual([]);
    const forest = Forest.load(instantiate(), new Uint8Array(flightForest));
    expect(worst(forest.score(rows, n))).toBeLessThan(1e-6);
    expect(forest.memoryBytes).toBeLessThan(2 * 1024 * 1024);
  });

  it("[IH1] recovers from an instance whose memory was ruined", () => {
    const made: InferenceExports[] = [];
    const make = () => {
      const exports = instantiate();
      made.push(exports);
      return exports;
    };
    const host = new ModelHost(make, new Uint8Array(flightForest));
    const before = host.run((forest) => forest.score(rows, n));
    // A wild write by the host over everything: what comes is a trap or an impossible error code, and then a fresh instance.
    new Uint8Array(made[0]?.memory.buffer as ArrayBuffer).fill(0xff);
    const after = host.run((forest) => forest.score(rows, n));
    expect(after).toEqual(before);
    expect([made.length, host.traps]).toEqual([2, 1]);
  });
});

describe("env.MODELS over RPC", () => {
  it("scores a batch, and says by which artifact and threshold", async () => {
    const { scores, threshold, model } = await models.score("flight-forest", rows, n);
    expect(worst(scores)).toBeLessThan(1e-6);
    expect(threshold).toBe(UNUSUAL_SCORE);
    expect(model).toMatch(/^flight-forest@[0-9a-f]{12}$/);
    const pinned = await models.score(model, flightRows(golden.flights), golden.flights.length);
    expect([...pinned.scores]).toEqual([...scores.subarray(0, golden.flights.length)]);
  });

  it("[IF5] refuses unknown models and wrong shapes by code", async () => {
    expect(await codeOf(models.score("flight-forest@000000000000", rows, n))).toBe("model_not_found");
    expect(await codeOf(models.score("oracle", rows, n))).toBe("model_not_found");
    expect(await codeOf(models.score("flight-forest", rows, n + 1))).toBe("bad_request");
    expect(await codeOf(models.score("flight-forest", rows, -1))).toBe("bad_request");
    expect(await codeOf(models.score("flight-forest", [1, 2, 3, 4] as never, 1))).toBe("bad_request");
    expect(await codeOf(models.score("flight-forest", null as never, 1))).toBe("bad_request");
    expect(await codeOf(models.score(7 as never, rows, n))).toBe("bad_request");
    expect(await codeOf(models.score("flight-forest", rows, n))).toBe("none");
  });
});

describe("/v2, the Open Inference Protocol", () => {
  const app = new OpenAPIHono<AppEnv>();
  let version: string;

  const READER: Grant[] = [{ capability: "models", name: "flight-*", rights: ["read"] }];
  const asActor = (grants: Grant[]) => {
    const subject = grants.length > 0 ? "tester" : "anonymous";
    return JSON.stringify({ project: "main", subject, tokenId: null, expiresAt: null, grants } satisfies Actor);
  };

  async function call(path: string, body?: unknown, grants = READER, headers = {}) {
    const init: RequestInit = { headers: { "x-test-actor": asActor(grants), ...headers } };
    if (body !== undefined) Object.assign(init, { method: "POST", body: typeof body === "string" ? body : JSON.stringify(body) });
    const response = await app.request(path, init, env as Env);
    // biome-ignore lint/suspicious/noExplicitAny: the tests look into many shapes
    return { status: response.status, json: (await response.json()) as any };
  }
  const infer = (input: object, rest: object = {}, path = "/v2/models/flight-forest/infer") =>
    call(path, { inputs: [{ name: "rows", datatype: "FP32", shape: [2, 4], data: golden.rows.slice(0, 2), ...input }], ...rest });

  beforeAll(async () => {
    app.onError(onError);
    app.use(async (c, next) => {
      c.set("actor", JSON.parse(c.req.header("x-test-actor") as string));
      c.set("used", { rows: 0, bytesIn: 0, bytesOut: 0 });
      await next();
    });
    modelsRoutes(app);
    version = (await models.score("flight-forest", rows, n)).model.split("@")[1] as string;
  });

  it("answers what a stock client asks first", async () => {
    expect(await call("/v2/health/live", undefined, [])).toEqual({ status: 200, json: { live: true } });
    expect(await call("/v2/health/ready", undefined, [])).toEqual({ status: 200, json: { ready: true } });
    expect((await call("/v2", undefined, [])).json).toMatchObject({ name: "skerry", extensions: [] });
    expect((await call("/v2/models")).json).toEqual({ models: [{ name: "flight-forest", versions: [version] }] });
    expect((await call("/v2/models", undefined, [{ capability: "models", name: "other", rights: ["read"] }])).json).toEqual({ models: [] });
    for (const path of [
      "/v2/models/flight-forest",
      `/v2/models/flight-forest/versions/${version}`,
      `/v2/models/flight-forest%40${version}`,
    ]) {
      const { status, json } = await call(path);
      expect(status).toBe(200);
      expect(json).toMatchObject({
        name: "flight-forest",
        versions: [version],
        inputs: [{ name: "rows", datatype: "FP32", shape: [-1, 4] }],
      });
      expect(json.parameters.threshold).toBe(golden.threshold);
      expect(await call(`${path}/ready`)).toEqual({ status: 200, json: { name: "flight-forest", ready: true } });
    }
  });

  it("answers HEAD as GET, without a body", async () => {
    for (const path of ["/v2/health/live", "/v2/models", "/v2/models/flight-forest"]) {
      const response = await app.request(path, { method: "HEAD", headers: { "x-test-actor": asActor(READER) } }, env as Env);
      expect([path, response.status, await response.text()]).toEqual([path, 200, ""]);
    }
  });

  it("[IT1] scores tensors, flat or nested, whole or one output", async () => {
    const all = await infer({ shape: [n, 4], data: golden.rows, datatype: "FP64" }, { id: "job-1" });
    expect(all.status).toBe(200);
    expect(all.json).toMatchObject({ model_name: "flight-forest", model_version: version, id: "job-1" });
    const [score, unusual] = all.json.outputs;
    expect(score).toMatchObject({ name: "score", datatype: "FP32", shape: [n] });
    expect(worst(score.data)).toBeLessThan(1e-6);
    expect(unusual).toEqual({
      name: "unusual",
      datatype: "BOOL",
      shape: [n],
      data: golden.scores.map((value) => value >= golden.threshold),
    });
    const flat = await infer(
      { data: golden.rows.slice(0, 2).flat() },
      { outputs: [{ name: "score" }] },
      `/v2/models/flight-forest/versions/${version}/infer`,
    );
    expect(flat.json.outputs).toEqual([{ name: "score", datatype: "FP32", shape: [2], data: score.data.slice(0, 2) }]);
  });

  it("[IT2] refuses bad input in the protocol's own error shape, with a sentence that helps", async () => {
    const refusals: [number, RegExp, Promise<{ status: number; json: { error: string } }>][] = [
      [400, /JSON/, call("/v2/models/flight-forest/infer", '{"inputs": [{"data": [NaN]}]}')],
      [400, /JSON/, call("/v2/models/flight-forest/infer", "")],
      [400, /"inputs"/, call("/v2/models/flight-forest/infer", {})],
      [400, /"inputs.0.shape.0"/, infer({ shape: ["2", 4] })],
      [400, /"inputs.0.shape.0"/, infer({ shape: [-2, 4] })],
      [400, /"inputs.0.data"/, infer({ data: "1,2" })],
      [400, /shape \[2, 3\].*\[n, 4\]: delay, distance/, infer({ shape: [2, 3] })],
      [400, /datatype INT8/, infer({ datatype: "INT8" })],
      [400, /null in row 0, column delay/, infer({ shape: [1, 4], data: [Number.NaN, 1, 1, 1] })],
      [400, /one input named "rows"; got "x"/, infer({ name: "x" })],
      [400, /no output "y"/, infer({}, { outputs: [{ name: "y" }] })],
      [400, /binary/, call("/v2/models/flight-forest/infer", {}, undefined, { "inference-header-content-length": "10" })],
      [413, /at most 10000/, infer({ shape: [10_001, 4] })],
      [413, /larger than 4194304 bytes/, call("/v2/models/flight-forest/infer", " ".repeat(4 * 1024 * 1024 + 1))],
      [404, /no model "flight-oracle"/, call("/v2/models/flight-oracle")],
      [404, /version 12/, call("/v2/models/flight-forest/versions/12/ready")],
      [400, /model name is longer than 256 bytes/, call(`/v2/models/${"x".repeat(300)}`)],
      [400, /version name has a control character/, call("/v2/models/flight-forest/versions/%00")],
      [401, /needs a token/, call("/v2/models/flight-forest", undefined, [])],
      [403, /does not grant/, call("/v2/models/other")],
    ];
    for (const [status, sentence, refusal] of refusals) {
      const answered = await refusal;
      expect(answered, String(sentence)).toEqual({ status, json: { error: expect.stringMatching(sentence) } });
    }
  });

  it("documents every route", () => {
    const { paths = {} } = app.getOpenAPI31Document({ openapi: "3.1.0", info: { title: "t", version: "1" } });
    expect(Object.keys(paths).sort()).toEqual([
      "/v2",
      "/v2/health/live",
      "/v2/health/ready",
      "/v2/models",
      "/v2/models/{name}",
      "/v2/models/{name}/infer",
      "/v2/models/{name}/ready",
      "/v2/models/{name}/versions/{version}",
      "/v2/models/{name}/versions/{version}/infer",
      "/v2/models/{name}/versions/{version}/ready",
    ]);
    expect(paths["/v2/models/{name}/infer"]?.post?.responses).toHaveProperty("413");
  });
});

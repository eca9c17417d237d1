import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import { z } from "zod";
import { ERRORS, type ErrorCode } from "../../core/wire/errors.ts";
import { allows } from "../../core/wire/grant.ts";
import { checkName } from "../../core/wire/names.ts";
import type { AppEnv } from "../env.ts";
import { authorize, forwardHeaders } from "../middleware/auth.ts";
import { limitBody } from "../middleware/limits.ts";
import { shapeErrors } from "../middleware/problem.ts";
import {
  InferRequest,
  InferResponse,
  KServeError,
  Live,
  MAX_INFER_BYTES,
  ModelList,
  ModelMetadata,
  ModelReady,
  Ready,
  ServerMetadata,
} from "../models/schema.ts";

const TAGS = ["models"];
const named = z.object({
  name: z.string().describe('A model: "flight-forest", or "flight-forest@" and its version, which never changes its meaning.'),
});
const versioned = named.extend({ version: z.string().describe("The beginning of the SHA-256 of the model's artifact.") });

/**
 * The Open Inference Protocol (KServe v2) over REST at `/v2`. This Worker authorizes (`models`, by name, `read`) and forwards to
 * the script `skerry-models`; errors keep the protocol's own shape, `{ "error": … }`.
 */
export function modelsRoutes(app: OpenAPIHono<AppEnv>): void {
  shapeErrors("/v2", (error) => ({ body: { error: error.message } }));

  serve(app, { path: "/v2/health/live", summary: "Whether the inference server is live", schema: Live }, forward);
  serve(app, { path: "/v2/health/ready", summary: "Whether all models are ready", schema: Ready }, forward);
  serve(app, { path: "/v2", summary: "The inference server and its protocol extensions", schema: ServerMetadata }, forward);
  serve(app, { path: "/v2/models", summary: "The models that the caller may read", schema: ModelList }, async (c) => {
    const answered = await forward(c);
    if (!answered.ok) return answered;
    const { models } = ModelList.parse(await answered.json());
    return c.json({ models: models.filter(({ name }) => allows(c.get("actor").grants, "models", name, "read")) });
  });
  for (const [base, params] of [
    ["/v2/models/{name}", named],
    ["/v2/models/{name}/versions/{version}", versioned],
  ] as const) {
    serve(app, { path: base, summary: "What a model takes and gives", schema: ModelMetadata, params }, forwardAllowed);
    serve(app, { path: `${base}/ready`, summary: "Whether a model is ready", schema: ModelReady, params }, forwardAllowed);
    app.openAPIRegistry.registerPath(
      createRoute({
        method: "post",
        path: `${base}/infer`,
        tags: TAGS,
        summary: "Score rows with a model",
        request: { params, body: { required: true, content: { "application/json": { schema: InferRequest, example: EXAMPLE } } } },
        responses: {
          200: { description: "The output tensors.", content: { "application/json": { schema: InferResponse } } },
          ...kserveErrors(true, INFER_ERRORS),
        },
      }),
    );
    app.post(`${honoPath(base)}/infer`, limitBody(MAX_INFER_BYTES), forwardAllowed);
  }
}

const EXAMPLE = {
  inputs: [
    {
      name: "rows",
      shape: [2, 4],
      datatype: "FP32",
      data: [
        [33, 2176, 0.02, 0.11],
        [867, 988, 6.3, 5.65],
      ],
    },
  ],
};

const INFER_ERRORS: ErrorCode[] = ["bad_json", "bad_request", "too_large", "model_failed"];

type Page = { path: string; summary: string; schema: z.ZodType; params?: typeof named | typeof versioned };
type Handler = (c: Context<AppEnv>) => Response | Promise<Response>;

/** Documents a GET and routes it. The models script validates, so that one place does; names are checked by the grant and the registry. */
function serve(app: OpenAPIHono<AppEnv>, page: Page, handler: Handler): void {
  const { path, summary, schema, params } = page;
  app.openAPIRegistry.registerPath(
    createRoute({
      method: "get",
      path,
      tags: TAGS,
      summary,
      ...(params !== undefined && { request: { params } }),
      responses: {
        200: { description: `${summary}.`, content: { "application/json": { schema } } },
        ...kserveErrors(params !== undefined, []),
      },
    }),
  );
  app.get(honoPath(path), handler);
}

/** The errors of the protocol's own shape, by status. */
function kserveErrors(ofModel: boolean, codes: ErrorCode[]) {
  const all: ErrorCode[] = [
    ...codes,
    ...(ofModel ? (["bad_name", "token_missing", "forbidden", "model_not_found"] as const) : []),
    "unavailable",
  ];
  const responses: Record<number, { description: string; content: { "application/json": { schema: typeof KServeError } } }> = {};
  for (const code of all) {
    const { status, title } = ERRORS[code];
    const before = responses[status]?.description;
    responses[status] = { description: `${before ? `${before} ` : ""}${title}.`, content: { "application/json": { schema: KServeError } } };
  }
  return responses;
}

const forwardAllowed: Handler = (c) => {
  // A grant names the model, whichever of its versions is asked for.
  const [name = ""] = checkName("model", c.req.param("name") ?? "").split("@");
  const version = c.req.param("version");
  if (version !== undefined) checkName("version", version);
  authorize(c, "models", name, "read");
  return forward(c);
};

/** Passes the request on without credentials, its path as it came. HEAD asks as GET does; hono drops the body of the answer. */
function forward(c: Context<AppEnv>): Promise<Response> {
  const { pathname } = new URL(c.req.url);
  const { method, body } = c.req.raw;
  return c.env.MODELS.fetch(
    new Request(`http://skerry-models${pathname}`, { method: method === "HEAD" ? "GET" : method, headers: forwardHeaders(c), body }),
  );
}

/** OpenAPI writes `{name}` where hono writes `:name`. */
function honoPath(path: string): string {
  return path.replaceAll(/\{(\w+)\}/g, ":$1");
}

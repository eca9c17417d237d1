import { Hono } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { rowsOf } from "../../core/inference/tensor.ts";
import { ERRORS, errorOf, SkerryError } from "../../core/wire/errors.ts";
import { findModel, type Model, models, scoreWith } from "./registry.ts";
import { InferRequest, type InferResponse, MAX_INFER_BYTES, type ModelList, type ModelMetadata } from "./schema.ts";

const INPUT = "rows";
const OUTPUTS = [
  { name: "score", datatype: "FP32", shape: [-1] },
  { name: "unusual", datatype: "BOOL", shape: [-1] },
] as const;

/**
 * The Open Inference Protocol over REST. The edge Worker forwards to it what it has authorized; it has no other door
 * (`workers_dev = false`, no routes).
 */
export const kserve = new Hono()
  .get("/v2/health/live", (c) => c.json({ live: true }))
  .get("/v2/health/ready", async (c) => {
    await models();
    return c.json({ ready: true });
  })
  .get("/v2", (c) => c.json({ name: "skerry", version: "0.1.0", extensions: [] }))
  .get("/v2/models", async (c) => {
    const list: ModelList = { models: (await models()).map(({ name, version }) => ({ name, versions: [version] })) };
    return c.json(list);
  });

for (const path of ["/v2/models/:name", "/v2/models/:name/versions/:version"] as const) {
  kserve
    .get(path, async (c) => c.json(describe(await findModel(c.req.param("name"), c.req.param("version")))))
    .get(`${path}/ready`, async (c) => c.json({ name: (await findModel(c.req.param("name"), c.req.param("version"))).name, ready: true }))
    .post(`${path}/infer`, async (c) => {
      const model = await findModel(c.req.param("name"), c.req.param("version"));
      return c.json(infer(model, await readRequest(c.req.raw)));
    });
}

kserve.notFound((c) =>
  c.json({ error: `There is no ${c.req.method} ${c.req.path} in the Open Inference Protocol as Skerry speaks it.` }, 404),
);
kserve.onError((thrown, c) => {
  const error = errorOf(thrown);
  if (error.code === "internal" || error.code === "model_failed")
    console.error(JSON.stringify({ level: "error", code: error.code, cause: String(error.cause) }));
  return c.json({ error: error.message }, ERRORS[error.code].status as ContentfulStatusCode);
});

function describe(model: Model): ModelMetadata {
  return model.host.run((forest) => {
    const { name, ...parameters } = forest.metadata;
    return {
      name,
      versions: [model.version],
      platform: "skerry_isolation_forest",
      inputs: [{ name: INPUT, datatype: "FP32" as const, shape: [-1, forest.features.length] }],
      outputs: OUTPUTS.map((output) => ({ ...output, shape: [...output.shape] })),
      parameters: { ...parameters, threshold: forest.threshold },
    };
  });
}

function infer(model: Model, request: InferRequest): InferResponse {
  const [input, ...others] = request.inputs;
  if (input === undefined || others.length > 0 || input.name !== INPUT)
    throw new SkerryError(
      "bad_request",
      `The model takes one input named "${INPUT}"; got ${request.inputs.map(({ name }) => `"${name}"`).join(", ")}.`,
    );
  const wanted = request.outputs?.map(({ name }) => name);
  const unknown = wanted?.find((name) => !OUTPUTS.some((output) => output.name === name));
  if (unknown !== undefined)
    throw new SkerryError(
      "bad_request",
      `The model has no output "${unknown}"; it has ${OUTPUTS.map(({ name }) => `"${name}"`).join(" and ")}.`,
    );
  const { rows, n } = rowsOf(
    input,
    model.host.run((forest) => forest.features),
  );
  const { scores, threshold } = scoreWith(model, rows, n);
  const outputs: InferResponse["outputs"] = [
    { name: "score", datatype: "FP32", shape: [n], data: [...scores] },
    { name: "unusual", datatype: "BOOL", shape: [n], data: Array.from(scores, (score) => score >= threshold) },
  ];
  return {
    model_name: model.name,
    model_version: model.version,
    ...(request.id !== undefined && { id: request.id }),
    outputs: outputs.filter(({ name }) => wanted?.includes(name) ?? true),
  };
}

async function readRequest(request: Request): Promise<InferRequest> {
  if (request.headers.has("inference-header-content-length"))
    throw new SkerryError("bad_request", "The binary tensor extension is not spoken here; send tensor data as JSON.");
  const parsed = InferRequest.safeParse(parse(await readText(request)));
  if (parsed.success) return parsed.data;
  const told = parsed.error.issues
    .slice(0, 3)
    .map(({ path, message }) => `${path.length > 0 ? `"${path.join(".")}"` : "body"}: ${message}`);
  throw new SkerryError("bad_request", `The request is not an inference request. ${told.join("; ")}.`);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new SkerryError("bad_json", "The body is not valid JSON. NaN and Infinity are not numbers there.", { cause });
  }
}

/** Reads a body up to the limit, whatever its Content-Length says. */
async function readText(request: Request): Promise<string> {
  if (request.body === null) throw new SkerryError("bad_json", "The body is empty; an inference request is JSON.");
  const decoder = new TextDecoder();
  let [text, size] = ["", 0];
  for await (const chunk of request.body) {
    size += (chunk as Uint8Array).byteLength;
    if (size > MAX_INFER_BYTES)
      throw new SkerryError("too_large", `The body is larger than ${MAX_INFER_BYTES} bytes. Send fewer rows at a time.`);
    text += decoder.decode(chunk as Uint8Array, { stream: true });
  }
  return text + decoder.decode();
}

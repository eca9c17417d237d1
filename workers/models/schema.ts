import * as z from "zod";

// The messages of the Open Inference Protocol (KServe v2, REST) as far as Skerry speaks it. `skerry-models` validates with
// them and the OpenAPI document is generated from them.

/** Bytes of an inference request: 10,000 rows of 4 numbers with all their digits fit several times. */
export const MAX_INFER_BYTES = 4 * 1024 * 1024;

const Name = z.string().min(1).max(256);
const Parameters = z.record(z.string(), z.unknown()).describe("Not used; accepted for the protocol's sake.");

export const InferRequest = z
  .object({
    id: z.string().max(256).optional().describe("Comes back with the answer."),
    parameters: Parameters.optional(),
    inputs: z
      .array(
        z.object({
          name: Name.describe('"rows".'),
          shape: z
            .array(
              z
                .number()
                .int()
                .min(0)
                .max(2 ** 31),
            )
            .max(8)
            .describe("[n, features]."),
          datatype: Name.describe("FP32 or FP64."),
          parameters: Parameters.optional(),
          data: z.array(z.any()).describe("Numbers in row-major order, flat or as one list a row."),
        }),
      )
      .min(1)
      .max(16),
    outputs: z
      .array(z.object({ name: Name, parameters: Parameters.optional() }))
      .max(16)
      .optional()
      .describe("The outputs wanted; all of them where absent."),
  })
  .describe("One tensor of rows to score.");
export type InferRequest = z.infer<typeof InferRequest>;

const Datatype = z.enum(["FP32", "FP64", "BOOL"]);

export const InferResponse = z.object({
  model_name: z.string(),
  model_version: z.string().describe("The digest of the artifact that answered."),
  id: z.string().optional(),
  outputs: z.array(
    z.object({ name: z.string(), shape: z.array(z.number().int()), datatype: Datatype, data: z.array(z.union([z.number(), z.boolean()])) }),
  ),
});
export type InferResponse = z.infer<typeof InferResponse>;

const TensorMetadata = z.object({
  name: z.string(),
  datatype: Datatype,
  shape: z.array(z.number().int()).describe("-1 stands for any size."),
});

export const ModelMetadata = z.object({
  name: z.string(),
  versions: z.array(z.string()),
  platform: z.string(),
  inputs: z.array(TensorMetadata),
  outputs: z.array(TensorMetadata),
  parameters: z.record(z.string(), z.unknown()).describe("What the artifact says of itself: features, threshold, training."),
});
export type ModelMetadata = z.infer<typeof ModelMetadata>;

export const ModelList = z.object({ models: z.array(z.object({ name: z.string(), versions: z.array(z.string()) })) });
export type ModelList = z.infer<typeof ModelList>;

export const ServerMetadata = z.object({ name: z.string(), version: z.string(), extensions: z.array(z.string()) });
export const Live = z.object({ live: z.boolean() });
export const Ready = z.object({ ready: z.boolean() });
export const ModelReady = z.object({ name: z.string(), ready: z.boolean() });
/** The protocol's own error shape. */
export const KServeError = z.object({ error: z.string() });

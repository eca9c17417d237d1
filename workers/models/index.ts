import { WorkerEntrypoint } from "cloudflare:workers";
import type { ModelsService, Scores } from "../../core/inference/port.ts";
import { SkerryError } from "../../core/wire/errors.ts";
import { answering } from "../../durable-objects/shared/refusals.ts";
import { kserve } from "./kserve.ts";
import { findModel, fullName, scoreWith } from "./registry.ts";

/**
 * The Worker script `skerry-models`, bound as `env.MODELS`: models in isolates of their own. RPC for the platform's other
 * script, the Open Inference Protocol over `fetch` for what it forwards from clients.
 */
class Models extends WorkerEntrypoint implements ModelsService {
  override fetch(request: Request): Response | Promise<Response> {
    return kserve.fetch(request);
  }

  async score(name: string, rows: Float32Array, n: number): Promise<Scores> {
    // Types do not travel over RPC; what another deployment's version of the caller sends is checked here.
    if (typeof name !== "string") throw new SkerryError("bad_request", "The model's name is not a string.");
    if (!(rows instanceof Float32Array)) throw new SkerryError("bad_request", "The rows are not a Float32Array.");
    const model = await findModel(name);
    return { ...scoreWith(model, rows, n), model: fullName(model) };
  }
}

export default class extends answering(Models) {}

// Test-only entry in front of the built Worker: it makes the doorbell queue misbehave as a real one may.
// The local queue is in memory, sequential and first-in-first-out, so duplicates, disorder and loss must be injected.
// Which faults: the binding QUEUE_FAULTS, see harness.ts.
import worker from "./index.js";
import { misbehave, seeded } from "./queue-faults.mjs";

export * from "./index.js";

const RING = "skerry-ring";
let random;

export default {
  ...worker,
  fetch: (request, env, ctx) => worker.fetch(request, env, ctx),
  queue(batch, env, ctx) {
    if (batch.queue !== RING) return worker.queue(batch, env, ctx);
    random ??= seeded(env.QUEUE_FAULTS.shuffle ?? 1);
    return misbehave(batch, env.QUEUE_FAULTS, random, (part) => worker.queue(part, env, ctx));
  },
};

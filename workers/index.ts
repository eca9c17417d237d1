import { app } from "./app.ts";
import { consumeDead } from "./consumers/dead.ts";
import { consumeRings } from "./consumers/ring.ts";

export default {
  fetch: app.fetch,
  queue(batch, env, ctx) {
    return batch.queue.endsWith("-dead") ? consumeDead(batch) : consumeRings(batch, env, ctx);
  },
} satisfies ExportedHandler<Env>;

export { DurableObject as Room } from "cloudflare:workers";
export { Directory } from "../durable-objects/directory/directory.ts";
export { Project } from "../durable-objects/project/project.ts";
export { Task } from "../durable-objects/task/task.ts";
export { Topic } from "../durable-objects/topic/topic.ts";

import { app } from "./app.ts";
import { consumeDead } from "./consumers/dead.ts";
import { consumeRings } from "./consumers/ring.ts";

export default {
  fetch: app.fetch,
  queue(batch, env) {
    return batch.queue.endsWith("-dead") ? consumeDead(batch) : consumeRings(batch, env);
  },
} satisfies ExportedHandler<Env>;

export { Directory } from "../durable-objects/directory/directory.ts";
export { Group } from "../durable-objects/group/group.ts";
export { Project } from "../durable-objects/project/project.ts";
export { Room } from "../durable-objects/room/room.ts";
export { Task } from "../durable-objects/task/task.ts";
export { Topic } from "../durable-objects/topic/topic.ts";

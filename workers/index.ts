import { Directory as DirectoryObject } from "../durable-objects/directory/directory.ts";
import { Group as GroupObject } from "../durable-objects/group/group.ts";
import { Project as ProjectObject } from "../durable-objects/project/project.ts";
import { Room as RoomObject } from "../durable-objects/room/room.ts";
import { answering, asking } from "../durable-objects/shared/refusals.ts";
import { Task as TaskObject } from "../durable-objects/task/task.ts";
import { Topic as TopicObject } from "../durable-objects/topic/topic.ts";
import { app } from "./app.ts";
import { consumeDead } from "./consumers/dead.ts";
import { consumeRings } from "./consumers/ring.ts";

export default {
  fetch: (request, env, ctx) => app.fetch(request, asking(env), ctx),
  queue(batch, env) {
    return batch.queue.endsWith("-dead") ? consumeDead(batch) : consumeRings(batch, env);
  },
} satisfies ExportedHandler<Env>;

// The classes that wrangler.toml declares, by their names there.
export class Directory extends answering(DirectoryObject) {}
export class Group extends answering(GroupObject) {}
export class Project extends answering(ProjectObject) {}
export class Room extends answering(RoomObject) {}
export class Task extends answering(TaskObject) {}
export class Topic extends answering(TopicObject) {}
